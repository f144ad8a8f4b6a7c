"""Events: four nested time–frequency windows around a trigger; their classes, axes and encodings.

The image of an event is [t h w c]: windows of 0.5, 1, 2 and 4 s in this order, the highest frequency in
row 0, a logarithmic frequency axis, the trigger in the middle column. A position is (peak frequency, peak
time) as fractions (row, column) of the FIRST window. Class names are of Gravity Spy's training set v1.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lensjax.runtime.errors import UserError

CLASSES = (
    "1080Lines", "1400Ripples", "Air_Compressor", "Blip", "Chirp", "Extremely_Loud", "Helix", "Koi_Fish",
    "Light_Modulation", "Low_Frequency_Burst", "Low_Frequency_Lines", "No_Glitch", "None_of_the_Above",
    "Paired_Doves", "Power_Line", "Repeating_Blips", "Scattered_Light", "Scratchy", "Tomte", "Violin_Mode",
    "Wandering_Line", "Whistle",
)  # fmt: skip
WINDOWS = (0.5, 1.0, 2.0, 4.0)
"""Lengths in seconds."""
CLIP = 25.5
"""Normalised energy at which the official colour scale saturates."""
Encoding = Literal["clipped", "log", "rgb"]
"""clipped: energy / 25.5 in [0, 1]; log: log(1 + energy), not clipped; rgb: viridis of clipped, in [0, 1]."""
Number = Any  # a float, or an array of numpy or jax: this file imports no jax


@dataclass(frozen=True)
class EventGrid:
    """Physical axes of an event's windows."""

    shape: tuple[int, int] = (140, 170)
    """Rows and columns of each window."""
    frequency_range: tuple[float, float] = (10.0, 2048.0)
    """Hz, at the lower edge of the last row and the upper edge of row 0."""
    windows: tuple[float, ...] = WINDOWS

    def frequency(self, row: Number) -> Number:
        """Return Hz at a fraction of the height, 0 at the top."""
        low, high = self.frequency_range
        return high * (low / high) ** row

    def time(self, column: Number, window: int = 0) -> Number:
        """Return seconds from the trigger at a fraction of the width of a window."""
        return (column - 0.5) * self.windows[window]

    def position(self, frequency: float | np.floating, time: float | np.floating) -> np.ndarray:
        """Return fractions (row, column) of the first window, float32 [2]; NaN stays NaN."""
        low, high = self.frequency_range
        row = np.log(high / frequency) / np.log(high / low)
        return np.array([row, 0.5 + time / self.windows[0]], np.float32)

    @property
    def octaves(self) -> float:
        """Height of a window."""
        return float(np.log2(self.frequency_range[1] / self.frequency_range[0]))


PLANES = ("loudest", "0", "1", "2", "3", "all")
"""The Q plane to show: that of the loudest tile, a fixed one, or all four as channels."""


def channels(encoding: Encoding, plane: str = "loudest") -> tuple[str, ...]:
    """Return the names of the last axis.

    Raises:
      UserError: colours are asked of all planes.
    """
    if plane == "all" and encoding == "rgb":
        raise UserError("plane all has four channels, which encoding rgb cannot show: use clipped or log.")
    if plane == "all":
        return tuple(f"energy, plane {number}" for number in PLANES[1:-1])
    return ("red", "green", "blue") if encoding == "rgb" else ("energy",)
