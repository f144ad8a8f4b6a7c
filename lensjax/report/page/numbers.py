"""View of the run in numbers: headlines as tiles, the confusion matrix, everything else in a table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lensjax.report.page.filters import fraction, interval, number
from lensjax.report.page.scores import view_bar

# Tiles, in this order where a summary has them: name → (label, unit, what it means).
HEADLINES = {
    "auroc": ("AUROC", "", "chance that a positive outranks a negative; 0.5 is guessing"),
    "tpr0": ("TPR0", "", "positives found before the first false positive"),
    "tpr10": ("TPR10", "", "positives found before the tenth false positive"),
    "average_precision": ("Average precision", "", "precision averaged over recall"),
    "macro_f1": ("Macro F1", "", "F1 averaged over classes"),
    "position_error_median_arcsec": ("Median position error", "″", "predicted against true centre"),
    "position_error_median_pixels": ("Median position error", " px", "predicted against true centre"),
    "calibration_error": ("Calibration error", "", "gap between confidence and accuracy"),
    "n_negative": (
        "Negatives tested",
        "",
        "a rate of false positives below one in this many is not measured",
    ),
    "parameters": ("Parameters", "", "trained numbers in the network"),
    "epochs": ("Epochs", "", "passes over the training set"),
    "seconds_per_epoch": ("Seconds an epoch", "", "wall clock"),
}
MANY = {
    "accuracy": ("Accuracy", "", "share of held-out examples whose class is right"),
    "macro_f1": HEADLINES["macro_f1"],
    "peak_time_error_median_ms": ("Median error of the peak time", " ms", "half of all events are closer"),
    "peak_frequency_error_median_octaves": (
        "Median error of the peak frequency",
        " oct.",
        "half of all events are closer",
    ),
} | {name: HEADLINES[name] for name in ("calibration_error", "parameters", "epochs", "seconds_per_epoch")}
"""The tiles where there are more than two classes."""
IN_THE_MATRIX = ("confusion", "classes", "n_per_class", "f1_per_class")


def view_numbers(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return headline numbers as tiles, and the others as (name, value, ends of its interval)."""
    flat = flatten_summary(summary)
    many = has_many_classes(summary)
    # With arcseconds given, pixels go to the table.
    hidden = {"position_error_median_pixels"} if _find(flat, "position_error_median_arcsec") else set()
    rest = {k: v for k, v in flat.items() if not (many and _leaf(k) in IN_THE_MATRIX)}
    tiles = []
    for name, (label, unit, text) in (MANY if many else HEADLINES).items():
        key = _find(flat, name)
        if key is not None and name not in hidden and isinstance(flat[key], (int, float, tuple)):
            value = rest.pop(key)
            tiles.append(_view_tile(label, unit, _compare_to_centre(flat, key, unit) or text, value))
    if many and (chirps := _view_chirps(flat)):
        tiles.insert(2, chirps)
    return {"tiles": tiles, "others": [(name, *_view_value(value)) for name, value in rest.items()]}


