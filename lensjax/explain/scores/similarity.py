"""Whether two maps say the same: Spearman's correlation of their pixels' ranks, signs kept."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lensjax.types import Array, Float


def mean_ranks(values: Float[Array, "n"]) -> Float[Array, "n"]:
    """Rank from 0 for the smallest; ties share the mean of theirs."""
    ordered = jnp.sort(values)
    below, up_to = (jnp.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (below + up_to - 1) / 2


@jax.jit
def rank_correlation(first: Float[Array, "*s"], second: Float[Array, "*s"]) -> Float[Array, ""]:
    """Spearman's correlation, −1 to 1; 0 where one is constant, 1 where both rank all alike, ties too."""
    a, b = mean_ranks(first.ravel()), mean_ranks(second.ravel())
    a, b = a - a.mean(), b - b.mean()
    scale = jnp.sqrt((a**2).sum()) * jnp.sqrt((b**2).sum())
    found = jnp.where(scale > 0, (a * b).sum() / jnp.where(scale > 0, scale, 1), 0.0)
    return jnp.where((a == b).all(), 1.0, jnp.clip(found, -1, 1))


@jax.jit
def similarity(first: Float[Array, "b *s"], second: Float[Array, "b *s"]) -> Float[Array, "b"]:
    """`rank_correlation` of each pair of maps."""
    return jax.vmap(rank_correlation)(first, second)
