"""The benchmark of explanations over several seeds of one experiment: mean ± s.d. over the networks.

    python -m lensjax.studies.maps.benchmark_over_seeds runs/lens/seed0 runs/lens/seed1 … --out runs/lens_benchmark

Runs `explain.py RUN --benchmark` for each run that has no benchmark.json yet, in OUT/NAME or in
RUN/benchmark. Writes benchmark.md, .csv, .json, .png and .pdf into OUT, and says which maps beat every
trivial one in every network.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from lensjax.report import benchmark as report
from lensjax.report.names import LOWER_IS_BETTER, NEUTRAL, score_label
from lensjax.report.page.summary import is_row_baseline, score_names
from lensjax.runtime import logs
from lensjax.runtime.errors import UserError

Row = dict[str, Any]
ABOUT_THE_NETWORK = ("max_sensitivity", "randomised", "labels_shuffled", *NEUTRAL)
"""Scores in which a trivial map is perfect or worthless by construction: nothing to beat."""


@dataclass(frozen=True)
class Command:
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Workdirs of train.py: one experiment, several seeds."""
    out: Path
    """Folder of the table, and of the benchmarks that are made."""
    examples: int = 24
    """Held-out examples with a true mask, of benchmarks that are made."""
    chunk: int = 8


def main(command: Command) -> None:
    names = [run.name for run in command.runs]
    if len(set(names)) < len(names) or not names:
        raise UserError(f"runs {', '.join(names) or '(none)'} must be one or more, each with its own name.")
    found = [json.loads(result(command, run).read_text()) for run in command.runs]
    rows = over_seeds([one["rows"] for one in found])
    cascades = mean_cascades([one["cascades"] for one in found])
    lines = trusted([one["rows"] for one in found])
    command.out.mkdir(parents=True, exist_ok=True)
    report.write(command.out, rows, cascades)
    text = "\n".join([*report.markdown(rows), "", *lines])
    (command.out / "benchmark.md").write_text(text + "\n")
    logs.write_json(
        command.out / "benchmark.json",
        {
            "command": shlex.join(sys.argv),
            "runs": names,
            "rows": rows,
            "cascades": cascades,
            "trusted": lines,
        },
    )
    print(f"{text}\n\ntable: {command.out / 'benchmark.md'}")


def result(command: Command, run: Path) -> Path:
    """benchmark.json of a run, made where there is none.

    Raises:
      UserError: explain.py failed; its own message stands above.
    """
    made = command.out / run.name / "benchmark.json"
    for path in (made, run / "benchmark" / "benchmark.json"):
        if path.exists():
            return path
    if not Path("explain.py").exists():
        raise UserError("explain.py is not in this folder: run from the project's root.")
    options = ["--benchmark-examples", str(command.examples), "--chunk", str(command.chunk)]
    arguments = ["explain.py", str(run), "--benchmark", "--out", str(made.parent), *options]
    if subprocess.run([sys.executable, *arguments]).returncode or not made.exists():
        raise UserError(f"the benchmark of '{run}' did not end; see above, and run the same command again.")
    return made


def over_seeds(tables: Sequence[list[Row]]) -> list[Row]:
    """One row a method: (mean, least, most) over the tables, and the standard deviation under `spread`.

    Raises:
      UserError: the tables are not of the same methods.
    """
    methods = [[row["method"] for row in table] for table in tables]
    if any(one != methods[0] for one in methods):
        raise UserError("the runs' benchmarks hold other methods: delete the older ones, and run this again.")
    rows = []
    for each in zip(*tables, strict=True):
        row: Row = {"method": each[0]["method"], "n": each[0]["n"], "spread": {}}
        row |= {"baseline": True} if is_row_baseline(each[0]) else {}
        for name in score_names(each):
            values = np.array([_mean(one, name) for one in each])
            row[name] = (float(values.mean()), float(values.min()), float(values.max()))
            if len(values) > 1:
                row["spread"][name] = float(values.std(ddof=1))
        row["cost"] = {name: float(np.median([one["cost"][name] for one in each])) for name in report.COSTS}
        rows.append(row)
    return rows


def mean_cascades(cascades: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Curves averaged over the networks."""
    mean: dict[str, Any] = {"groups": cascades[0]["groups"]}
    for order in ("top_down", "bottom_up"):
        mean[order] = {
            method: np.mean([one[order][method] for one in cascades], axis=0).tolist()
            for method in cascades[0][order]
        }
    return mean


def trusted(tables: Sequence[list[Row]]) -> list[str]:
    """A line a score: the methods whose mean beats the best trivial map's in every network."""
    lines = []
    for name in score_names(tables[0]):
        if name in ABOUT_THE_NETWORK:
            continue
        sign = -1 if name in LOWER_IS_BETTER else 1
        above: list[set[str]] = []
        for table in tables:
            worth = {row["method"]: sign * _mean(row, name) for row in table}
            trivial = max(worth[row["method"]] for row in table if is_row_baseline(row))
            methods = [row["method"] for row in table if not is_row_baseline(row)]
            above.append({method for method in methods if worth[method] > trivial})
        mean = {
            row["method"]: np.mean([_mean(t[i], name) for t in tables]) for i, row in enumerate(tables[0])
        }
        best = sorted(set.intersection(*above), key=lambda method: -sign * mean[method])
        lines.append(f"- {score_label(name)}: {', '.join(best) or 'no method'}")
    return [f"Better than every trivial map in each of {len(tables)} networks, best first:", "", *lines]


def _mean(row: Row, name: str) -> float:
    value = row.get(name, [np.nan])[0]
    return np.nan if value is None else float(value)


if __name__ == "__main__":
    try:
        main(
            tyro.cli(Command, prog="python -m lensjax.studies.maps.benchmark_over_seeds", description=__doc__)
        )
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on from what is saved.")
