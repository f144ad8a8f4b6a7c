"""Compute only what an occlusion window changes: the same map for a fraction of the work.

A window changes an interval of the image along each axis. Through a local layer the changed interval grows by
the kernel and shrinks by the stride, and everything outside it is known from the image as it is. So a
layer reads the patch around the changed interval from the clean map, puts the new values in, and is applied
to that alone. Intervals are moved inside the map, never cut: what is computed beyond the change comes out as
it was, zeros outside the map are the layer's own, and an interval as long as the map is a full evaluation.
(The idea is Krypton's: Nakandala et al. 2019, SIGMOD.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from lensjax.explain.engine.baselines import Reference, reference_image
from lensjax.explain.engine.loops import Chunk, at_least_float32, map_chunks
from lensjax.explain.engine.programs import jit_method
from lensjax.explain.incremental.local_layers import Layer, Reach, Stack, map_sizes, maps, pad
from lensjax.explain.methods.perturbation import PerAxis, read_windows, window_starts
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, PRNGKeyArray

Lengths = tuple[tuple[int, ...], ...]


def incremental_occlusion(
    stack: Stack | Callable[[], Stack],
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
    """Return `occlusion(stack, image, …)`, with the same options, from the changed patches alone.

    `chunk` windows are computed at a time. `stack` may be a function that makes one; so `batched(…,
    given=classes)` explains a class of its own in every image.

    Raises:
      UserError: a layer does not fit the image.
    """
    if aggregate not in ("mean", "sum"):
        raise UserError(f"unknown aggregate '{aggregate}'; choose mean or sum.")
    stack = stack if isinstance(stack, Stack) else stack()
    stack = stack if isinstance(stack.head, Partial) else replace(stack, head=Partial(stack.head))
    image = at_least_float32(image)
    space = image.shape[:-1]
    sizes, strides = read_windows(window, stride, space)
    cells = (space, *(tuple(map(int, found)) for found in map_sizes(stack.layers, space)))
    reaches = tuple(tuple(layer.reach()) for layer in stack.layers)
    found = plan_windows(reaches, cells, sizes, strides, edges)
    number = isinstance(baseline, int | float)  # the usual one, and slow to spread outside of `jit`
    base = np.asarray(baseline, image.dtype) if number else reference_image(baseline, image, key)
    options = {"lengths": found.lengths, "aggregate": aggregate, "chunk": chunk}
    return _occlusion(stack, image, base, found.starts, found.firsts, found.covers, **options)


@jit_method(static=("lengths", "aggregate", "chunk"))
def _occlusion(
    stack: Stack,
    image: Array,
    base: Array,
    starts: Array,
    firsts: Array,
    covers: tuple[list[Array], Array],
    *,
    lengths: Lengths,
    aggregate: str,
    chunk: Chunk,
) -> Array:
    """Compute all of it in one program: there are no gradients here, which a loop slows down on the CPU."""
    clean, base = maps(stack.layers, image), jnp.broadcast_to(base, image.shape)
    features = clean[-1].mean(stack.mean_over, keepdims=True)
    whole = _score(stack, features)

    def effect(at: tuple[Array, Array]) -> Array:
        start, first = at
        patch = _occluded(image, base, start, first[0], lengths[0])
        for i, layer in enumerate(stack.layers):
            patch = _through(layer, clean[i], patch, first[i], first[i + 1], lengths[i + 1])
        return whole - _score(stack, _features(stack, clean[-1], features, patch, first[-1]))

    return _lay(map_chunks(effect, (starts, firsts), chunk), *covers, aggregate)


def _occluded(image: Array, base: Array, start: Array, first: Array, size: Sequence[int]) -> Array:
    """Return the patch from `first` on, the baseline from `start` on."""
    inside = jnp.ones((*size, 1), bool)
    for axis in range(len(size)):
        inside &= first[axis] + jax.lax.broadcasted_iota(jnp.int32, inside.shape, axis) >= start[axis]
    return jnp.where(inside, _read(base, first, size), _read(image, first, size))


def _through(
    layer: Layer, clean: Array, patch: Array, at: Array, first: Array, length: Sequence[int]
) -> Array:
    """Return the layer's output from `first` on, given the patch of its input `at`."""
    reach = layer.reach()
    _, step, before, _ = np.transpose(reach).astype(np.int32)
    size = [(n - 1) * r.stride + r.kernel for n, r in zip(length, reach, strict=True)]
    if patch.shape[:-1] == clean.shape[:-1]:  # nothing of the clean map is left
        return layer.local(_read(pad(patch, reach), first * step, size), first)
    x = _read(pad(clean, reach), first * step, size)
    return layer.local(_put(x, patch, at + before - first * step), first)


