"""Find the cells of every feature map that each window changes, once for a network and an image size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from lensjax.explain.incremental.local_layers import Reach
from lensjax.explain.methods.perturbation import window_starts

Lengths = tuple[tuple[int, ...], ...]


class Plan(NamedTuple):
    """Windows, the intervals that they change, and the pixels that they cover."""

    starts: np.ndarray  # int32 [n d]
    lengths: Lengths  # of every map, the image first, and axis
    firsts: np.ndarray  # int32 [n 1+layers d]
    covers: tuple[list[np.ndarray], np.ndarray]


@lru_cache(maxsize=64)
def plan_windows(
    reaches: tuple[tuple[Reach, ...], ...],
    cells: Lengths,
    sizes: tuple[int, ...],
    strides: tuple[int, ...],
    edges: str,
) -> Plan:
    """Plan windows of `sizes` every `strides` pixels.

    `cells` are those of the image, then, as far as the layers see them, of the image again and of every
    layer's map.
    """
    space, *seen = cells
    starts = window_starts(space, sizes, strides, edges)
    lengths, firsts = find_intervals(reaches, seen, starts, sizes)
    return Plan(starts, lengths, firsts, _covers(space, starts, sizes))


def find_intervals(
    reaches: Sequence[Sequence[Reach]],
    cells: Sequence[Sequence[int] | np.ndarray],
    starts: np.ndarray,
    sizes: Sequence[int],
) -> tuple[Lengths, np.ndarray]:
    """Return where each map is computed: lengths a layer and axis, and first cells int32 [n l d].

    Map 0 is the image. Every interval lies inside its map and holds all that the window changes there.
    """
    low = np.minimum(starts, np.asarray(cells[0]) - 1)
    high = np.minimum(starts + np.asarray(sizes), cells[0]) - 1
    lengths, firsts = [], []
    for i, there in enumerate(map(np.asarray, cells)):
        if i > 0:
            kernel, step, before, _ = np.transpose(reaches[i - 1])
            low = np.maximum(-((kernel - 1 - before - low) // step), 0)
            high = np.minimum((high + before) // step, there - 1)
        length = (high - low + 1).max(0)
        low = np.minimum(low, there - length)  # moved inside the map; `high` follows, so nothing is lost
        high = low + length - 1
        lengths.append(tuple(map(int, length)))
        firsts.append(low)
    return tuple(lengths), np.stack(firsts, 1).astype(np.int32)


def _covers(
    space: Sequence[int], starts: np.ndarray, sizes: Sequence[int]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return which pixels each row of windows covers, by axis [windows pixels], and how many all do."""
    covers, counts = [], np.ones(())
    for axis, (n, size) in enumerate(zip(space, sizes, strict=True)):
        first = np.unique(starts[:, axis])[:, None]
        covers.append(((np.arange(n) >= first) & (np.arange(n) < first + size)).astype(np.float32))
        counts = np.multiply.outer(counts, covers[-1].sum(0))
    return covers, counts.astype(np.float32)
