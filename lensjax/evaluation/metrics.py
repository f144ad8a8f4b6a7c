"""Compute metrics of a whole evaluation set, and summaries with 95 % intervals for `summary.json`.

Keys with "error" in them are better when lower. Pass no padding: drop such
rows first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, softmax

from lensjax.evaluation import intervals, rank_metrics
from lensjax.evaluation.intervals import Summary, bounds
from lensjax.evaluation.position_metrics import event_position_summary, position_errors, position_summary
from lensjax.evaluation.rank_metrics import auroc, average_precision, tpr_at_false_positives, tpr_at_fpr
from lensjax.types import Float, Int

__all__ = [
    "accuracy",
    "auroc",
    "average_precision",
    "brier",
    "class_errors",
    "class_scores",
    "classification_summary",
    "confusion",
    "event_position_summary",
    "expected_calibration_error",
    "f1",
    "macro_f1",
    "position_errors",
    "position_summary",
    "tpr_at_false_positives",
    "tpr_at_fpr",
]

CLASS_METRICS = ("auroc", "average_precision", "accuracy", "macro_f1", "calibration_error", "brier_error")
TWO_CLASS_METRICS = ("f1", "tpr0", "tpr10", "tpr_at_fpr_1e-3", "tpr_at_fpr_1e-4")
"""Further metrics for two classes, besides CLASS_METRICS."""


def class_scores(logits: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    """Return the log odds of each class against the rest, in float64; of two classes exactly
    the difference of the logits.

    Raises:
      UserError: a logit is not finite.
      ValueError: fewer than two classes.
    """
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise ValueError(
            f"logits have shape {logits.shape}; rows of at least two classes, [n k], are needed."
        )
    rank_metrics.check_finite(logits, "rows of logits")
    logits = logits.astype(np.float64)
    rest = [logsumexp(np.delete(logits, c, axis=1), axis=1) for c in range(logits.shape[1])]
    return logits - np.stack(rest, axis=1)


def confusion(
    predicted: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"], k: int
) -> Int[np.ndarray, "{k} {k}"]:
    """Count [true, predicted]. Raises ValueError for a class outside 0 … k − 1."""
    for name, values in (("predictions", predicted), ("labels", labels)):
        if values.size and not 0 <= values.min() <= values.max() < k:
            raise ValueError(f"{name} lie in {values.min()} … {values.max()}; {k} classes are 0 … {k - 1}.")
    return np.bincount(labels.astype(int) * k + predicted, minlength=k * k).reshape(k, k)


def accuracy(counts: Int[np.ndarray, "*b k k"]) -> Float[np.ndarray, "*b"]:
    """Return the fraction of examples on the diagonal of a confusion matrix."""
    return _ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum((-2, -1)))


def f1(counts: Int[np.ndarray, "*b k k"]) -> Float[np.ndarray, "*b k"]:
    """Return F1 of each class, 2 TP / (2 TP + FP + FN); NaN for a class neither present nor predicted."""
    return _ratio(2 * np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1) + counts.sum(-2))


def macro_f1(counts: Int[np.ndarray, "*b k k"]) -> Float[np.ndarray, "*b"]:
    """Return the mean F1 of the classes present or predicted."""
    each = f1(counts)
    return _ratio(np.nansum(each, axis=-1), np.sum(~np.isnan(each), axis=-1))


def _ratio(top: ArrayLike, bottom: ArrayLike) -> np.ndarray:
    top, bottom = np.asarray(top, np.float64), np.asarray(bottom)
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom != 0)


def expected_calibration_error(
    probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"], bins: int = 15
) -> float:
    """Return the mean |accuracy − confidence| of the top class in equal bins (Guo et al. 2017)."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gap = np.bincount(place, weights=right - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(labels)) if len(labels) else float("nan")


