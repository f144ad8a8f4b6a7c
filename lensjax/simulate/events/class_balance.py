"""Choose the number of events of each class: equal, or as in the real training set."""

from __future__ import annotations

import numpy as np

from lensjax.event_axes import CLASSES
from lensjax.runtime.errors import UserError
from lensjax.types import Int

SHARES: dict[str, int] = {
    "1080Lines": 328, "1400Ripples": 81, "Air_Compressor": 58, "Blip": 1821, "Chirp": 60,
    "Extremely_Loud": 447, "Helix": 279, "Koi_Fish": 706, "Light_Modulation": 512, "Low_Frequency_Burst": 621,
    "Low_Frequency_Lines": 447, "No_Glitch": 150, "None_of_the_Above": 81, "Paired_Doves": 27,
    "Power_Line": 449, "Repeating_Blips": 263, "Scattered_Light": 443, "Scratchy": 337, "Tomte": 103,
    "Violin_Mode": 412, "Wandering_Line": 42, "Whistle": 299,
}  # fmt: skip
"""Events in the Gravity Spy training set v1.1 (Zenodo 1476551), in the order of CLASSES."""


def draw_labels(count: int, seed: int, balance: str) -> Int[np.ndarray, "{count}"]:
    """Draw the classes of the first `count` examples of a seed; a larger count begins with the same.

    uniform: each block of 22 has every class once; real: drawn by `SHARES`.

    Raises:
      UserError: unknown balance.
    """
    if balance == "uniform":
        blocks = range(-(-count // len(CLASSES)))
        drawn = [np.random.default_rng([seed, block]).permutation(len(CLASSES)) for block in blocks]
        return np.concatenate([*drawn, np.zeros(0, np.int64)])[:count].astype(np.int32)
    if balance == "real":
        edges = np.cumsum(list(SHARES.values())) / sum(SHARES.values())
        numbers = np.random.default_rng(seed).random(count)
        return np.searchsorted(edges, numbers, side="right").astype(np.int32)
    raise UserError(f"balance '{balance}' is unknown; choose uniform or real.")
