"""Numbers that describe a map, or compare two: ranks, sparseness, roughness, centre, precision. Plain jnp."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lensjax.types import Array, Bool, Float, Num


def rank_values(values: Num[Array, "n"]) -> Float[Array, "n"]:
    """Return each value's rank, from 0 for the smallest; ties share the mean of theirs."""
    ordered = jnp.sort(values)
    below, up_to = (jnp.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (below + up_to - 1) / 2


@jax.jit
def rank_correlation(first: Num[Array, "*s"], second: Num[Array, "*s"]) -> Float[Array, ""]:
    """Return Spearman's correlation: 0 where one is constant, 1 where both rank all alike, ties too."""
    a, b = rank_values(first.ravel()), rank_values(second.ravel())
    a, b = a - a.mean(), b - b.mean()
    scale = jnp.sqrt((a**2).sum()) * jnp.sqrt((b**2).sum())
    found = jnp.where(scale > 0, (a * b).sum() / jnp.where(scale > 0, scale, 1), 0.0)
    return jnp.where((a == b).all(), 1.0, jnp.clip(found, -1, 1))


def gini_index(values: Float[Array, "*s"], least: float = 0.0) -> Float[Array, ""]:
    """Return Σᵢ (2i − n − 1) |v|₍ᵢ₎ / (n Σ |v|), |v|₍ᵢ₎ ascending: 0 if uniform, 1 − 1/n for one pixel of n.

    Where Σ |v| is no more than `least`, 0.
    """
    ordered = jnp.sort(jnp.abs(values.ravel()))
    n, total = ordered.size, ordered.sum()
    weighed = ((2 * jnp.arange(1, n + 1) - n - 1) / n * ordered).sum()
    return jnp.where(total > least, weighed / jnp.where(total > least, total, 1), 0)


def total_variation(image: Float[Array, "*s c"], softening: float | Array = 0.0) -> Float[Array, ""]:
    """Return Σ √(Δrow² + Δcolumn² + ε²) − ε over pixels, windows and channels (Rudin et al. 1992)."""
    down, right = (
        jnp.diff(image, axis=a, append=jax.lax.slice_in_dim(image, image.shape[a] - 1, None, axis=a))
        for a in (image.ndim - 3, image.ndim - 2)
    )
    return (jnp.sqrt(down**2 + right**2 + softening**2) - softening).sum()


def mean_variation(x: Float[Array, "*t h w"]) -> Float[Array, ""]:
    """Return the mean |difference| of neighbours in a column, plus that in a row; windows have no edge."""
    axes = [axis for axis in (-2, -1) if x.shape[axis] > 1]
    return sum((jnp.abs(jnp.diff(x, axis=axis)).mean() for axis in axes), start=jnp.zeros((), x.dtype))


def share_weights(weights: Float[Array, "*any"], axes: tuple[int, ...] | None = None) -> Float[Array, "*any"]:
    """Divide by the sum over `axes` (all if None); where that is 0, all weigh alike."""
    axes = tuple(range(weights.ndim)) if axes is None else axes
    total = weights.sum(axes, keepdims=True)
    alike = total.size / weights.size
    return jnp.where(total > 0, weights / jnp.where(total > 0, total, 1), alike)


def weighted_centroid(weights: Float[Array, "*s"], coordinates: Float[Array, "*s d"]) -> Float[Array, "d"]:
    """Return the mean of the pixels' `coordinates`; weights of sum 0 weigh all pixels alike."""
    return (share_weights(weights)[..., None] * coordinates).sum(tuple(range(weights.ndim)))


def average_precision(values: Float[Array, "*s"], positive: Bool[Array, "*s"]) -> Float[Array, ""]:
    """Return the area under precision against recall, as a sum of steps; ties share a threshold.

    Without positives it is 0.
    """
    order = jnp.argsort(values.ravel(), descending=True)
    ordered, inside = values.ravel()[order], positive.ravel()[order]
    position = jnp.arange(ordered.size)
    last_of_tie = jnp.append(ordered[1:] != ordered[:-1], True)
    end = jax.lax.cummin(jnp.where(last_of_tie, position, ordered.size), reverse=True)
    precision = (jnp.cumsum(inside) / (position + 1))[end]
    return jnp.where(inside, precision, 0).sum() / jnp.maximum(positive.sum(), 1)