def _features(stack: Stack, last: Array, features: Array, patch: Array, first: Array) -> Array:
    """Return what the head sees: means moved by what the patch changes, other axes with it put in."""
    over = stack.mean_over
    if not over:
        return patch if patch.shape == last.shape else _put(last, patch, first)
    change = (patch - _read(last, first, patch.shape[:-1])).sum(over, keepdims=True)
    change /= np.prod([last.shape[axis] for axis in over])
    kept = jnp.asarray([axis not in over for axis in range(last.ndim - 1)])
    return features + _put(jnp.zeros_like(features), change, first * kept)


def _score(stack: Stack, features: Array) -> Array:
    found = jnp.asarray(stack.head(features))
    if found.shape != ():
        raise UserError(f"head returns shape {found.shape}; it must return one number, say logits[1].")
    return at_least_float32(found)


def _read(x: Array, first: Array, size: Sequence[int]) -> Array:
    return jax.lax.dynamic_slice(x, (*first, 0), (*size, x.shape[-1]))


def _put(x: Array, patch: Array, at: Array) -> Array:
    return jax.lax.dynamic_update_slice(x, patch.astype(x.dtype), (*at, 0))


def _lay(effects: Array, covers: list[Array], counts: Array, aggregate: str) -> Array:
    """Lay effects of the windows [n] on their pixels [*s 1]."""
    laid = effects.reshape([len(cover) for cover in covers])
    for cover in covers:  # each turn takes the first axis away and appends its pixels
        laid = jnp.tensordot(laid, cover, (0, 0), precision="highest")
    return (laid / jnp.maximum(counts, 1) if aggregate == "mean" else laid)[..., None]


class Plan(NamedTuple):
    """Windows, the intervals that they change, and the pixels that they cover."""

    starts: np.ndarray  # int32 [n d]
    lengths: Lengths  # of every map, the image first, and axis
    firsts: np.ndarray  # int32 [n 1+layers d]
    covers: tuple[list[np.ndarray], np.ndarray]


@lru_cache(maxsize=64)
def plan_windows(
    reaches: tuple[tuple[Reach, ...], ...],
    cells: Lengths,
    sizes: tuple[int, ...],
    strides: tuple[int, ...],
    edges: str,
) -> Plan:
    """Plan windows of `sizes` every `strides` pixels.

    `cells` are those of the image, then, as far as the layers see them, of the image again and of every
    layer's map.
    """
    space, *seen = cells
    starts = window_starts(space, sizes, strides, edges)
    lengths, firsts = find_intervals(reaches, seen, starts, sizes)
    return Plan(starts, lengths, firsts, _covers(space, starts, sizes))


def find_intervals(
    reaches: Sequence[Sequence[Reach]],
    cells: Sequence[Sequence[int] | np.ndarray],
    starts: np.ndarray,
    sizes: Sequence[int],
) -> tuple[Lengths, np.ndarray]:
    """Return where each map is computed: lengths a layer and axis, and first cells int32 [n l d].

    Map 0 is the image. Every interval lies inside its map and holds all that the window changes there.
    """
    low = np.minimum(starts, np.asarray(cells[0]) - 1)
    high = np.minimum(starts + np.asarray(sizes), cells[0]) - 1
    lengths, firsts = [], []
    for i, there in enumerate(map(np.asarray, cells)):
        if i > 0:
            kernel, step, before, _ = np.transpose(reaches[i - 1])
            low = np.maximum(-((kernel - 1 - before - low) // step), 0)
            high = np.minimum((high + before) // step, there - 1)
        length = (high - low + 1).max(0)
        low = np.minimum(low, there - length)  # moved inside the map; `high` follows, so nothing is lost
        high = low + length - 1
        lengths.append(tuple(map(int, length)))
        firsts.append(low)
    return tuple(lengths), np.stack(firsts, 1).astype(np.int32)


def _covers(
    space: Sequence[int], starts: np.ndarray, sizes: Sequence[int]
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return which pixels each row of windows covers, by axis [windows pixels], and how many all do."""
    covers, counts = [], np.ones(())
    for axis, (n, size) in enumerate(zip(space, sizes, strict=True)):
        first = np.unique(starts[:, axis])[:, None]
        covers.append(((np.arange(n) >= first) & (np.arange(n) < first + size)).astype(np.float32))
        counts = np.multiply.outer(counts, covers[-1].sum(0))
    return covers, counts.astype(np.float32)
