"""Divide an image into patches: an integer array [*s] with labels 0 … K − 1, where K is known in advance.

    segments=250            about 250 cells of a grid
    segments=(5, 8)         that many cells along each axis
    segments="slic"         at most `patches` superpixels that follow the image, by scikit-image
    segments=labels         your own, [*s]

A label may own no pixel: that is how images whose superpixels differ in number share one K. Masks of patches,
z ∈ {0, 1}ᴷ, bool [n k], tell which are kept; the first of them is full.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.explain.engine.loops import at_least_one
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Bool, Float, Int, PRNGKeyArray

Segments = Any  # a whole number, several of them, "slic", or labels [*s]: `label_patches` checks


def label_patches(
    segments: Segments, patches: int, image: Float[Array, "*s c"]
) -> tuple[Int[Array, "*s"], int]:
    """Return what `segments` means for this image: labels [*s], and K.

    K is the number of cells of a grid, `patches` for "slic", and one more than the largest label of an array.
    Of an array whose values are not known (under `jit`; one an example under `vmap`), K is `patches`.

    Raises:
      UserError: none of the forms above, or labels that are no whole numbers from 0, or of another shape.
    """
    space = image.shape[:-1]
    at_least_one("patches", patches)
    if isinstance(segments, str):
        if segments != "slic":
            raise UserError(f"unknown segments '{segments}'; choose a number, one an axis, slic, or labels.")
        return _call_slic(image, patches), _slic_count(space, patches)
    if isinstance(segments, jax.Array | np.ndarray) and segments.ndim > 0:
        return _check_own(segments, patches, space)
    cells = grid_cells(space, segments)
    return jnp.asarray(grid(space, cells)), math.prod(cells)


def grid_cells(space: tuple[int, ...], segments: Segments) -> tuple[int, ...]:
    """Return the cells along each axis: as given, or about `segments` in all, nearly square.

    Only the last two axes are cut for a number; along those before them every window is on its own. An axis
    is never cut finer than its pixels.

    Raises:
      UserError: another count than that of the axes, or a number below 1.
    """
    if isinstance(segments, list | tuple):
        if len(segments) != len(space):
            raise UserError(f"segments (={segments!r}) must have {len(space)} numbers, one a spatial axis.")
        return tuple(min(at_least_one("segments", k), n) for k, n in zip(segments, space, strict=True))
    *windows, height, width = space if len(space) > 1 else (1, *space)
    each = max(1.0, at_least_one("segments", segments) / math.prod(windows))
    rows = min(max(1, round(math.sqrt(each * height / width))), height)
    columns = min(max(1, round(each / rows)), width)
    return (*windows, rows, columns) if len(space) > 1 else (columns,)


def grid(space: tuple[int, ...], cells: tuple[int, ...]) -> np.ndarray:
    """Label the cells of a grid, int32 [*s], in the order of the pixels; sides differ by a pixel at most."""
    places = [np.arange(n) * k // n for n, k in zip(space, cells, strict=True)]
    return np.ravel_multi_index(np.ix_(*places), cells).astype(np.int32)


def slic(
    image: np.ndarray, patches: int = 250, *, compactness: float = 0.1, sigma: float = 1.0
) -> np.ndarray:
    """Cut an image [h w c] into at most `patches` superpixels, int32 [h w]; of an event, each window.

    SLIC (Achanta et al. 2012) as in scikit-image, on the image's own scale, not as Lab colours: it is brought
    to [0, 1] and smoothed by `sigma` pixels; a `compactness` of 1 weighs that range like a patch's side.

    Raises:
      UserError: scikit-image is not installed, or the image has a single spatial axis.
    """
    try:
        from skimage.segmentation import slic as superpixels
    except ImportError as error:
        raise UserError("segments='slic' needs scikit-image: pip install scikit-image.") from error
    image = np.asarray(image, np.float32)
    if image.ndim < 3:
        raise UserError(f"segments='slic' needs two spatial axes, not an image of {image.shape}.")
    each = _slic_count(image.shape[:-1], patches) // math.prod(image.shape[:-3])

    def cut(window: np.ndarray) -> np.ndarray:
        wanted = each
        while wanted > 1:  # scikit-image takes the number as a hint
            found = superpixels(
                window,
                n_segments=wanted,
                compactness=compactness,
                sigma=sigma,
                channel_axis=-1,
                convert2lab=False,
            )
            names, labels = np.unique(found, return_inverse=True)
            if len(names) <= each:
                return labels.reshape(found.shape)
            wanted = min(wanted - 1, wanted * each // len(names))
        return np.zeros(window.shape[:-1], int)

    windows = image.reshape(-1, *image.shape[-3:])
    labels = [cut(window) + i * each for i, window in enumerate(windows)]
    return np.stack(labels).reshape(image.shape[:-1]).astype(np.int32)


def _slic_count(space: tuple[int, ...], patches: int) -> int:
    windows = math.prod(space[:-2])
    return windows * max(1, patches // windows)


def _call_slic(image: Array, patches: int) -> Array:
    """Call scikit-image back on the host, under `vmap` and `jit` too, one image after the other."""

    def host(images: Any) -> np.ndarray:
        images = np.asarray(images)
        flat = images.reshape(-1, *shape)
        return np.stack([slic(one, patches) for one in flat]).reshape(images.shape[:-1])

    shape = image.shape
    result = jax.ShapeDtypeStruct(shape[:-1], jnp.int32)
    if not isinstance(image, jax.core.Tracer):
        return jnp.asarray(host(image))
    return jax.pure_callback(host, result, image, vmap_method="expand_dims")


def _check_own(segments: Any, patches: int, space: tuple[int, ...]) -> tuple[Array, int]:
    if segments.shape != space or not jnp.issubdtype(segments.dtype, jnp.integer):
        raise UserError(
            f"segments of shape {segments.shape} and type {segments.dtype} must be whole numbers {space}."
        )
    if isinstance(segments, jax.core.Tracer):
        return segments, patches
    if segments.min() < 0:
        raise UserError(f"segments hold {segments.min()}; labels start at 0.")
    return jnp.asarray(segments, jnp.int32), int(segments.max()) + 1


def find_owners(segments: Int[Array, "*s"], count: int) -> Array:
    """Tell which of the `count` labels own a pixel, bool [count]."""
    return jnp.zeros(count, bool).at[segments.ravel()].set(True)


def segment_mean(image: Float[Array, "*s c"], segments: Int[Array, "*s"], count: int) -> Array:
    """Fill every patch with its own mean [*s c], the `lime` package's baseline."""
    flat, where = image.reshape(-1, image.shape[-1]), segments.ravel()
    total = jnp.zeros((count, flat.shape[-1]), flat.dtype).at[where].add(flat)
    pixels = jnp.zeros((count, 1), flat.dtype).at[where].add(1)
    return (total / jnp.maximum(pixels, 1))[segments]


