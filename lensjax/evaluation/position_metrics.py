"""Compute position errors in physical units, and those of a constant prediction at the image centre."""

from __future__ import annotations

import numpy as np

from lensjax.evaluation import intervals, rank_metrics
from lensjax.evaluation.intervals import Summary, bounds, share
from lensjax.event_axes import EventGrid
from lensjax.types import Bool, Float, Num

QUANTILES = {"median": 0.5, "p90": 0.9}
SKY_METRICS = (
    *(
        f"{g}_error_{q}_{unit}"
        for g in ("position", "centre")
        for q in QUANTILES
        for unit in ("pixels", "arcsec")
    ),
    *(f"{g}_recall_half_theta_e" for g in ("position", "centre")),
    *(f"position_coverage_{n}sigma" for n in (1, 2)),
)
"""Metrics of `position_summary`."""
EVENT_METRICS = (
    *(f"{g}_time_error_{q}_ms" for g in ("peak", "centre") for q in QUANTILES),
    *(f"{g}_frequency_error_{q}_octaves" for g in ("peak", "centre") for q in QUANTILES),
    *(f"position_coverage_{n}sigma" for n in (1, 2)),
)
"""Metrics of `event_position_summary`."""


def position_errors(
    predicted: Float[np.ndarray, "n d"],
    true: Float[np.ndarray, "n d"],
    valid: Bool[np.ndarray, " n"],
    shape: tuple[int, ...],
    pixel_scale: float,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return distances in pixels and in arcsec between positions given as fractions of an image of `shape`.

    NaN where `valid` is False or there is no true position.
    """
    if len(shape) != predicted.shape[1]:
        raise ValueError(f"positions have {predicted.shape[1]} coordinates but the image shape is {shape}.")
    difference = (predicted.astype(np.float64) - true) * np.array(shape)
    pixels = np.where(valid, np.sqrt(np.sum(difference**2, axis=1)), np.nan)
    return pixels, pixels * pixel_scale


def centroids(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n 2"]:
    """Return the mean place, as fractions, of what of each map exceeds its median; else the centre.

    The median, because a gate is nowhere 0: the centroid of all its positive part lies near the centre.
    """
    weights = np.maximum(maps - np.median(maps, axis=(1, 2), keepdims=True), 0).astype(np.float64)
    total = weights.sum((1, 2), keepdims=True)
    weights = np.where(total > 0, weights / np.where(total > 0, total, 1), 1 / weights[0].size)
    row, column = ((np.arange(n) + 0.5) / n for n in maps.shape[1:])
    return np.stack([weights.sum(2) @ row, weights.sum(1) @ column], axis=1)


def peaks(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n 2"]:
    """Return the place of the maximum, as fractions; of tied maxima their mean."""
    return centroids((maps == maps.max((1, 2), keepdims=True)).astype(np.float32))


def position_summary(
    predicted: Float[np.ndarray, "n d"],
    true: Float[np.ndarray, "n d"],
    valid: Bool[np.ndarray, " n"],
    shape: tuple[int, ...],
    pixel_scale: float,
    *,
    sigma: Float[np.ndarray, "n d"] | None = None,
    theta_e: Num[np.ndarray, " n"] | None = None,
) -> Summary:
    """Return median and 90th percentile of the position error, and of a constant prediction at the centre.

    `theta_e` (arcsec) adds the recall within half an Einstein radius; `sigma` (fractions) the share of truths
    within 1 and 2 predicted sigma, 39.3 % and 86.5 % for an honest sigma in 2D (all NaN: there is none).
    For the lenses detected at a threshold only, pass `valid & (score > threshold)`.

    Raises:
      UserError: a prediction (or its sigma) for a known true position is not finite.
    """
    known = valid & np.isfinite(true).all(axis=1)
    rows = known[:, None]
    rank_metrics.check_finite(np.where(rows, predicted, 0), "predicted positions")
    centre = np.full_like(predicted, 0.5)
    summary: Summary = {"position_n": int(known.sum())}
    for name, guess in (("position", predicted), ("centre", centre)):
        pixels, arcsec = position_errors(guess, true, known, shape, pixel_scale)
        summary |= _error_quantiles(f"{name}_error", pixels[known], pixel_scale)
        if theta_e is not None:
            has_ring = known & np.isfinite(theta_e)
            summary |= share(f"{name}_recall_half_theta_e", arcsec[has_ring] < theta_e[has_ring] / 2)
    return summary if sigma is None else summary | _coverage(predicted, true, known, sigma)


def event_position_summary(
    predicted: Float[np.ndarray, "n 2"],
    true: Float[np.ndarray, "n 2"],
    valid: Bool[np.ndarray, " n"],
    grid: EventGrid,
    *,
    sigma: Float[np.ndarray, "n 2"] | None = None,
) -> Summary:
    """Return errors of peak time (ms) and frequency (octaves), and of a constant prediction at the centre.

    `sigma` (fractions) adds the share of truths within 1 and 2 predicted sigma, as in `position_summary`.

    Raises:
      UserError: a prediction (or its sigma) for a known true position is not finite.
    """
    known = valid & np.isfinite(true).all(axis=1)
    rank_metrics.check_finite(np.where(known[:, None], predicted, 0), "predicted positions")
    summary: Summary = {"position_n": int(known.sum())}
    scales = {"frequency": ("octaves", grid.octaves), "time": ("ms", 1e3 * grid.windows[0])}
    for name, guess in (("peak", predicted), ("centre", np.full_like(predicted, 0.5))):
        for axis, (quantity, (unit, scale)) in enumerate(scales.items()):
            errors = np.abs(guess[known, axis].astype(np.float64) - true[known, axis]) * scale
            for quantile, q in QUANTILES.items():
                value = float(np.quantile(errors, q)) if errors.size else float("nan")
                key = f"{name}_{quantity}_error_{quantile}_{unit}"
                summary |= bounds(key, value, intervals.quantile_interval(errors, q))
    return summary if sigma is None else summary | _coverage(predicted, true, known, sigma)


def _coverage(predicted: np.ndarray, true: np.ndarray, known: np.ndarray, sigma: np.ndarray) -> Summary:
    if np.isnan(sigma).all():
        return {}
    rank_metrics.check_finite(np.where(known[:, None], sigma, 1), "predicted position sigmas")
    pull = (predicted.astype(np.float64) - true)[known] / np.maximum(sigma[known], 1e-12)
    summary: Summary = {}
    for n in (1, 2):
        summary |= share(f"position_coverage_{n}sigma", np.sum(pull**2, axis=1) < n**2)
    return summary


def _error_quantiles(name: str, pixels: Float[np.ndarray, " n"], pixel_scale: float) -> Summary:
    summary: Summary = {}
    for quantile, q in QUANTILES.items():
        value = float(np.quantile(pixels, q)) if pixels.size else float("nan")
        low, high = intervals.quantile_interval(pixels, q)
        for unit, scale in (("pixels", 1.0), ("arcsec", pixel_scale)):
            summary |= bounds(f"{name}_{quantile}_{unit}", value * scale, (low * scale, high * scale))
    return summary
