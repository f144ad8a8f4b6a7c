"""The benchmark of explanations as files: Markdown tables, a CSV, and two figures."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lensjax.report import score_table as table
from lensjax.report.figures.panels import GREY, make_figure, save_figure
from lensjax.report.names import BY_ASKING, NEUTRAL, method_label


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


def heat_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw methods × scores: numbers, coloured by the place in the column; trivial maps below a line."""
    rows, names = sorted(rows, key=table.is_row_baseline), table.score_names(rows)
    wide, blank = 1.0 if any(row.get("spread") for row in rows) else 0.72, np.full(len(rows), np.nan)
    figure = make_figure(3.2 + wide * (len(names) + len(table.COSTS)), 1.9 + 0.25 * len(rows))
    axis = figure.subplots()
    columns = [blank if name in NEUTRAL else table.rank_rows(rows, name) for name in names]
    colours = np.stack([*columns, *[blank] * len(table.COSTS)], axis=1)
    axis.imshow(colours, cmap="RdYlGn_r", vmin=0, vmax=1, aspect="auto", alpha=0.75)
    winners = [table.find_winner(rows, name) for name in names]
    for i, row in enumerate(rows):
        texts = [table.format_score(row, name) for name in names]
        texts += [table.format_cost(row, name) for name in table.COSTS]
        for j, text in enumerate(texts):
            bold = "bold" if j < len(names) and winners[j] == i else "normal"
            axis.text(j, i, text, ha="center", va="center", fontsize=7, weight=bold)
    axis.axhline(len(rows) - sum(map(table.is_row_baseline, rows)) - 0.5, color="black", lw=1.2)
    axis.axvline(len(names) - 0.5, color="black", lw=0.6)
    heads = [*map(table.heading, names), *table.COSTS.values()]
    axis.set_xticks(range(len(heads)), heads, fontsize=8, rotation=40, ha="left", rotation_mode="anchor")
    axis.set_yticks(range(len(rows)), [method_label(row["method"]) for row in rows], fontsize=8)
    axis.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    note = "green: first of its column; ↓ less is better; bold: best method; trivial maps below the line"
    axis.set_xlabel(f"n = {max(int(row['n']) for row in rows)}; {note}", fontsize=8)
    return figure


def cascade_figure(cascades: Mapping[str, Any]) -> Figure:
    """Draw the similarity to the trained network's map as more stages are random: a line a method."""
    figure = make_figure(8.4, 3.2)
    groups = list(cascades["groups"])
    for axis, order in zip(figure.subplots(1, 2, sharey=True), ("top_down", "bottom_up"), strict=True):
        for method, values in cascades[order].items():
            axis.plot(values, marker=".", label=method_label(method))
        steps = groups if order == "bottom_up" else groups[::-1]
        axis.set_xticks(range(len(steps) + 1), ["trained", *steps], rotation=40, ha="right", fontsize=8)
        axis.set_title(f"random from the {'head down' if order == 'top_down' else 'image up'}")
        axis.axhline(0, color=GREY, lw=0.8)
    figure.axes[0].set_ylabel("Spearman correlation\nwith the trained map")
    figure.axes[1].legend(frameon=False, fontsize=7)
    return figure
