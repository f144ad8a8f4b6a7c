"""Convolution and pooling in any number of dimensions, written the way XLA runs them fast."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from lensjax.shapes import Array, Float


def conv(x: Float[Array, "b *s c"], kernel: Array, padding: str = "SAME") -> Array:
    """Convolve (correlate) with `kernel` [*k c f], stride 1.

    A kernel of depth 1 in time is a 2D convolution of every window: with time folded into the batch the
    CPU runs it several times faster than a 3D convolution of depth 1.
    """
    if x.ndim == 5 and kernel.shape[0] == 1:
        b, t = x.shape[:2]
        y = conv(x.reshape(b * t, *x.shape[2:]), kernel[0], padding)
        return y.reshape(b, t, *y.shape[1:])
    letters = "DHW"[-(x.ndim - 2) :]
    numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    return jax.lax.conv_general_dilated(x, kernel, (1,) * (x.ndim - 2), padding, dimension_numbers=numbers)


def max_pool(x: Float[Array, "b *s c"], window: Sequence[int]) -> Array:
    """Maximum over non-overlapping windows; what does not fill a window at the far edge is dropped.

    Reshape and max, not `reduce_window`, whose gradient is several times slower on the CPU.
    """
    if all(w == 1 for w in window):
        return x
    space = x.shape[1:-1]
    if any(w > n for w, n in zip(window, space, strict=True)):
        raise ValueError(f"pooling window {tuple(window)} exceeds the feature map {space}: pool less.")
    x = x[(slice(None), *(slice(n // w * w) for n, w in zip(space, window, strict=True)))]
    split = [part for n, w in zip(space, window, strict=True) for part in (n // w, w)]
    return jnp.max(x.reshape(x.shape[0], *split, x.shape[-1]), axis=tuple(range(2, 2 * len(window) + 1, 2)))
