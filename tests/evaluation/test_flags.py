"""Flags against closed forms: places that agree, places that do not, and what they are worth."""

import numpy as np
import pytest

from lensjax.evaluation.disagreement_flag import (
    GALAXY,
    count_at_recall,
    detection,
    disagreement,
    flags,
    flags_of,
    share_outside,
    stratified_auroc,
)
from lensjax.evaluation.position_metrics import centroids, peaks

SCALE = 0.5


def spot(*pixels, shape=(16, 16)):
    image = np.zeros(shape, np.float32)
    for pixel in pixels:
        image[pixel] = 1
    return image[None]


def at(row, column, size=16):
    return np.array([[(row + 0.5) / size, (column + 0.5) / size]])


def test_centroids_and_peaks_of_known_maps():
    gate = 0.5 + 0.1 * spot((2, 3), (4, 3))  # a gate is nowhere 0
    np.testing.assert_allclose(centroids(gate), at(3, 3), atol=1e-6)
    np.testing.assert_allclose(peaks(spot((5, 7))), at(5, 7))
    np.testing.assert_allclose(peaks(spot((5, 7), (9, 7))), at(7, 7))
    for flat in (np.zeros((1, 8, 6), np.float32), np.ones((1, 8, 6), np.float32)):
        np.testing.assert_allclose(centroids(flat), [[0.5, 0.5]])
        np.testing.assert_allclose(peaks(flat), [[0.5, 0.5]])


def test_wheres_that_agree_raise_no_flag():
    one = spot((6, 9))
    np.testing.assert_allclose(flags(one, one, at(6, 9), SCALE), 0, atol=1e-6)
    np.testing.assert_allclose(flags(one - 0.1, None, None, SCALE), 0, atol=1e-6)  # negative is no evidence


def test_a_flag_is_the_distance_in_galaxies_and_the_share_beyond_one():
    evidence = spot((8, 8), (8, 8 + 6))  # half of it 3" from the position, its centroid 1.5"
    place = at(8, 8)
    assert flags(evidence, None, place, SCALE)[0] == pytest.approx(1.5 / GALAXY + 0.5)
    attention = spot((8 - 6, 8))  # 3" up; from the centroid √(3² + 1.5²)
    expected = np.hypot(3, 1.5) / GALAXY + 0.5
    assert flags(evidence, attention, place, SCALE)[0] == pytest.approx(expected)


def test_evidence_beyond_a_radius():
    one = spot((4, 4), (4, 7)) - 0.01
    np.testing.assert_allclose(share_outside(one, at(4, 4), 2.9), 0.5)
    np.testing.assert_allclose(share_outside(one, at(4, 4), 3.0), 0.0, atol=1e-12)
    np.testing.assert_array_equal(share_outside(-np.ones((2, 4, 4)), np.full((2, 2), 0.5), 1.0), 1)
    np.testing.assert_array_equal(disagreement([np.zeros((3, 2))]), 0)


def test_the_first_evidence_there_is_stands_for_it():
    maps = {"attention": spot((1, 1)), "gradient": spot((5, 5)), "occlusion(window=8)": spot((9, 9))}
    values, written = flags_of(maps, at(9, 9), SCALE)
    assert written == "occlusion(window=8)"
    np.testing.assert_allclose(values, flags(maps[written], maps["attention"], at(9, 9), SCALE))
    assert flags_of({"attention": spot((1, 1))}, None, SCALE) is None
    assert flags_of({"gradient": np.ones((1, 4, 5, 6))}, None, None) is None  # an event


def test_a_perfect_flag_finds_every_mistake_and_saves_precision():
    margin = np.array([3.0, 2.0, 1.0, 2.5, -1.0, -2.0])
    labels = np.array([1, 1, 1, 0, 0, 0])
    wrong = (margin > 0) != labels
    found = detection(wrong.astype(float), margin, labels, limit=0.5, recall=1.0)
    assert (found["n_wrong"], found["n_false_lenses"], found["flag_auroc"]) == (1, 1, 1.0)
    assert found["precision"] == 0.75 and found["precision_unflagged"] == 1.0
    assert found["flagged"] == pytest.approx(1 / 6)
    flagged_lens = detection(labels * 1.0, margin, labels, limit=0.5, recall=1.0)
    assert np.isnan(flagged_lens["precision_unflagged"])  # the recall is out of reach


def test_precision_counts_ties_and_every_lens():
    labels = np.array([1, 1, 0, 0])
    assert count_at_recall(np.array([2.0, 1.0, 1.0, 0.0]), labels, 0.5) == (1, 1)
    assert count_at_recall(np.array([2.0, 1.0, 1.0, 0.0]), labels, 1.0) == (2, 3)
    assert count_at_recall(np.array([2.0, -np.inf, 1.0, 0.0]), labels, 1.0) == (0, 0)


def test_like_is_compared_with_like():
    """A score that only repeats what it is stratified by is worth nothing within the strata."""
    rng = np.random.default_rng(0)
    by = np.repeat(np.arange(5.0), 400)
    labels = rng.random(2000) < 0.1 + 0.15 * by
    assert stratified_auroc(by, labels, by) == 0.5
    assert stratified_auroc(labels.astype(float), labels, by) == 1.0


def test_runs_of_a_folder_are_averaged():
    from lensjax.studies.lenses.disagreement_flags import COLUMNS, tabulate_means

    def row(run, value):
        about = {"run": run, "evidence": "grad_cam", "images": "all", "flagged": 0.5}
        return about | dict.fromkeys(COLUMNS, value)

    assert tabulate_means([row("a/seed0", 0.5), row("b/seed0", 0.6)], 0.8) == []
    lines = tabulate_means([row("a/seed0", 0.5), row("a/seed1", 0.7), row("a/seed2", np.nan)], 0.8)
    assert lines[-2].startswith("| a | grad_cam | all | 0.600 ± 0.141 |") and "50.0 ± 0.0 %" in lines[-2]
