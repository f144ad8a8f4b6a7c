"""Compute the benchmark's scores that need no second explanation: against the truth, and by removal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from lensjax.explain import (
    FAITHFULNESS,
    SCORES,
    iou,
    map_chunks,
    pointing,
    score_maps,
)
from lensjax.explain.engine.targets import COORDINATES, read_target
from lensjax.inspection.maps import Item
from lensjax.inspection.restore import Trained
from lensjax.inspection.targets import bind

NEAR = 2.0
"""Tolerance in pixels of the more lenient pointing game."""
OF_PROBABILITY = ("deletion", "insertion", "road_most", "road_least")
"""Scores of a class's probability; the others are of what was explained."""


def truth(trained: Trained, items: Sequence[Item], maps: dict[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    """Score every method's maps against the true masks and positions, [n] each, with `chance`."""
    masks = jnp.asarray(np.stack([item.mask for item in items]))  # type: ignore[misc]
    positions = np.stack([np.full(2, np.nan) if i.position is None else i.position for i in items])
    distances = jax.jit(jax.vmap(trained.domain.distances(items[0].image.shape[:-1])))
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


def faithfulness(of: Any, maps: dict[str, Any], progress: Callable) -> dict[str, dict[str, np.ndarray]]:
    """Score every method's maps by asking the network again, [n] each; `of` is a `table.Subject`.

    The maps of one example are scored together: they share the random parts and the network's answers.
    """
    removed = probability_score(of.trained, of.target)
    stacked = np.stack(list(maps.values()), axis=1)  # [n m *s]
    columns: dict[str, list[np.ndarray]] = {name: [] for name in FAITHFULNESS}
    for i in progress(range(len(of.images)), "removing", total=len(of.images)):
        image, key = jnp.asarray(of.images[i]), jax.random.fold_in(of.keys[i], 1)
        for name, column in columns.items():
            function = removed if name in OF_PROBABILITY else of.score
            score = bind(function, of.classes[i])
            one = _of_map(FAITHFULNESS[name], score, image, key)
            column.append(np.asarray(map_chunks(one, stacked[i], of.chunk)))
    tables = {name: np.stack(column, axis=1) for name, column in columns.items()}  # [m n]
    return {written: {name: values[m] for name, values in tables.items()} for m, written in enumerate(maps)}


def _of_map(function: Callable, score: Callable, image: jax.Array, key: jax.Array) -> Callable:
    return lambda attribution: function(score, image, attribution, key=key)


def probability_score(trained: Trained, target: str) -> Partial:
    """Return `score(predicted class, image)`: of a class its probability, of other targets their number."""
    name, classes = read_target(target, trained.classes)
    if name not in (*COORDINATES, "difference"):
        target = f"probability({classes[0]})"
    return trained.score(target)
