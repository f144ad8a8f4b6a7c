"""Pieces of a figure: a blank one, a map with its colour bar, truth and prediction over an image."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import Ellipse

from lensjax.event_axes import EventGrid
from lensjax.report import pixels
from lensjax.report.entry import Entry, finite_pair
from lensjax.report.event_windows import locate_in_window, zoom
from lensjax.report.names import method_label
from lensjax.report.page.filters import number, replace_unprintable

BLUE, GREY, RED, AMBER = "#1f4e9c", "#9aa0aa", "#b3261e", "#8a5a00"
GREEN, PINK = "#2fe07a", "#ff4fd8"
INK, PALE = "#5c6472", "#dfdcd3"
"""Text and lines of axes, and of a grid."""


def make_figure(width: float, height: float, layout: Literal["constrained"] | None = "constrained") -> Figure:
    """Return a blank figure of `width` × `height` inches on the Agg canvas."""
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def to_plain_text(text: str) -> str:
    """Return text that matplotlib does not take for mathematics, of characters that its font has."""
    known = _characters()
    lines = [replace_unprintable(line) for line in text.split("\n")]
    return "".join(c if c == "\n" or ord(c) in known else "?" for c in "\n".join(lines)).replace("$", r"\$")


@functools.cache
def _characters() -> frozenset[int]:
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure, into a folder that is made where it is missing.

    A PDF has its fonts embedded as TrueType, and the same figure gives the same bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    options: dict[str, Any] = {"metadata": {"CreationDate": None}} if path.suffix == ".pdf" else {}
    with matplotlib.rc_context({"pdf.fonttype": 42}):
        figure.savefig(path, dpi=130, **options)
    return path


def window_gap(width: int) -> int:
    """Return the pixels between windows of this width."""
    return max(pixels.GAP, width // 40)


def join_windows(values: np.ndarray, spatial: int, fill: int | float) -> np.ndarray:
    """Return the windows of an event beside each other, as figures space them."""
    return pixels.join_windows(values, spatial, fill, window_gap(values.shape[spatial - 1]))


def draw_map(
    axis: Axes, entry: Entry, method: str, values: np.ndarray, scale: pixels.Scale | None = None
) -> None:
    """Draw a map on `scale` or its own, written under it; a map that is not finite is named."""
    axis.set_title(to_plain_text(method_label(method)))
    own = pixels.map_scale([values])
    scale = own if scale is None or own is None else scale
    if scale is None:
        bad = pixels.count_missing(values)
        text = f"not available:\n{bad} of {values.size}\nvalues not finite"
        axis.text(0.5, 0.5, text, ha="center", va="center", transform=axis.transAxes)
        axis.set_box_aspect(
            values.shape[-2] / (values.shape[-1] * (values.shape[0] if values.ndim == 3 else 1))
        )
        return
    name = "RdBu_r" if scale.diverging else "YlOrRd"
    picture = join_windows(values.astype(float), values.ndim, np.nan)
    axis.imshow(picture, cmap=name, vmin=scale.low, vmax=scale.high, interpolation="nearest")
    draw_mask(axis, entry, "black")
    # A bar of its own: matplotlib's colorbar takes longer than the panel.
    bar = axis.inset_axes((0.0, -0.075, 1.0, 0.045))
    bar.imshow(np.linspace(0, 1, 128)[None], cmap=name, aspect="auto", extent=(0, 1, 0, 1))
    bar.set(xticks=[], yticks=[])
    for at, value, side in ((0, scale.low, "left"), (1, scale.high, "right")):
        bar.text(at, -0.5, number(value), ha=side, va="top", fontsize=7, transform=bar.transAxes)


def draw_marks(axis: Axes, entry: Entry, colour: str = GREEN, events: EventGrid | None = None) -> None:
    """Outline the evidence; mark the true place (cross), the prediction (dot) and its sigma (ellipse)."""
    draw_mask(axis, entry, colour)
    *windows, height, width = entry.image.shape[:-1]
    for window in range((windows or [1])[0]):
        shift = window * (width + window_gap(width)) - 0.5
        if (at := locate_in_window(entry.true_position, events, window)) is not None:
            axis.plot(shift + at[1] * width, at[0] * height - 0.5, "+", color="white", markersize=9)
        if (at := locate_in_window(entry.position, events, window)) is not None:
            centre = (shift + at[1] * width, at[0] * height - 0.5)
            axis.plot(*centre, ".", color=PINK, markersize=4)
            if (sigma := finite_pair(entry.position_sigma)) is not None:
                size = (2 * sigma[1] * width / zoom(events, window), 2 * sigma[0] * height)
                axis.add_patch(Ellipse(centre, *size, fill=False, color=PINK, lw=1.2))


def draw_mask(axis: Axes, entry: Entry, colour: str) -> None:
    """Draw the outline of the evidence, unless it is nothing or everything."""
    if entry.mask is not None and entry.mask.any() and not entry.mask.all():
        picture = join_windows(entry.mask.astype(float), entry.mask.ndim, 0.0)
        axis.contour(picture, levels=[0.5], colors=[colour], linewidths=0.8)
