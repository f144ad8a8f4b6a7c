"""Heads: what it is (class logits), where it is (a position) and how sure of the place.

A position is a pair of fractions of the image (row, column); of an event, (frequency row, time column) of its
first window, so the same head serves 2D and 3D. `sigma` is trained by likelihood (`losses.position_nll`).
"""

from __future__ import annotations

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from lensjax.models.conv import conv
from lensjax.shapes import Array, Float

# A position is never trusted to better than 1/1000 of the image, nor to worse than the whole of it.
SMALLEST_SIGMA, LARGEST_SIGMA = 1e-3, 1.0


class Head(nn.Module):
    """Class logits from pooled features; position from a heat map, from regression, or none."""

    kind: Literal["heatmap", "regression", "class"] = "heatmap"
    hidden: int = 64
    classes: int = 2
    origin: tuple[float, ...] = (0.5, 0.5)
    """Centre of the first cell, and distance between cells, as fractions of the image (`cnn.grids`)."""
    step: tuple[float, ...] = (1.0, 1.0)

    @nn.compact
    def __call__(self, x: Float[Array, "b *s c"]) -> tuple[Array, Array | None, Array | None, Array | None]:
        """Returns logits [b k], position [b 2], its sigma [b 2], and heat-map logits [b *s]."""
        space = tuple(range(1, x.ndim - 1))
        heat = None
        pooled = [x.mean(space)]
        if self.kind == "heatmap":
            kernel = self.param(
                "heat_kernel", nn.initializers.lecun_normal(), (1,) * len(space) + (x.shape[-1], 1)
            )
            heat = conv(x, kernel)[..., 0]
            # Features where the heat map points: the class is decided on what the position stands on.
            pooled.append(jnp.sum(x * heat_weights(heat)[..., None], axis=space))
        h = jnp.concatenate(pooled, axis=-1)
        if self.hidden:
            h = nn.relu(nn.Dense(self.hidden, name="hidden")(h))
        logits = nn.Dense(self.classes, name="logits")(h)
        if self.kind == "class":
            return logits, None, None, None
        sigma = SMALLEST_SIGMA + (LARGEST_SIGMA - SMALLEST_SIGMA) * jax.nn.sigmoid(
            nn.Dense(2, name="sigma", bias_init=nn.initializers.constant(-2.0))(h)
        )
        if heat is not None:
            return logits, soft_argmax(heat, self.origin[-2:], self.step[-2:]), sigma, heat
        flat = x.reshape(x.shape[0], -1)
        return logits, jax.nn.sigmoid(nn.Dense(2, name="position")(flat)), sigma, None


def heat_weights(heat: Float[Array, "b *s"]) -> Float[Array, "b *s"]:
    """Softmax over all positions."""
    return jax.nn.softmax(heat.reshape(heat.shape[0], -1), axis=-1).reshape(heat.shape)


def soft_argmax(
    heat: Float[Array, "b *s"], origin: tuple[float, ...], step: tuple[float, ...]
) -> Float[Array, "b 2"]:
    """Mean position under the softmax of a heat map, in fractions of the last two axes (row, column)."""
    weights = heat_weights(heat)
    weights = weights.sum(tuple(range(1, weights.ndim - 2)))
    rows, columns = weights.sum(2), weights.sum(1)
    row = rows @ (origin[0] + step[0] * jnp.arange(rows.shape[1], dtype=jnp.float32))
    column = columns @ (origin[1] + step[1] * jnp.arange(columns.shape[1], dtype=jnp.float32))
    return jnp.stack([row, column], axis=-1)
