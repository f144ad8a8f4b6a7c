"""Make the image without evidence, with which perturbation and path methods compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.explain.engine.loops import at_least_float32
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, PRNGKeyArray

Reference = float | int | str | Array | np.ndarray | Callable[[Array], Array]
BLUR = 4.0
"""Standard deviation in pixels of the `blur` baseline."""
MAD = 1.4826
"""Standard deviation of a Gaussian over its median absolute deviation."""


def zero(image: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
    """Return nothing but zeros: in units of the background noise, the sky."""
    return jnp.zeros_like(image)


def mean(image: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
    """Return every channel's mean."""
    return jnp.broadcast_to(image.mean(_space(image), keepdims=True), image.shape)


def median(image: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
    """Return every channel's median: of an image that is mostly sky, the sky."""
    return jnp.broadcast_to(jnp.median(image, _space(image), keepdims=True), image.shape)


@partial(jax.jit, static_argnames=("sigma",))
def blur(image: Float[Array, "*s c"], sigma: float = BLUR) -> Float[Array, "*s c"]:
    """Convolve with a Gaussian `sigma` pixels wide, along rows and columns, the border repeated."""
    reach = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in range(max(0, image.ndim - 3), image.ndim - 1):
        image = correlate_axis(image, axis, kernel)
    return image


def correlate_axis(x: Float[Array, "*s c"], axis: int, weights: Sequence[float] | np.ndarray) -> Array:
    """Correlate along an axis with an odd number of weights, the border repeated."""
    reach = len(weights) // 2
    padded = jnp.pad(x, [(reach, reach) if i == axis else (0, 0) for i in range(x.ndim)], mode="edge")
    n = x.shape[axis]
    parts = [w * jax.lax.slice_in_dim(padded, i, i + n, axis=axis) for i, w in enumerate(weights)]
    return sum(parts[1:], start=parts[0])


def noise(image: Float[Array, "*s c"], key: PRNGKeyArray) -> Float[Array, "*s c"]:
    """Draw sky: Gaussian noise about each channel's median, of the width of its median absolute deviation."""
    centre = median(image)
    width = MAD * jnp.median(jnp.abs(image - centre), _space(image), keepdims=True)
    return centre + width * jax.random.normal(key, image.shape, image.dtype)


REFERENCES: dict[str, Callable[[Array], Array]] = {"zero": zero, "mean": mean, "median": median, "blur": blur}
DRAWN = {"noise": noise}


def reference_image(
    baseline: Reference, image: Float[Array, "*s c"], key: PRNGKeyArray | None = None
) -> Float[Array, "*s c"]:
    """Return what `baseline` means for this image: a number, an array, a function of it, or a name.

    Raises:
      UserError: an unknown name, one that draws numbers without a key, or a shape that does not broadcast to
        the image's.
    """
    image = at_least_float32(image)
    if isinstance(baseline, str):
        if baseline in DRAWN:
            if key is None:
                raise UserError(f"baseline {baseline} draws numbers; pass key=jax.random.key(seed).")
            # Another stream than that of the method, which may split the same key.
            return DRAWN[baseline](image, jax.random.fold_in(key, 0))
        if baseline not in REFERENCES:
            choices = ", ".join((*REFERENCES, *DRAWN))
            raise UserError(f"unknown baseline '{baseline}'; choose a number, or {choices}.")
        baseline = REFERENCES[baseline]
    value = jnp.asarray(baseline(image) if callable(baseline) else baseline, image.dtype)
    try:
        return at_least_float32(jnp.broadcast_to(value, image.shape))
    except ValueError:
        raise UserError(f"baseline of shape {value.shape} does not fit an image of {image.shape}.") from None


def _space(image: Array) -> tuple[int, ...]:
    return tuple(range(image.ndim - 1))
