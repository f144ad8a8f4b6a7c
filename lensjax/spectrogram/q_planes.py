"""Q planes, their rows of tiles, and the places of an event's pixels among them: NumPy, computed once.

Rows of all planes with as many tiles are computed together, in one batch of FFTs (`lay_out_rows`).

Chatterji et al. 2004, CQG 21 S1809 (gr-qc/0412119), with the bisquare window. A row holds `tiles` values at
`k duration / tiles` seconds from the start of the block; neighbours differ by the mismatch at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from lensjax.event_axes import WINDOWS
from lensjax.runtime.errors import UserError

BISQUARE = np.sqrt(11.0)
"""Half-width of the window in units of its rms width: with it, Q is frequency over bandwidth."""


@dataclass(frozen=True)
class ScanConfig:
    """A whitened block, the planes it is scanned on, and the pictures taken of it."""

    sample_rate: float = 8192.0
    """Hz; below 6498 Hz the lowest Q does not reach 2048 Hz."""
    duration: float = 16.0
    """Seconds of the whitened block; in a short one the medians of slow rows are noisy."""
    q_range: tuple[float, float] = (4.0, 64.0)
    frequency_range: tuple[float, float] = (10.0, 2048.0)
    """Hz, of the tiles and of the pictures."""
    mismatch: float = 0.2
    """Share of the energy lost at most between neighbouring tiles."""
    search: float = 0.25
    """Seconds on both sides of the centre in which the loudest tile is looked for."""
    windows: tuple[float, ...] = WINDOWS
    shape: tuple[int, int] = (140, 170)
    """Rows and columns of each window."""
    oversample: int = 1
    """Samples across a pixel: a tile that is shorter than a pixel may lie beside its middle."""
    clip: float = float("inf")
    """Energy at which samples are cut before a pixel is made of them."""
    reduce: Literal["mean", "max"] = "mean"
    """How a pixel is made of its samples."""

    @property
    def samples(self) -> int:
        """Return the length of the whitened block."""
        return round(self.sample_rate * self.duration)


@dataclass(frozen=True)
class QPlane:
    """Rows of one Q, lowest frequency first, and between which of them each row of pixels lies."""

    q: float
    frequency: np.ndarray  # [rows] Hz
    below: np.ndarray  # [h] row under a sample of the pixels, row 0 at the top
    above: np.ndarray  # [h]
    share: np.ndarray  # [h] of `above`
    covered: np.ndarray  # [h] False above what the sampling rate carries


@dataclass(frozen=True)
class ScanPlan:
    """Planes of a scan and the places of the samples that its pixels are made of."""

    planes: tuple[QPlane, ...]
    pixel_time: np.ndarray  # [windows w] seconds from the centre
    pixel_frequency: np.ndarray  # [h] Hz


def _check(config: ScanConfig) -> None:
    """Refuse a scan that is impossible."""
    low, high = config.frequency_range
    samples = config.sample_rate * config.duration
    rules = (
        (not 0 < low < high, f"frequency_range {config.frequency_range} is no range; give 0 < low < high Hz"),
        (
            not BISQUARE < config.q_range[0] < config.q_range[1],
            f"q_range {config.q_range} must rise from above {BISQUARE:.2f}; take (4, 64)",
        ),
        (not 0 < config.mismatch < 1, f"mismatch {config.mismatch} must lie between 0 and 1; take 0.2"),
        (
            samples < 2 or abs(samples - round(samples)) > 1e-6,
            f"{config.duration} s at {config.sample_rate} Hz are no whole number of samples; change it",
        ),
        (
            not config.windows or not 0 < min(config.windows) <= max(config.windows) <= config.duration,
            f"windows {config.windows} must be positive and fit into the {config.duration} s of the block",
        ),
        (
            not 0 < config.search <= config.duration / 2,
            f"search {config.search} s must lie between 0 and half the block's {config.duration} s",
        ),
        (min(config.shape) < 1, f"shape {config.shape} must hold a pixel"),
        (config.oversample < 1, f"oversample {config.oversample} must be 1 or more"),
        (config.reduce not in ("mean", "max"), f"reduce '{config.reduce}' unknown; choose mean or max"),
    )
    for broken, message in rules:
        if broken:
            raise UserError(f"{message}.")


def _q_values(config: ScanConfig, step: float) -> np.ndarray:
    low, high = config.q_range
    length = np.log(high / low) / np.sqrt(2)
    number = int(np.ceil(length / step))
    return low * np.exp(np.sqrt(2) * length / number * (np.arange(number) + 0.5))


def _row_frequencies(config: ScanConfig, q: float, step: float) -> np.ndarray:
    low, high = config.frequency_range
    length = np.sqrt(2 + q**2) / 2 * np.log(high / low)
    number = int(np.ceil(length / step))
    nominal = low * np.exp(2 / np.sqrt(2 + q**2) * length / number * (np.arange(number) + 0.5))
    rows = np.unique(np.floor(nominal * config.duration)) / config.duration
    return rows[(rows > 0) & (rows <= _reach(config, q))]


def _plane(config: ScanConfig, q: float, pixels: np.ndarray, step: float) -> QPlane:
    rows = _row_frequencies(config, q, step)
    if not len(rows):
        raise UserError(
            f"{config.sample_rate:g} Hz carries the Q {q:.1f} plane up to {_reach(config, q):.0f} Hz, "
            f"below frequency_range {config.frequency_range}; lower the range or raise the sampling rate."
        )
    place = np.interp(np.log(pixels), np.log(rows), np.arange(len(rows)))
    below = np.floor(place).astype(np.int32)
    above = np.minimum(below + 1, len(rows) - 1)
    half_step = max(np.exp(step / np.sqrt(2 + q**2)), 1 + 1 / (rows[-1] * config.duration))
    return QPlane(q, rows, below, above, (place - below).astype(np.float32), pixels <= rows[-1] * half_step)


def _reach(config: ScanConfig, q: float) -> float:
    """Return the frequency in Hz of the highest row whose window ends below half the sampling rate."""
    return config.sample_rate / 2 / (1 + BISQUARE / q)


@cache
def plan(config: ScanConfig) -> ScanPlan:
    """Plan rows, windows, medians and pixels of a scan.

    Raises:
      UserError: the ranges are no ranges, the block holds no whole number of samples or is shorter than a
        window, or the sampling rate carries no row of some plane.
    """
    _check(config)
    step = 2 * np.sqrt(config.mismatch / 3)
    height, width = (n * config.oversample for n in config.shape)
    low, high = config.frequency_range
    frequency = high * (low / high) ** ((np.arange(height) + 0.5) / height)
    time = np.outer(config.windows, (np.arange(width) + 0.5) / width - 0.5)
    planes = tuple(_plane(config, float(q), frequency, step) for q in _q_values(config, step))
    return ScanPlan(planes, time.astype(np.float32), frequency)


def describe_reach(config: ScanConfig) -> str:
    """Describe how far up the sampling rate carries each plane; the picture is 0 above."""
    high = config.frequency_range[1]
    limits = [(plane.q, _reach(config, plane.q)) for plane in plan(config).planes]
    if all(limit >= high for _, limit in limits):
        return f"{config.sample_rate:g} Hz carries every plane up to {high:g} Hz."
    parts = [f"the Q {q:.1f} plane up to {min(limit, high):.0f} Hz" for q, limit in limits]
    return f"{config.sample_rate:g} Hz carries {', '.join(parts)}; pictures are 0 above."


@dataclass(frozen=True)
class RowBatch:
    """Rows, of any plane, that have as many tiles and so one FFT length."""

    tiles: int
    first: np.ndarray  # [rows] first bin of the block's spectrum under the window
    middle: np.ndarray  # [rows] bins from there to the middle of the window
    half_width: np.ndarray  # [rows] bins, not whole
    white_median: np.ndarray  # [rows] median |tile|² of unit-variance white noise

    @property
    def bins(self) -> int:
        """Return the number of bins under the widest window."""
        return 2 * int(self.middle.max()) + 1


@dataclass(frozen=True)
class RowLayout:
    """Rows of one or several planes in the order they are computed, batch by batch."""

    q: np.ndarray  # [planes]
    batches: tuple[RowBatch, ...]
    frequency: np.ndarray  # [rows] Hz
    plane: np.ndarray  # [rows] index among the planes of the layout
    below: np.ndarray  # [planes h], `QPlane.below` as rows of the layout
    above: np.ndarray  # [planes h]
    share: np.ndarray  # [planes h]
    covered: np.ndarray  # [planes h]


def _make_batch(config: ScanConfig, tiles: int, frequency: np.ndarray, q: np.ndarray) -> RowBatch:
    """Place the windows of rows that have as many tiles."""
    half_width = BISQUARE * frequency * config.duration / q
    middle = np.floor(half_width).astype(np.int32)
    first = np.round(frequency * config.duration).astype(np.int32) - middle
    power = [
        np.sum((1 - (np.arange(-m, m + 1) / width) ** 2) ** 4)
        for m, width in zip(middle, half_width, strict=True)
    ]
    white = np.log(2) * config.samples * np.array(power) / float(tiles) ** 2
    return RowBatch(tiles, first, middle, half_width.astype(np.float32), white.astype(np.float32))


@cache
def lay_out_rows(config: ScanConfig, chosen: tuple[int, ...]) -> RowLayout:
    """Lay out how the rows of the chosen planes are computed together."""
    planes = [plan(config).planes[i] for i in chosen]
    frequency = np.concatenate([plane.frequency for plane in planes])
    q = np.concatenate([np.full(len(plane.frequency), plane.q) for plane in planes])
    member = np.concatenate([np.full(len(plane.frequency), i) for i, plane in enumerate(planes)])
    needed = 2 * np.pi * frequency * config.duration / q / (2 * np.sqrt(config.mismatch / 3))
    tiles = 2 ** np.ceil(np.log2(needed)).astype(int)
    order = np.argsort(tiles, kind="stable")
    place = np.argsort(order).astype(np.int32)
    starts = np.cumsum([0] + [len(plane.frequency) for plane in planes])[:-1]
    return RowLayout(
        np.array([plane.q for plane in planes], np.float32),
        tuple(_make_batch(config, int(n), frequency[tiles == n], q[tiles == n]) for n in np.unique(tiles)),
        frequency[order].astype(np.float32),
        member[order],
        np.stack([place[start + plane.below] for start, plane in zip(starts, planes, strict=True)]),
        np.stack([place[start + plane.above] for start, plane in zip(starts, planes, strict=True)]),
        np.stack([plane.share for plane in planes]),
        np.stack([plane.covered for plane in planes]),
    )
