"""The table and the figure of `train.py CONFIG --ablate GROUP`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.runtime import logs
from lensjax.studies.events.ablation_tables import spread


def write_table(folder: Path, table: Mapping[str, Any]) -> None:
    """Write table.md, table.json and table.png of `training.variants.train_variants`, and show them."""
    from lensjax.report.figures import studies as pictures  # matplotlib is slow to import

    rows, metrics = table["rows"], list(next(iter(table["differences"].values())))
    text = "\n".join(table_lines(table["group"], rows, table["differences"]))
    about = {"command": shlex.join(sys.argv), "environment": logs.environment()}
    logs.write_json(folder / "table.json", about | dict(table))
    (folder / "table.md").write_text(text + "\n")
    pictures.dots(folder / "table.png", rows, {name: name.replace("_", " ") for name in metrics[:4]})
    logs.logger.info(f"{text}\n\ntable: {folder / 'table.md'}\nplot:  {folder / 'table.png'}")
    logs.logger.info(f"next:  python explain.py {folder / next(iter(rows))}")


def table_lines(
    group: str,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    differences: Mapping[str, Mapping[str, tuple[float, ...]]],
) -> list[str]:
    """Format in Markdown: mean ± standard deviation over seeds, and the difference from the first."""
    first, metrics = next(iter(rows)), list(next(iter(differences.values())))
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
        cells += [spread([row[fact] for row in each], 1) for fact in ("epochs", "seconds_per_epoch")]
        for metric in metrics:
            mean, low, high = differences[name][metric]
            shown = f"{mean:+.4f} ({low:+.4f} … {high:+.4f})"
            known = name != first and np.isfinite(mean)
            cells += [spread([row.get(metric) for row in each], 4) or "–", shown if known else "–"]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
