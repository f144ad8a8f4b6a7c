"""The colour map viridis, in which the official images of events are drawn, and its inverse.

Designed by Nathaniel Smith and Stéfan van der Walt, released under CC0. The entries in viridis.npy are those
that matplotlib draws in 8 bits, read once from there: most commands load no matplotlib.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from lensjax.types import Float, UInt8

VIRIDIS = np.load(Path(__file__).with_name("viridis.npy"))
"""uint8 [256 3]: red, green and blue from 0 (dark violet) to 1 (yellow)."""


def colour(fraction: Float[np.ndarray, "*s"]) -> UInt8[np.ndarray, "*s 3"]:
    """Colour finite fractions by matplotlib's rule: 256 equal bins, those at the ends unbounded."""
    return VIRIDIS[np.clip(np.floor(fraction * 256), 0, 255).astype(np.uint8)]


class ColourInverter:
    """Fractions from colours. It remembers the colours it has met, in 32 MB: keep one for many images."""

    def __init__(self) -> None:
        """Start with no colour met."""
        self._tree = cKDTree(VIRIDIS)
        self._nearest = np.full(2**24, -1, np.int16)  # entry of every colour met, -1 for the others

    def invert(self, rgb: UInt8[np.ndarray, "*s 3"]) -> Float[np.ndarray, "*s"]:
        """Return fractions in [0, 1], multiples of 1/255, of the nearest of the 256 entries to each colour.

        The ends are exactly 0 and 1, so a saturated core is 1. `colour(invert(c))` is `c` for every entry.
        """
        red, green, blue = np.moveaxis(rgb.astype(np.int32), -1, 0)
        codes = (red << 16) | (green << 8) | blue
        new = np.unique(codes[self._nearest[codes] < 0])
        if new.size:
            colours = np.stack([new >> 16, new >> 8 & 255, new & 255], axis=-1)
            self._nearest[new] = self._tree.query(colours)[1]
        return self._nearest[codes].astype(np.float32) / np.float32(255)
