"""Explanations that gather gradients along a path from a baseline: their map accounts for the score."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.explain.engine.baselines import Reference, reference_image
from lensjax.explain.engine.loops import Chunk, at_least_float32, at_least_one, sum_chunks
from lensjax.explain.engine.programs import jit_method
from lensjax.explain.methods.gradient import Score, gradient, value
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, PRNGKeyArray


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Complete:
    """A map along a path, how far its sum is from the score's change, and the steps it took."""

    map: Float[Array, "*s c"]
    error: Float[Array, ""]
    steps: Array | int


def complete_gradients(
    score: Score,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    baseline: Reference = 0.0,
    steps: int = 32,
    rule: str = "gauss_legendre",
    chunk: Chunk = 8,
    tolerance: float | None = None,
    most_steps: int = 1024,
) -> Complete:
    """Return `integrated_gradients` with their completeness error.

    Raises:
      UserError: an unknown rule, a number of steps below 1, or a tolerance that is not positive.
    """
    image = at_least_float32(image)
    base = reference_image(baseline, image, key)
    change = _change(score, base, image)

    def with_steps(n: int) -> Complete:
        total = sum_chunks(lambda node: _path_gradient(score, *node, base, image), _nodes(n, rule), chunk)
        found = (image - base) * total
        return Complete(found, found.sum() - change, n)

    if tolerance is None:
        return with_steps(steps)
    if tolerance <= 0:
        raise UserError(f"tolerance (={tolerance}) must be positive; None takes just `steps` steps.")
    numbers = [steps]
    while numbers[-1] * 2 <= most_steps:
        numbers.append(numbers[-1] * 2)
    found = with_steps(numbers[0])
    for n in numbers[1:]:
        if isinstance(found.error, jax.core.Tracer):  # the host cannot decide: both are compiled
            unfinished = jnp.abs(found.error) > tolerance
            found = jax.lax.cond(
                unfinished,
                lambda _, n=n: jax.tree.map(jnp.asarray, with_steps(n)),
                lambda old: jax.tree.map(jnp.asarray, old),
                found,
            )
        elif abs(float(found.error)) > tolerance:
            found = with_steps(n)
    return found


@wraps(complete_gradients, assigned=())  # the same options
def integrated_gradients(score: Score, image: Float[Array, "*s c"], **options: Any) -> Float[Array, "*s c"]:
    """Return (x − x′) · ∫₀¹ ∂score(x′ + a(x − x′)) da, x′ the baseline (Sundararajan et al. 2017).

    The map sums to score(x) − score(x′), up to `completeness_error`, which falls with `steps`. `rule` is
    gauss_legendre, exact for smooth scores with few steps, midpoint, or right; at a ReLU's kink all err by
    O(1/n). With a `tolerance` the steps are doubled until the error is no larger, to `most_steps` at most.
    """
    return complete_gradients(score, image, **options).map


def expected_gradients(
    score: Score,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    background: Float[Array | np.ndarray, "..."] | None = None,
    samples: int = 64,
    chunk: Chunk = 8,
) -> Float[Array, "*s c"]:
    """Average (x − x′) · ∂score(x′ + a(x − x′)) over x′ of `background`, a ~ U(0, 1) (Erion et al. 2021).

    On average the map sums to score(x) − the mean score of the background. With as many samples as images,
    or a multiple, each serves equally often, and the a are spread evenly.

    Raises:
      UserError: no key, or no background of the image's shape.
    """
    image = at_least_float32(image)
    if key is None:
        raise UserError("expected_gradients draws numbers; pass key=jax.random.key(seed).")
    if background is None or np.ndim(background) != image.ndim + 1 or background.shape[1:] != image.shape:
        shape = None if background is None else background.shape
        raise UserError(f"background has shape {shape}; give images [n *s c] of shape {image.shape} each.")
    at_least_one("samples", samples)
    order, place, shift = jax.random.split(key, 3)
    number = jnp.arange(samples)
    row = jax.random.permutation(order, len(background))[number % len(background)]
    alpha = (jax.random.permutation(place, samples) + jax.random.uniform(shift, (samples,))) / samples
    rows = jnp.asarray(background)

    def term(sample: tuple[Array, Array]) -> Array:
        base = at_least_float32(rows[sample[0]])
        return (image - base) * _path_gradient(score, sample[1], jnp.ones(()), base, image)

    return sum_chunks(term, (row, alpha), chunk) / samples


def completeness_error(
    score: Score,
    image: Float[Array, "*s c"],
    attribution: Float[Array, "*s _"],
    *,
    baseline: Reference = 0.0,
    key: PRNGKeyArray | None = None,
) -> Float[Array, ""]:
    """Return Σ map − (score(x) − score(x′)): zero when the map accounts for all of the score."""
    return attribution.sum() - _change(score, reference_image(baseline, image, key), image)


def _change(score: Score, base: Array, image: Array) -> Array:
    return value(score, image) - value(score, base)


@jit_method
def _path_gradient(score: Score, alpha: Array, weight: Array, base: Array, image: Array) -> Array:
    return weight * gradient(score, base + alpha * (image - base))


def _nodes(steps: int, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes in (0, 1] and weights that sum to 1."""
    at_least_one("steps", steps)
    dtype = jnp.zeros(()).dtype
    even = np.full(steps, 1 / steps, dtype)
    if rule == "midpoint":
        return ((np.arange(steps) + 0.5) / steps).astype(dtype), even
    if rule == "right":
        return ((np.arange(steps) + 1.0) / steps).astype(dtype), even
    if rule == "gauss_legendre":
        nodes, weights = _leggauss(steps)
        return ((nodes + 1) / 2).astype(dtype), (weights / 2).astype(dtype)
    raise UserError(f"unknown rule '{rule}'; choose gauss_legendre, midpoint or right.")


_leggauss = lru_cache(maxsize=64)(np.polynomial.legendre.leggauss)  # an eigenvalue problem: milliseconds
