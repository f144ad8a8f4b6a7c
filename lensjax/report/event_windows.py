"""Events on the page: where windows, ticks and positions lie, and energy as colours."""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib
import numpy as np

from lensjax.event_axes import CLIP, EventGrid
from lensjax.report.entry import Entry, finite_pair
from lensjax.runtime.errors import UserError

FREQUENCIES = (10, 30, 100, 300, 1000)
TICK = 0.4
"""Of a window's length: its time axis has ticks there, on both sides of the trigger."""
BETWEEN = 255
"""The palette's entry of what lies between windows."""
WEIGHTS = np.array([0.299, 0.587, 0.114])  # of red, green and blue in brightness, ITU-R BT.601


def describe_lengths(grid: EventGrid) -> str:
    """Return the lengths of the windows in words: `0.5, 1, 2 and 4 s`."""
    names = [f"{length:g}" for length in grid.windows]
    return (f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]) + " s"


def frequency_ticks(grid: EventGrid) -> list[tuple[float, str]]:
    """Return (fraction of the height from the top, Hz) of the ticks that lie on the axis."""
    low, high = grid.frequency_range
    found = [f for f in FREQUENCIES if low * 0.999 <= f <= high]
    return [(float(np.log(high / f) / np.log(high / low)), str(f)) for f in found]


def time_ticks(grid: EventGrid, window: int) -> list[tuple[float, str]]:
    """Return (fraction of a window's width, seconds from the trigger)."""
    reach = TICK * grid.windows[window]
    return [(0.5 - TICK, f"−{reach:.2g}"), (0.5, "0"), (0.5 + TICK, f"{reach:.2g}")]


def locate_in_window(
    pair: np.ndarray | None, grid: EventGrid | None, window: int
) -> tuple[float, float] | None:
    """Return a position, fractions of the first window, as those of another; None outside of it.

    Without a grid every window has the position as it is.
    """
    if (at := finite_pair(pair)) is None or grid is None:
        return at
    row, column = at[0], 0.5 + (at[1] - 0.5) * grid.windows[0] / grid.windows[window]
    return (row, column) if 0 <= row <= 1 and 0 <= column <= 1 else None


def zoom(grid: EventGrid | None, window: int) -> float:
    """Return how many times wider a length of time is in the first window than in this one."""
    return 1.0 if grid is None else grid.windows[window] / grid.windows[0]


def peak(pair: np.ndarray | None, grid: EventGrid) -> tuple[float, float] | None:
    """Return (seconds from the trigger, Hz) of a position."""
    at = finite_pair(pair)
    return None if at is None else (float(grid.time(at[1])), float(grid.frequency(at[0])))


def errors(entry: Entry, grid: EventGrid) -> tuple[float, float] | None:
    """Return (ms, octaves), predicted − true, upwards and later positive; None where either is not known."""
    predicted, truth = finite_pair(entry.position), finite_pair(entry.true_position)
    if predicted is None or truth is None:
        return None
    return 1e3 * grid.windows[0] * (predicted[1] - truth[1]), grid.octaves * (truth[0] - predicted[0])


def sigmas(entry: Entry, grid: EventGrid) -> tuple[float, float] | None:
    """Return the stated 1σ in (ms, octaves)."""
    sigma = finite_pair(entry.position_sigma)
    return None if sigma is None else (1e3 * grid.windows[0] * sigma[1], grid.octaves * sigma[0])


def is_colour(image: np.ndarray) -> bool:
    """Return whether an image has three channels: a picture in colours already."""
    return image.shape[-1] == 3


def is_log(images: Iterable[np.ndarray]) -> bool:
    """Return whether the images hold log(1 + energy): clipped energy never exceeds 1, the clip."""
    return any(not is_colour(image) and bool(np.any(image > 1.001)) for image in images)


def energy(image: np.ndarray, log: bool) -> np.ndarray:
    """Return normalised energy [*s] up to the clip, of [*s c] as networks see it: the largest plane's."""
    values = np.nan_to_num(np.asarray(image, np.float32), nan=0.0, posinf=1e6, neginf=0.0).max(-1)
    return np.clip(np.expm1(np.minimum(values, 20.0)) if log else values * CLIP, 0, CLIP)


def indices(share: np.ndarray) -> np.ndarray:
    """Return uint8 places on a palette of fractions in [0, 1], below `BETWEEN`."""
    return np.round(share * (BETWEEN - 1)).astype(np.uint8)


def colours(image: np.ndarray) -> np.ndarray:
    """Return uint8 [*s 3] of an image that is coloured already."""
    return np.round(np.clip(np.nan_to_num(np.asarray(image, np.float32)), 0, 1) * 255).astype(np.uint8)


def palette(name: str) -> np.ndarray:
    """Return uint8 [256 4] of a colour map, for `indices`; clear at `BETWEEN`."""
    shades = matplotlib.colormaps[name](np.linspace(0, 1, BETWEEN), bytes=True)
    return np.append(shades, np.zeros((1, 4), np.uint8), axis=0)


def grey(image: np.ndarray, log: bool) -> np.ndarray:
    """Return float [*s] in [0, 1] to lie under maps; the root makes faint tracks visible."""
    return colours(image) @ WEIGHTS / 255 if is_colour(image) else np.sqrt(energy(image, log) / CLIP)


def check_event(entry: Entry, grid: EventGrid) -> None:
    """Raise a UserError that names the entry where it is no event of this grid."""
    windows = len(grid.windows)
    if entry.image.ndim != 4 or entry.image.shape[0] != windows:
        raise UserError(
            f"entry '{entry.id}': the image has shape {entry.image.shape}; an event of {windows} windows is "
            f"[{windows} h w c]."
        )
