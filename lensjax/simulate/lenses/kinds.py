"""The kinds of scene, in the order of the number that `truth["kind"]` holds."""

from __future__ import annotations

import numpy as np

from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float

LENS_KINDS: tuple[str, ...] = ("arc", "quad", "ring")
NON_LENS_KINDS = ("elliptical", "companions", "spiral", "ring_galaxy", "edge_on", "merger", "empty")
KINDS: tuple[str, ...] = LENS_KINDS + NON_LENS_KINDS
COMPOUND_KINDS: tuple[str, ...] = ("compound_arcs", "double_ring")
"""Two sources at different distances behind one lens: double source planes, also called compound or jackpot
lenses. They are in no data set that does not ask for them, so a network may be tried on what it never saw."""
ALL_KINDS: tuple[str, ...] = KINDS + COMPOUND_KINDS
ARC, QUAD, RING, ELLIPTICAL, COMPANIONS, SPIRAL, RING_GALAXY, EDGE_ON, MERGER, EMPTY = range(len(KINDS))
DOUBLE_RING = ALL_KINDS.index("double_ring")

LENS_WEIGHTS: tuple[float, ...] = (0.65, 0.15, 0.2)
"""Shares of the lens kinds among lenses."""
NON_LENS_WEIGHTS: tuple[float, ...] = (0.18, 0.2, 0.15, 0.15, 0.1, 0.17, 0.05)
"""Shares of the non-lens kinds among non-lenses."""
GROUPS: dict[str, dict[str, float]] = {
    "single": dict(zip(LENS_KINDS[:2], LENS_WEIGHTS, strict=False)),
    "jackpot": dict.fromkeys(COMPOUND_KINDS, 0.5),
    "non_lens": dict(zip(NON_LENS_KINDS, NON_LENS_WEIGHTS, strict=True)),
}
"""Names for several kinds, with their shares."""


def kind_index(kind: str | int, kinds: tuple[str, ...] = KINDS) -> int:
    """Return the number of a kind given by name or number; a UserError lists the choices."""
    if isinstance(kind, str):
        if kind not in kinds:
            raise UserError(f"unknown kind of scene {kind!r}: choose one of {', '.join(kinds)}")
        return kinds.index(kind)
    if not 0 <= kind < len(kinds):
        raise UserError(
            f"kind of scene {kind} is not a number from 0 to {len(kinds) - 1}: use a name of KINDS"
        )
    return kind


def is_lens(kind: Array | np.float32) -> Array | np.bool_:
    """Tell whether a number is that of a lens, compound ones included."""
    return (kind < len(LENS_KINDS)) | (kind >= len(KINDS))


def shares(names: tuple[str, ...]) -> Float[np.ndarray, "n k"]:
    """Return the shares of `ALL_KINDS` in each of the names, which are kinds or `GROUPS`; rows sum to 1.

    Raises:
      UserError: an unknown name, with the choices.
    """
    rows = np.zeros((len(names), len(ALL_KINDS)))
    for row, name in zip(rows, names, strict=True):
        if name not in ALL_KINDS and name not in GROUPS:
            raise UserError(f"unknown kind of scene {name!r}: choose from {', '.join((*ALL_KINDS, *GROUPS))}")
        for kind, share in GROUPS.get(name, {name: 1.0}).items():
            row[ALL_KINDS.index(kind)] = share
    return rows / rows.sum(1, keepdims=True)


def pick(u: Array, weights: tuple[float, ...]) -> Array:
    """Draw an index with `weights` by a uniform number u in [0, 1)."""
    edges = np.cumsum(weights)[:-1] / sum(weights)
    return (u >= edges.astype(np.float32)).sum()
