"""Compute confidence intervals (low, high): closed forms where they exist, else bootstrap. NaN: undefined."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import expit, logit

from lensjax.evaluation.rank_metrics import (
    auroc,
    auroc_influence,
    average_precision,
    average_precision_influence,
)
from lensjax.ops.bootstrap import NAN, Interval, bootstrap, percentiles
from lensjax.types import Bool, Float

__all__ = [
    "NAN",
    "Interval",
    "Summary",
    "auroc_interval",
    "average_precision_interval",
    "bootstrap",
    "bounds",
    "mean_interval",
    "percentiles",
    "quantile_interval",
    "share",
    "wilson",
]

Columns = Float[np.ndarray, "n c"]
Truths = Bool[np.ndarray, "n c"]
Summary = dict[str, float | int | list[Any]]


def _z(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2)


def wilson(k: float | int, n: float | int, level: float = 0.95) -> Interval:
    """Return the interval of a proportion, `k` of `n`. Wilson 1927, J. Am. Stat. Assoc. 22, 209."""
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no proportion; 0 <= k <= n must hold.")
    if n == 0:
        return NAN
    z2 = _z(level) ** 2
    centre = (k + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (k * (n - k) / n + z2 / 4)) / (n + z2)
    return float(max(centre - half, 0) if k else 0.0), float(min(centre + half, 1) if k < n else 1.0)


def auroc_interval(scores: Columns, positive: Truths, level: float = 0.95) -> Interval:
    """Return DeLong's interval of the mean AUROC of the columns; of one column, of the AUROC."""
    return _rank_interval(auroc, auroc_influence, scores, positive, level)


def average_precision_interval(scores: Columns, positive: Truths, level: float = 0.95) -> Interval:
    """Return the interval of the columns' mean average precision, from the infinitesimal jackknife."""
    return _rank_interval(average_precision, average_precision_influence, scores, positive, level)


def _rank_interval(
    metric: Callable[..., float],
    influence: Callable[..., np.ndarray],
    scores: Columns,
    positive: Truths,
    level: float,
) -> Interval:
    """Return the normal interval on the logit scale.

    The columns rank the same examples: influences are added, then squared.

    Where the variance comes out 0 (perfect or constant scores) the bound A(1 − A)/min(positives, negatives)
    on that of an AUROC stands in (Birnbaum & Klose 1957, Ann. Math. Stat. 28, 933), as a Wilson interval.
    """
    columns = [c for c in range(positive.shape[1]) if 0 < positive[:, c].sum() < len(positive)]
    if not columns:
        return NAN
    value = float(np.mean([metric(scores[:, c], positive[:, c]) for c in columns]))
    each = np.mean([influence(scores[:, c], positive[:, c]) for c in columns], axis=0)
    sigma = np.sqrt(np.sum(each**2))
    if not sigma > 1e-12 or not 0 < value < 1:
        counts = positive[:, columns].sum(axis=0)
        fewest = int(np.minimum(counts, len(positive) - counts).min())
        return wilson(value * fewest, fewest, level)
    half = _z(level) * sigma / (value * (1 - value))
    return float(expit(logit(value) - half)), float(expit(logit(value) + half))


def quantile_interval(values: Float[np.ndarray, " n"], q: float, level: float = 0.95) -> Interval:
    """Return the distribution-free interval of the `q`-quantile; NaN where there are too few values."""
    if not len(values):
        return NAN
    low, high = stats.quantile_test(values, p=q).confidence_interval(level)
    return float(low), float(high)


def mean_interval(values: Float[np.ndarray, " n"], level: float = 0.95) -> Interval:
    """Return Student's interval of the mean of a few independent values, such as differences seed by seed."""
    n = len(values)
    if n < 2:
        return NAN
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(n))
    if error == 0:
        return mean, mean
    low, high = stats.t.interval(level, n - 1, mean, error)
    return float(low), float(high)


def bounds(name: str, value: float, interval: Interval) -> Summary:
    """Return `{name, name_low, name_high}` of a summary."""
    return {name: float(value), f"{name}_low": interval[0], f"{name}_high": interval[1]}


def share(name: str, inside: Bool[np.ndarray, " n"]) -> Summary:
    """Return the fraction that is True, with its Wilson interval."""
    k, n = int(inside.sum()), inside.size
    return bounds(name, k / n if n else float("nan"), wilson(k, n))
