"""The image without evidence, which perturbation and path methods compare with."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from lensjax.explain.chunked import at_least_float32
from lensjax.shapes import Array, Float

Reference = float | int | str | Array | np.ndarray | Callable[[Array], Array]


def zero(image: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
    """Nothing: in units of the background noise, the sky."""
    return jnp.zeros_like(image)


def mean(image: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
    """Every channel's mean."""
    return jnp.broadcast_to(image.mean(tuple(range(image.ndim - 1)), keepdims=True), image.shape)


REFERENCES = {"zero": zero, "mean": mean}


def reference_image(baseline: Reference, image: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
    """What `baseline` means for this image: a number, an array, a function of the image, or a name.

    Raises:
      ValueError: an unknown name, or a shape that does not broadcast to the image's.
    """
    if isinstance(baseline, str):
        if baseline not in REFERENCES:
            raise ValueError(f"unknown baseline '{baseline}'; choose a number, or {', '.join(REFERENCES)}.")
        baseline = REFERENCES[baseline]
    value = jnp.asarray(baseline(image) if callable(baseline) else baseline, image.dtype)
    try:
        return at_least_float32(jnp.broadcast_to(value, image.shape))
    except ValueError:
        raise ValueError(f"baseline of shape {value.shape} does not fit an image of {image.shape}.") from None
