"""`train.py CONFIG --ablate GROUP`: variants of an experiment over several seeds, in one table.

Variants come from GROUPS of configs/ablations.py; the seeds of one train together (`ensemble_train`). The
differences from the first variant are paired by seed: the same order of data, and the same initial
parameters where the networks share them.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.config import Config
from lensjax.evaluation import intervals, predict
from lensjax.runtime import logs, run_folder
from lensjax.runtime.errors import UserError
from lensjax.specs import check_names, defined_in
from lensjax.studies.common import format_spread
from lensjax.training import loop
from lensjax.training.loop import Say

Rows = dict[str, list[dict[str, Any]]]
"""By variant, the metrics of the test split of every seed."""
FACTS = ("parameters", "epochs", "seconds_per_epoch")


def main(
    config: Config, group: str, seeds: int, workdir: Path, file: Path, say: Say, only: Sequence[str] = ()
) -> None:
    """Train what is missing, and write table.md, table.json and table.png into `workdir`.

    Of the group, `only` these variants and the first.

    Raises:
      UserError: no such group, or nothing in it to compare; a variant contradicts itself.
    """
    variants, left_out = chosen(config, group, file, only)
    for line in left_out:
        say(line)
    for name, variant in variants.items():
        try:
            predict.check(variant)
        except ValueError as error:
            raise UserError(f"variant {name} of {group}: {error}") from error
    for number, (name, variant) in enumerate(variants.items(), 1):
        say(f"variant {number} of {len(variants)}: {name}, {seeds} seeds")
        if not loop.train(variant, range(seeds), workdir / name, say):
            return
    write(config, group, {name: outcomes(workdir / name, seeds) for name in variants}, workdir, say)


def chosen(
    config: Config, group: str, file: Path, only: Sequence[str] = ()
) -> tuple[dict[str, Config], list[str]]:
    """The variants of a group, and a line for each that is left out.

    Raises:
      UserError: no such group or variant, or fewer than two variants that differ.
    """
    groups = defined_in(file, "GROUPS", "`GROUPS: dict[str, dict[str, Callable[[Config], Config]]]`")
    if group not in groups:
        raise UserError(f"unknown ablation '{group}': choose from {', '.join(groups)}.")
    edits = groups[group]
    check_names("variant", only, edits, of=group)
    first = next(iter(edits))
    variants: dict[str, Config] = {}
    left_out = []
    for name, edit in edits.items():
        if only and name not in (first, *only):
            continue
        variant = edit(config)
        same = [other for other, known in variants.items() if known == variant]
        if variant is None:
            left_out.append(f"{name} is left out: it means nothing for this {config.data.name} configuration")
        elif same:
            left_out.append(f"{name} is left out: it is {same[0]} here")
        else:
            variants[name] = variant
    if len(variants) < 2:
        why = f"{left_out[0]}, and so on" if left_out else f"--only names {first} alone"
        raise UserError(f"ablation '{group}' has nothing to compare: {why}.")
    return variants, left_out


def outcomes(folder: Path, seeds: int) -> list[dict[str, Any]]:
    """Facts and test metrics of the seeds of a variant."""
    found = []
    for seed in range(seeds):
        summary = json.loads((folder / f"seed{seed}" / "summary.json").read_text())
        numbers = {k: v for k, v in summary["test"].items() if isinstance(v, int | float)}
        found.append({"seed": seed, **{name: summary[name] for name in FACTS}, **numbers})
    return found


def write(config: Config, group: str, rows: Rows, workdir: Path, say: Say) -> None:
    """The table and its figure, and where they are."""
    from lensjax.report.figures import studies as pictures

    metrics = [
        name for name in run_folder.HEADLINES if any(name in row for each in rows.values() for row in each)
    ]
    compared = {name: {metric: difference(rows, name, metric) for metric in metrics} for name in rows}
    lines = table_lines(group, rows, compared)
    result = {"command": shlex.join(sys.argv), "environment": logs.environment(), "base": asdict(config)}
    result |= {"group": group, "rows": rows, "differences": compared}
    logs.write_json(workdir / "table.json", result)
    (workdir / "table.md").write_text("\n".join(lines) + "\n")
    pictures.draw_dots(workdir / "table.png", rows, {name: name.replace("_", " ") for name in metrics[:4]})
    say("\n".join(lines))
    say(f"\ntable: {workdir / 'table.md'}\nplot:  {workdir / 'table.png'}")
    say(f"next:  python explain.py {workdir / next(iter(rows))}")


def difference(rows: Mapping[str, Sequence[dict[str, Any]]], name: str, metric: str) -> tuple[float, ...]:
    """(mean, low, high) of a variant minus the first one, seed by seed; NaN where either has no value."""
    first = next(iter(rows.values()))
    pairs = [(row.get(metric), other.get(metric)) for row, other in zip(rows[name], first, strict=True)]
    values = np.array([a - b if a is not None and b is not None else np.nan for a, b in pairs])
    return (float(values.mean()), *intervals.mean_interval(values))


def table_lines(group: str, rows: Rows, compared: Mapping[str, Mapping[str, tuple[float, ...]]]) -> list[str]:
    """Markdown: mean ± standard deviation over seeds, then the difference from the first variant."""
    first, metrics = next(iter(rows)), list(next(iter(compared.values())))
    head = ["variant", "parameters", "epochs", "s/epoch"]
    for metric in metrics:
        head += [metric.replace("_", " "), f"− {first}"]
    lines = [
        f"{group}: {len(rows[first])} seeds, mean ± s.d. over seeds; differences from {first} are paired by "
        "seed, with 95 % t intervals.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for name, each in rows.items():
        cells = [name, f"{each[0]['parameters']:,}"]
        cells += [format_spread([row[fact] for row in each], 1) for fact in ("epochs", "seconds_per_epoch")]
        for metric in metrics:
            mean, low, high = compared[name][metric]
            shown = f"{mean:+.4f} ({low:+.4f} … {high:+.4f})"
            known = name != first and np.isfinite(mean)
            cells += [format_spread([row.get(metric) for row in each], 4) or "–", shown if known else "–"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
