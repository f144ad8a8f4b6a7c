"""Find the most important patches, and test whether other random masks give the same ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from lensjax.explain.engine.loops import at_least_one, map_chunks
from lensjax.explain.engine.segments import Segments
from lensjax.explain.methods.gradient import Score
from lensjax.explain.methods.patch_regression import Surrogate
from lensjax.explain.methods.surrogate import lime_fit
from lensjax.ops.map_statistics import rank_correlation
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Bool, Float, PRNGKeyArray


def lime_top_patches(
    score: Score,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    segments: Segments = "slic",
    patches: int = 250,
    top: Sequence[int] = (5, 10),
    **options: Any,
) -> tuple[Surrogate, dict[int, Array]]:
    """Fit LIME on 250 superpixels; return it, and the pixels of the 5 and 10 patches that support most.

    `options` go to `lime_fit`.
    """
    fit = lime_fit(score, image, key=key, segments=segments, patches=patches, **options)
    return fit, {n: top_patches(fit, n) for n in top}


def top_patches(fit: Surrogate, n: int) -> Bool[Array, "*s"]:
    """Return the pixels of the `n` patches with the largest coefficients; fewer where fewer are positive."""
    return _largest(fit.coefficients, at_least_one("n", n))[fit.segments]


def stability(
    score: Score,
    image: Float[Array, "*s c"],
    *,
    keys: Array,
    top: int = 10,
    fit: Callable[..., Surrogate] = lime_fit,
    **options: Any,
) -> dict[str, float]:
    """Return how far fits of other keys agree, 1 at best, averaged over all pairs of `keys` [n].

    `rank_correlation` is Spearman's, of the coefficients; `jaccard` the share of the `top` patches of either
    that both have. `fit` may be `kernel_shap_fit`; `options` go to it.

    Raises:
      UserError: fewer than two keys.
    """
    if keys.ndim != 1 or len(keys) < 2:
        raise UserError("stability compares two keys or more; pass keys=jax.random.split(key, 5).")
    fits = map_chunks(lambda key: fit(score, image, key=key, **options), keys, 1)
    owned = np.unique(np.asarray(fits.segments[0]))
    found = np.asarray(fits.coefficients)[:, owned]
    best = np.asarray([_largest(row, top) for row in found])
    pairs = list(itertools.combinations(range(len(keys)), 2))
    overlap = [_jaccard(best[i], best[j]) for i, j in pairs]
    ranks = [float(rank_correlation(found[i], found[j])) for i, j in pairs]
    return {"rank_correlation": float(np.mean(ranks)), "jaccard": float(np.mean(overlap))}


def _largest(coefficients: Float[Array, "k"] | np.ndarray, n: int) -> Array:
    order = jnp.argsort(-coefficients, stable=True)
    rank = jnp.zeros(len(order), int).at[order].set(jnp.arange(len(order)))
    return (rank < n) & (coefficients > 0)


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    either = (a | b).sum()
    return float((a & b).sum() / either) if either else 1.0
