"""Confidence intervals, (low, high): closed forms where they exist, else the bootstrap. NaN: undefined."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy.special import bdtr, expit, logit

from lensjax.ranking import auroc, auroc_influence
from lensjax.shapes import Bool, Float, Shaped

Interval = tuple[float, float]
Summary = dict[str, float | int | list[Any]]
NAN = (float("nan"), float("nan"))


def _z(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2)


def wilson(k: float | int, n: float | int, level: float = 0.95) -> Interval:
    """Interval of a proportion, `k` of `n`. Wilson 1927, J. Am. Stat. Assoc. 22, 209."""
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no proportion; 0 <= k <= n must hold.")
    if n == 0:
        return NAN
    z2 = _z(level) ** 2
    centre = (k + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (k * (n - k) / n + z2 / 4)) / (n + z2)
    return float(max(centre - half, 0) if k else 0.0), float(min(centre + half, 1) if k < n else 1.0)


def auroc_interval(
    scores: Float[np.ndarray, "n c"], positive: Bool[np.ndarray, "n c"], level: float = 0.95
) -> Interval:
    """DeLong interval of the mean AUROC of the columns (one: the AUROC), formed on the logit scale.

    The columns rank the same examples, so their influences are added before squaring. Where the variance
    comes out 0 (perfect or constant scores) its upper bound A(1 − A)/min(positives, negatives) stands in
    (Birnbaum & Klose 1957, Ann. Math. Stat. 28, 933), as a Wilson interval.
    """
    columns = [c for c in range(positive.shape[1]) if 0 < positive[:, c].sum() < len(positive)]
    if not columns:
        return NAN
    area = float(np.mean([auroc(scores[:, c], positive[:, c]) for c in columns]))
    influence = np.mean([auroc_influence(scores[:, c], positive[:, c]) for c in columns], axis=0)
    sigma = np.sqrt(np.sum(influence**2))
    if not sigma > 0 or not 0 < area < 1:
        counts = positive[:, columns].sum(axis=0)
        fewest = int(np.minimum(counts, len(positive) - counts).min())
        return wilson(area * fewest, fewest, level)
    half = _z(level) * sigma / (area * (1 - area))
    return float(expit(logit(area) - half)), float(expit(logit(area) + half))


def quantile_interval(values: Float[np.ndarray, " n"], q: float, level: float = 0.95) -> Interval:
    """Distribution-free interval of the `q`-quantile from order statistics; NaN where `n` is too small.

    The number of values below the quantile is binomial(n, q).
    """
    n = len(values)
    cumulative = bdtr(np.arange(n + 1.0), n, q)
    low = int(np.searchsorted(cumulative, 0.5 - level / 2, "right")) - 1
    high = int(np.searchsorted(cumulative, 0.5 + level / 2, "left"))
    ordered = np.sort(values)
    return (
        float(ordered[low]) if 0 <= low < n else float("nan"),
        float(ordered[high]) if high < n else float("nan"),
    )


def bootstrap(
    statistic: Callable[..., float],
    arrays: tuple[np.ndarray, ...],
    *,
    strata: Shaped[np.ndarray, " n"] | None = None,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap of `statistic(*arrays)`: rows are drawn together, within each value of `strata`.

    Rows keep their order, so a statistic that sorts is quick on sorted arrays. No use for a maximum (TPR0).
    """
    rows = len(arrays[0])
    if any(len(a) != rows for a in arrays) or (strata is not None and len(strata) != rows):
        raise ValueError(
            f"arrays of {[len(a) for a in arrays]} rows were given; all, and strata, need as many."
        )
    if rows == 0:
        return NAN
    groups = [np.arange(rows)] if strata is None else [np.flatnonzero(strata == s) for s in np.unique(strata)]
    rng = np.random.default_rng(seed)
    values = np.empty(n)
    for i in range(n):
        drawn = np.zeros(rows, int)
        for group in groups:
            drawn[group] = np.bincount(rng.integers(len(group), size=len(group)), minlength=len(group))
        take = np.repeat(np.arange(rows), drawn)
        values[i] = statistic(*(a[take] for a in arrays))
    return percentiles(values, level)


def percentiles(values: Float[np.ndarray, " n"], level: float = 0.95) -> Interval:
    """The central `level` of resampled values, without those that are NaN (undefined there)."""
    values = values[~np.isnan(values)]
    if not values.size:
        return NAN
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def bounds(name: str, value: float, interval: Interval) -> Summary:
    """`{name, name_low, name_high}` of a summary."""
    return {name: float(value), f"{name}_low": interval[0], f"{name}_high": interval[1]}


def share(name: str, inside: Bool[np.ndarray, " n"]) -> Summary:
    """The fraction that is True, with its Wilson interval."""
    k, n = int(inside.sum()), inside.size
    return bounds(name, k / n if n else float("nan"), wilson(k, n))
