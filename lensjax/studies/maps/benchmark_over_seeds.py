"""The benchmark of explanations over several seeds of one experiment: mean ± s.d. over the networks.

    lensjax study benchmark runs/lens/seed0 runs/lens/seed1 … --out runs/lens_benchmark

Runs `explain.py RUN --benchmark` for each run that has no benchmark.json yet, in OUT/NAME or in
RUN/benchmark. Writes benchmark.md, .csv, .json, .png and .pdf to OUT, and lists the maps that score
better than every trivial map in every network.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.report import benchmark as report
from lensjax.report.names import LOWER_IS_BETTER, NEUTRAL, score_label
from lensjax.report.score_table import COSTS, is_row_baseline, score_names
from lensjax.runtime.errors import UserError
from lensjax.studies import common

MethodRow = dict[str, Any]
ABOUT_THE_NETWORK = ("max_sensitivity", "randomised", "labels_shuffled", *NEUTRAL)
"""Scores in which a trivial map is perfect or worthless by construction: nothing to beat."""


@dataclass(frozen=True)
class BenchmarkStudyOptions:
    runs: common.Runs
    out: common.Out
    examples: int = 24
    """Held-out examples with a true mask, of benchmarks that are made."""
    chunk: int = 8


def main(options: BenchmarkStudyOptions) -> None:
    """Collect or make the benchmark of every run, and write their mean."""
    names = [run.name for run in options.runs]
    if len(set(names)) < len(names) or not names:
        raise UserError(f"runs {', '.join(names) or '(none)'} must be one or more, each with its own name.")
    found = [json.loads(find_benchmark(options, run).read_text()) for run in options.runs]
    rows = average_tables([one["rows"] for one in found])
    cascades = average_cascades([one["cascades"] for one in found])
    lines = list_trusted([one["rows"] for one in found])
    options.out.mkdir(parents=True, exist_ok=True)
    report.write(options.out, rows, cascades)
    result = {"runs": names, "rows": rows, "cascades": cascades, "trusted": lines}
    common.save_study(options.out, [*report.markdown(rows), "", *lines], result, name="benchmark")


def find_benchmark(options: BenchmarkStudyOptions, run: Path) -> Path:
    """Return benchmark.json of a run, made where there is none.

    Raises:
      UserError: explain.py failed; it has printed its own message.
    """
    made = options.out / run.name / "benchmark.json"
    for path in (made, run / "benchmark" / "benchmark.json"):
        if path.exists():
            return path
    if not Path("explain.py").exists():
        raise UserError("explain.py is not in this folder: run from the project's root.")
    arguments = ["explain.py", str(run), "--benchmark", "--out", str(made.parent)]
    arguments += ["--benchmark-examples", str(options.examples), "--chunk", str(options.chunk)]
    if subprocess.run([sys.executable, *arguments]).returncode or not made.exists():
        raise UserError(f"the benchmark of '{run}' did not end; see above, and run the same command again.")
    return made


def average_tables(tables: Sequence[list[MethodRow]]) -> list[MethodRow]:
    """Return one row a method: (mean, least, most) over the tables, their standard deviation under `spread`.

    Raises:
      UserError: the tables are not of the same methods.
    """
    methods = [[row["method"] for row in table] for table in tables]
    if any(one != methods[0] for one in methods):
        raise UserError("the runs' benchmarks hold other methods: delete the older ones, and run this again.")
    rows = []
    for each in zip(*tables, strict=True):
        row: MethodRow = {"method": each[0]["method"], "n": each[0]["n"], "spread": {}}
        row |= {"baseline": True} if is_row_baseline(each[0]) else {}
        for name in score_names(each):
            values = np.array([read_mean_score(one, name) for one in each])
            row[name] = (float(values.mean()), float(values.min()), float(values.max()))
            if len(values) > 1:
                row["spread"][name] = float(values.std(ddof=1))
        row["cost"] = {name: float(np.median([one["cost"][name] for one in each])) for name in COSTS}
        rows.append(row)
    return rows


def average_cascades(cascades: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the curves averaged over the networks."""
    mean: dict[str, Any] = {"groups": cascades[0]["groups"]}
    for order in ("top_down", "bottom_up"):
        mean[order] = {
            method: np.mean([one[order][method] for one in cascades], axis=0).tolist()
            for method in cascades[0][order]
        }
    return mean


def list_trusted(tables: Sequence[list[MethodRow]]) -> list[str]:
    """Return a line a score: the methods whose mean beats the best trivial map's in every network."""
    lines = []
    for name in score_names(tables[0]):
        if name in ABOUT_THE_NETWORK:
            continue
        sign = -1 if name in LOWER_IS_BETTER else 1
        above: list[set[str]] = []
        for table in tables:
            worth = {row["method"]: sign * read_mean_score(row, name) for row in table}
            trivial = max(worth[row["method"]] for row in table if is_row_baseline(row))
            methods = [row["method"] for row in table if not is_row_baseline(row)]
            above.append({method for method in methods if worth[method] > trivial})
        mean = {
            row["method"]: np.mean([read_mean_score(t[i], name) for t in tables])
            for i, row in enumerate(tables[0])
        }
        best = sorted(set.intersection(*above), key=lambda method: -sign * mean[method])
        lines.append(f"- {score_label(name)}: {', '.join(best) or 'no method'}")
    return [f"Better than every trivial map in each of {len(tables)} networks, best first:", "", *lines]


def read_mean_score(row: MethodRow, name: str) -> float:
    value = row.get(name, [np.nan])[0]
    return np.nan if value is None else float(value)


run = common.make_command("benchmark", main, BenchmarkStudyOptions, __doc__)

if __name__ == "__main__":
    run()
