"""Exact metrics of a ranking: a score per example, 1 for a lens (positive) and 0 for a non-lens (negative).

All work on whole evaluation sets, in float64, with ties handled; NaN where a metric is undefined. Rank logit
differences (`lensjax.evaluation.metrics.class_scores`), never probabilities: those saturate, and ties make
TPR0 zero.
"""

from __future__ import annotations

import numpy as np

from lensjax.runtime.errors import UserError
from lensjax.types import Float, Num, Shaped

Scores = Num[np.ndarray, " n"]
Labels = Shaped[np.ndarray, " n"]  # 0 and 1, or bool


def check_finite(values: np.ndarray, what: str) -> None:
    """Raise a UserError that counts the rows of `values` which are not finite and names the first few."""
    bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
    if bad.size:
        rows = ", ".join(map(str, bad[:10])) + (", …" if bad.size > 10 else "")
        raise UserError(f"{bad.size} of {len(values)} {what} are not finite; look at rows {rows} first.")


def split(scores: Scores, labels: Labels) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " m"]]:
    """Return the scores of the positives and of the negatives, each sorted upwards.

    Raises:
      UserError: a score is not finite.
      ValueError: shapes differ, or a label is neither 0 nor 1.
    """
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise ValueError(
            f"scores {scores.shape} and labels {labels.shape} must be one row of the same length."
        )
    check_finite(scores, "scores")
    positive = labels == 1
    if not (positive | (labels == 0)).all():
        raise ValueError(
            f"labels hold {np.unique(labels)[:5]}; a ranking needs 0 (negative) and 1 (positive)."
        )
    scores = scores.astype(np.float64)
    return np.sort(scores[positive]), np.sort(scores[~positive])


def placements(values: Scores, others: Num[np.ndarray, " m"]) -> Float[np.ndarray, " n"]:
    """Return the fraction of `others` (sorted) below each value, ties counted half."""
    twice = np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")
    return twice / (2 * len(others))


def auroc(scores: Scores, labels: Labels) -> float:
    """Return the probability that a positive ranks above a negative, over all pairs, ties counted half."""
    positives, negatives = split(scores, labels)
    if not (positives.size and negatives.size):
        return float("nan")
    twice = sum(int(np.searchsorted(negatives, positives, side).sum()) for side in ("left", "right"))
    return twice / (2 * positives.size * negatives.size)


def auroc_influence(scores: Scores, labels: Labels) -> Float[np.ndarray, " n"]:
    """Return what each example adds to the deviation of the AUROC from its mean.

    The sum of squares is the variance; NaN with fewer than two of a class. DeLong, DeLong & Clarke-Pearson
    1988, Biometrics 44, 837.
    """
    positives, negatives = split(scores, labels)
    p, n = positives.size, negatives.size
    if min(p, n) < 2:
        return np.full(len(scores), np.nan)
    area = auroc(scores, labels)
    above = (placements(scores, negatives) - area) / np.sqrt(p * (p - 1))
    below = (1 - placements(scores, positives) - area) / np.sqrt(n * (n - 1))
    return np.where(labels == 1, above, below)


def average_precision(scores: Scores, labels: Labels) -> float:
    """Return Σ (R_i − R_{i−1}) P_i over the distinct thresholds from high to low, tied scores as one step."""
    _, hits, true, false = _steps(scores, labels)
    return float(np.sum(hits * true / (true + false)) / hits.sum()) if hits.any() else float("nan")


def average_precision_influence(scores: Scores, labels: Labels) -> Float[np.ndarray, " n"]:
    """Return, as `auroc_influence`, the derivative by each example's weight, less its class mean.

    Infinitesimal jackknife, Efron 1981, Biometrika 68, 589; NaN with fewer than two of a class.
    """
    place, hits, true, false = _steps(scores, labels)
    influence = np.full(len(scores), np.nan)
    if min(true[-1:].sum(), false[-1:].sum()) < 2:
        return influence
    # An example enters the counts at its own threshold and at every lower one.
    raises = np.cumsum((hits * false / (true + false) ** 2)[::-1])[::-1]
    lowers = np.cumsum((hits * true / (true + false) ** 2)[::-1])[::-1]
    for label, slope in ((1, true / (true + false) + raises), (0, -lowers)):
        mine = labels == label
        deviation = slope[place[mine]] - slope[place[mine]].mean()
        influence[mine] = deviation / hits.sum() * np.sqrt(mine.sum() / (mine.sum() - 1))
    return influence


def _steps(scores: Scores, labels: Labels) -> tuple[np.ndarray, ...]:
    """Return each example's threshold; from high to low: positives there, true and false positives."""
    split(scores, labels)
    values, place = np.unique(-scores.astype(np.float64), return_inverse=True)
    hits = np.bincount(place, weights=labels == 1, minlength=len(values))
    misses = np.bincount(place, weights=labels == 0, minlength=len(values))
    return place, hits, np.cumsum(hits), np.cumsum(misses)


def threshold_at_false_positives(scores: Scores, labels: Labels, n: int) -> float:
    """Return the `n`-th highest negative score, duplicates counted (`n = 0`: the highest); else NaN.

    Strictly above it lie fewer than `n` negatives (none for `n = 0`).
    """
    if n < 0:
        raise ValueError(f"{n} false positives were asked for; give 0 or more.")
    _, negatives = split(scores, labels)
    rank = max(n, 1)
    return float(negatives[-rank]) if negatives.size >= rank else float("nan")


def threshold_at_fpr(scores: Scores, labels: Labels, fpr: float) -> float:
    """Return the lowest threshold with at most a fraction `fpr` of the negatives strictly above it.

    −inf where every negative may pass; NaN with fewer than 1/fpr negatives, which cannot resolve the rate.
    """
    if not 0 <= fpr <= 1:
        raise ValueError(f"a false positive rate of {fpr} was asked for; give a fraction from 0 to 1.")
    negatives = int(np.sum(labels == 0))
    allowed = int(np.floor(fpr * negatives * (1 + 1e-12)))  # 0.29 · 100 is a hair below 29
    if not negatives or (fpr > 0 and not allowed):
        return float("nan")
    return threshold_at_false_positives(scores, labels, allowed + 1) if allowed < negatives else -np.inf


def tpr_above(scores: Scores, labels: Labels, threshold: float) -> float:
    """Return the fraction of positives strictly above a threshold; one tied with it does not count."""
    positives, _ = split(scores, labels)
    return (
        float(np.mean(positives > threshold)) if positives.size and not np.isnan(threshold) else float("nan")
    )


def tpr_at_false_positives(scores: Scores, labels: Labels, n: int) -> float:
    """Return TPR0 (`n = 0`), before any false positive; TPR10, with fewer than ten.

    Metcalf et al. 2019, A&A 625, A119. State the number of negatives with it; NaN where that is below `n`.
    """
    return tpr_above(scores, labels, threshold_at_false_positives(scores, labels, n))


def tpr_at_fpr(scores: Scores, labels: Labels, fpr: float) -> float:
    """Return the highest TPR at a false positive rate up to `fpr`; NaN with fewer than 1/fpr negatives."""
    return tpr_above(scores, labels, threshold_at_fpr(scores, labels, fpr))
