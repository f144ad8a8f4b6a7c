"""An orientation and a shift, the usual augmentations of images, by the batch: one copy an image.

What `transforms` does example by example, bit for bit, in a third of the time; all else goes through those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lensjax.data.batches.augment import (
    ORIENTATIONS,
    Augmentation,
    as_pixels,
    oriented,
    oriented_position,
    overlap,
    shift,
    shift_steps,
)
from lensjax.data.store.datasets import Source
from lensjax.types import Batch, Int


def suits(source: Source, steps: Sequence[Augmentation]) -> bool:
    """Whether `moved` has these augmentations: one orientation, one shift, or the first before the second."""
    oriented_first = bool(steps) and steps[0] in tuple(ORIENTATIONS)  # one's own need not be hashable
    rest = steps[1:] if oriented_first else steps
    known = tuple(rest) == (shift,) or (oriented_first and not rest)
    shape = source.image.shape[1:]
    return known and isinstance(source.image, np.ndarray) and len(shape) == 3 and shape[0] == shape[1]


def moved(
    source: Source,
    rows: Int[np.ndarray, "b"],
    generators: Iterable[np.random.Generator],
    steps: Sequence[Augmentation],
) -> Batch:
    """The examples of some rows, each moved by what its generator draws; images as they are stored."""
    assert isinstance(source.image, np.ndarray)  # `suits`
    size = source.image.shape[1]
    elements, draws = np.zeros(len(rows), int), np.zeros((len(rows), 2))
    for row, rng in enumerate(generators):
        for step in steps:
            if step is shift:
                draws[row] = rng.random(2)
            else:
                elements[row] = ORIENTATIONS[step](rng)
    position = oriented_position(source.position[rows], elements)
    by = shift_steps(draws, position, (size, size)) if shift in steps else np.zeros((len(rows), 2), int)

    fields = {"image": source.image, "mask": source.mask[..., None]}
    fields |= {} if source.light is None else {"light": source.light}
    results = {name: np.zeros((len(rows), *field.shape[1:]), field.dtype) for name, field in fields.items()}
    planes = [(as_pixels(fields[name]), as_pixels(result)) for name, result in results.items()]
    places = zip(rows.tolist(), elements.tolist(), by.tolist(), strict=True)
    for place, (row, element, (down, right)) in enumerate(places):
        (to_row, from_row), (to_column, from_column) = overlap(down, size), overlap(right, size)
        for stored, result in planes:
            result[place, to_row, to_column] = oriented(stored[row], element)[from_row, from_column]
    batch: Any = {
        **results,
        "mask": results["mask"][..., 0],
        "label": source.label[rows].astype(np.int32),
        "position": position + (by / np.array([size, size])).astype(np.float32),
        "valid": np.ones(len(rows), bool),
        "index": rows.astype(np.int32),
    }
    return batch
