"""Test whether a map predicts how the score changes: scores of one map of ONE example.

    FAITHFULNESS[name](score, image, attribution, key=key) -> one number

The maps of many methods at once: `jax.vmap` over `attribution` alone, or `map_chunks`; then infidelity and
`mu_fidelity` ask the score only once for all of them. Both say how well the map, summed over parts of the
image, tells what the score loses without them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from lensjax.explain.engine.baselines import Reference, reference_image
from lensjax.explain.engine.loops import Chunk, at_least_float32, at_least_one, map_chunks
from lensjax.explain.engine.programs import jit_method
from lensjax.explain.engine.segments import Segments, label_patches
from lensjax.explain.methods.gradient import Score, value
from lensjax.explain.scores.deletion_insertion import deletion, insertion, road
from lensjax.ops.map_statistics import gini_index, rank_correlation
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Bool, Float, PRNGKeyArray


def infidelity(
    score: Score,
    image: Float[Array, "*s c"],
    attribution: Float[Array, "*s"],
    *,
    scaled: bool = True,
    **options: Any,
) -> Float[Array, ""]:
    """Return the mean over parts of (Σ map in the part − what the score loses)² (Yeh et al. 2019).

    Of arXiv:1901.09392, definition 2.1, with the removal of a part as the perturbation; `options` are those
    of `sum_parts`. `scaled` multiplies the map by its best factor and divides by the mean loss², so that maps
    of any unit compare: 0 is perfect, 1 says nothing. A score that never changes gives 0.
    """
    told, lost = sum_parts(score, image, attribution, **options)
    if not scaled:
        return ((told - lost) ** 2).mean()
    return _unexplained(told, lost)


@jax.jit
def _unexplained(told: Array, lost: Array) -> Array:
    """Return the share of Σ lost² that no multiple of `told` accounts for."""
    square = (told**2).sum()
    factor = jnp.where(square > 0, (told * lost).sum() / jnp.where(square > 0, square, 1), 0)
    all_lost = (lost**2).sum()
    return ((factor * told - lost) ** 2).sum() / jnp.where(all_lost > 0, all_lost, 1)


def mu_fidelity(
    score: Score, image: Float[Array, "*s c"], attribution: Float[Array, "*s"], **options: Any
) -> Float[Array, ""]:
    """Rank parts by the map's sum and by what the score loses without them: Spearman's correlation.

    μFidelity, the faithfulness correlation of Bhatt et al. 2020 by ranks; `options` are those of `sum_parts`.
    """
    return rank_correlation(*sum_parts(score, image, attribution, **options))


def sparseness(
    score: Score | None,
    image: Float[Array, "*s c"] | None,
    attribution: Float[Array, "*s"],
    *,
    key: PRNGKeyArray | None = None,
) -> Float[Array, ""]:
    """Return the Gini index of |map|: 0 if uniform or zero, 1 − 1/n for one pixel (Chalasani et al. 2020)."""
    return gini_index(attribution)


FAITHFULNESS: dict[str, Callable] = {
    "deletion": deletion,
    "insertion": insertion,
    "road_most": partial(road, most=True),
    "road_least": partial(road, most=False),
    "infidelity": infidelity,
    "mu_fidelity": mu_fidelity,
    "sparseness": sparseness,
}


def max_sensitivity(
    explain: Callable[[Array], Array],
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    radius: float = 0.02,
    samples: int = 4,
) -> Float[Array, ""]:
    """Return the maximum over small r of ‖map(x + r) − map(x)‖ / ‖map(x)‖ (Yeh et al. 2019). Low is stable.

    r is uniform within ± `radius` of the image's range in each pixel. `explain(image)` gives the map, with
    the same random numbers every time: what is asked is how the map follows the image. A zero map is compared
    with the perturbed one.
    """
    if key is None:
        raise UserError("max_sensitivity draws numbers; pass key=jax.random.key(seed).")
    if radius <= 0:
        raise UserError(f"radius (={radius}) must be positive; it is a fraction of the image's range.")
    image = at_least_float32(image)
    whole, found = explain(image), []
    for each in jax.random.split(key, at_least_one("samples", samples)):
        found.append(_relative(explain(_shake(image, each, radius)), whole))
    return jnp.stack(found).max()


@jax.jit
def _shake(image: Array, key: Array, radius: float | Array) -> Array:
    return image + radius * jnp.ptp(image) * jax.random.uniform(key, image.shape, minval=-1, maxval=1)


@jax.jit
def _relative(found: Array, whole: Array) -> Array:
    change, norm, other = (jnp.sqrt((x**2).sum()) for x in (found - whole, whole, found))
    norm = jnp.where(norm > 0, norm, other)
    return jnp.where(norm > 0, change / jnp.where(norm > 0, norm, 1), 0)


def random_parts(
    key: PRNGKeyArray,
    image: Float[Array, "*s c"],
    *,
    samples: int = 64,
    segments: Segments = 81,
    share: float = 0.2,
) -> Bool[Array, "n *s"]:
    """Draw parts of the image: a `share` of the cells of a grid, 9 × 9 where `segments` is 81, each time.

    As μFidelity in Xplique; of an event every window is cut on its own (`segments.label_patches`).
    """
    if not 0 < share < 1:
        raise UserError(f"share (={share}) must lie between 0 and 1.")
    labels, count = label_patches(segments, 1, image)
    return _chosen(key, labels, count, at_least_one("samples", samples), max(1, round(share * count)))


@partial(jax.jit, static_argnames=("count", "samples", "size"))
def _chosen(key: Array, labels: Array, count: int, samples: int, size: int) -> Array:
    draws = jax.random.uniform(key, (samples, count))
    return (draws.argsort(axis=1).argsort(axis=1) < size)[:, labels]


def sum_parts(
    score: Score,
    image: Float[Array, "*s c"],
    attribution: Float[Array, "*s"],
    *,
    key: PRNGKeyArray | None = None,
    parts: Bool[Array, "n *s"] | None = None,
    baseline: Reference = 0.0,
    samples: int = 64,
    chunk: Chunk = 32,
) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """Return each part's sum of the map there, and what the score loses without it.

    `parts` are `random_parts` where not given.
    """
    image = at_least_float32(image)
    base = reference_image(baseline, image, key)
    if parts is None:
        if key is None:
            raise UserError("parts are drawn; pass key=jax.random.key(seed), or parts [n *s].")
        parts = random_parts(jax.random.fold_in(key, 1), image, samples=samples)
    whole = value(score, image)
    left = map_chunks(lambda part: _without(score, part, image, base), parts, chunk)
    return _sums(attribution, parts), whole - left


@jit_method
def _without(score: Score, part: Array, image: Array, base: Array) -> Array:
    return value(score, jnp.where(part[..., None], base, image))


@jax.jit
def _sums(attribution: Array, parts: Array) -> Array:
    return (attribution * parts).sum(tuple(range(1, parts.ndim)))
