"""Compare two maps by Spearman's correlation of their pixels' ranks, with signs."""

from __future__ import annotations

import jax

from lensjax.ops.map_statistics import rank_correlation
from lensjax.types import Array, Float


@jax.jit
def similarity(first: Float[Array, "b *s"], second: Float[Array, "b *s"]) -> Float[Array, "b"]:
    """Return `rank_correlation` of each pair of maps."""
    return jax.vmap(rank_correlation)(first, second)
