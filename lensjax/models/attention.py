"""Multiply features by a learnable gate over positions (spatial attention)."""

from __future__ import annotations

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from lensjax.ops.conv import conv
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float


class SpatialAttention(nn.Module):
    """`a = sigmoid(kernel * x)`, `y = x · a`, without bias (Cárdenas-Montes' "spatial attention").

    With `kernel` 1 the gate sees the channels of one pixel; the initialiser is uniform in ±0.05, so training
    starts from gates of about one half. `softmax` normalises over the space of each window, to a mean of 1;
    `WindowAttention` weighs windows against each other.
    Of an event, one kernel serves all windows (the talk's "3D"); with `per_window` each has its own ("2D").
    """

    kernel: int = 1
    kind: Literal["sigmoid", "softmax"] = "sigmoid"
    per_window: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b *s c"]) -> tuple[Float[Array, "b *s c"], Float[Array, "b *s"]]:
        """Return the gated features and the gate."""
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
            raise UserError(f"per_window attention needs events [b t h w c]; the input has shape {x.shape}.")
        kernels = self.param("kernel", uniform, (x.shape[1], *shape[1:]))
        # One after the other: a `vmap` makes a grouped convolution, thirty times slower on the CPU.
        windows = [conv(x[:, t : t + 1], kernels[t : t + 1], padding="SAME") for t in range(x.shape[1])]
        return jnp.concatenate(windows, axis=1)[..., 0]


def uniform(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
    """Draw uniform numbers in ±0.05, what Keras means by "uniform"."""
    return jax.random.uniform(key, shape, dtype, -0.05, 0.05)


def spatial_softmax(logits: Float[Array, "b *t h w"]) -> Float[Array, "b *t h w"]:
    """Return the softmax over rows and columns, scaled to a mean of 1 so that features keep their size."""
    flat = logits.reshape(*logits.shape[:-2], -1)
    return (jax.nn.softmax(flat, axis=-1) * flat.shape[-1]).reshape(logits.shape)


class WindowAttention(nn.Module):
    """Gated attention over the windows of an event (Ilse et al. 2018, arXiv:1802.04712, eq. 9).

    `a = softmax_t(w · [tanh(V h_t) * sigmoid(U h_t)])`, all without bias; the weights of an event sum to 1.
    """

    width: int = 16

    @nn.compact
    def __call__(self, h: Float[Array, "b t c"]) -> tuple[Float[Array, "b c"], Float[Array, "b t"]]:
        """Return `Σ_t a_t h_t` and the weights `a`."""
        tanh = jnp.tanh(nn.Dense(self.width, use_bias=False, name="tanh")(h))
        sigmoid = jax.nn.sigmoid(nn.Dense(self.width, use_bias=False, name="sigmoid")(h))
        logits = nn.Dense(1, use_bias=False, name="weight")(tanh * sigmoid)[..., 0]
        weights = jax.nn.softmax(logits, axis=-1)
        return (h * weights[..., None]).sum(1), weights
