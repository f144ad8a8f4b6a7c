"""Figures of the recall studies: rare kinds at several rates, and the selection function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lensjax.report.figures.panels import BLUE, GREY, make_figure
from lensjax.report.figures.studies import RED, save_png

SHADES = ("#1f4e9c", "#2f8f6b", "#b3661e", "#6b3f8f")


def draw_kinds(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    rates: Sequence[float],
    published: Mapping[str, float],
) -> Path:
    """Draw the recall of every kind at every rate with intervals, a dot a network, and what was published."""
    figure = make_figure(8.5, 1.3 + 0.55 * len(rows))
    axis = figure.subplots()
    for shade, (number, rate) in zip(SHADES, enumerate(rates), strict=False):
        shift = (number - (len(rates) - 1) / 2) * 0.22
        for y, row in enumerate(rows):
            result = row["rates"][f"{rate:g}"]
            label = f"false positives {rate:g}" if y == 0 else None
            draw_recall(axis, result, y + shift, shade, label)
            axis.plot(result["each"], np.full(len(result["each"]), y + shift), ".", color=shade, alpha=0.45)
    for y, row in enumerate(rows):
        if row["kind"] in published:
            label = "published, no rate stated"
            axis.plot([published[row["kind"]]], [y], "D", mfc="none", color=RED, markersize=8, label=label)
    names = [f"{row['kind'].replace('_', ' ')}\n{row['n']} lenses" for row in rows]
    axis.set_yticks(range(len(rows)), names, fontsize=9)
    axis.invert_yaxis()
    axis.set(xlabel="recall", xlim=(-0.02, 1.02))
    axis.grid(axis="x", color=GREY, alpha=0.3)
    handles, labels = axis.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    figure.legend(once.values(), once.keys(), loc="outside upper center", ncols=4, fontsize=8, frameon=False)
    return save_png(figure, path)


def draw_recall(
    axis: Axes, result: Mapping[str, Any], y: float | int, colour: str, label: str | None
) -> None:
    """Draw one recall with its interval, lying; nothing where it is undefined."""
    mean = result["recall"]
    if np.isfinite(mean):
        reach = [[max(mean - result["low"], 0)], [max(result["high"] - mean, 0)]]
        axis.errorbar([mean], [y], xerr=reach, fmt="o", color=colour, markersize=5, capsize=2, label=label)


def draw_selection(path: Path, result: Mapping[str, Any], labels: Mapping[str, str]) -> Path:
    """Draw a panel a curve, `labels` on the axes, then the colour swap and what removals do to recall."""
    panels, columns = len(result["curves"]) + 1, 3
    lines = -(-panels // columns)
    figure = make_figure(11.0, 2.9 * lines)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis, (name, points) in zip(axes, result["curves"].items(), strict=False):
        draw_curve(axis, points, labels[name], result["cuts"].get(name))
    draw_changes(axes[panels - 1], result["colour_swap"], result["changes"])
    for axis in axes[panels:]:
        axis.set_axis_off()
    figure.suptitle(f"recall at a false-positive rate of {result['fpr']:g}", fontsize=11)
    return save_png(figure, path)


def draw_curve(axis: Axes, points: Sequence[Mapping[str, Any]], label: str, cut: float | None) -> None:
    """Draw the mean with intervals, each network thin; a dashed line at the least value in training."""
    x = np.array([point["x"] for point in points])
    mean, low, high = (np.array([point[key] for point in points]) for key in ("recall", "low", "high"))
    axis.plot(x, np.array([point["each"] for point in points]), color=BLUE, alpha=0.25, linewidth=0.8)
    reach = np.maximum([mean - low, high - mean], 0)
    axis.errorbar(x, mean, yerr=reach, fmt="o-", color=BLUE, markersize=4, capsize=2)
    if cut is not None:
        axis.axvline(cut, color=RED, linestyle="--", linewidth=1)
        axis.annotate(
            "least in training", (cut, 0.03), color=RED, fontsize=7, xytext=(3, 0), textcoords="offset points"
        )
    if x.min() > 0 and x.max() / x.min() > 20:
        axis.set_xscale("log")
    axis.set(xlabel=label, ylabel="recall", ylim=(-0.02, 1.02))
    axis.grid(color=GREY, alpha=0.3)


def draw_changes(axis: Axes, colour_swap: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Draw the recall of the same lenses before and after each change, joined by a line."""
    rows = {f"blue → red source,\n{name}": row for name, row in colour_swap.items()}
    rows |= {name: row for name, row in changes.items() if name.endswith("removed")}
    for y, row in enumerate(rows.values()):
        before, after = row["before"]["recall"], row["after"]["recall"]
        axis.plot([before, after], [y, y], color=GREY, linewidth=2, zorder=1)
        draw_recall(axis, row["before"], y, BLUE, None)
        draw_recall(axis, row["after"], y, RED, None)
    axis.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axis.invert_yaxis()
    axis.set(xlabel="recall, before (blue) and after (red)", xlim=(-0.02, 1.02))
    axis.grid(axis="x", color=GREY, alpha=0.3)
