"""What explain.py writes besides the page: predictions, maps, scores, and the table of methods."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import softmax

from lensjax.explain import TRIVIAL, bootstrap_interval
from lensjax.inspection.maps import Item, Predicted
from lensjax.inspection.restore import Trained
from lensjax.report.entry import Entry
from lensjax.runtime.errors import UserError


def check_counts(**counts: int) -> None:
    """Chunk and count must be 1 or more, what is shown 0 or more.

    Raises:
      UserError: with the option and its value.
    """
    for name, value in counts.items():
        least = 1 if name in ("chunk", "count", "benchmark_examples") else 0
        if value < least:
            raise UserError(f"--{name.replace('_', '-')} (={value}) must be {least} or more.")


def write_predictions(
    path: Path,
    trained: Trained,
    items: Sequence[Item],
    predicted: Predicted,
    columns: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> None:
    """id, class, probabilities, and the position with its sigma, where there is one.

    Of images in pixels and in arcseconds from the middle; of events time from the trigger, and frequency.
    `columns` [n] come last: how far an ensemble's networks disagree, how far evidence, attention and position
    do (`lensjax.evaluation.disagreement_flag`).
    """
    classes = trained.classes
    positions = ["row", "column", "row_arcsec", "column_arcsec", "sigma_arcsec"]
    if trained.events is not None:
        positions = ["time_s", "frequency_hz", "sigma_time_s", "sigma_octaves"]
    if not trained.has_position:
        positions = []
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "id",
                "source",
                "class",
                *(f"p_{name}" for name in classes),
                *(positions if trained.has_position else ()),
                *columns,
            ]
        )
        for i, item in enumerate(items):
            row = [item.id, item.source, classes[predicted.classes[i]]]
            row += [f"{p:.6f}" for p in predicted.probabilities[i]]
            if predicted.position is not None:
                unknown = np.full(2, np.nan)
                sigma = unknown if predicted.position_sigma is None else predicted.position_sigma[i]
                row += _place(trained, item, predicted.position[i], sigma)
            row += [f"{values[i]:.3f}" for values in columns.values()]
            writer.writerow(row)


def _place(trained: Trained, item: Item, position: np.ndarray, sigma: np.ndarray) -> list[str]:
    """A position and its sigma, fractions (row, column), in the columns of `write_predictions`."""
    if (grid := trained.events) is not None:
        widths = sigma[1] * grid.windows[0], sigma[0] * grid.octaves
        values = (grid.time(float(position[1])), grid.frequency(float(position[0])), *widths)
        return [f"{value:.5f}" for value in values]
    size, scale = np.asarray(item.image.shape[-3:-1]), trained.pixel_scale or np.nan
    width = np.sqrt(np.mean((sigma * size) ** 2)) * scale
    return [f"{v:.4f}" for v in (*(position * size - 0.5), *((position - 0.5) * size * scale), width)]


def prediction_lines(trained: Trained, items: Sequence[Item], predicted: Predicted) -> list[str]:
    """One line an example for a terminal: class, probability, position, and how it was read."""
    lines: list[str] = []
    for i, item in enumerate(items):
        index = predicted.classes[i]
        line = f"{item.id}: {trained.classes[index]} (p = {predicted.probabilities[i, index]:.3f})"
        if predicted.position is not None and (grid := trained.events) is not None:
            row, column = map(float, predicted.position[i])
            line += f", peak at {grid.time(column):+.3f} s from the trigger and {grid.frequency(row):.0f} Hz"
        elif predicted.position is not None and trained.pixel_scale is not None:
            size = np.asarray(item.image.shape[-3:-1])
            down, right = (predicted.position[i] - 0.5) * size * trained.pixel_scale
            line += f', {right:+.2f}" in columns and {down:+.2f}" in rows from the middle'
        lines += [line, *(f"  {note}" for note in item.notes)]
    return lines


def write_maps(path: Path, items: Sequence[Item], maps: dict[str, np.ndarray]) -> None:
    """One array [n *s] a method, raw and signed, and the ids of its rows."""
    arrays: dict[str, Any] = {"id": np.array([item.id for item in items]), **maps}
    np.savez_compressed(path, **arrays)


def write_scores(path: Path, items: Sequence[Item], scores: dict[str, dict[str, np.ndarray]]) -> None:
    """One line an example and method; an example without a true mask has no scores."""
    names = list(next(iter(scores.values())))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "method", *names])
        for method, values in scores.items():
            for i, item in enumerate(items):
                if np.isfinite(values["chance"][i]):
                    writer.writerow([item.id, method, *(f"{values[name][i]:.6f}" for name in names)])


def score_table(scores: dict[str, dict[str, np.ndarray]], seed: int) -> list[dict[str, Any]]:
    """Mean and 95 % bootstrap interval of every score of every method, over examples with a true mask."""
    rows = []
    for method, values in scores.items():
        known = np.isfinite(values["chance"])
        row: dict[str, Any] = {"method": method, "n": int(known.sum())}
        if method in TRIVIAL:
            row["baseline"] = True
        for name, each in values.items():
            if name != "chance":
                interval = bootstrap_interval(jnp.asarray(each[known]), jax.random.key(seed))
                row[name] = tuple(float(value) for value in interval)
        rows.append(row | {"chance": float(values["chance"][known].mean())})
    return rows


def table_lines(rows: Sequence[dict[str, Any]]) -> str:
    """The table for a terminal; trivial maps last, marked by a dot."""
    names = [name for name, value in rows[0].items() if isinstance(value, tuple)]
    lines = [
        f"{'maps against the true masks':30s}" + "".join(f"{name.replace('_', ' '):>26s}" for name in names)
    ]
    for row in sorted(rows, key=lambda row: bool(row.get("baseline"))):
        cells = "".join(
            f"{m:>11.3f} ({low:.3f}–{high:.3f})" for m, low, high in (row[name] for name in names)
        )
        lines.append(f"{('· ' if row.get('baseline') else '') + row['method']:30s}{cells}")
    return "\n".join([*lines, f"chance {rows[0]['chance']:.3f}, n = {rows[0]['n']}, 95 % intervals"])


def entries(
    items: Sequence[Item],
    predicted: Predicted,
    maps: dict[str, np.ndarray],
    scores: dict[str, dict[str, np.ndarray]],
    classes: tuple[str, ...],
) -> list[Entry]:
    """Everything about each example, as the page takes it."""
    each = None if predicted.window_logits is None else softmax(predicted.window_logits, axis=-1)
    weights = predicted.window_weights
    return [
        Entry(
            id=item.id,
            source=item.source,
            image=item.image if item.picture is None else item.picture,
            classes=classes,
            probabilities=predicted.probabilities[i],
            predicted=int(predicted.classes[i]),
            label=item.label,
            mask=item.mask if item.mask is not None and item.mask.any() else None,
            position=None if predicted.position is None else predicted.position[i],
            true_position=item.position,
            position_sigma=None if predicted.position_sigma is None else predicted.position_sigma[i],
            maps={name: values[i] for name, values in maps.items()},
            scores={
                method: {name: float(each[i]) for name, each in values.items() if name != "chance"}
                for method, values in scores.items()
            },
            notes=item.notes,
            kind=item.kind,
            window_weights=None if weights is None else weights[i],
            window_probabilities=None if each is None else each[i],
        )
        for i, item in enumerate(items)
    ]


def curves(trained: Trained) -> dict[str, list[dict[str, Any]]]:
    """The training history, and the ROC of the test split, thinned to what a picture can show."""
    found = {"training": trained.history} if trained.history else {}
    path = trained.workdir / "test_predictions.npz"
    if path.exists() and len(trained.classes) == 2:
        with np.load(path, allow_pickle=False) as test:
            margin, label = test["logits"][:, 1] - test["logits"][:, 0], test["label"]
        order = np.argsort(-margin)
        last_of_tie = np.append(np.diff(margin[order]) != 0, True)
        tpr, fpr = (np.cumsum(label[order] == c)[last_of_tie] / max((label == c).sum(), 1) for c in (1, 0))
        keep = np.unique(np.linspace(0, len(fpr) - 1, 400).astype(int))
        found["test ROC"] = [{"fpr": 0.0, "tpr": 0.0}] + [
            {"fpr": float(fpr[i]), "tpr": float(tpr[i])} for i in keep
        ]
    return found
