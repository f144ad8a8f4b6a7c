"""Convolution and pooling of images and events, written the way XLA runs them fast."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce

import jax
import jax.numpy as jnp

from lensjax.shapes import Array, Float


def conv(x: Float[Array, "b *s c"], kernel: Array, padding: str = "SAME") -> Array:
    """Convolve (correlate) with `kernel` [*k c f], stride 1."""
    if x.ndim == 5:
        return conv_events(x, kernel, padding)
    if 1 < x.shape[-1] <= FEW_CHANNELS and min(kernel.shape[:2]) > 1:
        return conv_blocks(x, kernel, padding)
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


# Above, a block has channels enough for XLA's inner loop, and the zeros in its kernel cost more.
FEW_CHANNELS = 4


def conv_blocks(x: Float[Array, "b h w c"], kernel: Float[Array, "k l c f"], padding: str) -> Array:
    """A convolution of few channels, 2 × 2 pixels at a time: four times the channels, in and out.

    The same sums and some zeros, two to three times faster on the CPU, also backward. Blocks start where the
    first output looks, so that a kernel of 3 pixels is one of 2 blocks.
    """
    pads, outputs = [], []
    for n, k in zip(x.shape[1:3], kernel.shape, strict=False):
        before, after = ((k - 1) // 2, k // 2) if padding == "SAME" else (0, 0)
        outputs.append(n + before + after - k + 1)
        pads.append((before, 2 * (-(-outputs[-1] // 2) + k // 2) - n - before))
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    b, h, w, c = x.shape
    x = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(b, h // 2, w // 2, -1)
    y = jax.lax.conv_general_dilated(
        x, block_kernel(kernel), (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    b, h, w, _ = y.shape
    y = y.reshape(b, h, w, 2, 2, -1).transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, -1)
    return y[:, : outputs[0], : outputs[1]]


def block_kernel(kernel: Float[Array, "k l c f"]) -> Array:
    """The kernel from blocks of pixels to blocks of outputs [blocks blocks 4·c 4·f]: itself, shifted."""
    (k, l, c, f), size = kernel.shape, [2 * (n // 2 + 1) for n in kernel.shape[:2]]
    shifts = [(i, j) for i in range(2) for j in range(2)]
    ends = [((i, size[0] - k - i), (j, size[1] - l - j), (0, 0), (0, 0)) for i, j in shifts]
    all_of = jnp.stack([jnp.pad(kernel, end) for end in ends], 3)
    all_of = all_of.reshape(size[0] // 2, 2, size[1] // 2, 2, c, 4 * f)
    return all_of.transpose(0, 2, 1, 3, 4, 5).reshape(size[0] // 2, size[1] // 2, 4 * c, 4 * f)


def conv_events(x: Float[Array, "b t h w c"], kernel: Float[Array, "d k l c f"], padding: str) -> Array:
    """A 3D convolution as a 2D one: windows in the batch, a kernel's depth in time among the channels.

    The same sums, and on the CPU several times faster than a 3D convolution, forward and backward.

    Raises:
      ValueError: an unpadded kernel is deeper than the event.
    """
    depth, t = kernel.shape[0], x.shape[1]
    if padding == "SAME":
        x = jnp.pad(x, ((0, 0), ((depth - 1) // 2, depth // 2), (0, 0), (0, 0), (0, 0)))
    elif depth > t:
        raise ValueError(f"a time kernel of {depth} exceeds {t} windows: use model.padding SAME.")
    windows = x.shape[1] - depth + 1
    x = jnp.concatenate([x[:, i : i + windows] for i in range(depth)], axis=-1)
    kernel = jnp.moveaxis(kernel, 0, 2).reshape(*kernel.shape[1:3], -1, kernel.shape[-1])
    folded = x.reshape(-1, *x.shape[2:])
    small = x.shape[-1] == 1 and kernel.shape[0] * kernel.shape[1] <= LARGEST_SHIFTED
    y = conv_one_channel(padding, folded, kernel) if small else conv(folded, kernel, padding)
    return y.reshape(-1, windows, *y.shape[1:])


# Each tap of a shifted sum is compiled by itself.
LARGEST_SHIFTED = 25


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def conv_one_channel(
    padding: str, x: Float[Array, "b h w 1"], kernel: Float[Array, "k l 1 f"]
) -> Float[Array, "b i j f"]:
    """A convolution of one channel: forward a sum of shifted images, which XLA fuses with what follows.

    On the CPU 17 times faster than a convolution, whose inner loop runs over channels. The gradient for the
    kernel is the convolution's, the faster one there. Its gradient is written by hand, so forward-mode
    differentiation (`jax.jvp`) is not available through it.
    """
    return shifted_sum(padding, x, kernel)


def shifted_sum(padding: str, x: Array, kernel: Array) -> Array:
    rows, columns = kernel.shape[:2]
    if padding == "SAME":
        sides = [((k - 1) // 2, k // 2) for k in (rows, columns)]
        x = jnp.pad(x, ((0, 0), *sides, (0, 0)))
    h, w = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    taps = [x[:, i : i + h, j : j + w] * kernel[i, j, 0] for i in range(rows) for j in range(columns)]
    return sum(taps[1:], start=taps[0])


def _forward(padding: str, x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return shifted_sum(padding, x, kernel), (x, kernel)


def _backward(padding: str, saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    x, kernel = saved
    (of_x,) = jax.vjp(lambda x: shifted_sum(padding, x, kernel), x)[1](gradient)
    (of_kernel,) = jax.vjp(lambda kernel: conv(x, kernel, padding), kernel)[1](gradient)
    return of_x, of_kernel


conv_one_channel.defvjp(_forward, _backward)


def max_pool(x: Float[Array, "b *s c"], window: Sequence[int]) -> Array:
    """Maximum over non-overlapping windows; what does not fill a window at the far edge is dropped.

    Reshape and max, not `reduce_window`, whose gradient is several times slower on the CPU. Of events,
    an axis at a time, which is faster still; of equal maxima the first then has the gradient.
    """
    if all(w == 1 for w in window):
        return x
    space = x.shape[1:-1]
    if any(w > n for w, n in zip(window, space, strict=True)):
        raise ValueError(f"pooling window {tuple(window)} exceeds the feature map {space}: pool less.")
    if len(window) == 3:
        for axis, w in enumerate(window, start=1):
            n = x.shape[axis] // w
            x = jax.lax.slice_in_dim(x, 0, n * w, axis=axis)
            x = max_over(axis + 1, x.reshape(*x.shape[:axis], n, w, *x.shape[axis + 1 :])) if w > 1 else x
        return x
    x = x[(slice(None), *(slice(n // w * w) for n, w in zip(space, window, strict=True)))]
    split = [part for n, w in zip(space, window, strict=True) for part in (n // w, w)]
    return jnp.max(x.reshape(x.shape[0], *split, x.shape[-1]), axis=(2, 4))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def max_over(axis: int, x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Maximum over an axis of few; the first of equals gets the gradient.

    JAX's own gradient looks for the inputs equal to the maximum. Where XLA computes those twice, in fusions
    that round differently (as it may the sum of `shifted_sum`), it finds none and divides by zero.
    """
    return x.max(axis)


def _max_backward(axis: int, x: Array, gradient: Array) -> tuple[Array]:
    parts = [jax.lax.index_in_dim(x, i, axis, keepdims=False) for i in range(x.shape[axis])]

    def first(i: int) -> Array:
        beats = [part < parts[i] if j < i else part <= parts[i] for j, part in enumerate(parts) if j != i]
        return reduce(jnp.logical_and, beats)

    return (jnp.stack([jnp.where(first(i), gradient, 0) for i in range(len(parts))], axis),)


max_over.defvjp(lambda axis, x: (x.max(axis), x), _max_backward)
