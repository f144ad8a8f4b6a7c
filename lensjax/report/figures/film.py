"""Film strips of gradient ascent: frames side by side on one scale, the score of each, its curve below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lensjax.event_axes import CLIP, EventGrid
from lensjax.report import event_windows, pixels
from lensjax.report.figures.panels import BLUE, make_figure, to_plain_text
from lensjax.report.page.filters import number

FRAME, CURVE, SIDE, BAR = 1.35, 1.25, 0.62, 0.75
"""Inches: a frame's width, the curve's height, left of the frames, right of those of events."""


@dataclass(frozen=True)
class Film:
    """Frames [f *s c] in the images' units, taken after `steps` [f] at `scores` [f]; `curve` [n] of all."""

    name: str
    """The request as the user wrote it, and its subject."""
    frames: np.ndarray
    scores: np.ndarray
    steps: np.ndarray
    curve: np.ndarray
    log: bool = False
    """Events: whether the frames hold log(1 + energy)."""


def film_figure(film: Film, *, bands: Sequence[str] = (), events: EventGrid | None = None) -> Figure:
    """Draw one column a frame; of an event (`events` are the axes of its windows) one row a window.

    All frames share one scale, so that brightness can be compared along the strip.
    """
    pictures = paint_frames(film, bands, events is not None)
    count, rows, height, width = pictures.shape[:4]
    tall = FRAME * height / width * rows + 0.08 * (rows - 1)
    right = BAR if events is not None and not event_windows.is_colour(film.frames) else 0.12
    wide, total = SIDE + FRAME * count + right, 0.42 + tall + 0.62 + CURVE + 0.45
    figure = make_figure(wide, total, layout=None)
    grid = figure.add_gridspec(
        rows, count, left=SIDE / wide, right=1 - right / wide, top=1 - 0.42 / total,
        bottom=1 - (0.42 + tall) / total, wspace=0.03, hspace=0.04,
    )  # fmt: skip
    for column in range(count):
        for row in range(rows):
            axis = figure.add_subplot(grid[row, column])
            axis.imshow(pictures[column, row], interpolation="nearest", aspect="auto")
            axis.set(xticks=[], yticks=[])
            if events is not None and column == 0:
                axis.set_ylabel(f"{events.windows[row]:g} s", fontsize=9)
            if row == rows - 1:
                when = f"step {film.steps[column]}" if column else "start"
                axis.set_xlabel(f"{when}\n{number(float(film.scores[column]))}", fontsize=9)
    figure.suptitle(
        to_plain_text(film.name), x=SIDE / wide, y=1 - 0.1 / total, ha="left", va="top", fontsize=10
    )
    if right == BAR:
        axis = figure.add_axes(
            ((wide - BAR + 0.1) / wide, 1 - (0.42 + tall) / total, 0.1 / wide, tall / total)
        )
        _energy_bar(axis)
    _curve(figure.add_axes((SIDE / wide, 0.4 / total, 1 - (SIDE + right) / wide, CURVE / total)), film)
    return figure


def paint_frames(film: Film, bands: Sequence[str], is_event: bool) -> np.ndarray:
    """Return uint8 [f t h w 3]: t is 1 for images of the sky."""
    frames = film.frames if film.frames.ndim == 5 else film.frames[:, None]
    if not is_event:  # one tall image, so that stretch and colour balance are those of all frames
        tall = frames.reshape(-1, *frames.shape[-2:])
        return pixels.composite(tall, bands)[0].reshape(*frames.shape[:-1], 3)
    if event_windows.is_colour(frames):
        return event_windows.colours(frames)
    return event_windows.palette("viridis")[
        event_windows.indices(event_windows.energy(frames, film.log) / CLIP)
    ][..., :3]


def describe_film(film: Film) -> str:
    """Return a strip in words."""
    first, last = (number(float(score)) for score in film.scores[[0, -1]])
    way = f"from {first} to {last} in {film.steps[-1]} steps"
    return f"{film.name}: {len(film.frames)} frames, the score goes {way}"


def _curve(axis: Axes, film: Film) -> None:
    axis.plot(np.arange(len(film.curve)), film.curve, color=BLUE, lw=1)
    axis.plot(film.steps, film.scores, "o", color=BLUE, markersize=3.5)
    axis.set_ylabel("score", fontsize=9)
    axis.set_xlabel("step", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.set_xlim(0, max(1, int(film.steps[-1])))
    axis.margins(y=0.08)


def _energy_bar(axis: Axes) -> None:
    axis.imshow(np.linspace(1, 0, 128)[:, None], cmap="viridis", aspect="auto", extent=(0, 1, 0, CLIP))
    axis.set_xticks([])
    axis.yaxis.tick_right()
    axis.yaxis.set_label_position("right")
    axis.tick_params(labelsize=8)
    axis.set_ylabel("normalised energy", fontsize=8)