def flatten_summary(summary: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Join nested names by dots; `x`, `x_low`, `x_high` and {mean, low, high} become triples."""
    flat: dict[str, Any] = {}
    for name, value in summary.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            triple = interval(value) if {"low", "high"} <= set(value) else None
            flat |= {key: triple} if triple else flatten_summary(value, f"{key}.")
        elif str(name).endswith(("_low", "_high")) and str(name).rpartition("_")[0] in summary:
            continue
        elif f"{name}_low" in summary and f"{name}_high" in summary:
            ends = (value, summary[f"{name}_low"], summary[f"{name}_high"])
            flat[key] = tuple(math.nan if v is None else v for v in ends)
        else:
            flat[key] = value
    return flat


def find_confusion(summary: Mapping[str, Any]) -> tuple[np.ndarray, list[str]] | None:
    """Return (counts [true, said], classes) of the test split, else of wherever there are some."""
    nested = [v for v in (summary.get("test"), summary, *summary.values()) if isinstance(v, Mapping)]
    for part in nested:
        counts, classes = part.get("confusion"), part.get("classes")
        if counts is not None and classes is not None and np.shape(counts) == (len(classes),) * 2:
            return np.asarray(counts, int), list(classes)
    return None


def has_many_classes(summary: Mapping[str, Any]) -> bool:
    """Return whether the run tells more than two classes apart."""
    found = find_confusion(summary)
    return found is not None and len(found[1]) > 2


def score_classes(counts: np.ndarray) -> list[dict[str, Any]]:
    """Return a row a class: n, recall with its Wilson interval, precision, F1; NaN where undefined."""
    from lensjax.evaluation.intervals import wilson  # here, because it imports jax

    right, true, said = (v.tolist() for v in (np.diag(counts), counts.sum(1), counts.sum(0)))

    def ratio(top: int, bottom: int) -> float:
        return top / bottom if bottom else math.nan

    return [
        {
            "n": true[k],
            "recall": (ratio(right[k], true[k]), *wilson(right[k], true[k])),
            "precision": ratio(right[k], said[k]),
            "f1": ratio(2 * right[k], true[k] + said[k]),
        }
        for k in range(len(counts))
    ]


def view_confusion(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the confusion matrix with each class's scores at the end of its row; None for two classes."""
    found = find_confusion(summary)
    if found is None or len(found[1]) <= 2:
        return None
    counts, classes = found
    rows = score_classes(counts)
    for row in rows:
        row["bar"] = view_bar(*row["recall"]) if row["n"] else None
    return {"classes": classes, "counts": counts.tolist(), "rows": rows}


def _view_tile(label: str, unit: str, text: str, value: Any) -> dict[str, str]:
    triple = value if isinstance(value, tuple) else (value, math.nan, math.nan)
    known = triple[0] is not None and math.isfinite(triple[0])
    has_ends = math.isfinite(triple[1]) and math.isfinite(triple[2])
    return {
        "label": label,
        "value": f"{number(triple[0])}{unit}" if known else "not defined",
        "ends": f"{number(triple[1])} – {number(triple[2])}{unit}" if has_ends else "",
        "text": text,
    }


def _compare_to_centre(flat: Mapping[str, Any], key: str, unit: str) -> str:
    """Return, under the error of a peak, that of a constant prediction at the trigger."""
    value = interval(flat.get(key.replace("peak_", "centre_"))) if "peak_" in key else None
    if value is None or not math.isfinite(value[0]):
        return ""
    return f"against {number(value[0])}{unit} of a constant prediction at the image centre"


def _view_chirps(flat: Mapping[str, Any]) -> dict[str, str] | None:
    """Return a tile of the missed chirps: how many of how many, the rate's interval, and for what."""
    found = {_leaf(k): v for k, v in flat.items() if _leaf(k).startswith("chirp_")}
    errors, n = found.get("chirp_errors"), found.get("chirp_n")
    if not isinstance(errors, int) or not isinstance(n, int) or n == 0:
        return None
    rate = interval(found.get("chirp_error_rate")) or (errors / n, math.nan, math.nan)
    low, high = (found.get(f"chirp_error_rate_{end}", v) for end, v in (("low", rate[1]), ("high", rate[2])))
    taken = ", ".join(map(str, found.get("chirp_taken_for") or ()))
    return {
        "label": "Chirps missed",
        "value": f"{number(errors)} of {number(n)}",
        "ends": f"rate {fraction(low)} – {fraction(high)}" if math.isfinite(low + high) else "",
        "text": f"taken for: {taken}" if taken else "chirps said to be something else",
    }


def _view_value(value: Any) -> tuple[str, str]:
    """Return a value and, where it has one, its interval."""
    if isinstance(value, tuple) and len(value) == 3 and interval(value):
        return number(value[0]), f"{number(value[1])} – {number(value[2])}"
    if isinstance(value, (list, tuple)):
        rows = (
            f"[{', '.join(map(number, v))}]" if isinstance(v, (list, tuple)) else number(v) for v in value
        )
        return ", ".join(rows), ""
    return (number(value) if value is not None else "–"), ""


def _find(flat: Mapping[str, Any], name: str) -> str | None:
    return next((key for key in flat if _leaf(key) == name), None)


def _leaf(key: str) -> str:
    return key.split(".")[-1]
