"""What a network should not use: images with evidence and background taken apart, and guesses without one.

A swap makes the images of a test set anew, in the data's order; `lookup` guesses the class from one number.
Truth masks say what is evidence; where there are none (real data), those swaps are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lensjax.data.batches import input_transforms, region_fills
from lensjax.data.batches.augment import as_float
from lensjax.data.store.datasets import Source
from lensjax.types import Bool, Float, Int


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


def whole(test: Source, rng: np.random.Generator) -> Swapped:
    """As they are."""
    return Swapped([as_float(test[row]["image"]) for row in range(len(test))], np.arange(len(test)))


def cut(*specs: str) -> Callable[[Source, np.random.Generator], Swapped]:
    """Transformed as `data.inputs` would."""

    def make(test: Source, rng: np.random.Generator) -> Swapped:
        made = [input_transforms.transform(test[row], specs) for row in range(len(test))]
        blank = has_evidence(test) & ~np.array([one["mask"].any() for one in made])
        return Swapped([as_float(one["image"]) for one in made], np.arange(len(test)), blank=blank)

    return make


def without_evidence(test: Source, rng: np.random.Generator) -> Swapped:
    """The evidence of every example that has some, filled with its own background."""
    rows = np.flatnonzero(has_evidence(test))
    return Swapped([_background(test, int(row), rng) for row in rows], rows)


def evidence_alone(test: Source, rng: np.random.Generator) -> Swapped:
    """Nothing but the evidence, of every example that has some."""
    rows = np.flatnonzero(has_evidence(test))
    images = []
    for row in rows:
        one = test[row]
        images.append(region_fills.fill(as_float(one["image"]), ~one["mask"], "background", rng))
    return Swapped(images, rows)


def other_background(test: Source, rng: np.random.Generator) -> Swapped:
    """The evidence of each on the background of an example of another class, whose evidence is filled."""
    return _exchanged(test, rng, same=False)


def own_kind_background(test: Source, rng: np.random.Generator) -> Swapped:
    """The same with an example of the same class: what the cut and the fill alone do."""
    return _exchanged(test, rng, same=True)


def _exchanged(test: Source, rng: np.random.Generator, same: bool) -> Swapped:
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
            np.where(one["mask"][..., None], as_float(one["image"]), _background(test, partner, rng))
        )
    return Swapped(images, np.array(rows), test.label[partners])


def _background(test: Source, row: int, rng: np.random.Generator) -> np.ndarray:
    one = test[row]
    return region_fills.fill(as_float(one["image"]), one["mask"], "noise", rng)


def has_evidence(test: Source) -> Bool[np.ndarray, "n"]:
    return np.array([test[row]["mask"].any() for row in range(len(test))])


Swap = Callable[[Source, np.random.Generator], Swapped]
CUTS: dict[str, str] = {
    "border only": "remove_centre(share=0.5)",
    "centre removed": "remove_centre(share=0.25)",
    "border removed": "remove_border(share=0.25)",
}
"""As `data.inputs`: a network can be trained on them too."""
PLAIN: dict[str, Swap] = {"whole": whole, **{name: cut(spec) for name, spec in CUTS.items()}}
WITH_TRUTH: dict[str, Swap] = {
    "evidence removed": without_evidence,
    "evidence alone": evidence_alone,
    "background of the same class": own_kind_background,
    "background of another class": other_background,
}


# ---- guesses from one number, and pairs ----


def brightness(source: Source) -> Float[np.ndarray, "n"]:
    """Sum of the values of each image as a network sees it."""
    return np.array([float(as_float(source[row]["image"]).sum()) for row in range(len(source))])


def lookup(
    train: Float[np.ndarray, "n"],
    label: Int[np.ndarray, "n"],
    test: Float[np.ndarray, "m"],
    bins: int | None = None,
) -> Int[np.ndarray, "m"]:
    """The commonest class of the training set in each bin of a number, or at each value; NaN has its own.

    Bins hold equally many; a value that training never saw gets the commonest class of all.
    """
    if bins:
        edges = np.quantile(train, np.linspace(0, 1, bins + 1)[1:-1])
        train, test = (np.searchsorted(edges, x).astype(np.float64) for x in (train, test))
    known = np.unique(train[~np.isnan(train)])
    common = {float(key): int(np.bincount(label[train == key]).argmax()) for key in known}
    unknown = label[np.isnan(train)] if np.isnan(train).any() else label
    rest = int(np.bincount(unknown).argmax())
    return np.array([common.get(float(value), rest) for value in test], np.int64)


def matched_pairs(
    value: Float[np.ndarray, "n"], label: Int[np.ndarray, "n"], rng: np.random.Generator
) -> tuple[Int[np.ndarray, "n 2"], Int[np.ndarray, "n 2"]]:
    """Each example with the one of another class nearest in a number, and with one of another class drawn."""
    near, drawn = [], []
    for row in range(len(label)):
        others = np.flatnonzero(label != label[row])
        near.append((row, int(others[np.abs(value[others] - value[row]).argmin()])))
        drawn.append((row, int(rng.choice(others))))
    return np.array(near), np.array(drawn)


def told_apart(
    logits: Float[np.ndarray, "n k"], label: Int[np.ndarray, "n"], pairs: Int[np.ndarray, "p 2"]
) -> Bool[np.ndarray, "p"]:
    """Whether of a pair of classes a and b the one of class a has the larger logit(a) − logit(b)."""
    i, j = pairs.T
    a, b = label[i], label[j]
    return (logits[i, a] - logits[i, b]) > (logits[j, a] - logits[j, b])
