"""Make a raw, signed map comparable or ready to show. Each step is a function with a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float


def sum_channels(attribution: Float[Array, "*s c"]) -> Float[Array, "*s"]:
    """Sum over a pixel's channels; signs may cancel, and the total is kept."""
    return attribution.sum(-1)


def positive(attribution: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Keep what supports the score (a ReLU)."""
    return jnp.maximum(attribution, 0)


def normalise(attribution: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Divide by the largest magnitude: zero stays zero, signs stay, and an all-zero map stays as it is."""
    largest = jnp.abs(attribution).max()
    return attribution / jnp.where(largest > 0, largest, 1)


def upsample(
    attribution: Float[Array, "*grid"],
    shape: Sequence[int],
    *,
    method: str = "linear",
    origin: Sequence[float | Array] | None = None,
    step: Sequence[float | Array] | None = None,
) -> Float[Array, "*s"]:
    """Bring a layer's grid to `shape`, cell centres in register, `method` linear or nearest.

    Cell i of n is centred at (i + ½)/n of the axis; a network whose cells lie elsewhere (unpadded
    convolutions, dropped remainders) says where with `origin`, the first centre, and `step`, both as
    fractions of the axis. Values beyond the outer centres are repeated.
    """
    if len(shape) != attribution.ndim:
        raise UserError(
            f"a map of shape {attribution.shape} cannot be brought to {tuple(shape)}: axes differ."
        )
    if method not in ("linear", "nearest"):
        raise UserError(f"unknown method '{method}'; choose linear or nearest.")
    for axis, (cells, pixels) in enumerate(zip(attribution.shape, shape, strict=True)):
        first = 0.5 / cells if origin is None else origin[axis]
        width = 1 / cells if step is None else step[axis]
        at = ((jnp.arange(pixels) + 0.5) / pixels - first) / width  # in cells, 0 at the first centre
        at = jnp.clip(at if method == "linear" else jnp.floor(at + 0.5), 0, cells - 1)
        weights = jnp.maximum(0, 1 - jnp.abs(at[:, None] - jnp.arange(cells)))  # [pixels cells]
        # An accelerator would round the weights to fewer digits.
        fine = jnp.tensordot(weights, attribution, (1, axis), precision="highest")
        attribution = jnp.moveaxis(fine, 0, axis)
    return attribution


def to_image_grid(
    attribution: Float[Array, "..."], image_shape: Sequence[int], **options: Any
) -> Float[Array, "*s"]:
    """Give each pixel one value: sum a pixel map [*s c] over channels, upsample a grid [*grid].

    `image_shape` is that of one image, [*s c]; `options` go to `upsample`.

    Raises:
      UserError: the map has neither form.
    """
    *space, _ = image_shape
    if attribution.ndim == len(space):
        return upsample(attribution, space, **options)
    if list(attribution.shape[:-1]) == space:
        return sum_channels(attribution)
    raise UserError(
        f"a map of shape {attribution.shape} fits no image of {tuple(image_shape)}, as pixels or as a grid."
    )
