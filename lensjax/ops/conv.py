"""Convolution and pooling of images and events, written the way XLA runs them fast.

The inner loop of XLA's convolutions on the CPU runs over channels, and an image has few. So blocks of 2 × 2
pixels become channels: the same sums with some zeros among them, two to three times faster there, forward and
in the gradient for the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float

FEW = 4
"""Channels that gain; of more, the zeros cost as much as the loop saves."""
LAYOUT = ("NHWC", "HWIO", "NHWC")
Tangents = tuple[Array | SymbolicZero, Array | SymbolicZero]
EVENT_LAYOUT = ("NDHWC", "DHWIO", "NDHWC")


def conv(x: Float[Array, "b *s c"], kernel: Array, padding: str = "SAME") -> Array:
    """Convolve (correlate) with `kernel` [*k c f], stride 1.

    Raises:
      UserError: an unpadded kernel is deeper than the event.
    """
    if x.ndim == 5:
        check_depth(kernel.shape[0], x.shape[1], padding)
        if jax.default_backend() == "cpu":
            return conv_events(x, kernel, padding)
        return jax.lax.conv_general_dilated(x, kernel, (1, 1, 1), padding, dimension_numbers=EVENT_LAYOUT)
    if gain_by_blocks(kernel):
        if padding == "SAME":
            x = jnp.pad(x, ((0, 0), *(((k - 1) // 2, k // 2) for k in kernel.shape[:2]), (0, 0)))
        return correlate_blocks(x, kernel)
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=LAYOUT)


def conv_events(x: Float[Array, "b t h w c"], kernel: Float[Array, "d k l c f"], padding: str) -> Array:
    """Convolve in 3D by a 2D convolution: windows in the batch, a kernel's depth in time among the channels.

    The same sums, and on the CPU several times faster than a 3D convolution, forward and backward.
    """
    depth = kernel.shape[0]
    if padding == "SAME":
        x = jnp.pad(x, ((0, 0), ((depth - 1) // 2, depth // 2), (0, 0), (0, 0), (0, 0)))
    windows = x.shape[1] - depth + 1
    x = jnp.concatenate([x[:, i : i + windows] for i in range(depth)], axis=-1)
    kernel = jnp.moveaxis(kernel, 0, 2).reshape(*kernel.shape[1:3], -1, kernel.shape[-1])
    folded = x.reshape(-1, *x.shape[2:])
    small = x.shape[-1] == 1 and kernel.shape[0] * kernel.shape[1] <= LARGEST_SHIFTED
    y = conv_one_channel(padding, folded, kernel) if small else conv(folded, kernel, padding)
    return y.reshape(-1, windows, *y.shape[1:])


def check_depth(depth: int, windows: int, padding: str) -> None:
    """Check that an unpadded kernel is no deeper than the event."""
    if padding != "SAME" and depth > windows:
        raise UserError(f"a time kernel of {depth} exceeds {windows} windows: use model.padding SAME.")


# Each tap of a shifted sum is compiled by itself.
LARGEST_SHIFTED = 25


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def conv_one_channel(
    padding: str, x: Float[Array, "b h w 1"], kernel: Float[Array, "k l 1 f"]
) -> Float[Array, "b i j f"]:
    """Convolve one channel: forward a sum of shifted images, which XLA fuses with what follows.

    On the CPU 17 times faster than a convolution, whose inner loop runs over channels. The gradient for the
    kernel is the convolution's, the faster one there.
    """
    return sum_shifted(padding, x, kernel)


def sum_shifted(padding: str, x: Array, kernel: Array) -> Array:
    rows, columns = kernel.shape[:2]
    if padding == "SAME":
        sides = [((k - 1) // 2, k // 2) for k in (rows, columns)]
        x = jnp.pad(x, ((0, 0), *sides, (0, 0)))
    h, w = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    taps = [x[:, i : i + h, j : j + w] * kernel[i, j, 0] for i in range(rows) for j in range(columns)]
    return sum(taps[1:], start=taps[0])


@partial(conv_one_channel.defjvp, symbolic_zeros=True)
def _tangent(padding: str, primals: tuple[Array, Array], tangents: Tangents) -> tuple[Array, Array]:
    of_x, of_kernel = partial(sum_shifted, padding), partial(conv, padding=padding)
    return of_x(*primals), product_rule(of_x, of_kernel, primals, tangents)


def gain_by_blocks(kernel: Float[Array, "k l c f"]) -> bool:
    """Tell whether this kernel is faster by blocks; on one channel, a sum of shifted images is."""
    return jax.default_backend() == "cpu" and min(kernel.shape[:2]) > 1 and 1 < kernel.shape[2] <= FEW


@jax.custom_jvp
def correlate_blocks(x: Float[Array, "b h w c"], kernel: Float[Array, "k l c f"]) -> Float[Array, "b i j f"]:
    """Convolve without padding, stride 1; what the kernel's change makes is the convolution's own.

    Its transpose, the gradient for the kernel, is the faster one there.
    """
    return _by_blocks(x, kernel)


@partial(correlate_blocks.defjvp, symbolic_zeros=True)
def _tangent_of_blocks(primals: tuple[Array, Array], tangents: Tangents) -> tuple[Array, Array]:
    return _by_blocks(*primals), product_rule(_by_blocks, correlate, primals, tangents)


def product_rule(
    of_x: Callable[[Array, Array], Array],
    of_kernel: Callable[[Array, Array], Array],
    primals: tuple[Array, Array],
    tangents: Tangents,
) -> Array:
    """Return the tangent of what is linear in image and kernel, each part by the formula given for it.

    What is known to be zero is left out: the gradient for an image alone costs nothing for the kernel.
    """
    (x, kernel), (dx, dkernel) = primals, tangents
    parts = [] if isinstance(dx, SymbolicZero) else [of_x(dx, kernel)]
    parts += [] if isinstance(dkernel, SymbolicZero) else [of_kernel(x, dkernel)]
    return sum(parts[1:], start=parts[0])  # jax asks only where one of them is not zero


def correlate(x: Float[Array, "b h w c"], kernel: Float[Array, "k l c f"]) -> Float[Array, "b i j f"]:
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=LAYOUT)


def _by_blocks(x: Float[Array, "b h w c"], kernel: Float[Array, "k l c f"]) -> Float[Array, "b i j f"]:
    """Convolve blocks that start where the first output looks: a kernel of 3 × 3 pixels is 2 × 2 blocks."""
    outputs = [n - k + 1 for n, k in zip(x.shape[1:3], kernel.shape, strict=False)]
    ends = [2 * (-(-n // 2) + k // 2) for n, k in zip(outputs, kernel.shape, strict=False)]
    x = jnp.pad(x, ((0, 0), *((0, end - n) for end, n in zip(ends, x.shape[1:3], strict=True)), (0, 0)))
    b, h, w, c = x.shape
    x = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(b, h // 2, w // 2, 4 * c)
    y = correlate(x, block_kernel(kernel))
    b, h, w, f = y.shape
    y = y.reshape(b, h, w, 2, 2, f // 4).transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, f // 4)
    return y[:, : outputs[0], : outputs[1]]


def block_kernel(kernel: Float[Array, "k l c f"]) -> Float[Array, "_ _ _ _"]:
    """Turn a kernel into one from blocks of pixels to blocks of outputs [blocks blocks 4·c 4·f]."""
    height, width, c, f = kernel.shape
    rows, columns = height // 2 + 1, width // 2 + 1
    shifts = [(i, j) for i in range(2) for j in range(2)]
    ends = [((i, 2 * rows - height - i), (j, 2 * columns - width - j), (0, 0), (0, 0)) for i, j in shifts]
    shifted = jnp.stack([jnp.pad(kernel, end) for end in ends], 3).reshape(rows, 2, columns, 2, c, 4 * f)
    return shifted.transpose(0, 2, 1, 3, 4, 5).reshape(rows, columns, 4 * c, 4 * f)


def max_pool(x: Float[Array, "b *s c"], window: Sequence[int]) -> Array:
    """Take the maximum over windows side by side; what does not fill one at the far edge is dropped.

    Reshape and max, not `reduce_window`, whose gradient is several times slower on the CPU. Of events,
    an axis at a time, which is faster still; of equal maxima the first then has the gradient.
    """
    if all(w == 1 for w in window):
        return x
    space = x.shape[1:-1]
    if any(w > n for w, n in zip(window, space, strict=True)):
        raise UserError(f"pooling window {tuple(window)} exceeds the feature map {space}: pool less.")
    if len(window) == 3:
        for axis, w in enumerate(window, start=1):
            n = x.shape[axis] // w
            x = jax.lax.slice_in_dim(x, 0, n * w, axis=axis)
            x = max_over(axis + 1, x.reshape(*x.shape[:axis], n, w, *x.shape[axis + 1 :])) if w > 1 else x
        return x
    x = x[(slice(None), *(slice(n // w * w) for n, w in zip(space, window, strict=True)))]
    split = [part for n, w in zip(space, window, strict=True) for part in (n // w, w)]
    return jnp.max(x.reshape(x.shape[0], *split, x.shape[-1]), axis=(2, 4))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def max_over(axis: int, x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Take the maximum over an axis of few; the first of equals gets the gradient.

    JAX's own gradient looks for the inputs equal to the maximum. Where XLA computes those twice, in fusions
    that round differently (as it may the sum of `shifted_sum`), it finds none and divides by zero.
    """
    return x.max(axis)


@max_over.defjvp
def _max_tangent(axis: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    ((x,), (dx,)) = primals, tangents
    parts = [jax.lax.index_in_dim(x, i, axis, keepdims=False) for i in range(x.shape[axis])]

    def first(i: int) -> Array:
        beats = [part < parts[i] if j < i else part <= parts[i] for j, part in enumerate(parts) if j != i]
        return reduce(jnp.logical_and, beats)

    firsts = jnp.stack([first(i) for i in range(len(parts))], axis)
    return x.max(axis), jnp.where(firsts, dx, 0).sum(axis)
