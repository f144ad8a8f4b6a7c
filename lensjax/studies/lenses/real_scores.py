"""Scores of networks on real lenses, galaxies and look-alikes, and the numbers that follow from them.

A row of an array is a network. Nothing is compared across folders without what flux alone says of the same
images: a classifier may know the survey's pipeline instead of lensing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.config import LensData
from lensjax.data.batches.augment import as_float
from lensjax.data.store.datasets import Source
from lensjax.evaluation import intervals, metrics, rank_metrics
from lensjax.inspection import maps
from lensjax.inspection.restore import Trained
from lensjax.runtime.errors import UserError
from lensjax.studies.lenses import real_images as inputs
from lensjax.types import Bool, Float

FPR = 1e-2
Scores = dict[str, Float[np.ndarray, "r n"]]


@dataclass(frozen=True)
class Inputs:
    """Every image of the study on the networks' grid."""

    lenses: inputs.Lenses
    without_arcs: Float[np.ndarray, "n h w 1"]
    galaxies: Float[np.ndarray, "m h w 1"]
    galaxy_ids: list[str]
    rings: Float[np.ndarray, "k h w 1"]
    is_ring: Bool[np.ndarray, " k"]
    pixel_scale: float


def read(
    runs: Sequence[Trained], lenses: Path, galaxies: Path, rings: Path, held_out: bool = False
) -> Inputs:
    """The images, on the grid that all runs share.

    Of the galaxies all, or those held out where one of the runs has trained on the others, or as asked.

    Raises:
      UserError: no run, or one of several bands or of another grid than the first; or an input that cannot
        be used.
    """
    if not runs:
        raise UserError("no run was given: name the folders of one or more trained networks.")
    first = runs[0].config.data
    for run in runs:
        data = run.config.data
        if not isinstance(data, LensData) or not isinstance(first, LensData) or len(run.bands) != 1:
            raise UserError(f"'{run.workdir}' is no lens finder of one band, such as configs/lens_hst.py.")
        if (data.size, run.pixel_scale) != (first.size, runs[0].pixel_scale):
            raise UserError(f"'{run.workdir}' and '{runs[0].workdir}' see images of another size or scale.")
    assert isinstance(first, LensData)  # as the loop has seen
    size, scale, band = first.size, runs[0].pixel_scale, runs[0].bands[0]
    assert scale is not None  # images of the sky have one
    found = inputs.read_lenses(lenses, band, size, scale)
    held_out = held_out or any(isinstance(d := run.config.data, LensData) and d.negatives for run in runs)
    some, placed = inputs.read_galaxies(galaxies, size, scale, held_out)
    pictured, is_ring = inputs.read_rings(rings, size)
    without = inputs.without_lopsided(found.image, scale)
    return Inputs(found, without, placed, [galaxy.id for galaxy in some], pictured, is_ring, scale)


def scored(runs: Sequence[Trained], images: Inputs, chunk: int, test: Source | None = None) -> dict[str, Any]:
    """Scores of every set by every network, what follows from them, and position errors.

    Args:
      test: simulations that set the threshold; each run's own held-out ones by default.
    """
    predict = [maps.predictor(run, chunk) for run in runs]
    sets = {
        "lenses": images.lenses.image,
        "without_arcs": images.without_arcs,
        "galaxies": images.galaxies,
        "rings": images.rings,
    }
    scores: Scores = {name: np.stack([lens_scores(one(x)) for one in predict]) for name, x in sets.items()}
    if test is None:
        simulated = [simulations(run) for run in runs]
    else:
        stored = np.stack([as_float(test[row]["image"]) for row in range(len(test))])
        simulated = [(lens_scores(one(stored)), test.label) for one in predict]
    threshold = np.array([rank_metrics.threshold_at_fpr(*pair, FPR) for pair in simulated])
    ring = images.is_ring
    comparisons = {
        "lenses against galaxies": (scores["lenses"], scores["galaxies"]),
        "lenses against the same without arcs": (scores["lenses"], scores["without_arcs"]),
        "rings against other galaxies (DECaLS)": (scores["rings"][:, ring], scores["rings"][:, ~ring]),
    }
    rates = {
        "lenses": scores["lenses"],
        "of these, with a published radius": scores["lenses"][:, np.isfinite(images.lenses.theta_e)],
        "the same without arcs": scores["without_arcs"],
        "galaxies": scores["galaxies"],
        "ring galaxies (DECaLS)": scores["rings"][:, ring],
        "other galaxies (DECaLS)": scores["rings"][:, ~ring],
    }
    moved = [one(images.lenses.moved).position for one in predict]
    return {
        "simulated": [simulated_row(*pair, cut) for pair, cut in zip(simulated, threshold, strict=True)],
        "threshold": threshold.tolist(),
        "auroc": {name: auroc_row(*pair) for name, pair in comparisons.items()},
        "trivial": trivial_rows(images),
        "above": {name: share_above(x, threshold) for name, x in rates.items()},
        "drop": paired_drop(scores["lenses"], scores["without_arcs"]),
        "position": position_rows(moved, images),
        "scores": scores,
        "is_ring": ring,
    }


