"""The figure of the study of real lenses: scores of every set, and where maps have their energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lensjax.report.figures.studies import BLUE, GREY, RED

COLOURS = (BLUE, "#c77700", "#2e7d32", "#7b3fa0", "#00838f")


def save(path: Path, result: Mapping[str, Any]) -> Path:
    """Left, the mean score of the networks, less their thresholds; right, profiles in Einstein radii."""
    profiles = result.get("profiles", {})
    figure = Figure(figsize=(11 if profiles else 6, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 if profiles else 1, squeeze=False)[0]
    _scores(axes[0], result)
    if profiles:
        _profiles(axes[1], profiles)
    figure.savefig(path, dpi=130)
    return path


def variants(path: Path, rows: Mapping[str, Sequence[Mapping[str, float]]]) -> Path:
    """One panel a column of the table, one line a variant, one dot a seed."""
    names, columns = list(rows), list(next(iter(rows.values()))[0])
    figure = Figure(figsize=(13, 1.6 + 0.7 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, (len(columns) + 1) // 2, sharey=True).ravel()
    for axis, column in zip(axes, columns, strict=False):
        for y, name in enumerate(names):
            values = np.array([row[column] for row in rows[name]], float)
            axis.plot(values, np.full(values.shape, y), "o", color=BLUE, alpha=0.45, markersize=4)
            axis.plot([values.mean()], [y], "|", color=BLUE, markersize=14, markeredgewidth=2)
        axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_xlabel(column, fontsize=8)
        axis.grid(axis="x", color=GREY, alpha=0.3)
    figure.savefig(path, dpi=130)
    return path


def _scores(axis: Axes, result: Mapping[str, Any]) -> None:
    scores, ring, cut = result["scores"], result["is_ring"], np.array(result["threshold"])[:, None]
    sets = {
        "real lenses (HST)": scores["lenses"],
        "the same without arcs": scores["without_arcs"],
        "real galaxies (HST)": scores["galaxies"],
        "ring galaxies (DECaLS)": scores["rings"][:, ring],
        "other galaxies (DECaLS)": scores["rings"][:, ~ring],
    }
    rng = np.random.default_rng(0)
    for y, values in enumerate(sets.values()):
        mean = (values - cut).mean(0)
        axis.plot(
            mean, y + rng.uniform(-0.28, 0.28, len(mean)), ".", color=COLOURS[y], alpha=0.5, markersize=4
        )
        axis.plot([np.median(mean)], [y], "|", color="black", markersize=22, markeredgewidth=2)
    axis.axvline(0, color=RED, linestyle="--", linewidth=1)
    axis.annotate(  # above the points, however many lie at the threshold
        "1 in 100 simulated non-lenses passes", (0, 1), color=RED, fontsize=7.5, va="bottom", ha="right",
        xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
    )  # fmt: skip
    axis.set_yticks(range(len(sets)), [f"{name}\n{values.shape[1]}" for name, values in sets.items()])
    axis.set(
        xlabel="log odds of lens, less the threshold (mean of the networks)", ylim=(len(sets) - 0.5, -0.6)
    )
    axis.grid(axis="x", color=GREY, alpha=0.3)


def _profiles(axis: Axes, profiles: Mapping[str, np.ndarray]) -> None:
    """Mean over lenses, with its standard error as a band; what needs no network is dashed."""
    radius = profiles["radius"]
    for number, (name, rows) in enumerate((k, v) for k, v in profiles.items() if k != "radius"):
        count = np.sum(np.isfinite(rows), 0)
        enough = count > 5
        mean = np.nanmean(rows[:, enough], 0)
        error = np.nanstd(rows[:, enough], 0) / np.sqrt(count[enough])
        trivial = name in ("abs_input", "centre")
        colour = GREY if trivial else COLOURS[number % len(COLOURS)]
        style = {"abs_input": "--", "centre": ":"}.get(name, "-")
        axis.plot(radius[enough], mean, style, color=colour, label=name.replace("_", " "))
        axis.fill_between(radius[enough], mean - error, mean + error, color=colour, alpha=0.15, linewidth=0)
    axis.axvline(1, color=RED, linestyle="--", linewidth=1)
    axis.axhline(1, color=GREY, linewidth=0.8)
    axis.set(xlabel="radius / published Einstein radius", ylabel="positive part, over its mean in the field")
    axis.set_ylim(0, None)
    axis.legend(fontsize=8, frameon=False)
    axis.grid(color=GREY, alpha=0.25)
