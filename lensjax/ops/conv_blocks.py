"""Turn a convolution of few channels into one of many: blocks of 2 × 2 pixels become channels.

The inner loop of XLA's convolutions on the CPU runs over channels, and an image has few. The same sums with
some zeros among them, two to three times faster there, forward and in the gradient for the image.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from lensjax.types import Array, Float

FEW = 4
"""Channels that gain; of more, the zeros cost as much as the loop saves."""
LAYOUT = ("NHWC", "HWIO", "NHWC")
Tangents = tuple[Array | SymbolicZero, Array | SymbolicZero]


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
def _tangent(primals: tuple[Array, Array], tangents: Tangents) -> tuple[Array, Array]:
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
