"""Hold an explained example, the input of the page and the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lensjax.runtime.errors import UserError


@dataclass(frozen=True)
class Entry:
    """An example with its prediction, its truth as far as it is known, and its explanations.

    `image` is [*s c] in asinh units, or an event [t h w c] in an encoding of `lensjax.event_axes`; `maps`
    are raw and signed [*s]; positions and their sigma are fractions (row, column), of an event's first
    window. A score that is undefined is NaN. `window_weights` say how much each window of an event counted.
    """

    id: str
    source: str
    image: np.ndarray
    classes: tuple[str, ...]
    probabilities: np.ndarray
    predicted: int
    label: int | None = None
    mask: np.ndarray | None = None
    position: np.ndarray | None = None
    true_position: np.ndarray | None = None
    position_sigma: np.ndarray | None = None
    maps: dict[str, np.ndarray] = field(default_factory=dict)
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    kind: str = ""
    window_weights: np.ndarray | None = None  # [t]
    window_probabilities: np.ndarray | None = None  # [t k]


def check_entry(entry: Entry, bands: Sequence[str] = ()) -> None:
    """Raise a UserError that names the entry, the value and the rule when something does not fit."""
    where, shape = f"entry '{entry.id}'", entry.image.shape
    if entry.image.ndim not in (3, 4) or 0 in shape:
        raise UserError(f"{where}: the image has shape {shape}; give [h w c], or [t h w c] for an event.")
    if bands and len(bands) != shape[-1]:
        raise UserError(
            f"{where}: {shape[-1]} channels but {len(bands)} band names; give one name a channel."
        )
    if np.shape(entry.probabilities) != (len(entry.classes),):
        raise UserError(
            f"{where}: probabilities have shape {np.shape(entry.probabilities)} for {len(entry.classes)} "
            "classes; give one number a class."
        )
    for name, index in (("predicted", entry.predicted), ("label", entry.label)):
        if index is not None and not 0 <= index < len(entry.classes):
            raise UserError(f"{where}: {name} is {index}; it must lie in 0 … {len(entry.classes) - 1}.")
    shapes = {f"map '{name}'": np.shape(values) for name, values in entry.maps.items()}
    shapes |= {} if entry.mask is None else {"mask": np.shape(entry.mask)}
    windows, classes = shape[:-3], len(entry.classes)
    for name, values, wanted in (
        ("window_weights", entry.window_weights, windows),
        ("window_probabilities", entry.window_probabilities, (*windows, classes)),
    ):
        if values is not None and (not windows or np.shape(values) != wanted):
            raise UserError(
                f"{where}: {name} has shape {np.shape(values)}; give one row a window of [t h w c]."
            )
    for name, got in shapes.items():
        if got != shape[:-1]:
            raise UserError(f"{where}: {name} has shape {got}, the image {shape[:-1]}; they must agree.")


def finite_pair(pair: np.ndarray | None) -> tuple[float, float] | None:
    """Return (row, column) as floats, or None where there is no position or it is not finite."""
    if pair is None or np.shape(pair) != (2,) or not np.all(np.isfinite(pair)):
        return None
    return float(pair[0]), float(pair[1])


def position_error(entry: Entry) -> float | None:
    """Return the distance between predicted and true centre in pixels, where both are known."""
    predicted, truth = finite_pair(entry.position), finite_pair(entry.true_position)
    if predicted is None or truth is None:
        return None
    height, width = entry.image.shape[-3:-1]
    return float(np.hypot((predicted[0] - truth[0]) * height, (predicted[1] - truth[1]) * width))


def verdict(entry: Entry) -> str:
    """Return correct, mistake, false positive or negative (of two classes the second), or unknown."""
    if entry.label is None:
        return "unknown"
    if entry.label == entry.predicted:
        return "correct"
    if len(entry.classes) != 2:
        return "mistake"
    return "false positive" if entry.predicted == 1 else "false negative"