def lens_scores(predicted: maps.Predicted) -> Float[np.ndarray, " n"]:
    """Log odds of lens."""
    return metrics.class_scores(predicted.logits)[:, 1]


def simulations(run: Trained) -> tuple[Float[np.ndarray, " n"], np.ndarray]:
    """Scores and labels of a run's own held-out simulations.

    Raises:
      UserError: the run has not ended.
    """
    path = run.workdir / "test_predictions.npz"
    if not path.is_file():
        raise UserError(f"'{run.workdir}' has no test_predictions.npz: let train.py end there.")
    with np.load(path, allow_pickle=False) as saved:
        return metrics.class_scores(saved["logits"])[:, 1], saved["label"]


def simulated_row(scores: np.ndarray, label: np.ndarray, threshold: float) -> dict[str, Any]:
    return {
        "n": int((label == 1).sum()),
        "n_negative": int((label == 0).sum()),
        "auroc": rank_metrics.auroc(scores, label),
        "recall": rank_metrics.tpr_above(scores, label, threshold),
    }


def auroc_row(positive: Float[np.ndarray, "r p"], negative: Float[np.ndarray, "r m"]) -> dict[str, Any]:
    """AUROC of every network with DeLong's interval; of the mean over networks, bootstrap over the files."""
    values = np.concatenate([positive, negative], 1)
    label = np.repeat([1, 0], [positive.shape[1], negative.shape[1]])
    each = [rank_metrics.auroc(row, label) for row in values]
    delong = [intervals.auroc_interval(row[:, None], label[:, None] == 1) for row in values]
    low, high = intervals.bootstrap(mean_auroc, (values.T, label), strata=label)
    counts = {"n_positive": positive.shape[1], "n_negative": negative.shape[1]}
    return {"each": each, "delong": delong, "mean": float(np.mean(each)), "low": low, "high": high, **counts}


def mean_auroc(columns: Float[np.ndarray, "n r"], label: np.ndarray) -> float:
    return float(np.mean([rank_metrics.auroc(column, label) for column in columns.T]))


def trivial_rows(images: Inputs) -> dict[str, dict[str, dict[str, Any]]]:
    """AUROC of flux alone, for the same comparisons as the networks'."""
    measure = partial(inputs.trivial_scores, pixel_scale=images.pixel_scale)
    lenses, without, galaxies = map(measure, (images.lenses.image, images.without_arcs, images.galaxies))
    rings, others = measure(images.rings[images.is_ring]), measure(images.rings[~images.is_ring])
    pairs = {
        "lenses against galaxies": (lenses, galaxies),
        "lenses against the same without arcs": (lenses, without),
        "rings against other galaxies (DECaLS)": (rings, others),
    }
    return {
        name: {key: auroc_row(a[key][None], b[key][None]) for key in inputs.TRIVIAL}
        for name, (a, b) in pairs.items()
    }


def share_above(scores: Float[np.ndarray, "r n"], threshold: Float[np.ndarray, " r"]) -> dict[str, Any]:
    """Share above each network's threshold; the Wilson interval is of the mean over networks, of n images."""
    each, n = (scores > threshold[:, None]).mean(1), scores.shape[1]
    low, high = intervals.wilson(float(each.mean()) * n, n)
    return {"n": n, "each": each.tolist(), "mean": float(each.mean()), "low": low, "high": high}


def paired_drop(lenses: Float[np.ndarray, "r n"], without: Float[np.ndarray, "r n"]) -> dict[str, Any]:
    """How far scores fall without lopsided light: median over lenses of the mean over networks."""
    change = (lenses - without).mean(0)
    low, high = intervals.quantile_interval(change, 0.5)
    fell = int((change > 0).sum())
    return {"median": float(np.median(change)), "low": low, "high": high, "fell": fell, "n": len(change)}


def position_rows(moved: Sequence[np.ndarray | None], images: Inputs) -> dict[str, dict[str, Any]]:
    """Errors in arcsec on cutouts off their lenses: from the coordinates' origin, and from the peak of light.

    Beside each network that says a position stands what always naming the middle comes to.
    """
    lenses, side = images.lenses, images.lenses.moved.shape[1] * images.pixel_scale
    peak = np.stack([inputs.peak_of_light(image, images.pixel_scale) for image in lenses.moved])
    said = {"network": [x for x in moved if x is not None], "the middle": [np.full_like(peak, 0.5)]}
    rows = {}
    for name, truth in (("from the origin", lenses.moved_position), ("from the peak of light", peak)):
        for who, places in said.items():
            if places:
                error = np.stack([np.hypot(*((place - truth) * side).T) for place in places])
                rows[f"{who}, {name}"] = error_row(error)
    apart = np.hypot(*((peak - lenses.moved_position) * side).T)
    return rows | {"origin and peak of light apart": error_row(apart[None])}


def error_row(error: Float[np.ndarray, "r n"]) -> dict[str, Any]:
    """Quantiles of every network; the interval is of the median over lenses of the networks' mean error."""
    low, high = intervals.quantile_interval(error.mean(0), 0.5)
    quantiles = {"median": np.median(error, 1).tolist(), "p90": np.quantile(error, 0.9, axis=1).tolist()}
    return {"n": error.shape[1], **quantiles, "low": low, "high": high}
