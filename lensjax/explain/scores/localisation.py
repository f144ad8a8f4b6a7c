"""Measure how well a map finds the evidence: one map [*s] against the true mask [*s]; use with `vmap`.

Higher is better. The chance level is the share of the image that is mask, `chance`, exactly or to first
order, and a map without information (constant, all zero) gets just that; only in `energy_inside` nothing
positive counts as 0. An empty mask gives NaN: leave such examples out with a NaN-aware mean, as
`bootstrap_interval` does.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.ops import map_statistics
from lensjax.ops.bootstrap import bootstrap
from lensjax.ops.map_statistics import weighted_centroid
from lensjax.types import Array, Bool, Float, PRNGKeyArray


def chance(mask: Bool[Array, "*s"]) -> Float[Array, ""]:
    """Return the mask's share of the image: what a random map scores."""
    return _unless_empty(mask, mask.mean())


def energy_inside(attribution: Float[Array, "*s"], mask: Bool[Array, "*s"]) -> Float[Array, ""]:
    """Return the share of the map's positive part that lies inside (energy-based pointing, relevance mass).

    Wang et al. 2020; Arras et al. 2022. Chance: the mask's share for a map of independent positive values.
    """
    positive = jnp.maximum(attribution, 0)
    total = positive.sum()
    inside = jnp.where(mask, positive, 0).sum()
    return _unless_empty(mask, jnp.where(total > 0, inside / jnp.where(total > 0, total, 1), 0))


def pointing(
    attribution: Float[Array, "*s"],
    mask: Bool[Array, "*s"],
    *,
    tolerance: float = 0.0,
    axes: tuple[int, ...] | None = None,
) -> Float[Array, ""]:
    """Tell whether the maximum is within `tolerance` pixels of the mask; of tied maxima, the share.

    The pointing game of Zhang et al. 2016. Chance: the share of the image within the tolerance, which is
    measured along `axes`: (-2, -1) for the windows of an event, of which one is not near another.
    """
    near = squared_distance(mask, axes) <= tolerance**2 if tolerance > 0 else mask
    peak = attribution == attribution.max()
    return _unless_empty(mask, (peak & near).sum() / peak.sum())


def rank_accuracy(attribution: Float[Array, "*s"], mask: Bool[Array, "*s"]) -> Float[Array, ""]:
    """Return the share of the top |mask| pixels inside; ties count by expectation (Arras et al. 2022).

    Chance: the mask's share of the image, exactly.
    """
    size = mask.sum()
    threshold = jnp.sort(attribution.ravel())[-jnp.maximum(size, 1)]
    above, tied = attribution > threshold, attribution == threshold
    places = size - above.sum()
    hits = (above & mask).sum() + places * (tied & mask).sum() / tied.sum()
    return _unless_empty(mask, hits / jnp.maximum(size, 1))


def iou(attribution: Float[Array, "*s"], mask: Bool[Array, "*s"]) -> Float[Array, ""]:
    """Return the overlap over union of the top |mask| pixels and the mask: both have the same area.

    With the share r of `rank_accuracy` it is r / (2 − r), so it ranks the maps of one image alike. Chance is
    that of a share c, c / (2 − c): about half the mask's share.
    """
    share = rank_accuracy(attribution, mask)
    return share / (2 - share)


def average_precision(attribution: Float[Array, "*s"], mask: Bool[Array, "*s"]) -> Float[Array, ""]:
    """Return the area under precision against recall over all thresholds; ties share a threshold.

    Chance: the mask's share of the image, and slightly more for small masks.
    """
    return _unless_empty(mask, map_statistics.average_precision(attribution, mask))


SCORES = {
    "energy_inside": energy_inside,
    "pointing": pointing,
    "rank_accuracy": rank_accuracy,
    "average_precision": average_precision,
}


@jax.jit
def score_maps(attributions: Float[Array, "b *s"], masks: Bool[Array, "b *s"]) -> dict[str, Array]:
    """Return every score of every map, name → [b], and `chance`."""
    scores = {name: jax.vmap(score)(attributions, masks) for name, score in SCORES.items()}
    return scores | {"chance": jax.vmap(chance)(masks)}


def centroid(attribution: Float[Array, "*s"], coordinates: Float[Array, "*s d"]) -> Float[Array, "d"]:
    """Return the mean of the pixels' `coordinates`, in whatever unit, weighed by the map's positive part.

    A map with nothing positive weighs all pixels alike, as (in expectation) a random one does.
    """
    return weighted_centroid(jnp.maximum(attribution, 0), coordinates)


def centre_distance(attribution: Float[Array, "*s"], position: Float[Array, "d"]) -> Float[Array, ""]:
    """Return the pixels from the centroid of the map's positive part to the true position.

    The position is in fractions of the last d axes, pixel i of n centred at (i + ½)/n; NaN gives NaN. A map
    with nothing positive has its centroid in the middle of the image. Where pixels are not all of one size,
    as in the windows of an event, take `centroid`.
    """
    shape, d = attribution.shape, position.size
    centres = [jax.lax.broadcasted_iota(jnp.float32, shape, len(shape) - d + axis) + 0.5 for axis in range(d)]
    found = centroid(attribution, jnp.stack(centres, axis=-1))
    return jnp.sqrt(((found - position * jnp.array(shape[-d:])) ** 2).sum())


def squared_distance(mask: Bool[Array, "*s"], axes: tuple[int, ...] | None = None) -> Float[Array, "*s"]:
    """Return the squared distance in pixels to the nearest True, ∞ without any, exactly: axis after axis.

    Along some `axes` alone, places that differ on another are infinitely far.
    """
    distance = jnp.where(mask, 0.0, jnp.inf)
    for axis in range(mask.ndim) if axes is None else axes:
        pixel = jnp.arange(mask.shape[axis])
        steps = (pixel[:, None] - pixel).astype(jnp.float32) ** 2  # [to from]
        distance = jnp.moveaxis((jnp.moveaxis(distance, axis, -1)[..., None, :] + steps).min(-1), -1, axis)
    return distance


def bootstrap_interval(
    values: Float[Array, "n"], key: PRNGKeyArray, *, level: float = 0.95, resamples: int = 1000
) -> tuple[float, float, float]:
    """Return the mean over examples and its percentile bootstrap interval (mean, low, high).

    NaN values are left out. `ops.bootstrap` draws the rows, with a seed from the key.
    """
    known = np.asarray(values)[~np.isnan(values)]
    seed = [int(word) for word in np.asarray(jax.random.key_data(key)).ravel()]
    interval = bootstrap(lambda rows: float(rows.mean()), (known,), n=resamples, seed=seed, level=level)
    return float(known.mean()) if known.size else math.nan, *interval


def _unless_empty(mask: Array, score: Array) -> Array:
    return jnp.where(mask.any(), score, jnp.nan)
