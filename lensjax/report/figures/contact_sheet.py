"""Sheets of simulated data to look at: lens scenes, a row a kind; events, a row a class, real ones beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from lensjax.event_axes import WINDOWS
from lensjax.report.figures.panels import make_figure
from lensjax.spectrogram.colour_map import VIRIDIS
from lensjax.types import Example


def colour_composite(image: np.ndarray, high: float = 6.5) -> np.ndarray:
    """Return RGB in [0, 1] from [h w c] in asinh(flux / sigma): last bands red, first bands blue.

    One band gives grey. `high` is the level shown white; the sky's noise stays just visible.
    """
    bands = image.shape[-1]
    groups = np.array_split(np.arange(bands)[::-1], 3) if bands >= 3 else [np.arange(bands)] * 3
    planes = [np.sinh(image[..., group]).mean(-1) for group in groups]
    level = np.arcsinh(np.stack(planes, -1))
    return np.clip((level + 1.0) / (high + 1.0), 0, 1)


def draw_sheet(rows: dict[str, list], path: Path, title: str, marked: bool = True) -> None:
    """Write a PNG. `rows` maps a kind to its scenes, which have `image`, masks and `position`.

    `marked` outlines arcs (cyan) and artefacts (orange) and crosses lens centres.
    """
    columns = max(len(scenes) for scenes in rows.values())
    figure = make_figure(1.5 * columns + 0.9, 1.5 * len(rows) + 0.4, layout=None)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (kind, scenes) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(kind.replace("_", " "), fontsize=9)
        for axis in line:
            axis.set_xticks([])
            axis.set_yticks([])
        for axis, scene in zip(line, scenes, strict=False):
            image = np.asarray(scene.image)
            axis.imshow(colour_composite(image), interpolation="nearest", origin="lower")
            if marked:
                _mark(axis, scene, image.shape[0])
    figure.suptitle(title, fontsize=10)
    figure.subplots_adjust(0.06, 0.01, 0.995, 0.955, 0.03, 0.03)
    figure.savefig(path, dpi=100)


def _mark(axis: Axes, scene, size: int) -> None:
    for mask, colour in ((scene.mask, "cyan"), (scene.artefact_mask, "orange")):
        if np.any(mask):
            axis.contour(np.asarray(mask), levels=[0.5], colors=colour, linewidths=0.6)
    row, column = np.asarray(scene.position) * size - 0.5
    if np.isfinite(row):
        axis.plot(column, row, "+", color="white", markersize=5, markeredgewidth=0.6)


def draw_event_sheet(
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
        row, column = event["position"] * event["image"].shape[1:3] - 0.5
        axes[0].plot(column, row, "+", color="red", markersize=6, markeredgewidth=0.8)
