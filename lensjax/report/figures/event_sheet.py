"""A sheet of events to look at: a row a class, masks outlined, positions crossed, real ones beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from lensjax.event_axes import WINDOWS
from lensjax.report.figures.panels import make_figure
from lensjax.spectrogram.colour_map import VIRIDIS
from lensjax.types import Example


def draw_sheet(
    events: dict[str, list[Example]], golden: dict[str, np.ndarray], path: Path, marked: bool
) -> None:
    """Write a PNG: a row a class, the four windows of each event, real ones last."""
    width = max(len(row) for row in events.values()) + bool(golden)
    figure = make_figure(4.4 * width + 0.3, 0.95 * len(events), layout=None)
    axes = figure.subplots(len(events), len(WINDOWS) * width, squeeze=False)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_frame_on(False)
    for line, (name, row) in zip(axes, events.items(), strict=True):
        line[0].set_ylabel(name.replace("_", " "), fontsize=7)
        for number, event in enumerate(row):
            _draw_event(line[4 * number : 4 * number + 4], event, marked)
        if name in golden:
            for axis, image in zip(line[-4:], golden[name], strict=True):
                axis.imshow(image, aspect="auto")
    for axis, seconds in zip(axes[0], WINDOWS * width, strict=True):
        axis.set_title(f"{seconds:g} s", fontsize=7)
    if golden:
        axes[0, -4].set_title("real, 0.5 s", fontsize=7)
    figure.subplots_adjust(0.3 / (4.4 * width + 0.3), 0.002, 0.998, 0.985, 0.02, 0.03)
    figure.savefig(path, dpi=100)


def _draw_event(axes: np.ndarray, event: Example, marked: bool) -> None:
    for axis, image, mask in zip(axes, event["image"][..., 0], event["mask"], strict=True):
        axis.imshow(VIRIDIS[image], aspect="auto")
        if marked and mask.any():
            axis.contour(mask, levels=[0.5], colors="white", linewidths=0.5)
    if marked and np.isfinite(event["position"]).all():
        _cross(axes[0], event["position"] * event["image"].shape[1:3] - 0.5)


def _cross(axis: Axes, place: np.ndarray) -> None:
    axis.plot(place[1], place[0], "+", color="red", markersize=6, markeredgewidth=0.8)
