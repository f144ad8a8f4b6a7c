"""Measure faithfulness by removal: delete or insert pixels in the order of a map. For ONE example.

    deletion(score, image, attribution)      low: the score falls at once when the best pixels are removed
    insertion(score, image, attribution)     high: it rises at once when they come
    road(score, image, attribution, key=…)   low for the most relevant first, high for the least

`score` is best a probability, of the class that the whole image has; `attribution` [*s] has one value a
pixel. All channels of a pixel go together. Pixels with equal values go in the order of the image, so a
coarse map is not punished for its steps, and a constant one removes row after row.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.explain.engine.baselines import Reference, reference_image
from lensjax.explain.engine.loops import Chunk, at_least_float32, at_least_one, map_chunks
from lensjax.explain.engine.programs import jit_method
from lensjax.explain.methods.gradient import Score, value
from lensjax.explain.scores.road_imputation import NOISE, impute
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, Int, PRNGKeyArray

FRACTIONS = (0.2, 0.4, 0.6, 0.8)
"""Shares of the pixels that ROAD removes."""


@jax.jit
def order_pixels(attribution: Float[Array, "*s"]) -> Int[Array, "*s"]:
    """Return each pixel's place in the map's order, 0 the highest value; ties in the order of the image."""
    order = jnp.argsort(-attribution.ravel(), stable=True)
    return jnp.zeros(order.size, jnp.int32).at[order].set(jnp.arange(order.size)).reshape(attribution.shape)


def deletion(
    score: Score,
    image: Float[Array, "*s c"],
    attribution: Float[Array, "*s"],
    *,
    key: PRNGKeyArray | None = None,
    baseline: Reference = 0.0,
    steps: int = 10,
    chunk: Chunk = 32,
) -> Float[Array, ""]:
    """Return the area under the score against the fraction of pixels replaced, the best first.

    Petsiuk et al. 2018; by trapezia over `steps` equal steps, the whole image and the bare baseline included.
    """
    base = reference_image(baseline, image, key)
    return _area(removal_curve(score, image, attribution, base, steps=steps, chunk=chunk))


def insertion(
    score: Score,
    image: Float[Array, "*s c"],
    attribution: Float[Array, "*s"],
    *,
    key: PRNGKeyArray | None = None,
    baseline: Reference = "blur",
    steps: int = 10,
    chunk: Chunk = 32,
) -> Float[Array, ""]:
    """Return the area under the score against the fraction of pixels restored in the blur, the best first.

    Petsiuk et al. 2018. A blurred start has no edges that are nobody's, which a constant one would have.
    """
    base = reference_image(baseline, image, key)
    return _area(removal_curve(score, base, attribution, image, steps=steps, chunk=chunk))


def removal_curve(
    score: Score,
    image: Float[Array, "*s c"],
    attribution: Float[Array, "*s"],
    base: Float[Array, "*s c"],
    *,
    steps: int = 10,
    chunk: Chunk = 32,
) -> Float[Array, "n"]:
    """Return the score with 0, 1/steps … 1 of the pixels taken from `base`, the map's highest first.

    Raises:
      UserError: the map is not of the image's shape, or `steps` is below 1.
    """
    _check(image, attribution)
    counts = np.linspace(0, attribution.size, at_least_one("steps", steps) + 1).round().astype(np.int32)
    place = order_pixels(attribution)
    image, base = at_least_float32(image), at_least_float32(base)
    return map_chunks(lambda count: _replaced(score, count, place, image, base), counts, chunk)


def road(
    score: Score,
    image: Float[Array, "*s c"],
    attribution: Float[Array, "*s"],
    *,
    key: PRNGKeyArray | None = None,
    most: bool = True,
    fractions: Sequence[float] = FRACTIONS,
    noise: float = NOISE,
    chunk: Chunk = 32,
) -> Float[Array, ""]:
    """Return the mean score with `fractions` of the pixels removed and imputed (Rong et al. 2022).

    `most` relevant first, or the least. `imputation.impute` leaves no outline of what was removed, from which
    a network could tell the class.

    Raises:
      UserError: no key, a fraction not between 0 and 1, or a map that is not of the image's shape.
    """
    _check(image, attribution)
    if key is None:
        raise UserError("road draws noise; pass key=jax.random.key(seed).")
    if not fractions or not all(0 < f < 1 for f in fractions):
        raise UserError(f"fractions (={fractions}) must lie between 0 and 1; something must stay.")
    counts = np.round(np.asarray(fractions) * attribution.size).astype(np.int32)
    place, image = order_pixels(attribution if most else -attribution), at_least_float32(image)
    return map_chunks(lambda count: _imputed(score, count, place, image, key, noise), counts, chunk).mean()


@jit_method
def _replaced(score: Score, count: Array, place: Array, image: Array, base: Array) -> Array:
    return value(score, jnp.where((place < count)[..., None], base, image))


@jit_method
def _imputed(score: Score, count: Array, place: Array, image: Array, key: Array, noise: Array) -> Array:
    return value(score, impute(image, place < count, key=key, noise=noise))


@jax.jit
def _area(curve: Float[Array, "n"]) -> Float[Array, ""]:
    return ((curve[1:] + curve[:-1]) / 2).mean()


def _check(image: Array, attribution: Array) -> None:
    if attribution.shape != image.shape[:-1]:
        raise UserError(
            f"a map of shape {attribution.shape} has not one value a pixel of an image of {image.shape}; "
            "bring it there with to_image_grid."
        )
