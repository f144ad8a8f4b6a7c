"""Rotate, flip and shift the images of a whole batch at once, with one copy per image.

The result equals that of `augment`, which works example by example, bit for bit, and takes a third of the
time. Other augmentations use `augment`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lensjax.data.batches.augment import (
    ORIENTATIONS,
    Augmentation,
    as_pixels,
    orient_plane,
    orient_position,
    overlap,
    shift,
    shift_steps,
)
from lensjax.data.store.datasets import Source
from lensjax.types import Batch, Int


def can_move(source: Source, steps: Sequence[Augmentation]) -> bool:
    """Tell whether `move_batch` has these augmentations: an orientation, a shift, or both in this order."""
    oriented_first = bool(steps) and steps[0] in tuple(ORIENTATIONS)  # one's own need not be hashable
    rest = steps[1:] if oriented_first else steps
    known = tuple(rest) == (shift,) or (oriented_first and not rest)
    shape = source.image.shape[1:]
    return known and isinstance(source.image, np.ndarray) and len(shape) == 3 and shape[0] == shape[1]


def move_batch(
    source: Source,
    rows: Int[np.ndarray, "b"],
    generators: Iterable[np.random.Generator],
    steps: Sequence[Augmentation],
) -> Batch:
    """Make the batch of some rows, each moved by what its generator draws; images as they are stored."""
    assert isinstance(source.image, np.ndarray)  # `can_move`
    size = source.image.shape[1]
    elements, draws = np.zeros(len(rows), int), np.zeros((len(rows), 2))
    for row, rng in enumerate(generators):
        for step in steps:
            if step is shift:
                draws[row] = rng.random(2)
            else:
                elements[row] = ORIENTATIONS[step](rng)
    position = orient_position(source.position[rows], elements)
    by = shift_steps(draws, position, (size, size)) if shift in steps else np.zeros((len(rows), 2), int)

    fields = {"image": source.image, "mask": source.mask[..., None]}
    fields |= {} if source.light is None else {"light": source.light}
    results = {name: np.zeros((len(rows), *field.shape[1:]), field.dtype) for name, field in fields.items()}
    planes = [(as_pixels(fields[name]), as_pixels(result)) for name, result in results.items()]
    places = zip(rows.tolist(), elements.tolist(), by.tolist(), strict=True)
    for place, (row, element, (down, right)) in enumerate(places):
        (to_row, from_row), (to_column, from_column) = overlap(down, size), overlap(right, size)
        for stored, result in planes:
            result[place, to_row, to_column] = orient_plane(stored[row], element)[from_row, from_column]
    batch: Any = {
        **results,
        "mask": results["mask"][..., 0],
        "label": source.label[rows].astype(np.int32),
        "position": position + (by / np.array([size, size])).astype(np.float32),
        "valid": np.ones(len(rows), bool),
        "index": rows.astype(np.int32),
    }
    return batch
