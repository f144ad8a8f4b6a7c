"""Explanations from the gradient of a score: plain, times the input, smoothed, and along a path."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.explain.chunked import at_least_float32, at_least_one, jit_method, sum_chunks
from lensjax.explain.reference import Reference, reference_image
from lensjax.shapes import Array, Float, PRNGKeyArray

Score = Callable[[Array], Array]


@jit_method
def value(score: Score, image: Float[Array, "*s c"]) -> Float[Array, ""]:
    """The score of one image, in float32 or better.

    Raises:
      ValueError: the score is not a single number.
    """
    result = jnp.asarray(score(image))
    if result.shape != ():
        raise ValueError(f"score returns shape {result.shape}; it must return one number, say logits[1].")
    return at_least_float32(result)


@jit_method
def gradient(
    score: Score, image: Float[Array, "*s c"], *, key: PRNGKeyArray | None = None
) -> Float[Array, "*s c"]:
    """∂score/∂image: what a small change of each pixel does (Simonyan et al. 2013)."""
    return jax.grad(lambda x: value(score, x))(at_least_float32(image))


def input_x_gradient(
    score: Score, image: Float[Array, "*s c"], *, key: PRNGKeyArray | None = None
) -> Float[Array, "*s c"]:
    """image · ∂score/∂image; sums to the score where the network has no biases (Shrikumar et al. 2016)."""
    return image * gradient(score, image)


def smooth_grad(
    score: Score,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    samples: int = 32,
    sigma: float = 0.15,
    chunk: int = 8,
    method: Callable = gradient,
) -> Float[Array, "*s c"]:
    """Mean gradient over `samples` noisy copies of the image (Smilkov et al. 2017).

    The noise is Gaussian, `sigma` of the image's range wide. `method` may be another one on the image: the
    mean of integrated gradients, say, holds `chunk` × its own chunk at a time.
    """
    if key is None:
        raise ValueError("smooth_grad draws noise; pass key=jax.random.key(seed).")
    if sigma < 0:
        raise ValueError(f"sigma (={sigma}) must be 0 or more; it is a fraction of the image's range.")
    keys = jax.random.split(key, at_least_one("samples", samples))
    total = sum_chunks(lambda key: method(score, _noisy(image, key, sigma), key=key), keys, chunk)
    return total / samples


@jax.jit
def _noisy(image: Array, key: Array, sigma: float | Array) -> Array:
    image = at_least_float32(image)
    return image + sigma * jnp.ptp(image) * jax.random.normal(key, image.shape, image.dtype)


def integrated_gradients(
    score: Score,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    baseline: Reference = 0.0,
    steps: int = 32,
    rule: str = "gauss_legendre",
    chunk: int = 8,
) -> Float[Array, "*s c"]:
    """(x − x′) · ∫₀¹ ∂score(x′ + a(x − x′)) da, x′ the baseline (Sundararajan et al. 2017).

    The map sums to score(x) − score(x′), up to `completeness_error`, which falls with `steps`. `rule` is
    gauss_legendre, exact for smooth scores with few steps, or midpoint; at a ReLU's kink both err by O(1/n).
    """
    image = at_least_float32(image)
    base = reference_image(baseline, image)
    total = sum_chunks(lambda node: _path_gradient(score, *node, base, image), _nodes(steps, rule), chunk)
    return (image - base) * total


def completeness_error(
    score: Score, image: Float[Array, "*s c"], attribution: Float[Array, "*s _"], *, baseline: Reference = 0.0
) -> Float[Array, ""]:
    """Σ map − (score(x) − score(x′)): zero when the map accounts for all of the score."""
    return attribution.sum() - (value(score, image) - value(score, reference_image(baseline, image)))


@jit_method
def _path_gradient(score: Score, alpha: Array, weight: Array, base: Array, image: Array) -> Array:
    return weight * gradient(score, base + alpha * (image - base))


def _nodes(steps: int, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in (0, 1) and weights that sum to 1."""
    at_least_one("steps", steps)
    dtype = jnp.zeros(()).dtype
    if rule == "midpoint":
        return ((np.arange(steps) + 0.5) / steps).astype(dtype), np.full(steps, 1 / steps, dtype)
    if rule == "gauss_legendre":
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        return ((nodes + 1) / 2).astype(dtype), (weights / 2).astype(dtype)
    raise ValueError(f"unknown rule '{rule}'; choose gauss_legendre or midpoint.")
