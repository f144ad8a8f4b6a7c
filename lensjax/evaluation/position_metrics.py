"""Where it is: position errors in physical units, beside the baseline of always naming the centre."""

from __future__ import annotations

import numpy as np

from lensjax.evaluation import intervals, rank_metrics
from lensjax.evaluation.intervals import Summary, bounds, share
from lensjax.event_axes import EventGrid
from lensjax.runtime.errors import UserError
from lensjax.types import Bool, Float, Num


def position_errors(
    predicted: Float[np.ndarray, "n d"],
    true: Float[np.ndarray, "n d"],
    valid: Bool[np.ndarray, " n"],
    shape: tuple[int, ...],
    pixel_scale: float,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Distances in pixels and in arcsec between positions given as fractions of an image of `shape`.

    NaN where `valid` is False or there is no true position.
    """
    if len(shape) != predicted.shape[1]:
        raise UserError(f"positions have {predicted.shape[1]} coordinates but the image shape is {shape}.")
    difference = (predicted.astype(np.float64) - true) * np.array(shape)
    pixels = np.where(valid, np.sqrt(np.sum(difference**2, axis=1)), np.nan)
    return pixels, pixels * pixel_scale


def centroids(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n 2"]:
    """Mean place, as fractions, of what of each map exceeds its median; the middle where nothing does.

    The median, because a gate is nowhere 0: all of its positive part has its centroid near the middle.
    """
    weights = np.maximum(maps - np.median(maps, axis=(1, 2), keepdims=True), 0).astype(np.float64)
    total = weights.sum((1, 2), keepdims=True)
    weights = np.where(total > 0, weights / np.where(total > 0, total, 1), 1 / weights[0].size)
    row, column = ((np.arange(n) + 0.5) / n for n in maps.shape[1:])
    return np.stack([weights.sum(2) @ row, weights.sum(1) @ column], axis=1)


def peaks(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, "n 2"]:
    """Place of the maximum, as fractions; of tied maxima their mean."""
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
    """Median and 90th percentile of the position error beside those of always naming the image centre.

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
    """Errors of peak time (ms) and peak frequency (octaves) beside those of always naming the middle.

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
            for quantile, q in (("median", 0.5), ("p90", 0.9)):
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
    for quantile, q in (("median", 0.5), ("p90", 0.9)):
        value = float(np.quantile(pixels, q)) if pixels.size else float("nan")
        low, high = intervals.quantile_interval(pixels, q)
        for unit, scale in (("pixels", 1.0), ("arcsec", pixel_scale)):
            summary |= bounds(f"{name}_{quantile}_{unit}", value * scale, (low * scale, high * scale))
    return summary
