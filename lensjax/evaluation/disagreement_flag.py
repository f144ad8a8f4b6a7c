"""Flag predictions whose evidence, attention and position are far apart; test whether flags find errors.

    flag = (largest distance between any two places) / GALAXY + share of the evidence beyond GALAXY

Places are the centroid of the evidence (the positive part of a map that explains "lens"), that of the
network's attention, and its position, as many of them as there are. GALAXY is a radius about the position
(without one, about the centroid of the evidence) that holds the galaxy and any arcs of it. 0: all agree; 1:
two places are 2 arcsec apart, or all evidence is farther than 2 arcsec from the position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from lensjax.evaluation import intervals, rank_metrics
from lensjax.evaluation.intervals import Summary, bounds
from lensjax.evaluation.position_metrics import centroids
from lensjax.types import Bool, Float, Num

GALAXY = 2.0
"""Arcsec."""
ATTENTION = "attention"
EVIDENCE = ("occlusion", "integrated_gradients", "grad_cam", "input_x_gradient", "gradient")
"""Maps that may stand for the evidence; the first that there is."""


def flags(
    evidence: Float[np.ndarray, "n h w"],
    attention: Float[np.ndarray, "n h w"] | None,
    position: Float[np.ndarray, "n 2"] | None,
    pixel_scale: float,
) -> Float[np.ndarray, " n"]:
    """Return the flag of every prediction; `position` in fractions, `pixel_scale` in arcsec."""
    places = [centroids(np.maximum(evidence, 0))]
    places += [] if attention is None else [centroids(attention)]
    places += [] if position is None else [np.asarray(position, np.float64)]
    side = np.array(evidence.shape[1:]) * pixel_scale
    return disagreement([place * side for place in places]) / GALAXY + share_outside(
        evidence, places[-1] if position is not None else places[0], GALAXY / pixel_scale
    )


def flags_of(
    maps: Mapping[str, np.ndarray], position: np.ndarray | None, pixel_scale: float | None
) -> tuple[Float[np.ndarray, " n"], str] | None:
    """Return flags from maps by their names as written, and the map taken as evidence; None without one."""
    by_name = {written.partition("(")[0]: written for written in reversed(list(maps))}
    written = next((by_name[name] for name in EVIDENCE if name in by_name), None)
    if written is None or pixel_scale is None or maps[written].ndim != 3:
        return None
    attention = maps[by_name[ATTENTION]] if ATTENTION in by_name else None
    return flags(maps[written], attention, position, pixel_scale), written


def disagreement(places: Sequence[Float[np.ndarray, "n 2"]]) -> Float[np.ndarray, " n"]:
    """Return the largest distance between any two places; 0 where there is one alone."""
    apart = [np.linalg.norm(one - other, axis=1) for one, other in combinations(places, 2)]
    return np.max(apart, axis=0) if apart else np.zeros(len(places[0]))


def share_outside(
    evidence: Float[np.ndarray, "n h w"], place: Float[np.ndarray, "n 2"], radius: float
) -> Float[np.ndarray, " n"]:
    """Return the share of the positive part beyond a radius (pixels) of a place (fractions); else 1."""
    height, width = evidence.shape[1:]
    row = np.arange(height)[:, None] + 0.5 - place[:, 0, None, None] * height
    column = np.arange(width) + 0.5 - place[:, 1, None, None] * width
    positive = np.maximum(evidence, 0).astype(np.float64)
    inside = np.where(row**2 + column**2 <= radius**2, positive, 0).sum((1, 2))
    total = positive.sum((1, 2))
    return 1 - np.where(total > 0, inside / np.where(total > 0, total, 1), 0)


def detection(
    flag: Float[np.ndarray, " n"],
    margin: Float[np.ndarray, " n"],
    labels: Num[np.ndarray, " n"],
    *,
    limit: float,
    recall: float,
) -> Summary:
    """Measure how well flags find misclassifications, and what they do to lens candidates.

    `margin` is the log odds of a lens. AUROC of the flag and, to compare, of low confidence |margin|; that of
    the flag among predictions of equal confidence (mean over its quintiles); that among predicted lenses
    alone; precision at a recall, of all, and of those alone whose flag does not exceed `limit`.
    """
    wrong = (margin > 0) != (labels == 1)
    said = margin > 0
    summary: Summary = {
        "n": len(labels),
        "n_wrong": int(wrong.sum()),
        "n_false_lenses": int(wrong[said].sum()),
    }
    for name, score, rows in (
        ("flag_auroc", flag, np.ones(len(flag), bool)),
        ("doubt_auroc", -np.abs(margin), np.ones(len(flag), bool)),
        ("flag_auroc_of_lenses", flag, said),
        ("doubt_auroc_of_lenses", -np.abs(margin), said),
    ):
        value = rank_metrics.auroc(score[rows], wrong[rows])
        summary |= bounds(name, value, intervals.auroc_interval(score[rows, None], wrong[rows, None]))
    summary["flag_auroc_at_like_confidence"] = stratified_auroc(flag, wrong, np.abs(margin))
    kept = flag <= limit
    summary["flagged"] = float(1 - kept.mean())
    for name, scores in (("precision", margin), ("precision_unflagged", np.where(kept, margin, -np.inf))):
        found, of = count_at_recall(scores, labels, recall)
        interval = intervals.wilson(found, of) if of else intervals.NAN
        summary |= bounds(name, found / of if of else float("nan"), interval)
    return summary


def count_at_recall(
    scores: Float[np.ndarray, " n"], labels: Num[np.ndarray, " n"], recall: float
) -> tuple[int, int]:
    """Count (lenses, candidates) at the highest threshold with this recall; (0, 0) where it is out of reach.

    A score of -inf is no candidate at any threshold.
    """
    lenses = np.sort(scores[labels == 1])[::-1]
    wanted = int(np.ceil(recall * len(lenses) - 1e-9))
    if not wanted or lenses[wanted - 1] == -np.inf:
        return 0, 0
    candidates = scores >= lenses[wanted - 1]
    return int((candidates & (labels == 1)).sum()), int(candidates.sum())


def stratified_auroc(
    scores: Float[np.ndarray, " n"],
    labels: Bool[np.ndarray, " n"],
    by: Float[np.ndarray, " n"],
    strata: int = 5,
) -> float:
    """Return the AUROC within equal parts of the ranking of `by`, weighted by their pairs; else NaN."""
    values, pairs = [], []
    for rows in np.array_split(np.argsort(by, kind="stable"), strata):
        positives = int(labels[rows].sum())
        if 0 < positives < len(rows):
            values.append(rank_metrics.auroc(scores[rows], labels[rows]))
            pairs.append(positives * (len(rows) - positives))
    return float(np.average(values, weights=pairs)) if values else float("nan")
