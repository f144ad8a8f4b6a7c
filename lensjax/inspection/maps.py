"""Compute predictions of a trained network, maps on the image grid, and scores of maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from lensjax import models
from lensjax.explain import (
    METHODS,
    ON_FEATURES,
    TRIVIAL,
    batched,
    reference_image,
    score_maps,
    to_image_grid,
)
from lensjax.explain.engine.loops import Chunk
from lensjax.explain.engine.taps import GATE
from lensjax.explain.methods.registry import expected_passes
from lensjax.inspection.fast_occlusion import choose_occlusion, reason
from lensjax.inspection.restore import Trained
from lensjax.models.cnn import grids
from lensjax.runtime.errors import UserError
from lensjax.specs import MethodSpec
from lensjax.types import CellGrid

START = 1000
"""Forward passes that take about as long as compiling a method; used for the time left alone."""


@dataclass(frozen=True)
class Item:
    """One image to explain, with its truth as far as it is known."""

    id: str
    source: str
    image: np.ndarray  # float32 [*s c]
    label: int | None = None
    position: np.ndarray | None = None
    mask: np.ndarray | None = None
    kind: str = ""
    notes: tuple[str, ...] = ()
    picture: np.ndarray | None = None
    """What a page shows, float32 [*s c] in units of the noise, where `image` is something else."""


@dataclass(frozen=True)
class Predicted:
    """The network's answers for every item."""

    logits: np.ndarray  # [n k]
    position: np.ndarray | None  # [n 2]
    position_sigma: np.ndarray | None
    window_logits: np.ndarray | None = None  # [n t k], of networks that decide window by window
    window_weights: np.ndarray | None = None  # [n t], of networks with gated attention over windows

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the logits, [n k]."""
        return np.asarray(jax.nn.softmax(self.logits, axis=-1))

    @property
    def classes(self) -> np.ndarray:
        """The most probable class of each item, [n]."""
        return self.logits.argmax(-1)


def predict(trained: Trained, items: Sequence[Item], chunk: int) -> Predicted:
    """Predict all items, `chunk` at a time."""
    return predict_images(trained, [item.image for item in items], chunk)


def predict_images(trained: Trained, images: Sequence[np.ndarray] | np.ndarray, chunk: int) -> Predicted:
    """Predict all images [n *s c], `chunk` at a time."""
    outputs = models.predict(trained.model, trained.params, images, chunk)
    return Predicted(
        logits=outputs.logits,
        position=outputs.position,
        position_sigma=outputs.position_sigma,
        window_logits=outputs.window_logits,
        window_weights=outputs.attention.get("windows"),
    )


def explain(
    trained: Trained,
    items: Sequence[Item],
    predicted: Predicted,
    methods: Sequence[MethodSpec],
    *,
    target: str,
    chunk: Chunk,
    seed: int,
    progress: Callable,
    background: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return the maps [n *s] of every method on the image grid, raw and signed, under the name as written.

    Args:
      progress: `logs.progress` or like it. It counts forward passes, roughly, so that the time left holds
        for quick methods and slow ones.
      background: images that expected gradients compare with (`examples.load_background`).

    Raises:
      UserError: a method refuses an option, or expected gradients have no background.
    """
    images = np.stack([item.image for item in items])
    work = [
        expected_passes(name, options, images.shape[1:], layer_channels(trained, options))
        for _, name, options in methods
    ]
    starts = [0 if name in TRIVIAL else START for _, name, _ in methods]
    maps = {}
    with progress(desc="explaining", total=sum(starts) + len(items) * sum(work), unit=" passes") as bar:
        for (written, name, options), passes, start in zip(methods, work, starts, strict=True):
            if name == "occlusion" and (why := reason(trained, target)):
                print(f"occlusion: every window costs a whole evaluation, for {why}.")
            method, function = method_and_score(trained, name, target)
            lifted = batched(method, chunk=chunk if isinstance(chunk, str) else min(chunk, len(items)))
            bar.set_description(written)
            try:
                raw = lifted(
                    function,
                    images,
                    key=jax.random.key(seed),
                    given=predicted.classes,
                    done=count_passes(bar, passes, start),
                    **options,
                    **unwritten_options(trained, name, options, images.shape[1:], background),
                )
            except UserError as error:
                said = str(error).removeprefix(f"--methods '{name}': ")
                raise UserError(f"--methods '{written}': {said}") from error
            maps[written] = on_image_grid(trained, name, options, raw, images.shape[1:])
    return maps


