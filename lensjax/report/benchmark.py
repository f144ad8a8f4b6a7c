"""The benchmark of explanations as files: Markdown tables, a CSV, and the figures of figures/benchmark.py."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.report import score_table as table
from lensjax.report.figures.benchmark import cascade_figure, heat_figure
from lensjax.report.figures.panels import save_figure
from lensjax.report.names import BY_ASKING


def write(out: Path, rows: Sequence[Mapping[str, Any]], cascades: Mapping[str, Any]) -> None:
    """Write benchmark.csv, .md, .png and .pdf, and cascade.png and .pdf where stages were randomised."""
    write_csv(out / "benchmark.csv", rows)
    (out / "benchmark.md").write_text("\n".join(markdown(rows)) + "\n")
    figures = {"benchmark": heat_figure(rows)}
    if cascades.get("top_down"):
        figures["cascade"] = cascade_figure(cascades)
    for name, figure in figures.items():
        for kind in ("png", "pdf"):
            save_figure(figure, out / f"{name}.{kind}")


def markdown(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return two tables, truth and the rest with the costs; the best method of a column is bold."""
    rows, names = sorted(rows, key=table.is_row_baseline), table.score_names(rows)
    asked = [name for name in names if name in BY_ASKING]
    truth = [name for name in names if name not in BY_ASKING]
    return [*_table(rows, truth, {}), "", *_table(rows, asked, table.COSTS)]


def _table(rows: Sequence[Mapping[str, Any]], names: Sequence[str], costs: Mapping[str, str]) -> list[str]:
    heads = [*map(table.heading, names), *costs.values()]
    lines = []
    winners = {name: table.find_winner(rows, name) for name in names}
    for i, row in enumerate(rows):
        texts = {name: table.format_score(row, name, interval=True) for name in names}
        cells = [row["method"] + (" (trivial)" if table.is_row_baseline(row) else "")]
        cells += [f"**{text}**" if winners[name] == i else text for name, text in texts.items()]
        lines.append([*cells, *(table.format_cost(row, name) for name in costs)])
    return table.markdown_table(["method", *heads], lines)


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a line a method: mean, low and high of every score, and the costs."""
    names = table.score_names(rows)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        ends = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
        writer.writerow(["method", "trivial", "n", *ends, *table.COSTS])
        for row in sorted(rows, key=table.is_row_baseline):
            values = [v for name in names for v in (table.read_triple(row, name) or (np.nan,) * 3)]
            values += [row.get("cost", {}).get(name, np.nan) for name in table.COSTS]
            writer.writerow(
                [row["method"], int(table.is_row_baseline(row)), row["n"], *(f"{v:.6g}" for v in values)]
            )
