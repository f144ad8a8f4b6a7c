"""Where the images to explain come from: a user's files, or the run's held-out split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lensjax.data import datasets
from lensjax.data.readers import Problem, read_cutouts
from lensjax.explained import Item
from lensjax.restore import Trained
from lensjax.simulate.lenses import KINDS
from lensjax.types import Example


def held_out(trained: Trained, count: int) -> list[Item]:
    """The first examples of the test split, with their truth; the data set is made again if it is gone."""
    source = datasets.load(datasets.prepare(trained.config.data), "test")
    return [held_out_item(source[row]) for row in range(min(count, len(source)))]


def held_out_item(example: Example) -> Item:
    truth = example["truth"]
    kind = KINDS[int(truth["kind"])].replace("_", " ") if "kind" in truth else ""
    if example["label"] and "source_red" in truth:
        kind += ", red" if truth["source_red"] else ", blue"
    return Item(
        id=example["id"],
        source="held-out simulation",
        image=example["image"].astype(np.float32),
        label=example["label"],
        position=example["position"],
        mask=example["mask"],
        kind=kind,
    )


def from_files(
    trained: Trained,
    inputs: Sequence[Path],
    *,
    source_pixel_scale: float | None,
    hdus: Sequence[str],
    centre: tuple[float, float] | None,
    catalogue: Path | None,
) -> tuple[list[Item], list[Problem]]:
    """A user's images on the network's grid, and a line for each that could not be used."""
    cutouts, problems = read_cutouts(
        list(inputs),
        bands=trained.bands,
        pixel_scale=trained.pixel_scale,
        size=trained.config.data.size,
        source_pixel_scale=source_pixel_scale,
        hdus=hdus,
        centre=centre,
        catalogue=catalogue,
        classes=trained.classes,
    )
    items = [Item(c.id, c.source, c.image, c.label, c.position, notes=c.notes) for c in cutouts]
    return items, problems
