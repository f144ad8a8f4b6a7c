"""The table and the figure of `train.py CONFIG --ablate GROUP`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.runtime import logs
from lensjax.studies.common import format_spread, markdown_table, save_study


def write_table(folder: Path, table: Mapping[str, Any]) -> None:
    """Write table.md, table.json and table.png of `training.variants.train_variants`, and show them."""
    from lensjax.report.figures.studies import draw_dots  # matplotlib is slow to import

    rows, metrics = table["rows"], list(next(iter(table["differences"].values())))
    labels = {name: name.replace("_", " ") for name in metrics[:4]}
    figure = draw_dots(folder / "table.png", rows, labels)
    save_study(folder, tabulate_variants(table["group"], rows, table["differences"]), dict(table), [figure])
    logs.logger.info(f"next:   python explain.py {folder / next(iter(rows))}")


def tabulate_variants(
    group: str,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    differences: Mapping[str, Mapping[str, tuple[float, ...]]],
) -> list[str]:
    """Format in Markdown: mean ± standard deviation over seeds, and the difference from the first."""
    first, metrics = next(iter(rows)), list(next(iter(differences.values())))
    head = ["variant", "parameters", "epochs", "s/epoch"]
    for metric in metrics:
        head += [metric.replace("_", " "), f"− {first}"]
    lines = []
    for name, each in rows.items():
        cells = [name, f"{each[0]['parameters']:,}"]
        cells += [format_spread([row[fact] for row in each], 1) for fact in ("epochs", "seconds_per_epoch")]
        for metric in metrics:
            mean, low, high = differences[name][metric]
            shown = f"{mean:+.4f} ({low:+.4f} … {high:+.4f})"
            known = name != first and np.isfinite(mean)
            cells += [format_spread([row.get(metric) for row in each], 4) or "–", shown if known else "–"]
        lines.append(cells)
    title = (
        f"{group}: {len(rows[first])} seeds, mean ± s.d. over seeds; differences from {first} are paired by "
    )
    return [title + "seed, with 95 % t intervals.", "", *markdown_table(head, lines)]
