"""Find the smallest edit that flips a decision, for ONE example: by patches, or by the gradient.

    margin(logits, 4)                          logit of class 4 over the best other: positive where it wins
    by_patches(score, image, segments=64)      patches taken out one by one until the score is positive
    by_gradient(score, image, norm="l2")       the smallest change of pixels, to first order again and again

`score` is negative on the image and positive once the wanted class wins. What `by_patches` takes out is what
the network took for the wrong class, an edit that a person can look at; what `by_gradient` adds is seldom
that: it says how close the boundary is. Both loop on the host: map over examples in Python.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
import numpy as np

from lensjax.explain.engine.baselines import Reference, reference_image
from lensjax.explain.engine.loops import Chunk, at_least_float32, at_least_one, map_chunks
from lensjax.explain.engine.programs import jit_method, share_traces
from lensjax.explain.engine.segments import Segments, find_owners, label_patches
from lensjax.explain.methods.gradient import Score, gradient, value
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, PRNGKeyArray

BISECTIONS = 10
OVERSHOOT = 1e-3
"""Of the score's gap: a step goes this much further, or rounding would leave it on the boundary."""


@dataclass(frozen=True)
class PatchFlip:
    """Patches taken out, in their order, and what came of it."""

    segments: tuple[int, ...]
    removed: np.ndarray  # bool [*s]
    image: Array  # [*s c], edited
    scores: tuple[float, ...]  # before, and after each patch
    flipped: bool

    @property
    def pixels(self) -> int:
        return int(self.removed.sum())


@dataclass(frozen=True)
class GradientFlip:
    """An edited image, and how far it is."""

    image: Array  # [*s c]
    l1: float
    l2: float
    pixels: int
    """How many were changed."""
    steps: int
    score: float
    flipped: bool


def margin(logits: Float[Array, "k"], wanted: int | Array) -> Float[Array, ""]:
    """Return the logit of the wanted class over that of the best other."""
    is_wanted = jnp.arange(logits.size) == wanted
    return logits[wanted] - jnp.where(is_wanted, -jnp.inf, logits).max()


@share_traces()
def by_patches(
    score: Score,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    segments: Segments = 64,
    patches: int = 64,
    baseline: Reference = 0.0,
    most: int = 16,
    chunk: Chunk = 32,
) -> PatchFlip:
    """Replace patches by the baseline, each time the one that helps most, until the score is positive.

    Greedy: of a linear score with a baseline it finds the fewest patches; of a network, a good guess. It
    stops too where `most` are gone, or where none helps any more. `segments` and `patches` are those of
    `segments.label_patches`.

    Raises:
      UserError: `most` or `chunk` is below 1, or another form of segments or baseline.
    """
    at_least_one("most", most)
    image = at_least_float32(image)
    labels, count = label_patches(segments, patches, image)
    base, left = reference_image(baseline, image, key), np.asarray(find_owners(labels, count))
    gone, scores = jnp.zeros(image.shape[:-1], bool), [float(value(score, image))]
    order: list[int] = []
    while scores[-1] <= 0 and len(order) < most and left.any():
        without = partial(_without, score, image, base, labels, gone)  # each patch, beside those gone
        after = np.asarray(map_chunks(without, jnp.arange(count), chunk))
        best = int(np.where(left, after, -np.inf).argmax())
        if not after[best] > scores[-1]:
            break
        gone, left = gone | (labels == best), left & (np.arange(count) != best)
        order.append(best)
        scores.append(float(after[best]))
    edited = jnp.where(gone[..., None], base, image)
    return PatchFlip(tuple(order), np.asarray(gone), edited, tuple(scores), scores[-1] > 0)


@jit_method
def _without(
    score: Score, image: Array, base: Array, labels: Array, gone: Array, patch: Array
) -> Float[Array, ""]:
    return value(score, jnp.where((gone | (labels == patch))[..., None], base, image))


@share_traces()
def by_gradient(
    score: Score,
    image: Float[Array, "*s c"],
    *,
    norm: str = "l2",
    low: float = -np.inf,
    high: float = np.inf,
    steps: int = 50,
) -> GradientFlip:
    """Make the change of least norm that makes the score positive, were it linear; repeat from there.

    `l2` moves along the gradient g by −score / |g|² (DeepFool, Moosavi-Dezfooli et al. 2016), `l1` the values
    with the largest |g|, each as far as it may go, which changes the fewest (of a linear score, the least l1
    in the box). What goes too far is brought back by bisection. Values stay in [low, high]. Exact for a
    linear score; of a network, an upper bound.

    Raises:
      UserError: unknown norm, or a box that the image is not in.
    """
    if norm not in STEPS:
        raise UserError(f"unknown norm '{norm}'; choose {' or '.join(STEPS)}.")
    image, most = at_least_float32(image), at_least_one("steps", steps)
    if not low <= float(image.min()) <= float(image.max()) <= high:
        raise UserError(f"the image does not lie in [{low:g}, {high:g}]: give its own bounds, or none.")
    edited, found, step = image, float(value(score, image)), 0
    while found <= 0 and step < most:
        slope = gradient(score, edited)
        gain = -found * (1 + OVERSHOOT) + 1e-6
        moved = jnp.clip(edited + STEPS[norm](slope, gain, edited, low, high), low, high)
        if not jnp.isfinite(moved).all() or (moved == edited).all():
            break  # no slope, or nowhere to go
        edited, step = moved, step + 1
        found = float(value(score, edited))
    if found > 0:
        edited, found = _bisect(score, image, edited, found)
    change = np.asarray(edited - image)
    sizes = float(np.abs(change).sum()), float(np.sqrt((change**2).sum()))
    return GradientFlip(edited, *sizes, int(change.any(-1).sum()), step, found, found > 0)


def _bisect(score: Score, image: Array, edited: Array, found: float) -> tuple[Array, float]:
    """Find by bisection how much of the change still flips: steps along a curve reach too far."""
    low, high, nearest = 0.0, 1.0, edited
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        between = image + middle * (edited - image)
        at_middle = float(value(score, between))
        low, high = (low, middle) if at_middle > 0 else (middle, high)
        nearest, found = (between, at_middle) if at_middle > 0 else (nearest, found)
    return nearest, found


def _step_l2(slope: Array, gain: float, x: Array, low: float, high: float) -> Array:
    """Return the least l2 with slope · step = gain. What may not move in the box is left out of the slope."""
    stuck = ((slope > 0) & (x >= high)) | ((slope < 0) & (x <= low))
    free = jnp.where(stuck, 0, slope)
    return gain * free / jnp.maximum((free**2).sum(), jnp.finfo(x.dtype).tiny)


def _step_l1(slope: Array, gain: float, x: Array, low: float, high: float) -> Array:
    """Return the least l1 with slope · step = gain in the box: steepest values first, each to its bound."""
    room = jnp.where(slope > 0, high - x, x - low).ravel()
    steep = jnp.abs(slope).ravel()
    order = jnp.argsort(-steep, stable=True)
    each = jnp.where(steep > 0, steep, 0)[order]
    gains = jnp.where(each > 0, each * room[order], 0)
    before = jnp.append(0.0, jnp.cumsum(gains)[:-1])
    wanted = jnp.clip(gain - before, 0, gains)
    length = jnp.where(each > 0, wanted / jnp.where(each > 0, each, 1), 0)
    return (jnp.zeros_like(length).at[order].set(length)).reshape(x.shape) * jnp.sign(slope)


STEPS: dict[str, Callable[..., Array]] = {"l2": _step_l2, "l1": _step_l1}
