"""Figures of studies: one dot a seed with the mean and controls, and a signed map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lensjax.report.figures.panels import BLUE, GREY, make_figure

RED = "#b3261e"


def save_png(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG; the folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    return path


def draw_dots(
    path: Path,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    panels: Mapping[str, str],
    *,
    controls: Mapping[str, float] | None = None,
    lines: int = 1,
) -> Path:
    """Draw one panel for each of `panels` (key of a row -> label), one line a name, one dot a seed.

    Args:
      controls: values without a network, dashed lines in the first panel.
      lines: of panels, one below the other.
    """
    names, columns = [name.replace("_", " ") for name in rows], -(-len(panels) // lines)
    figure = make_figure(3 + 2.6 * columns, 0.9 * lines + 0.33 * lines * len(names))
    axes = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for axis, (key, label) in zip(axes, panels.items(), strict=False):
        for y, each in enumerate(rows.values()):
            values = np.array([row[key] for row in each if row.get(key) is not None], float)
            if values.size:
                axis.plot(values, np.full(values.shape, y), "o", color=BLUE, alpha=0.45, markersize=4)
                axis.plot([values.mean()], [y], "|", color=BLUE, markersize=16, markeredgewidth=2)
        axis.set_yticks(range(len(names)), names)
        axis.grid(axis="x", color=GREY, alpha=0.3)
        axis.set(ylim=(len(names) - 0.5, -0.5))
        axis.set_xlabel(label, fontsize=8 if lines > 1 else None)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    for label, value in (controls or {}).items():
        axes[0].axvline(value, color=RED, linestyle="--", linewidth=1)
        at = {"xytext": (3, 0), "textcoords": "offset points", "ha": "left", "va": "top"}
        axes[0].annotate(label, (value, -0.45), color=RED, fontsize=8, **at)
    return save_png(figure, path)


def draw_map(path: Path, values: np.ndarray) -> Path:
    """Draw a signed map [*s], of an event one panel a window, on one scale about 0."""
    windows = values.reshape(-1, *values.shape[-2:])
    figure = make_figure(1 + 2.6 * len(windows), 2.6)
    axes = figure.subplots(1, len(windows), squeeze=False)[0]
    largest = float(np.abs(values).max()) or 1.0
    for axis, window in zip(axes, windows, strict=True):
        shown = axis.imshow(window, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto")
        axis.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes, shrink=0.8)
    return save_png(figure, path)
