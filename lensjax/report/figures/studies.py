"""Pictures of studies: one dot a seed, the mean, and controls as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, GREY, RED = "#1f4e9c", "#9aa0aa", "#b3261e"


def save(path: Path, rows: Mapping[str, Sequence[Mapping[str, Any]]], controls: Mapping[str, float]) -> Path:
    """Accuracy and chirp errors of every network, seed by seed; `controls` are accuracies without one."""
    names = list(rows)
    figure = Figure(figsize=(10, 0.9 + 0.33 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    for axis, key in ((left, "accuracy"), (right, "chirp_errors")):
        for y, name in enumerate(names):
            values = np.array([row[key] for row in rows[name] if row[key] is not None], float)
            if values.size:
                axis.plot(values, np.full(values.shape, y), "o", color=BLUE, alpha=0.45, markersize=4)
                axis.plot([values.mean()], [y], "|", color=BLUE, markersize=16, markeredgewidth=2)
        axis.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axis.grid(axis="x", color=GREY, alpha=0.3)
    left.invert_yaxis()
    left.set(xlabel="accuracy on held-out events")
    count = next((row["chirp_n"] for each in rows.values() for row in each), 0)
    right.set(xlabel=f"chirps missed, of {count}")
    for label, value in controls.items():
        left.axvline(value, color=RED, linestyle="--", linewidth=1)
        left.annotate(
            label,
            (value, -0.45),
            color=RED,
            fontsize=8,
            ha="left",
            va="top",
            xytext=(3, 0),
            textcoords="offset points",
        )
    figure.savefig(path, dpi=130)
    return path


def dots(path: Path, rows: Mapping[str, Sequence[Mapping[str, Any]]], panels: Mapping[str, str]) -> Path:
    """One panel for each of `panels` (key of a row -> label), one line for each name, one dot a seed."""
    names = list(rows)
    figure = Figure(figsize=(3 + 2.6 * len(panels), 0.9 + 0.33 * len(names)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (key, label) in zip(axes, panels.items(), strict=True):
        for y, name in enumerate(names):
            values = np.array([row[key] for row in rows[name] if row.get(key) is not None], float)
            if values.size:
                axis.plot(values, np.full(values.shape, y), "o", color=BLUE, alpha=0.45, markersize=4)
                axis.plot([values.mean()], [y], "|", color=BLUE, markersize=16, markeredgewidth=2)
        axis.set_yticks(range(len(names)), names)
        axis.grid(axis="x", color=GREY, alpha=0.3)
        axis.set(xlabel=label, ylim=(len(names) - 0.5, -0.5))
    figure.savefig(path, dpi=130)
    return path


def maps(path: Path, values: np.ndarray) -> Path:
    """A signed map [*s], of an event one panel a window, on one scale about 0."""
    windows = values.reshape(-1, *values.shape[-2:])
    figure = Figure(figsize=(1 + 2.6 * len(windows), 2.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(windows), squeeze=False)[0]
    largest = float(np.abs(values).max()) or 1.0
    for axis, window in zip(axes, windows, strict=True):
        shown = axis.imshow(window, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto")
        axis.set_xticks([])
        axis.set_yticks([])
    figure.colorbar(shown, ax=axes, shrink=0.8)
    figure.savefig(path, dpi=130)
    return path
