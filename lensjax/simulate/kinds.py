"""The kinds of scene, in the order of the number that `truth["kind"]` holds."""

from __future__ import annotations

import numpy as np

from lensjax.shapes import Array

LENS_KINDS: tuple[str, ...] = ("arc", "quad", "ring")
NON_LENS_KINDS: tuple[str, ...] = (
    "elliptical",
    "companions",
    "spiral",
    "ring_galaxy",
    "edge_on",
    "merger",
    "empty",
)
KINDS: tuple[str, ...] = LENS_KINDS + NON_LENS_KINDS
ARC, QUAD, RING, ELLIPTICAL, COMPANIONS, SPIRAL, RING_GALAXY, EDGE_ON, MERGER, EMPTY = range(len(KINDS))

LENS_WEIGHTS: tuple[float, ...] = (0.65, 0.15, 0.2)
"""Shares of the lens kinds among lenses."""
NON_LENS_WEIGHTS: tuple[float, ...] = (0.18, 0.2, 0.15, 0.15, 0.1, 0.17, 0.05)
"""Shares of the non-lens kinds among non-lenses."""


def kind_index(kind: str | int) -> int:
    """Number of a kind given by name or number; a ValueError lists the choices."""
    if isinstance(kind, str):
        if kind not in KINDS:
            raise ValueError(f"unknown kind of scene {kind!r}: choose one of {', '.join(KINDS)}")
        return KINDS.index(kind)
    if not 0 <= kind < len(KINDS):
        raise ValueError(
            f"kind of scene {kind} is not a number from 0 to {len(KINDS) - 1}: use a name of KINDS"
        )
    return kind


def pick(u: Array, weights: tuple[float, ...]) -> Array:
    """Index drawn with `weights` by a uniform number u in [0, 1)."""
    edges = np.cumsum(weights)[:-1] / sum(weights)
    return (u >= edges.astype(np.float32)).sum()
