"""Explain a score by changing the input: measure how much the score falls without each part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.explain.engine.baselines import Reference, reference_image
from lensjax.explain.engine.loops import Chunk, at_least_float32, at_least_one, sum_chunks
from lensjax.explain.engine.programs import jit_method
from lensjax.explain.methods.gradient import Score, value
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, PRNGKeyArray

PerAxis = Any  # a whole number, or a sequence of them, one a spatial axis: `per_axis` checks


def occlusion(
    score: Score,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    window: PerAxis = 8,
    stride: PerAxis | None = None,
    baseline: Reference = 0.0,
    aggregate: str = "mean",
    edges: str = "clip",
    chunk: Chunk = 32,
) -> Float[Array, "*s 1"]:
    """Return score(image) − score(image with a window of the baseline), laid on the window's pixels.

    A pixel gets the mean (or sum) over the windows that cover it (Zeiler & Fergus 2014). All channels are
    replaced together, so there is one value for them all. `window` and `stride` (half a window if None) are
    numbers of pixels, one or one an axis; a window longer than an axis covers it. At the far edge `clip` adds
    a window that hangs over, cut to the image; `valid` leaves what no whole window reaches at zero.
    """
    if aggregate not in ("mean", "sum"):
        raise UserError(f"unknown aggregate '{aggregate}'; choose mean or sum.")
    image = at_least_float32(image)
    space = image.shape[:-1]
    sizes, strides = read_windows(window, stride, space)
    starts = window_starts(space, sizes, strides, edges)
    whole, base, size = value(score, image), reference_image(baseline, image, key), jnp.asarray(sizes)

    def window_effect(start: Array) -> tuple[Array, Array]:
        return _window_effect(score, start, size, image, base, whole)

    effect, covered = sum_chunks(window_effect, starts, chunk)
    return effect / jnp.maximum(covered, 1) if aggregate == "mean" else effect


@jit_method
def _window_effect(
    score: Score, start: Array, size: Array, image: Array, base: Array, whole: Array
) -> tuple[Array, Array]:
    """Return the score lost without the window, on its pixels [*s 1], and the pixels themselves."""
    inside = jnp.ones((*image.shape[:-1], 1), bool)
    for axis in range(image.ndim - 1):
        pixel = jax.lax.broadcasted_iota(start.dtype, inside.shape, axis)
        inside &= (pixel >= start[axis]) & (pixel < start[axis] + size[axis])
    lost = whole - value(score, jnp.where(inside, base, image))
    return lost * inside, inside


def read_windows(
    window: PerAxis, stride: PerAxis | None, space: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return sizes, no larger than the image, and strides along each axis; half a window where None."""
    sizes = tuple(map(min, per_axis("window", window, len(space)), space))
    halves = [max(1, size // 2) for size in sizes]
    return sizes, per_axis("stride", halves if stride is None else stride, len(space))


def window_starts(
    space: Sequence[int], sizes: Sequence[int], strides: Sequence[int], edges: str
) -> np.ndarray:
    """Return the first corners of all windows, int32 [n d]."""
    if edges not in ("clip", "valid"):
        raise UserError(f"unknown edges '{edges}'; choose clip or valid.")
    rounded = math.ceil if edges == "clip" else math.floor
    counts = [rounded((n - p) / s) + 1 for n, p, s in zip(space, sizes, strides, strict=True)]
    grid = np.indices(counts).reshape(len(counts), -1).T
    return (grid * np.asarray(strides)).astype(np.int32)


def per_axis(name: str, number: PerAxis, axes: int) -> tuple[int, ...]:
    """Return one whole number for each spatial axis.

    Raises:
      UserError: another count than that of the axes, or a number below 1.
    """
    numbers = number if isinstance(number, list | tuple) else (number,) * axes
    if isinstance(number, str) or len(numbers) != axes:
        raise UserError(f"{name} (={number!r}) must be one whole number, or {axes}, one a spatial axis.")
    return tuple(at_least_one(name, n) for n in numbers)