def method_and_score(trained: Trained, name: str, target: str) -> tuple[Callable, Partial]:
    """Return a method and the function `(predicted class, image …)` that it explains.

    The class is an argument, and so are the parameters: one compilation serves all classes, and all seeds.
    """
    if name == "occlusion":
        return choose_occlusion(trained, target)
    function = trained.score_with_ends(target) if name in ON_FEATURES else trained.score(target)
    return METHODS[name], function


def count_passes(bar: Any, passes: int, start: int) -> Callable[[int], None]:
    """Make the callback that advances the progress bar; its first call also marks the end of compilation."""
    once = [start]

    def advance(examples: int) -> None:
        bar.update(examples * passes + (once.pop() if once else 0))

    return advance


def layer_channels(trained: Trained, options: dict[str, Any]) -> int:
    """Return the channels of the layer that a CAM with these options reads, as far as the name tells."""
    features = trained.config.model.features
    names = [f"stage{number + 1}" for number in range(len(features))]
    layer = options.get("layer")
    return features[names.index(layer)] if layer in names else features[-1]


def unwritten_options(
    trained: Trained,
    name: str,
    options: dict[str, Any],
    shape: tuple[int, ...],
    background: np.ndarray | None = None,
) -> dict[str, Any]:
    """Return what a command line cannot write: images to compare with, where the cells of a layer lie."""
    if name == "expected_gradients":
        if background is None:
            raise UserError("expected_gradients compares with other images: give some as `background`.")
        return {"background": background}
    if name == "guided_grad_cam":
        origin, step = cells(trained, name, options.get("layer"), shape)
        return {"origin": origin, "step": step}
    return {}


def cells(trained: Trained, name: str, layer: str | None, shape: tuple[int, ...]) -> CellGrid:
    """Return where the cells of a layer, or of a gate, lie on the image: origin and step.

    Raises:
      UserError: under the network's view they have no place there.
    """
    places, at = grids(trained.config.model, shape[:-1]), trained.config.model.attention.at
    if name == "attention":
        gates = [end for end in places if end.removeprefix(GATE) in at and end.startswith(GATE)]
        end = gates[-1] if layer is None else GATE + layer.removeprefix(GATE)
    else:
        end = f"stage{len(trained.config.model.features)}" if layer is None else layer
    if end not in places:
        view = trained.config.model.view
        raise UserError(
            f"--methods '{name}': '{end}' of a network with view '{view}' has no place on the event."
        )
    return places[end]


def on_image_grid(
    trained: Trained, name: str, options: dict[str, Any], raw: Any, shape: tuple[int, ...]
) -> np.ndarray:
    """Bring maps of any method to one value a pixel, a layer's cells where their receptive fields are."""
    registered: dict[str, Any] = {}
    if name in ON_FEATURES and raw.ndim == len(shape):
        registered["origin"], registered["step"] = cells(trained, name, options.get("layer"), shape)
    return np.asarray(jax.vmap(lambda one: to_image_grid(one, shape, **registered))(raw))


def score(items: Sequence[Item], maps: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Score every method's maps against the true masks, [n] each; empty when no item has one."""
    if not any(item.mask is not None and item.mask.any() for item in items):
        return {}
    blank = np.zeros(items[0].image.shape[:-1], bool)
    masks = jnp.asarray(np.stack([blank if item.mask is None else item.mask for item in items]))
    scored = {}
    for name, values in maps.items():
        scored[name] = {
            key: np.asarray(value) for key, value in score_maps(jnp.asarray(values), masks).items()
        }
    return scored


def completeness_lines(
    trained: Trained,
    items: Sequence[Item],
    predicted: Predicted,
    methods: Sequence[MethodSpec],
    maps: dict[str, np.ndarray],
    target: str,
    seed: int,
) -> list[str]:
    """Say how much of the score integrated gradients do not account for, one line a method."""
    images, lines = jnp.asarray(np.stack([item.image for item in items])), []
    keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(jnp.arange(len(items)))  # as `batched`
    scores = jax.jit(jax.vmap(trained.score(target)))
    for written, name, options in methods:
        if name != "integrated_gradients":
            continue
        base = jax.vmap(partial(reference_image, options.get("baseline", 0.0)))(images, keys)
        change = np.asarray(scores(predicted.classes, images) - scores(predicted.classes, base))
        error = np.abs(maps[written].sum(tuple(range(1, maps[written].ndim))) - change)
        lines.append(
            f"{written}: completeness error {np.median(error):.2g} (median), {error.max():.2g} (largest), "
            f"of a score that changes by {np.median(np.abs(change)):.2g} (median) from the baseline"
        )
    return lines
