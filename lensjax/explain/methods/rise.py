"""RISE: the mean of random smooth masks, weighted by the score of the image seen through them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from lensjax.explain.engine.baselines import Reference, reference_image
from lensjax.explain.engine.loops import Chunk, at_least_float32, at_least_one, sum_chunks
from lensjax.explain.engine.postprocess import upsample
from lensjax.explain.engine.programs import jit_method
from lensjax.explain.methods.gradient import Score, value
from lensjax.explain.methods.perturbation import PerAxis, per_axis
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, PRNGKeyArray


def rise(
    score: Score,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    cells: PerAxis = 8,
    samples: int = 1000,
    keep: float = 0.5,
    baseline: Reference = 0.0,
    centre: bool = True,
    chunk: Chunk = 32,
) -> Float[Array, "*s 1"]:
    """Return 1/(n·keep) Σ (score of the image through mask m − mean score) · m (Petsiuk et al. 2018).

    The masks are `rise_mask`s: a coarse grid, `cells` along each axis (never more than pixels), of which each
    cell is kept with probability `keep`. Through a mask one sees m·x + (1 − m)·x′. The paper subtracts no
    mean, `centre=False`: its map of a score that never changes is not zero but that score everywhere, in
    expectation. The paper takes 4000 to 8000 samples.

    Raises:
      UserError: no key, or `keep` not between 0 and 1.
    """
    if key is None:
        raise UserError("rise draws masks; pass key=jax.random.key(seed).")
    if not 0 < keep < 1:
        raise UserError(f"keep (={keep}) must lie between 0 and 1; it is the probability to keep a cell.")
    image = at_least_float32(image)
    space = image.shape[:-1]
    counts = tuple(map(min, per_axis("cells", cells, len(space)), space))
    # Another stream than that of a baseline which draws numbers.
    keys = jax.random.split(jax.random.fold_in(key, 1), at_least_one("samples", samples))
    base, whole = reference_image(baseline, image, key), value(score, image)

    def seen(key: Array) -> tuple[Array, Array, Array]:
        return _seen(score, key, image, base, whole, keep, counts=counts)

    # Changes of the score, not scores: those of a constant are exactly zero, and few digits cancel.
    changes, masks, change = sum_chunks(seen, keys, chunk)
    offset = -change / samples if centre else whole
    return (changes + offset * masks)[..., None] / (samples * keep)


@jit_method(static=("counts",))
def _seen(
    score: Score,
    key: Array,
    image: Array,
    base: Array,
    whole: Array,
    keep: float | Array,
    *,
    counts: tuple[int, ...],
) -> tuple[Array, Array, Array]:
    mask = rise_mask(key, image.shape[:-1], counts, keep)
    change = value(score, base + mask[..., None] * (image - base)) - whole
    return change * mask, mask, change


def rise_mask(
    key: PRNGKeyArray, space: Sequence[int], cells: Sequence[int], keep: float | Array
) -> Float[Array, "*s"]:
    """Draw a mask in [0, 1], `keep` on average at every pixel.

    Ones and zeros on `cells`, brought linearly to one cell more than the image along each axis, cut out at
    random: so an edge of a cell may fall on any pixel.
    """
    for_cells, for_place = jax.random.split(key)
    grid = jax.random.bernoulli(for_cells, keep, tuple(cells)).astype(jnp.float32)
    # Axes are counted from the right, here too: a volume of one window is an image.
    corner = jax.random.uniform(for_place, (len(space),))[::-1]
    first: list[Any] = []
    step: list[float] = []
    for count, pixels, fraction in zip(cells, space, corner, strict=True):
        size = math.ceil(pixels / count)
        place = jnp.floor(fraction * size)
        wide = (count + 1) * size / count  # pixels a cell, once enlarged
        first.append((wide / 2 - place) / pixels)
        step.append(wide / pixels)
    return upsample(grid, tuple(space), origin=first, step=step)
