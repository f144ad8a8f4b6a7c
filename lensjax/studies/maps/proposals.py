"""What explanations of mistakes propose: a frozen map of the blame, and how many mistakes each edit flips."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.tree_util import Partial

from lensjax.data.batches import input_transforms
from lensjax.data.batches.augment import as_float
from lensjax.data.store.datasets import Source
from lensjax.explain import by_gradient, by_patches, margin, parse
from lensjax.inspection import examples
from lensjax.inspection import maps as explained
from lensjax.inspection.restore import Trained
from lensjax.models import Apply
from lensjax.runtime import logs
from lensjax.types import Array, Bool, Float

Row = dict[str, Any]
SHARE = 0.05
"""Of the pixels, what an edit of the blamed ones takes."""
ON_EVENTS = ("equal_stretch", "equal_stretch(seconds=1)", "crop(columns=0.125)", "crop(top=0.1)")
ON_IMAGES = ("remove_border(share=0.125)", "remove_border(share=0.25)")
ON_BOTH = ("blur(sigma=1)",)


def candidates(events: bool, blame: Path) -> tuple[str, ...]:
    """The fixed list of edits, as `data.inputs`; the last ones take what the frozen map blames."""
    edits = ("remove", "blur", "noise", "downweight")
    blamed = tuple(f"blamed(file='{blame}',edit={edit},share={SHARE})" for edit in edits)
    return (*(ON_EVENTS if events else ON_IMAGES), *ON_BOTH, *blamed)


def answers(trained: Trained, source: Source, specs: Sequence[str], chunk: int) -> np.ndarray:
    """Classes [n] that a network names, its inputs further transformed; it is not trained anew."""
    kind, specs = trained.domain.stored_type, (*trained.config.data.inputs, *specs)
    images = []
    for row in range(len(source)):
        image = as_float(source[row]["image"])
        images.append(input_transforms.transform_image(image, specs, str(source.id[row]), kind))
    return explained.predict_images(trained, images, chunk).classes


def blame_of(trained: Trained, source: Source, rows: np.ndarray, method: str, chunk: int) -> np.ndarray:
    """Maps [n *s] of what made the network say what it said, each with a mean size of 1."""
    shown = [
        examples.held_out_item(input_transforms.transform(source[int(r)], trained.config.data.inputs))
        for r in rows
    ]
    predicted = explained.predict(trained, shown, chunk)
    methods = [(method, *parse(method))]
    maps = explained.explain(
        trained, shown, predicted, methods, target="predicted", chunk=chunk, seed=0, progress=logs.progress
    )[method]
    size = np.abs(maps).mean(tuple(range(1, maps.ndim)), keepdims=True)
    return maps / np.maximum(size, 1e-12)


def freeze(folder: Path, maps: Float[np.ndarray, "n *s"]) -> Path:
    """Write the mean map as `map` of an .npz, whose name holds a fingerprint of it."""
    mean = maps.mean(0).astype(np.float32)
    path = folder / f"blame-{hashlib.sha256(mean.tobytes()).hexdigest()[:8]}.npz"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(path, map=mean)
    return path


def changed(
    before: np.ndarray, after: np.ndarray, label: np.ndarray, of: Bool[np.ndarray, "n"]
) -> dict[str, int]:
    """Of the examples `of`: wrong ones put right, right ones made wrong; the same of all others."""
    fixed, broken = (before != label) & (after == label), (before == label) & (after != label)
    counts = {"fixed": fixed & of, "broken": broken & of, "others_fixed": fixed & ~of}
    counts |= {"others_broken": broken & ~of, "wrong": (before != label) & of}
    counts |= {"right": (before == label) & of, "others_right": (before == label) & ~of}
    return {name: int(values.sum()) for name, values in counts.items()}


def propose(flips: dict[str, dict[str, int]]) -> str:
    """The edit with the largest share of mistakes put right, less the share of right answers made wrong."""

    def gain(count: dict[str, int]) -> float:
        right = count["right"] + count["others_right"]
        return count["fixed"] / max(count["wrong"], 1) - (count["broken"] + count["others_broken"]) / max(
            right, 1
        )

    return max(flips, key=lambda name: gain(flips[name]))


def smallest(trained: Trained, source: Source, rows: np.ndarray) -> list[Row]:
    """The smallest edit that flips each of some mistakes: by patches, and by the gradient."""
    network = Partial(Apply(trained.model), trained.params)

    def score(wanted: Array, image: Array) -> Array:
        return margin(network(image).logits, wanted)

    low, high = (0.0, 1.0) if trained.domain.stored_type == np.uint8 else (-np.inf, np.inf)
    found = []
    for row in rows:
        one = input_transforms.transform(source[int(row)], trained.config.data.inputs)
        image = jax.numpy.asarray(as_float(one["image"]))
        of = Partial(score, jax.numpy.asarray(one["label"]))
        patch, step = by_patches(of, image), by_gradient(of, image, low=low, high=high)
        inside = float(one["mask"][patch.removed].mean()) if patch.pixels else np.nan
        found.append(
            {
                "id": one["id"],
                "patches": len(patch.segments),
                "pixels": patch.pixels / patch.removed.size,
                "flipped": patch.flipped,
                "inside": inside,
                "l2": step.l2 / float(np.sqrt((as_float(one["image"]) ** 2).sum())),
                "gradient_flipped": step.flipped,
            }
        )
    return found