def all_masks(count: int) -> Bool[Array, "n k"]:
    """Return all masks, bool [2ᵏ k]: the first keeps everything, mask i is the complement of mask −1 − i."""
    return jnp.asarray((np.arange(2**count)[::-1, None] >> np.arange(count)) % 2 == 1)


@functools.partial(jax.jit, static_argnames=("count", "samples"))
def coin_masks(key: PRNGKeyArray, count: int, samples: int) -> Bool[Array, "n k"]:
    """Keep every patch with probability ½; the first mask is full. Draws depend on a patch's label alone."""
    return (_uniform(key, count, samples) < 0.5).at[0].set(True)


@functools.partial(jax.jit, static_argnames=("pairs",))
def paired_masks(key: PRNGKeyArray, there: Bool[Array, "k"], pairs: int) -> Bool[Array, "n k"]:
    """Return the full mask, `pairs` of sizes from the Shapley kernel, and complements in reverse order."""
    for_size, for_members = jax.random.split(key)
    sizes, number = jnp.arange(1, len(there)), there.sum()
    likely = jnp.where(sizes < number, 1 / (sizes * jnp.maximum(number - sizes, 1)), 0)
    steps = jnp.cumsum(likely)
    drawn = jax.random.uniform(for_size, (max(0, pairs),)) * steps[-1]
    size = 1 + jnp.searchsorted(steps, drawn, side="right")
    order = jnp.where(there, _uniform(for_members, len(there), max(0, pairs)), jnp.inf)
    masks = order.argsort(axis=1).argsort(axis=1) < size[:, None]
    masks = jnp.concatenate([jnp.ones((1, len(there)), bool), masks])
    return jnp.concatenate([masks, ~masks[::-1]])


def _uniform(key: PRNGKeyArray, count: int, samples: int) -> Float[Array, "n k"]:
    keys = jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.arange(count))
    return jax.vmap(lambda k: jax.random.uniform(k, (samples,)), out_axes=1)(keys)
