"""Learnable spatial attention: a gate over positions that multiplies what flows through it."""

from __future__ import annotations

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from lensjax.models.conv import conv
from lensjax.shapes import Array, Float


class SpatialAttention(nn.Module):
    """`a = sigmoid(kernel * x)`, `y = x · a`, without bias (Cárdenas-Montes' "spatial attention").

    With `kernel` 1 the gate sees the channels of one pixel; the initialiser is uniform in ±0.05, so training
    starts from gates of about one half. `softmax` normalises over space, to a mean of 1.
    With `per_window` (events only) every window of an event has a kernel of its own.
    """

    kernel: int = 1
    kind: Literal["sigmoid", "softmax"] = "sigmoid"
    per_window: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b *s c"]) -> tuple[Float[Array, "b *s c"], Float[Array, "b *s"]]:
        """Returns the gated features and the gate."""
        spatial = x.ndim - 2
        side = (self.kernel,) * min(spatial, 2)
        shape = (1,) * (spatial - len(side)) + side + (x.shape[-1], 1)
        if self.per_window:
            logits = self._per_window(x, shape)
        else:
            logits = conv(x, self.param("kernel", uniform, shape), padding="SAME")[..., 0]
        gate = jax.nn.sigmoid(logits) if self.kind == "sigmoid" else spatial_softmax(logits)
        return x * gate[..., None], gate

    def _per_window(self, x: Array, shape: tuple[int, ...]) -> Array:
        if x.ndim != 5:
            raise ValueError(f"per_window attention needs events [b t h w c]; the input has shape {x.shape}.")
        kernels = self.param("kernel", uniform, (x.shape[1], *shape[1:]))
        window = jax.vmap(lambda image, k: conv(image, k, padding="SAME")[..., 0], in_axes=(1, 0), out_axes=1)
        return window(x, kernels)


def uniform(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
    """Uniform in ±0.05, what Keras means by "uniform"."""
    return jax.random.uniform(key, shape, dtype, -0.05, 0.05)


def spatial_softmax(logits: Float[Array, "b *s"]) -> Float[Array, "b *s"]:
    """Softmax over all positions, scaled to a mean of 1 so that features keep their size."""
    flat = logits.reshape(logits.shape[0], -1)
    return (jax.nn.softmax(flat, axis=-1) * flat.shape[-1]).reshape(logits.shape)
