"""The benchmark of explanations as a figure, Markdown tables, a CSV, and a part of the page."""

from __future__ import annotations

import base64
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lensjax.report.figures.panels import GREY, blank
from lensjax.report.names import BY_ASKING, LOWER_IS_BETTER, NEUTRAL, method_label, score_label
from lensjax.report.page.filters import esc, number
from lensjax.report.page.summary import is_row_baseline, score_names, triple_of

COSTS = {"passes": "forward passes", "seconds": "seconds a map", "megabytes": "MB (estimate)"}
Row = Mapping[str, Any]
Rows = Sequence[Row]


def write(out: Path, rows: Rows, cascades: Mapping[str, Any]) -> None:
    """benchmark.csv, .md, .png and .pdf, and cascade.png and .pdf where stages were randomised."""
    write_csv(out / "benchmark.csv", rows)
    (out / "benchmark.md").write_text("\n".join(markdown(rows)) + "\n")
    figures = {"benchmark": heat_figure(rows)}
    if cascades.get("top_down"):
        figures["cascade"] = cascade_figure(cascades)
    for name, figure in figures.items():
        for kind in ("png", "pdf"):
            figure.savefig(out / f"{name}.{kind}", dpi=130)


def ordered(rows: Rows) -> list[Row]:
    """Trivial maps last."""
    return sorted(rows, key=is_row_baseline)


def heading(name: str) -> str:
    return (
        score_label(name)
        if name in NEUTRAL
        else f"{score_label(name)} {'↓' if name in LOWER_IS_BETTER else '↑'}"
    )


def best(rows: Rows, name: str) -> int | None:
    """Row of the best method in a score, trivial maps aside."""
    places = np.where([is_row_baseline(row) for row in rows], np.nan, ranks(rows, name))
    return int(np.nanargmin(places)) if np.isfinite(places).any() and name not in NEUTRAL else None


def ranks(rows: Rows, name: str) -> np.ndarray:
    """Place of each row in a score from 0, the best, to 1; NaN where it has none."""
    values = np.array([(triple_of(row, name) or (np.nan,))[0] for row in rows], float)
    worth = -np.abs(values) if name in LOWER_IS_BETTER else values
    place = np.array([(worth > one).sum() for one in worth], float) / max(1, len(rows) - 1)
    return np.where(np.isfinite(values), place, np.nan)


def markdown(rows: Rows) -> list[str]:
    """Two tables, truth and the rest with the costs; the best method of a column is bold."""
    rows, names = ordered(rows), score_names(rows)
    asked = [name for name in names if name in BY_ASKING]
    truth = [name for name in names if name not in BY_ASKING]
    return [*_table(rows, truth, {}), "", *_table(rows, asked, COSTS)]


def _table(rows: Rows, names: Sequence[str], costs: Mapping[str, str]) -> list[str]:
    heads = [*map(heading, names), *costs.values()]
    lines = [f"| method | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    winners = {name: best(rows, name) for name in names}
    for i, row in enumerate(rows):
        texts = {name: cell(row, name, interval=True) for name in names}
        cells = [f"**{text}**" if winners[name] == i else text for name, text in texts.items()]
        cells += [cost(row, name) for name in costs]
        lines.append(
            f"| {row['method']}{' (trivial)' if is_row_baseline(row) else ''} | {' | '.join(cells)} |"
        )
    return lines


def cell(row: Row, name: str, interval: bool = False) -> str:
    """The mean with the standard deviation over seeds, or else, if asked for, with its interval."""
    value = triple_of(row, name)
    if value is None or not np.isfinite(value[0]):
        return "–"
    digits = 0 if abs(value[0]) >= 10 else 3 if name.endswith("_s") else 2
    mean, low, high = (f"{v:.{digits}f}".replace("-", "−") for v in value)
    if name in row.get("spread", {}):
        return f"{mean} ± {row['spread'][name]:.{digits}f}"
    return f"{mean} ({low} to {high})" if interval and np.isfinite(value[1]) else mean


def cost(row: Row, name: str) -> str:
    return number(row.get("cost", {}).get(name, np.nan), 2)


def heat_figure(rows: Rows) -> Figure:
    """Methods × scores: the number printed, the colour its place in the column; trivial maps below a line."""
    rows, names = ordered(rows), score_names(rows)
    spread = any(row.get("spread") for row in rows)
    figure = blank(3.2 + (1.0 if spread else 0.72) * (len(names) + len(COSTS)), 1.9 + 0.25 * len(rows))
    axis = figure.subplots()
    columns = [np.full(len(rows), np.nan) if name in NEUTRAL else ranks(rows, name) for name in names]
    colours = np.stack([*columns, *[np.full(len(rows), np.nan)] * len(COSTS)], axis=1)
    axis.imshow(colours, cmap="RdYlGn_r", vmin=0, vmax=1, aspect="auto", alpha=0.75)
    winners = [best(rows, name) for name in names]
    for i, row in enumerate(rows):
        texts = [*(cell(row, name) for name in names), *(cost(row, name) for name in COSTS)]
        for j, text in enumerate(texts):
            bold = "bold" if j < len(names) and winners[j] == i else "normal"
            axis.text(j, i, text, ha="center", va="center", fontsize=7, weight=bold)
    axis.axhline(len(rows) - sum(map(is_row_baseline, rows)) - 0.5, color="black", lw=1.2)
    axis.axvline(len(names) - 0.5, color="black", lw=0.6)
    heads = [*map(heading, names), *COSTS.values()]
    axis.set_xticks(range(len(heads)), heads, fontsize=8, rotation=40, ha="left", rotation_mode="anchor")
    axis.set_yticks(range(len(rows)), [method_label(row["method"]) for row in rows], fontsize=8)
    axis.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    note = "green: first of its column; ↓ less is better; bold: best method; trivial maps below the line"
    axis.set_xlabel(f"n = {max(int(row['n']) for row in rows)}; {note}", fontsize=8)
    return figure


def cascade_figure(cascades: Mapping[str, Any]) -> Figure:
    """Similarity to the trained network's map as more stages are random: a line a method."""
    figure = blank(8.4, 3.2)
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


def section(out: Path) -> str:
    """The figures for the page, inline, with links to the files beside it."""
    texts = {
        "benchmark": "Methods and scores, coloured by the place in each column",
        "cascade": "Similarity of maps as parameters are randomised, stage after stage",
    }
    parts = []
    for name, text in texts.items():
        if (path := out / f"{name}.png").exists():
            data = base64.b64encode(path.read_bytes()).decode()
            picture = f'<img src="data:image/png;base64,{data}" alt="{esc(text)}" style="max-width:100%">'
            parts.append(f"<figure>{picture}<figcaption>{esc(text)}</figcaption></figure>")
    files = [f"benchmark.{kind}" for kind in ("csv", "md", "json", "pdf")]
    links = ", ".join(f'<a href="{file}">{file}</a>' for file in files)
    return f'{"".join(parts)}<p class="caption">As files: {links}.</p>'


def write_csv(path: Path, rows: Rows) -> None:
    """A line a method: mean, low and high of every score, and the costs."""
    names = score_names(rows)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        ends = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
        writer.writerow(["method", "trivial", "n", *ends, *COSTS])
        for row in ordered(rows):
            values = [v for name in names for v in (triple_of(row, name) or (np.nan,) * 3)]
            values += [row.get("cost", {}).get(name, np.nan) for name in COSTS]
            writer.writerow(
                [row["method"], int(is_row_baseline(row)), row["n"], *(f"{v:.6g}" for v in values)]
            )
