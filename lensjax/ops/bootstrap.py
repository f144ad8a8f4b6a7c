"""The percentile bootstrap, in NumPy: the one in the project."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lensjax.runtime.errors import UserError
from lensjax.types import Float, Shaped

Interval = tuple[float, float]
NAN = (float("nan"), float("nan"))


def bootstrap(
    statistic: Callable[..., float],
    arrays: tuple[np.ndarray, ...],
    *,
    strata: Shaped[np.ndarray, " n"] | None = None,
    n: int = 1000,
    seed: int | list[int] = 0,
    level: float = 0.95,
) -> Interval:
    """Return the percentile interval of `statistic(*arrays)`, rows drawn within each value of `strata`.

    The rows of all arrays are drawn together. Unreliable for a maximum, such as TPR0.

    Raises:
      UserError: the arrays are not of one length.
    """
    rows = len(arrays[0])
    if any(len(a) != rows for a in arrays) or (strata is not None and len(strata) != rows):
        raise UserError(
            f"arrays of {[len(a) for a in arrays]} rows were given; all, and strata, need as many."
        )
    if rows == 0:
        return NAN
    groups = [np.arange(rows)] if strata is None else [np.flatnonzero(strata == s) for s in np.unique(strata)]
    rng = np.random.default_rng(seed)
    values = np.empty(n)
    for i in range(n):
        take = np.concatenate([rng.choice(group, len(group)) for group in groups])
        values[i] = statistic(*(a[take] for a in arrays))
    return percentiles(values, level)


def percentiles(values: Float[np.ndarray, " n"], level: float = 0.95) -> Interval:
    """Return the central `level` of resampled values, without those that are NaN (undefined there)."""
    values = values[~np.isnan(values)]
    if not values.size:
        return NAN
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)
