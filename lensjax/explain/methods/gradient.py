"""Explanations from the gradient of a score: plain, times the input, and over noisy copies of the image."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from lensjax.explain.engine.loops import Chunk, at_least_float32, at_least_one, sum_chunks
from lensjax.explain.engine.programs import jit_method, name_as
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, PRNGKeyArray

Score = Callable[[Array], Array]


@jit_method
def value(score: Score, image: Float[Array, "*s c"]) -> Float[Array, ""]:
    """Return the score of one image, in float32 or better.

    Raises:
      UserError: the score is not a single number.
    """
    result = jnp.asarray(score(image))
    if result.shape != ():
        raise UserError(f"score returns shape {result.shape}; it must return one number, say logits[1].")
    return at_least_float32(result)


@jit_method
def gradient(
    score: Score, image: Float[Array, "*s c"], *, key: PRNGKeyArray | None = None
) -> Float[Array, "*s c"]:
    """Return ∂score/∂image: what a small change of each pixel does (Simonyan et al. 2013)."""
    return jax.grad(lambda x: value(score, x))(at_least_float32(image))


def input_x_gradient(
    score: Score, image: Float[Array, "*s c"], *, key: PRNGKeyArray | None = None
) -> Float[Array, "*s c"]:
    """Return image · ∂score/∂image; without biases it sums to the score (Shrikumar et al. 2016)."""
    return image * gradient(score, image)


def average_noisy(summarise: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    """Make a method of the means of g and of g², g the gradient at noisy copies of the image.

    The noise is Gaussian, `sigma` of the image's range wide. `method` may be another one on the image: the
    mean of integrated gradients, say, holds `chunk` × its own chunk at a time.
    """

    @name_as(summarise)
    def explain(
        score: Score,
        image: Float[Array, "*s c"],
        *,
        key: PRNGKeyArray | None = None,
        samples: int = 32,
        sigma: float = 0.15,
        chunk: Chunk = 8,
        method: Callable = gradient,
    ) -> Float[Array, "*s c"]:
        if key is None:
            raise UserError("noisy gradients draw numbers; pass key=jax.random.key(seed).")
        if sigma < 0:
            raise UserError(f"sigma (={sigma}) must be 0 or more; it is a fraction of the image's range.")

        def moments(key: Array) -> tuple[Array, Array]:
            g = method(score, _noisy(image, key, sigma), key=key)
            return g, g**2

        total = sum_chunks(moments, jax.random.split(key, at_least_one("samples", samples)), chunk)
        return summarise(total[0] / samples, total[1] / samples)

    return explain


@average_noisy
def smooth_grad(mean: Float[Array, "*s c"], square: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
    """Average the gradient over `samples` noisy copies of the image (Smilkov et al. 2017).

    The noise is Gaussian, `sigma` of the image's range wide; `method` may be another one on the image.
    """
    return mean


@average_noisy
def smooth_grad_squared(mean: Float[Array, "*s c"], square: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
    """Average the square of the gradients of `smooth_grad` (Hooker et al. 2019): never negative."""
    return square


@average_noisy
def var_grad(mean: Float[Array, "*s c"], square: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
    """Return the variance of the gradients of `smooth_grad`, E[g²] − E[g]² (Adebayo et al. 2018)."""
    return jnp.maximum(square - mean**2, 0)  # rounding may leave less than nothing


@jax.jit
def _noisy(image: Array, key: Array, sigma: float | Array) -> Array:
    image = at_least_float32(image)
    return image + sigma * jnp.ptp(image) * jax.random.normal(key, image.shape, image.dtype)
