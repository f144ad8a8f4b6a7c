"""Predict class logits, a position and its uncertainty from features.

A position is a pair of fractions of the image (row, column); of an event, (frequency row, time column) of its
first window, so the same head serves 2D and 3D. `sigma` is trained by likelihood (`losses.position_nll`).
"""

from __future__ import annotations

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from lensjax.event_axes import WINDOWS
from lensjax.models.attention import WindowAttention
from lensjax.ops.conv import conv
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float

# A position is never more certain than 1/1000 of the image, nor less than the whole of it.
SMALLEST_SIGMA, LARGEST_SIGMA = 1e-3, 1.0


class Head(nn.Module):
    """Class logits from pooled features; position from a heat map, from regression, or none."""

    kind: str = "heatmap"
    """`ModelConfig.head`; "class" also for a network whose position is not read from its features."""
    hidden: int = 64
    classes: int = 2
    origin: tuple[float, ...] = (0.5, 0.5)
    """Centre of the first cell, and distance between cells, as fractions of the image (`cnn.grids`)."""
    step: tuple[float, ...] = (1.0, 1.0)
    pooling: Literal["mean", "rows", "concat", "gated", "flatten"] = "mean"
    windows: tuple[float, ...] = WINDOWS
    """Seconds of an event's windows."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "b *s c"]
    ) -> tuple[Array, Array | None, Array | None, Array | None, Array | None]:
        """Return logits [b k], position [b 2] and sigma [b 2], heat map [b *s], windows' weights [b t]."""
        space = tuple(range(1, x.ndim - 1))
        heat = None
        features, weights = self._pooled(x)
        pooled = [features]
        if self.kind == "heatmap":
            kernel = self.param(
                "heat_kernel", nn.initializers.lecun_normal(), (1,) * len(space) + (x.shape[-1], 1)
            )
            heat = conv(x, kernel)[..., 0]
            if 1 < heat.shape[1] <= len(self.windows) and heat.ndim == 4:
                trust = self.param("heat_windows", inverse_variance, heat.shape[1:2], self.windows)
                heat = heat + trust[:, None, None]
            # Features where the heat map points: class and position are read from the same pixels.
            pooled.append(jnp.sum(x * heat_weights(heat)[..., None], axis=space))
        h = jnp.concatenate(pooled, axis=-1)
        if self.hidden:
            h = nn.relu(nn.Dense(self.hidden, name="hidden")(h))
        logits = nn.Dense(self.classes, name="logits")(h)
        if self.kind == "class":
            return logits, None, None, None, weights
        sigma = SMALLEST_SIGMA + (LARGEST_SIGMA - SMALLEST_SIGMA) * jax.nn.sigmoid(
            nn.Dense(2, name="sigma", bias_init=nn.initializers.constant(-2.0))(h)
        )
        if heat is not None:
            place = soft_argmax(heat, self.origin[-2:], self.step[-2:], self.windows)
            return logits, place, sigma, heat, weights
        flat = x.reshape(x.shape[0], -1)
        return logits, jax.nn.sigmoid(nn.Dense(2, name="position")(flat)), sigma, None, weights

    def _pooled(self, x: Array) -> tuple[Array, Array | None]:
        """Return features for the class [b n], and the weights of the windows [b t] where they are weighted.

        `flatten` keeps every number: a dense layer on it has a weight for each and each output, which is most
        of the network (`pool` more, or `hidden` 0).
        """
        if self.pooling == "mean":
            return x.mean(tuple(range(1, x.ndim - 1))), None
        if self.pooling in ("rows", "flatten"):
            kept = x.mean(-2) if self.pooling == "rows" else x
            return kept.reshape(x.shape[0], -1), None
        if x.ndim != 5:
            raise UserError(f"model.pooling {self.pooling} needs events; the trunk gave {x.shape}: use mean.")
        means = x.mean((2, 3))
        if self.pooling == "concat":
            return means.reshape(len(x), -1), None
        return WindowAttention(name="windows")(means)


def inverse_variance(
    key: Array, shape: tuple[int, ...], windows: tuple[float, ...] = WINDOWS
) -> Float[Array, " t"]:
    """Return initial log weights of windows: in a window twice as long a time is twice as uncertain."""
    lengths = jnp.asarray(windows[: shape[0]])
    return -2 * jnp.log(lengths / lengths[0])


def heat_weights(heat: Float[Array, "b *s"]) -> Float[Array, "b *s"]:
    """Return the softmax over all positions."""
    return jax.nn.softmax(heat.reshape(heat.shape[0], -1), axis=-1).reshape(heat.shape)


def soft_argmax(
    heat: Float[Array, "b *t h w"],
    origin: tuple[float, ...],
    step: tuple[float, ...],
    windows: tuple[float, ...] = WINDOWS,
) -> Float[Array, "b 2"]:
    """Return the mean position under the softmax of a heat map, in fractions (row, column) of the image."""
    return mean_position(heat_weights(heat), origin, step, windows)


def mean_position(
    weights: Float[Array, "b *t h w"],
    origin: tuple[float, ...],
    step: tuple[float, ...],
    windows: tuple[float, ...] = WINDOWS,
) -> Float[Array, "b 2"]:
    """Return the mean position under weights that sum to 1, in fractions (row, column) of the image.

    All windows of an event show the same rows; a column of window t is `windows[t] / windows[0]` times as
    long as one of the first, about the same middle, so its place on the first window is stretched by that.

    Raises:
      UserError: the event has more windows than are known.
    """
    row_at = origin[0] + step[0] * jnp.arange(weights.shape[-2], dtype=jnp.float32)
    column_at = origin[1] + step[1] * jnp.arange(weights.shape[-1], dtype=jnp.float32)
    if weights.ndim == 3:
        row, column = weights.sum(2) @ row_at, weights.sum(1) @ column_at
    else:
        if weights.shape[1] > len(windows):
            raise UserError(
                f"{weights.shape[1]} windows have no known lengths, only {windows} s: use a class head."
            )
        stretch = jnp.asarray(np.array(windows[: weights.shape[1]], np.float32) / windows[0])
        time_at = 0.5 + (column_at - 0.5) * stretch[:, None]
        row, column = weights.sum((1, 3)) @ row_at, (weights.sum(2) * time_at).sum((1, 2))
    return jnp.stack([row, column], axis=-1)


def mean_probability(window_logits: Float[Array, "b t k"]) -> Float[Array, "b k"]:
    """Return the log of the mean over windows of the softmax probabilities, finite for any logits."""
    log_p = jax.nn.log_softmax(window_logits)
    return jax.nn.logsumexp(log_p, axis=1) - np.log(window_logits.shape[1]).astype(np.float32)