def brier(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> float:
    """Return the mean over examples of ½ Σ_k (p_k − y_k)²: 0 to 1; (p − y)² for two classes. Brier 1950."""
    truth = labels[:, None] == np.arange(probabilities.shape[1])
    squares = np.sum((probabilities.astype(np.float64) - truth) ** 2, axis=1) / 2
    return float(squares.mean()) if len(labels) else float("nan")


def classification_summary(
    logits: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"], classes: Sequence[str], *, seed: int = 0
) -> Summary:
    """Return every classification metric, with `_low` and `_high` where there is an interval.

    Two classes: AUROC, average precision, TPR0, TPR10 and TPR at fixed FPR of class 1 against class 0, and
    `f1` of class 1. More: AUROC and average precision are one-vs-rest means. `*_per_class` and `confusion`
    (rows are the truth) follow `classes`.

    Raises:
      UserError: a logit is not finite.
      ValueError: no rows, or labels or classes that do not match the logits.
    """
    k = len(classes)
    if logits.shape != (len(labels), k) or len(labels) == 0:
        raise ValueError(
            f"logits {logits.shape} for {len(labels)} labels and {k} classes; [n k] with n > 0 is needed."
        )
    scores = class_scores(logits)
    counts = confusion(logits.argmax(axis=1), labels, k)
    probabilities = softmax(logits.astype(np.float64), axis=1)
    rng = np.random.default_rng(seed)
    resampled = rng.multinomial(len(labels), counts.ravel() / len(labels), size=1000).reshape(-1, k, k)
    right = int(np.trace(counts))

    per_class = f1(counts)
    summary = _rank_summary(scores, labels)
    summary |= bounds("accuracy", right / len(labels), intervals.wilson(right, len(labels)))
    summary |= bounds("macro_f1", float(macro_f1(counts)), intervals.percentiles(macro_f1(resampled)))
    if k == 2:
        summary |= bounds("f1", per_class[1], intervals.percentiles(f1(resampled)[:, 1]))
    return summary | {
        "calibration_error": expected_calibration_error(probabilities, labels),
        "brier_error": brier(probabilities, labels),
        "n": len(labels),
        "n_per_class": counts.sum(axis=1).tolist(),
        "f1_per_class": per_class.tolist(),
        "confusion": counts.tolist(),
        "classes": list(classes),
    }


def class_errors(
    name: str, logits: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"], classes: Sequence[str]
) -> Summary:
    """Count the missed examples of one class: of how many, the rate with its Wilson interval, taken for what.

    Empty where there is no such class.
    """
    if name not in classes:
        return {}
    index, key = list(classes).index(name), name.lower()
    said = logits[labels == index].argmax(axis=1)
    errors = int((said != index).sum())
    summary: Summary = {f"{key}_n": len(said), f"{key}_errors": errors}
    if len(said):
        rate, interval = errors / len(said), intervals.wilson(errors, len(said))
        summary |= bounds(f"{key}_error_rate", rate, interval)
    named = {classes[c]: int((said == c).sum()) for c in np.unique(said) if c != index}
    return summary | {f"{key}_taken_for": [f"{count} {other}" for other, count in named.items()]}


def _rank_summary(scores: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> Summary:
    k = scores.shape[1]
    columns = [1] if k == 2 else list(range(k))
    ranks = scores[:, columns]
    positive = labels[:, None] == np.array(columns)
    areas = [auroc(ranks[:, c], positive[:, c]) for c in range(len(columns))]
    precisions = [average_precision(ranks[:, c], positive[:, c]) for c in range(len(columns))]
    summary = bounds("auroc", _mean(areas), intervals.auroc_interval(ranks, positive))
    precision_interval = intervals.average_precision_interval(ranks, positive)
    summary |= bounds("average_precision", _mean(precisions), precision_interval)
    if k > 2:
        return summary | {"auroc_per_class": areas}
    score, n_positive = ranks[:, 0], int(positive.sum())
    thresholds = {
        "tpr0": rank_metrics.threshold_at_false_positives(score, labels, 0),
        "tpr10": rank_metrics.threshold_at_false_positives(score, labels, 10),
        "tpr_at_fpr_1e-3": rank_metrics.threshold_at_fpr(score, labels, 1e-3),
        "tpr_at_fpr_1e-4": rank_metrics.threshold_at_fpr(score, labels, 1e-4),
    }
    for name, threshold in thresholds.items():
        tpr = rank_metrics.tpr_above(score, labels, threshold)
        # At a fixed threshold: resampling says nothing reliable about a maximum.
        wilson = intervals.NAN if np.isnan(tpr) else intervals.wilson(round(tpr * n_positive), n_positive)
        summary |= bounds(name, tpr, wilson)
    return summary | {"n_positive": n_positive, "n_negative": len(labels) - n_positive}


def _mean(values: list[float]) -> float:
    defined = [v for v in values if not np.isnan(v)]
    return float(np.mean(defined)) if defined else float("nan")
