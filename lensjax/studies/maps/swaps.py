"""Make test images again with evidence and background separated, or exchanged between examples.

A swap makes the images of a test set again, in the data's order. Truth masks define the evidence; real data
have none, so the swaps of evidence are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from lensjax.data.batches import input_transforms, region_fills
from lensjax.data.store.datasets import Source
from lensjax.ops.stored_images import to_float32
from lensjax.types import Bool


@dataclass(frozen=True)
class Swapped:
    """Images, and whose background each has."""

    images: list[np.ndarray]  # float32 [*s c] each
    rows: np.ndarray
    """int [n], rows of the test set that the evidence is from."""
    background: np.ndarray | None = None
    """int [n], the class that the background is from, where it is another example's."""
    blank: np.ndarray | None = None
    """bool [n], whether no evidence is left of some that was there."""


def read_images(test: Source) -> list[np.ndarray]:
    """Return every image as float32 [*s c], in the data's order."""
    return [to_float32(test[row]["image"]) for row in range(len(test))]


def keep_whole(test: Source, rng: np.random.Generator) -> Swapped:
    """Return the images as they are."""
    return Swapped(read_images(test), np.arange(len(test)))


def cut_inputs(*specs: str) -> Callable[[Source, np.random.Generator], Swapped]:
    """Return a swap that transforms inputs as `data.inputs` would."""

    def make(test: Source, rng: np.random.Generator) -> Swapped:
        made = [input_transforms.transform(test[row], specs) for row in range(len(test))]
        blank = has_evidence(test) & ~np.array([one["mask"].any() for one in made])
        return Swapped([to_float32(one["image"]) for one in made], np.arange(len(test)), blank=blank)

    return make


def remove_evidence(test: Source, rng: np.random.Generator) -> Swapped:
    """Fill the evidence of every example that has some with its own background."""
    rows = np.flatnonzero(has_evidence(test))
    return Swapped([fill_evidence(test, int(row), rng) for row in rows], rows)


def keep_evidence_alone(test: Source, rng: np.random.Generator) -> Swapped:
    """Keep nothing but the evidence, of every example that has some."""
    rows = np.flatnonzero(has_evidence(test))
    kept = (test[row] for row in rows)
    return Swapped(
        [region_fills.fill(to_float32(one["image"]), ~one["mask"], "background", rng) for one in kept], rows
    )


def exchange_background(test: Source, rng: np.random.Generator, same: bool) -> Swapped:
    """Put the evidence of each example on the background of another, whose evidence is filled.

    `same`: of the same class, which shows what the cut and the fill alone do; else of another class.
    """
    rows, partners = [], []
    for row in range(len(test)):
        others = np.flatnonzero((test.label == test.label[row]) == same)
        others = others[others != row]
        if others.size:
            rows.append(row)
            partners.append(int(rng.choice(others)))
    images = []
    for row, partner in zip(rows, partners, strict=True):
        one = test[row]
        images.append(
            np.where(one["mask"][..., None], to_float32(one["image"]), fill_evidence(test, partner, rng))
        )
    return Swapped(images, np.array(rows), test.label[partners])


def fill_evidence(test: Source, row: int, rng: np.random.Generator) -> np.ndarray:
    """Return the image of a row, its evidence filled with noise like the background's."""
    one = test[row]
    return region_fills.fill(to_float32(one["image"]), one["mask"], "noise", rng)


def has_evidence(test: Source) -> Bool[np.ndarray, "n"]:
    """Say of each example whether its mask holds anything."""
    return np.array([test[row]["mask"].any() for row in range(len(test))])


Swap = Callable[[Source, np.random.Generator], Swapped]
CUTS: dict[str, str] = {
    "border only": "remove_centre(share=0.5)",
    "centre removed": "remove_centre(share=0.25)",
    "border removed": "remove_border(share=0.25)",
}
"""As `data.inputs`: a network can be trained on them too."""
PLAIN: dict[str, Swap] = {"whole": keep_whole, **{name: cut_inputs(spec) for name, spec in CUTS.items()}}
WITH_TRUTH: dict[str, Swap] = {
    "evidence removed": remove_evidence,
    "evidence alone": keep_evidence_alone,
    "background of the same class": partial(exchange_background, same=True),
    "background of another class": partial(exchange_background, same=False),
}
