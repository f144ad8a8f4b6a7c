"""Measure faithfulness by removal: delete or insert pixels in the order of a map. For ONE example.

    deletion(score, image, attribution)      low: the score falls at once when the best pixels are removed
    insertion(score, image, attribution)     high: it rises at once when they come
    road(score, image, attribution, key=…)   low for the most relevant first, high for the least

`score` is best a probability, of the class that the whole image has; `attribution` [*s] has one value a
pixel. All channels of a pixel go together. Pixels with equal values go in the order of the image, so a
coarse map is not punished for its steps, and a constant one removes row after row.

Imputation for ROAD (Rong et al. 2022, arXiv:2202.00449): a removed pixel is Σ w · neighbour / Σ w over the
eight around it, 1/6 for each direct and 1/12 for each diagonal one, those beyond the border left out. All
removed pixels together are a symmetric system, solved here by conjugate gradients. Neighbours are along rows
and columns: the windows of an event are no neighbours.
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
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Bool, Float, Int, PRNGKeyArray

FRACTIONS = (0.2, 0.4, 0.6, 0.8)
"""Of the pixels, that ROAD removes."""
DIRECT, DIAGONAL = 1 / 6, 1 / 12
NOISE = 0.01
"""Standard deviation of the noise, as a fraction of the image's range (the paper's images lie in [0, 1])."""
TOLERANCE, MOST_ITERATIONS = 1e-3, 200


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

    `most` relevant first, or the least. `impute` leaves no outline of what was removed, from which
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


@jax.jit
def impute(
    image: Float[Array, "*s c"],
    removed: Bool[Array, "*s"],
    *,
    key: PRNGKeyArray | None = None,
    noise: float | Array = NOISE,
) -> Float[Array, "*s c"]:
    """Make the `removed` pixels up from the others; those stay as they are, bit for bit.

    Solved until the residual is `TOLERANCE` of the right-hand side, in `MOST_ITERATIONS` at most: tested to
    be within 1 % of the image's range, the size of the noise, in holes of 60 × 60 pixels. A window without a
    pixel left gets the mean of what is left elsewhere. Without a key there is no noise.
    """
    image = at_least_float32(image)
    if image.ndim < 3:
        raise UserError(f"imputation needs rows, columns and channels, not an image of {image.shape}.")
    gone = removed[..., None]
    known = jnp.where(gone, 0, image)
    kept = jnp.maximum((~removed).sum(), 1)
    mean = known.sum(tuple(range(removed.ndim))) / kept
    total = neighbours(jnp.ones_like(image))

    def system(x: Array) -> Array:
        x = jnp.where(gone, x, 0)
        return jnp.where(gone, total * x - neighbours(x), 0)

    wanted, start = jnp.where(gone, neighbours(known), 0), jnp.where(gone, mean, 0)
    # A window without a pixel left is solved by any constant: its residual is zero from the start.
    found, _ = jax.scipy.sparse.linalg.cg(system, wanted, start, tol=TOLERANCE, maxiter=MOST_ITERATIONS)
    if key is not None:
        found = found + noise * jnp.ptp(image) * jax.random.normal(key, image.shape, image.dtype)
    return jnp.where(gone, found, image)


def neighbours(x: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
    """Sum w · neighbour over the eight pixels around each, nothing beyond the border."""
    row, column = x.ndim - 3, x.ndim - 2
    beside = _both_sides(x, column)
    return DIRECT * beside + _both_sides(DIRECT * x + DIAGONAL * beside, row)


def _both_sides(x: Array, axis: int) -> Array:
    pads = [(1, 1) if i == axis else (0, 0) for i in range(x.ndim)]
    padded, n = jnp.pad(x, pads), x.shape[axis]
    return jax.lax.slice_in_dim(padded, 0, n, axis=axis) + jax.lax.slice_in_dim(padded, 2, n + 2, axis=axis)


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
