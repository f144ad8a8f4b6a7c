"""Images through a trained network and its explanations: predictions, maps on the image grid, scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.data.batches.augment import as_float
from lensjax.data.store import datasets
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
from lensjax.inspection.fast_occlusion import occlusion_of
from lensjax.inspection.restore import Trained
from lensjax.inspection.targets import single, target_score
from lensjax.models.cnn import Grid, grids
from lensjax.runtime.errors import UserError

Method = tuple[str, str, dict[str, Any]]  # as written, name, options
START = 1000
"""Forward passes that take about as long as compiling a method; only the time left depends on it."""


@dataclass(frozen=True)
class Item:
    """One image to explain, with whatever truth is known of it."""

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
    """What the network says of every item."""

    logits: np.ndarray  # [n k]
    position: np.ndarray | None  # [n 2]
    position_sigma: np.ndarray | None
    window_logits: np.ndarray | None = None  # [n t k], of networks that decide window by window
    window_weights: np.ndarray | None = None  # [n t], of networks with gated attention over windows

    @property
    def probabilities(self) -> np.ndarray:
        return np.asarray(jax.nn.softmax(self.logits, axis=-1))

    @property
    def classes(self) -> np.ndarray:
        return self.logits.argmax(-1)


def predict(trained: Trained, items: Sequence[Item], chunk: int) -> Predicted:
    """Forward pass over all items."""
    return predictor(trained, chunk)([item.image for item in items])


def predictor(trained: Trained, chunk: int) -> Callable[[Sequence[np.ndarray] | np.ndarray], Predicted]:
    """Forward pass over images, a chunk at a time; the last one is padded, so one shape is compiled."""
    forward = jax.jit(lambda x: trained.model.apply({"params": trained.params}, x))

    def predict(images: Sequence[np.ndarray] | np.ndarray) -> Predicted:
        parts = []
        for start in range(0, len(images), chunk):
            some = np.stack([*images[start : start + chunk]])
            padding = [(0, chunk - len(some))] + [(0, 0)] * (some.ndim - 1)
            outputs = forward(np.pad(some, padding))
            weights = outputs.attention.get("windows")
            parts.append(
                [outputs.logits, outputs.position, outputs.position_sigma, outputs.window_logits, weights]
            )
        columns: list[Any] = [
            None if column[0] is None else np.concatenate(column)[: len(images)]
            for column in zip(*parts, strict=True)
        ]
        return Predicted(*columns)

    return predict


def explain(
    trained: Trained,
    items: Sequence[Item],
    predicted: Predicted,
    methods: Sequence[Method],
    *,
    target: str,
    chunk: Chunk,
    seed: int,
    progress: Callable,
) -> dict[str, np.ndarray]:
    """Maps [n *s] of every method on the image grid, raw and signed, under the name as it was written.

    `progress` is `logs.progress` or like it; it counts forward passes, about, so that the time it says is
    left holds for quick methods and slow ones.
    """
    images = np.stack([item.image for item in items])
    # The class is an argument of the score: one compilation explains them all.
    score, forward = score_functions(trained, target)
    work = [
        expected_passes(name, options, images.shape[1:], layer_channels(trained, options))
        for _, name, options in methods
    ]
    asked = any(name == "occlusion" for _, name, _ in methods)
    occlusion = occlusion_of(trained, target, score) if asked else None
    maps = {}
    starts = [0 if name in TRIVIAL else START for _, name, _ in methods]
    with progress(desc="explaining", total=sum(starts) + len(items) * sum(work), unit=" passes") as bar:
        for (written, name, options), each, start in zip(methods, work, starts, strict=True):
            one, function = METHODS[name], forward if name in ON_FEATURES else score
            if name == "occlusion" and occlusion is not None:
                one, function = occlusion
            method = batched(one, chunk=chunk if isinstance(chunk, str) else min(chunk, len(items)))
            key = jax.random.key(seed)
            bar.set_description(written)
            try:
                extra = unwritten_options(trained, name, options, images)
                extra |= {"given": predicted.classes, "done": _counting(bar, each, start)}
                raw = method(function, images, key=key, **options, **extra)
                maps[written] = on_image_grid(trained, name, options, raw, images.shape[1:])
            except (TypeError, AttributeError, ValueError) as error:  # an option that the method refuses
                said = str(error).splitlines()[0].removeprefix(f"--methods '{name}': ")
                raise UserError(f"--methods '{written}': {said}") from error
    return maps


def _counting(bar: Any, passes: int, start: int) -> Callable[[int], None]:
    """Tells `bar` how many examples are done, each so many passes; the first time, that it is compiled."""
    once = [start]

    def done(count: int) -> None:
        bar.update(count * passes + (once.pop() if once else 0))

    return done


def layer_channels(trained: Trained, options: dict[str, Any]) -> int:
    """Channels of the layer that a CAM with these options reads, as far as the name tells."""
    features = trained.config.model.features
    names = [f"stage{number + 1}" for number in range(len(features))]
    layer = options.get("layer")
    return features[names.index(layer)] if layer in names else features[-1]


def score_functions(trained: Trained, target: str) -> tuple[Callable, Callable]:
    """`score(predicted class, image)` and `forward(predicted class, image, taps) -> (score, ends)`."""
    network = single(trained.model, trained.params)

    def forward(predicted: Any, image: Any, taps: Any = None) -> Any:
        outputs = network(image, taps)
        return target_score(outputs, target, trained.classes, predicted), outputs.ends

    return (lambda predicted, image: forward(predicted, image)[0]), forward


def unwritten_options(
    trained: Trained, name: str, options: dict[str, Any], images: np.ndarray
) -> dict[str, Any]:
    """What a command line cannot write: images to compare with, where the cells of a layer lie."""
    if name == "expected_gradients":
        if trained.published is not None:
            raise UserError(
                "expected_gradients compares with images of the training, which published networks come "
                "without: use integrated_gradients."
            )
        source = datasets.load(datasets.prepare(trained.config.data), "validation")
        return {"background": np.stack([as_float(source[i]["image"]) for i in range(min(64, len(source)))])}
    if name == "guided_grad_cam":
        origin, step = cells(trained, name, options.get("layer"), images.shape[1:])
        return {"origin": origin, "step": step}
    return {}


def cells(trained: Trained, name: str, layer: str | None, shape: tuple[int, ...]) -> Grid:
    """Where the cells of a layer, or of a gate, lie on the image: origin and step.

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
    """Scores [n] of every method against the true masks; empty when no item has one."""
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
    methods: Sequence[Method],
    maps: dict[str, np.ndarray],
    target: str,
    seed: int,
) -> list[str]:
    """How far integrated gradients are from accounting for all of the score, one line a method."""
    images, lines = jnp.asarray(np.stack([item.image for item in items])), []
    keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(jnp.arange(len(items)))  # as `batched`
    for written, name, options in methods:
        if name != "integrated_gradients":
            continue
        base = jax.vmap(partial(reference_image, options.get("baseline", 0.0)))(images, keys)
        of = jax.jit(jax.vmap(score_functions(trained, target)[0]))
        change = np.asarray(of(predicted.classes, images) - of(predicted.classes, base))
        error = np.abs(maps[written].sum(tuple(range(1, maps[written].ndim))) - change)
        lines.append(
            f"{written}: completeness error {np.median(error):.2g} (median), {error.max():.2g} (largest), "
            f"of a score that changes by {np.median(np.abs(change)):.2g} (median) from the baseline"
        )
    return lines
