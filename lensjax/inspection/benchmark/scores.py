"""The scores of a benchmark that need no second explanation: against the truth, and by removal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from lensjax.event_axes import EventGrid
from lensjax.explain import (
    FAITHFULNESS,
    SCORES,
    centre_distance,
    centroid,
    iou,
    map_chunks,
    pointing,
    score_maps,
)
from lensjax.inspection.maps import Item
from lensjax.inspection.restore import Trained
from lensjax.inspection.targets import COORDINATES, read_target, single, target_score

NEAR = 2.0
"""Tolerance in pixels of the more lenient pointing game."""
OF_PROBABILITY = ("deletion", "insertion", "road_most", "road_least")
"""Scores of a class's probability; the others are of what was explained."""


def truth(trained: Trained, items: Sequence[Item], maps: dict[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    """Scores [n] of every method against the true masks and positions, and `chance`."""
    masks = jnp.asarray(np.stack([item.mask for item in items]))  # type: ignore[misc]
    positions = np.stack([np.full(2, np.nan) if i.position is None else i.position for i in items])
    distances = jax.jit(jax.vmap(_distances(trained, items[0].image.shape[:-1])))
    found = {}
    for written, values in maps.items():
        each = jnp.asarray(values)
        scores = score_maps(each, masks) | _at_area_and_near(each, masks)
        scores |= distances(each, jnp.asarray(positions, jnp.float32))
        order = (*SCORES, *(name for name in scores if name not in SCORES))
        found[written] = {name: np.asarray(scores[name]) for name in order}
    return found


@jax.jit
def _at_area_and_near(maps: jax.Array, masks: jax.Array) -> dict[str, jax.Array]:
    def near(one: jax.Array, mask: jax.Array) -> jax.Array:
        return pointing(one, mask, tolerance=NEAR, axes=(-2, -1))

    return {"pointing_near": jax.vmap(near)(maps, masks), "iou": jax.vmap(iou)(maps, masks)}


def _distances(trained: Trained, space: tuple[int, ...]) -> Callable[..., dict[str, jax.Array]]:
    """From the map's centroid to the true position: in arcseconds, or in seconds, octaves and hertz."""
    if trained.events is None:
        scale = trained.pixel_scale or 1.0
        name = "centre_distance_arcsec" if trained.pixel_scale else "centre_distance"
        return lambda attribution, position: {name: scale * centre_distance(attribution, position)}
    grid: Any = trained.events
    places = jnp.asarray(coordinates(trained.events, space), jnp.float32)

    def distances(attribution: jax.Array, position: jax.Array) -> dict[str, jax.Array]:
        seconds, octave = centroid(attribution, places)
        frequency = grid.frequency(position[0])
        return {
            "centre_distance_s": jnp.abs(seconds - grid.time(position[1])),
            "centre_distance_octaves": jnp.abs(octave - jnp.log2(frequency)),
            "centre_distance_hz": jnp.abs(2**octave - frequency),
        }

    return distances


def coordinates(grid: EventGrid, space: tuple[int, ...]) -> np.ndarray:
    """Seconds from the trigger and log₂ of the frequency in hertz of every pixel, [t h w 2]."""
    windows, height, width = space
    octaves = np.log2(grid.frequency((np.arange(height) + 0.5) / height))
    seconds = np.stack([grid.time((np.arange(width) + 0.5) / width, i) for i in range(windows)])
    return np.stack(np.broadcast_arrays(seconds[:, None, :], octaves[:, None]), axis=-1)


def faithfulness(of: Any, maps: dict[str, Any], progress: Callable) -> dict[str, dict[str, np.ndarray]]:
    """Scores [n] of every method by asking the network again; `of` is a `table.Subject`.

    The maps of one example together: they share the random parts, and what the network says of them.
    """
    removed = probability(of.trained, of.target)
    stacked = np.stack(list(maps.values()), axis=1)  # [n m *s]
    columns: dict[str, list[np.ndarray]] = {name: [] for name in FAITHFULNESS}
    for i in progress(range(len(of.images)), "removing", total=len(of.images)):
        image, key = jnp.asarray(of.images[i]), jax.random.fold_in(of.keys[i], 1)
        for name, column in columns.items():
            function = removed if name in OF_PROBABILITY else of.score
            score = Partial(function, of.trained.params, of.classes[i])
            one = _of_map(FAITHFULNESS[name], score, image, key)
            column.append(np.asarray(map_chunks(one, stacked[i], of.chunk)))
    tables = {name: np.stack(column, axis=1) for name, column in columns.items()}  # [m n]
    return {written: {name: values[m] for name, values in tables.items()} for m, written in enumerate(maps)}


def _of_map(function: Callable, score: Callable, image: jax.Array, key: jax.Array) -> Callable:
    return lambda attribution: function(score, image, attribution, key=key)


def probability(trained: Trained, target: str) -> Callable[..., jax.Array]:
    """`(params, predicted, image)`: the probability of the class explained; other targets as they are."""
    name, classes = read_target(target, trained.classes)
    if name not in (*COORDINATES, "difference"):
        target = f"probability({classes[0]})"

    def score(params: Any, predicted: Any, image: Any) -> jax.Array:
        return target_score(single(trained.model, params)(image), target, trained.classes, predicted)

    return score
