"""Group the rows of a scan's planes that have the same number of tiles into one batch of FFTs.

NumPy, computed once a configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from lensjax.spectrogram.q_planes import BISQUARE, ScanConfig, plan


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
