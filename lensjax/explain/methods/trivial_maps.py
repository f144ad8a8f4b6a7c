"""Make maps that do not use the network. A useful explanation must score higher than these.

They have the signature of a method on the image, and take no notice of the score.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lensjax.explain.engine.baselines import correlate_axis
from lensjax.explain.engine.loops import at_least_float32
from lensjax.explain.engine.programs import jit_method
from lensjax.explain.methods.gradient import Score
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, PRNGKeyArray


@jit_method
def random(
    score: Score, image: Float[Array, "*s c"], *, key: PRNGKeyArray | None = None
) -> Float[Array, "*s 1"]:
    """Draw uniform noise in [0, 1): the chance level of every score."""
    if key is None:
        raise UserError("random draws numbers; pass key=jax.random.key(seed).")
    return jax.random.uniform(key, (*image.shape[:-1], 1))


@jit_method(static=("sigma",))
def centre(
    score: Score, image: Float[Array, "*s c"], *, key: PRNGKeyArray | None = None, sigma: float = 1 / 6
) -> Float[Array, "*s 1"]:
    """Return a Gaussian in the middle of the image, of each window of an event, `sigma` of each side wide."""
    if sigma <= 0:
        raise UserError(f"sigma (={sigma}) must be positive; it is a fraction of the image's side.")
    squared = jnp.zeros((*image.shape[:-1], 1))
    for axis in range(max(0, image.ndim - 3), image.ndim - 1):
        n = image.shape[axis]
        fraction = (jax.lax.broadcasted_iota(jnp.float32, squared.shape, axis) + 0.5) / n
        squared += ((fraction - 0.5) / sigma) ** 2
    return jnp.exp(-squared / 2)


@jit_method
def abs_input(
    score: Score, image: Float[Array, "*s c"], *, key: PRNGKeyArray | None = None
) -> Float[Array, "*s c"]:
    """Return the brightness itself: |image|."""
    return jnp.abs(at_least_float32(image))


@jit_method
def sobel(
    score: Score, image: Float[Array, "*s c"], *, key: PRNGKeyArray | None = None
) -> Float[Array, "*s c"]:
    """Find edges: the length of the Sobel gradient (in units per pixel), the border repeated.

    Along rows and columns only: the windows of an event have no edge between them.
    """
    image = at_least_float32(image)
    axes = range(max(0, image.ndim - 3), image.ndim - 1)
    squared = jnp.zeros_like(image)
    for along in axes:
        edge = image
        for axis in axes:
            edge = correlate_axis(edge, axis, (-0.5, 0.0, 0.5) if axis == along else (0.25, 0.5, 0.25))
        squared += edge**2
    return jnp.sqrt(squared)
