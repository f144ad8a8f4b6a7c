"""Write the files of explain.py other than the page: predictions, maps, scores, the table of methods."""

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


def write_predictions(
    path: Path,
    trained: Trained,
    items: Sequence[Item],
    predicted: Predicted,
    columns: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> None:
    """Write id, class, probabilities, and the position with its sigma, where there is one.

    Of images the position is in pixels and in arcseconds from the middle; of events it is the time from the
    trigger, and the frequency. `columns` [n] come last: how far an ensemble's networks disagree, how far
    evidence, attention and position are apart (`lensjax.evaluation.disagreement_flag`).
    """
    classes, domain = trained.classes, trained.domain
    places = domain.position_columns if trained.has_position else ()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "source", "class", *(f"p_{name}" for name in classes), *places, *columns])
        for i, item in enumerate(items):
            row = [item.id, item.source, classes[predicted.classes[i]]]
            row += [f"{p:.6f}" for p in predicted.probabilities[i]]
            if predicted.position is not None:
                unknown = np.full(2, np.nan)
                sigma = unknown if predicted.position_sigma is None else predicted.position_sigma[i]
                row += domain.position_values(predicted.position[i], sigma, item.image.shape)
            row += [f"{values[i]:.3f}" for values in columns.values()]
            writer.writerow(row)


def prediction_lines(trained: Trained, items: Sequence[Item], predicted: Predicted) -> list[str]:
    """Say class, probability, position of each example, and how it was read, for a terminal."""
    lines: list[str] = []
    for i, item in enumerate(items):
        index = predicted.classes[i]
        line = f"{item.id}: {trained.classes[index]} (p = {predicted.probabilities[i, index]:.3f})"
        if predicted.position is not None:
            line += f", {trained.domain.position_text(predicted.position[i], item.image.shape)}"
        lines += [line, *(f"  {note}" for note in item.notes)]
    return lines


def write_maps(path: Path, items: Sequence[Item], maps: dict[str, np.ndarray]) -> None:
    """Write one array [n *s] a method, raw and signed, and the ids of its rows."""
    arrays: dict[str, Any] = {"id": np.array([item.id for item in items]), **maps}
    np.savez_compressed(path, **arrays)


def write_scores(path: Path, items: Sequence[Item], scores: dict[str, dict[str, np.ndarray]]) -> None:
    """Write one line an example and method; an example without a true mask has no scores."""
    names = list(next(iter(scores.values())))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "method", *names])
        for method, values in scores.items():
            for i, item in enumerate(items):
                if np.isfinite(values["chance"][i]):
                    writer.writerow([item.id, method, *(f"{values[name][i]:.6f}" for name in names)])


def score_table(scores: dict[str, dict[str, np.ndarray]], seed: int) -> list[dict[str, Any]]:
    """Return mean and 95 % bootstrap interval of all scores, over examples with a true mask."""
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
    """Format the table for a terminal; trivial maps last, marked by a dot."""
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
    """Collect everything about each example, as the page takes it."""
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
    """Return the training history, and the ROC of the test split, thinned to what a picture can show."""
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
