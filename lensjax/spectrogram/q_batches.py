"""In what order the rows of a scan's planes are computed: all with as many tiles in one batch of FFTs.

NumPy, made once a configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from lensjax.spectrogram.q_planes import BISQUARE, ScanConfig, plan


@dataclass(frozen=True)
class Group:
    """Rows, of any plane, with as many tiles and so of one FFT length."""

    tiles: int
    first: np.ndarray  # [rows] first bin of the block's spectrum under the window
    middle: np.ndarray  # [rows] bins from there to the middle of the window
    half_width: np.ndarray  # [rows] bins, not whole
    white_median: np.ndarray  # [rows] median |tile|² of unit-variance white noise

    @property
    def bins(self) -> int:
        """Under the widest window."""
        return 2 * int(self.middle.max()) + 1


@dataclass(frozen=True)
class Layout:
    """Rows of one or several planes in the order they are computed: group by group."""

    q: np.ndarray  # [planes]
    groups: tuple[Group, ...]
    frequency: np.ndarray  # [rows] Hz
    plane: np.ndarray  # [rows] index among the planes of the layout
    below: np.ndarray  # [planes h], `Plane.below` as rows of the layout
    above: np.ndarray  # [planes h]
    share: np.ndarray  # [planes h]
    covered: np.ndarray  # [planes h]


def _group(config: ScanConfig, tiles: int, frequency: np.ndarray, q: np.ndarray) -> Group:
    half_width = BISQUARE * frequency * config.duration / q
    middle = np.floor(half_width).astype(np.int32)
    first = np.round(frequency * config.duration).astype(np.int32) - middle
    power = [
        np.sum((1 - (np.arange(-m, m + 1) / width) ** 2) ** 4)
        for m, width in zip(middle, half_width, strict=True)
    ]
    white = np.log(2) * config.samples * np.array(power) / float(tiles) ** 2
    return Group(tiles, first, middle, half_width.astype(np.float32), white.astype(np.float32))


@cache
def layout(config: ScanConfig, chosen: tuple[int, ...]) -> Layout:
    """How the rows of the chosen planes are computed together."""
    planes = [plan(config).planes[i] for i in chosen]
    frequency = np.concatenate([plane.frequency for plane in planes])
    q = np.concatenate([np.full(len(plane.frequency), plane.q) for plane in planes])
    member = np.concatenate([np.full(len(plane.frequency), i) for i, plane in enumerate(planes)])
    needed = 2 * np.pi * frequency * config.duration / q / (2 * np.sqrt(config.mismatch / 3))
    tiles = 2 ** np.ceil(np.log2(needed)).astype(int)
    order = np.argsort(tiles, kind="stable")
    place = np.argsort(order).astype(np.int32)
    starts = np.cumsum([0] + [len(plane.frequency) for plane in planes])[:-1]
    return Layout(
        np.array([plane.q for plane in planes], np.float32),
        tuple(_group(config, int(n), frequency[tiles == n], q[tiles == n]) for n in np.unique(tiles)),
        frequency[order].astype(np.float32),
        member[order],
        np.stack([place[start + plane.below] for start, plane in zip(starts, planes, strict=True)]),
        np.stack([place[start + plane.above] for start, plane in zip(starts, planes, strict=True)]),
        np.stack([plane.share for plane in planes]),
        np.stack([plane.covered for plane in planes]),
    )
