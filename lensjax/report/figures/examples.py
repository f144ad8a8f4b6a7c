"""One example as a figure: its image, or the windows of an event with their axes, and every map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lensjax.event_axes import CLIP, EventGrid
from lensjax.report import event_windows
from lensjax.report import pixels as render
from lensjax.report.entry import Entry, check_entry, position_error
from lensjax.report.figures.panels import (
    draw_map,
    draw_marks,
    join_windows,
    make_figure,
    to_plain_text,
    window_gap,
)
from lensjax.report.page.filters import fraction

TOP, ROW = 3.1, 1.7
"""Inches of an event's energy, and of a row of maps under it."""


def example_figure(
    entry: Entry,
    *,
    bands: Sequence[str] = (),
    pixel_scale: float | None = None,
    events: EventGrid | None = None,
    scales: Mapping[str, render.Scale | None] | None = None,
) -> Figure:
    """Draw the image with truth and prediction, then every map with its colour bar.

    Windows of an event stand side by side. Six panels a row; of events (`events` are the axes of their
    windows) energy above, maps two a row. `scales` has one scale a method, that of all examples; without it
    every map has its own. A map that is not finite is named and left blank.

    Raises:
      UserError: the entry does not fit together.
    """
    check_entry(entry, bands)
    if events is not None:
        return _event_figure(entry, events, scales or {})
    panels = 1 + len(entry.maps)
    columns = min(panels, 6 if entry.image.ndim == 3 else 2)
    rows = -(-panels // columns)
    wide = 1.0 if entry.image.ndim == 3 else 0.9 * entry.image.shape[0]
    figure = make_figure(2.2 * columns * wide, 2.75 * rows, layout=None)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    figure.subplots_adjust(0.01, 0.3 / (2.75 * rows), 0.99, 1 - 0.42 / (2.75 * rows), 0.06, 0.28)
    # A figure paints each window by itself and then joins them, as the page does.
    flat = entry.image.reshape(-1, *entry.image.shape[-2:])
    pixels = render.composite(flat, bands)[0].reshape(*entry.image.shape[:-1], 3)
    axes[0].imshow(join_windows(pixels, entry.image.ndim - 1, 255), interpolation="nearest")
    draw_marks(axes[0], entry)
    axes[0].set_title(_title(entry), loc="left")
    if (error := position_error(entry)) is not None:
        length = f"{error:.2f} px" if pixel_scale is None else f"{error * pixel_scale:.2f}″"
        axes[0].set_xlabel(f"position error {length}")
    for axis, (method, values) in zip(axes[1:], entry.maps.items(), strict=False):
        draw_map(axis, entry, method, values, (scales or {}).get(method))
    for axis in axes:
        axis.set(xticks=[], yticks=[])
    for axis in axes[panels:]:
        axis.set_visible(False)
    return figure


def _title(entry: Entry) -> str:
    said = f"{entry.classes[entry.predicted]}, p = {fraction(float(entry.probabilities[entry.predicted]))}"
    return to_plain_text(f"{entry.id}\n{said}")


def _event_figure(entry: Entry, grid: EventGrid, scales: Mapping[str, render.Scale | None]) -> Figure:
    event_windows.check_event(entry, grid)
    rows = -(-len(entry.maps) // 2)
    height = TOP + ROW * rows
    figure = make_figure(11.0, height, layout=None)
    axis = figure.add_axes((0.06, 1 - (TOP - 0.5) / height, 0.87, (TOP - 1.05) / height))
    if event_windows.is_colour(entry.image):
        axis.imshow(
            join_windows(event_windows.colours(entry.image), 3, 255), aspect="auto", interpolation="nearest"
        )
    else:
        energy = join_windows(
            event_windows.energy(entry.image, event_windows.is_log([entry.image])), 3, np.nan
        )
        shown = axis.imshow(energy, cmap="viridis", vmin=0, vmax=CLIP, aspect="auto", interpolation="nearest")
        bar = figure.add_axes((0.94, 1 - (TOP - 0.5) / height, 0.012, (TOP - 1.05) / height))
        figure.colorbar(shown, cax=bar).set_label("normalised energy")
    draw_marks(axis, entry, "white", grid)
    _event_axes(axis, entry, grid)
    axis.set_title(_title(entry), loc="left")
    if (error := event_windows.errors(entry, grid)) is not None:
        text = f"peak missed by {abs(error[0]):.1f} ms, {abs(error[1]):.2f} octaves"
        axis.set_title(text, loc="right", fontsize=10)
    for i, (method, values) in enumerate(entry.maps.items()):
        bottom = (height - TOP - ROW * (1 + i // 2) + 0.45) / height
        panel = figure.add_axes((0.06 + 0.475 * (i % 2), bottom, 0.455, (ROW - 0.7) / height))
        draw_map(panel, entry, method, values, scales.get(method))
        panel.set(xticks=[], yticks=[])
    return figure


def _event_axes(axis: Axes, entry: Entry, grid: EventGrid) -> None:
    """Draw the axes: Hz on the left, seconds from the trigger under each window."""
    height, width = entry.image.shape[1:3]
    places, names = [], []
    for window, length in enumerate(grid.windows):
        shift = window * (width + window_gap(width)) - 0.5
        for at, text in event_windows.time_ticks(grid, window):
            places.append(shift + at * width)
            names.append(text)
        axis.text(shift + 0.97 * width, 0.06 * height, f"{length:g} s", color="white", ha="right", va="top")
    ticks = event_windows.frequency_ticks(grid)
    axis.set_xticks(places, names, fontsize=8)
    axis.set_yticks([at * height - 0.5 for at, _ in ticks], [text for _, text in ticks], fontsize=8)
    axis.set(xlabel="time from the trigger (s)", ylabel="frequency (Hz)")
