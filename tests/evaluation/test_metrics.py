"""Metrics against scikit-learn, against brute force over all pairs, and against their own definitions."""

import time

import numpy as np
import pytest
import sklearn.metrics as oracle
from scipy.stats import norm

from lensjax.evaluation import intervals, metrics, rank_metrics


def sample(n, rng, ties=False):
    labels = rng.permutation(np.arange(n) % 2)
    scores = rng.normal(size=n) + labels
    return np.round(scores * 2) / 2 if ties else scores, labels


cases = pytest.mark.parametrize(("seed", "ties"), [(s, t) for s in range(4) for t in (False, True)])


@cases
def test_rank_metrics_agree_with_scikit_learn_and_with_all_pairs(seed, ties):
    scores, labels = sample(400, np.random.default_rng(seed), ties)
    lens, other = scores[labels == 1][:, None], scores[labels == 0][None, :]
    pairs = np.mean((lens > other) + 0.5 * (lens == other))
    assert metrics.auroc(scores, labels) == pytest.approx(pairs, abs=1e-14)
    assert metrics.auroc(scores, labels) == pytest.approx(oracle.roc_auc_score(labels, scores), abs=1e-12)
    expected = oracle.average_precision_score(labels, scores)
    assert metrics.average_precision(scores, labels) == pytest.approx(expected, abs=1e-12)


@cases
def test_tpr_agrees_with_every_possible_threshold(seed, ties):
    scores, labels = sample(400, np.random.default_rng(seed), ties)
    lens, other = scores[labels == 1], scores[labels == 0]
    thresholds = np.concatenate([[-np.inf], np.unique(scores)])
    false = np.array([np.sum(other > t) for t in thresholds])
    true = np.array([np.mean(lens > t) for t in thresholds])
    assert metrics.tpr_at_false_positives(scores, labels, 0) == true[false == 0].max()
    assert metrics.tpr_at_false_positives(scores, labels, 10) == true[false < 10].max()
    fpr, tpr, _ = oracle.roc_curve(labels, scores, drop_intermediate=False)
    for rate in (0.005, 0.01, 0.03, 0.29, 0.5, 1.0):
        assert metrics.tpr_at_fpr(scores, labels, rate) == pytest.approx(tpr[fpr <= rate + 1e-12].max())


def test_ranks_do_not_change_under_a_monotonic_map_or_a_permutation():
    rng = np.random.default_rng(0)
    scores, labels = sample(300, rng)
    order = rng.permutation(300)
    for metric in (metrics.auroc, metrics.average_precision, lambda s, y: metrics.tpr_at_fpr(s, y, 0.05)):
        assert (
            metric(np.exp(scores), labels) == metric(scores, labels) == metric(scores[order], labels[order])
        )
    assert metrics.auroc(-scores, labels) == pytest.approx(1 - metrics.auroc(scores, labels))


def test_a_constant_score_finds_nothing():
    scores, labels = np.zeros(40), np.arange(40) % 2
    assert metrics.auroc(scores, labels) == 0.5
    assert metrics.average_precision(scores, labels) == 0.5
    assert metrics.tpr_at_false_positives(scores, labels, 0) == 0
    assert metrics.tpr_at_false_positives(scores, labels, 10) == 0


def test_tpr10_is_undefined_with_fewer_than_ten_negatives():
    scores, labels = np.arange(20.0), np.array([0] * 9 + [1] * 11)
    assert np.isnan(metrics.tpr_at_false_positives(scores, labels, 10))
    assert np.isnan(metrics.tpr_at_fpr(scores, labels, 0.1))
    assert metrics.tpr_at_false_positives(scores, labels, 0) == 1
    labels[9] = 0
    assert metrics.tpr_at_false_positives(scores, labels, 10) == 1  # all lie above the lowest of ten


def test_one_class_alone_is_undefined_not_an_error():
    scores = np.arange(20.0)
    for label in (0, 1):
        labels = np.full(20, label)
        assert np.isnan(metrics.auroc(scores, labels))
        assert np.isnan(rank_metrics.auroc_influence(scores, labels)).all()
    assert np.isnan(metrics.average_precision(scores, np.zeros(20, int)))
    assert np.isnan(metrics.tpr_at_false_positives(scores, np.ones(20, int), 0))


def test_confusion_and_what_follows_from_it_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    labels, predicted = rng.integers(4, size=200), rng.integers(3, size=200)
    counts = metrics.confusion(predicted, labels, 5)  # class 3 is never predicted, class 4 is nowhere
    np.testing.assert_array_equal(counts, oracle.confusion_matrix(labels, predicted, labels=range(5)))
    assert metrics.accuracy(counts) == pytest.approx(oracle.accuracy_score(labels, predicted))
    expected = oracle.f1_score(labels, predicted, average=None, labels=range(4))
    np.testing.assert_allclose(metrics.f1(counts), [*expected, np.nan])
    assert metrics.macro_f1(counts) == pytest.approx(oracle.f1_score(labels, predicted, average="macro"))


@pytest.mark.parametrize("k", [2, 3])
def test_calibration_against_a_loop_over_bins(k):
    rng = np.random.default_rng(2)
    probabilities, labels = rng.dirichlet(np.ones(k), size=500), rng.integers(k, size=500)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    expected = 0.0
    for low in np.arange(10) / 10:
        inside = (confidence > low) & (confidence <= low + 0.1)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    found = metrics.expected_calibration_error(probabilities, labels, bins=10)
    assert found == pytest.approx(expected, abs=1e-12)
    brier = oracle.brier_score_loss(labels, probabilities, labels=range(k), scale_by_half=True)
    assert metrics.brier(probabilities, labels) == pytest.approx(brier)


def test_calibrated_probabilities_have_little_calibration_error():
    rng = np.random.default_rng(3)
    p = rng.uniform(size=50_000)
    labels = (rng.uniform(size=p.size) < p).astype(int)
    assert metrics.expected_calibration_error(np.stack([1 - p, p], 1), labels) < 0.01
    q = p**3  # the same ranking, badly calibrated
    assert metrics.expected_calibration_error(np.stack([1 - q, q], 1), labels) > 0.1


def test_class_scores_do_not_saturate_where_probabilities_do():
    logits = np.array([[-20.0, 20.0], [-21.0, 21.0], [0.0, 1.5]], np.float32)
    scores = metrics.class_scores(logits)
    np.testing.assert_array_equal(scores[:, 1], [40.0, 42.0, 1.5])
    np.testing.assert_array_equal(scores[:, 0], -scores[:, 1])
    logits3 = np.random.default_rng(0).normal(size=(50, 3))
    p = np.exp(logits3) / np.exp(logits3).sum(1, keepdims=True)
    np.testing.assert_allclose(metrics.class_scores(logits3), np.log(p / (1 - p)))


# Intervals


def test_wilson_solves_its_defining_equation_and_stays_inside():
    for k, n in [(0, 10), (3, 10), (10, 10), (400, 1000)]:
        low, high = intervals.wilson(k, n)
        assert 0 <= low <= k / n <= high <= 1
        for bound in {low, high} - {0.0, 1.0}:
            assert abs(k / n - bound) == pytest.approx(norm.ppf(0.975) * np.sqrt(bound * (1 - bound) / n))
    assert np.isnan(intervals.wilson(0, 0)).all()


QUICK = {
    metrics.auroc: intervals.auroc_interval,
    metrics.average_precision: intervals.average_precision_interval,
}


@pytest.mark.parametrize("metric", QUICK)
@pytest.mark.parametrize("ties", [False, True])
def test_closed_forms_agree_with_the_bootstrap(metric, ties):
    scores, labels = sample(1500, np.random.default_rng(4), ties)
    keep = (labels == 0) | (np.arange(1500) % 3 == 0)  # a quarter are positive
    scores, labels = scores[keep], labels[keep]
    quick = QUICK[metric](scores[:, None], labels[:, None] == 1)
    slow = intervals.bootstrap(metric, (scores, labels), strata=labels, n=600)
    np.testing.assert_allclose(quick, slow, atol=0.2 * (slow[1] - slow[0]))


def test_influence_is_the_derivative_by_the_weight_of_an_example():
    scores, labels = sample(60, np.random.default_rng(5), ties=True)
    for metric, influence in (
        (metrics.auroc, rank_metrics.auroc_influence),
        (metrics.average_precision, rank_metrics.average_precision_influence),
    ):
        found, many = influence(scores, labels), 2000
        assert abs(found[labels == 1].sum()) < 1e-12 and abs(found[labels == 0].sum()) < 1e-12
        for i, size in ((0, 30), (7, 30), (20, 30)):
            same = np.flatnonzero(labels == labels[i])
            heavy = np.concatenate([np.repeat(np.arange(60), many), np.full(size, i)])
            light = np.concatenate([np.repeat(np.arange(60), many), same])  # the class mean
            slope = (
                (metric(scores[heavy], labels[heavy]) - metric(scores[light], labels[light])) * many / size
            )
            assert found[i] == pytest.approx(slope * np.sqrt(30 / 29), rel=0.01, abs=1e-5)


def test_delong_of_several_classes_agrees_with_the_bootstrap():
    rng = np.random.default_rng(5)
    labels = rng.integers(3, size=600)
    scores = metrics.class_scores(rng.normal(size=(600, 3)) + np.eye(3)[labels])

    def macro(scores, labels):
        return float(np.mean([metrics.auroc(scores[:, c], (labels == c).astype(int)) for c in range(3)]))

    quick = intervals.auroc_interval(scores, labels[:, None] == np.arange(3))
    slow = intervals.bootstrap(macro, (scores, labels), strata=labels, n=400)
    np.testing.assert_allclose(quick, slow, atol=0.2 * (slow[1] - slow[0]))


def test_auroc_interval_covers_the_truth_as_often_as_it_says():
    rng, truth, inside = np.random.default_rng(6), norm.cdf(1 / np.sqrt(2)), 0
    for _ in range(400):
        scores, labels = sample(200, rng)
        low, high = intervals.auroc_interval(scores[:, None], labels[:, None] == 1)
        inside += low <= truth <= high
    assert 0.92 <= inside / 400 <= 0.98


def test_a_perfect_ranking_of_few_examples_is_not_certain():
    labels = np.arange(20) % 2 == 1
    low, high = intervals.auroc_interval(labels[:, None].astype(float), labels[:, None])
    assert high == 1 and 0.6 < low < 0.8
    assert np.isnan(intervals.auroc_interval(np.zeros((5, 1)), np.ones((5, 1), bool))).all()


def test_quantile_interval_covers_and_admits_too_few_values():
    rng = np.random.default_rng(7)
    for q in (0.5, 0.9):
        found = [intervals.quantile_interval(rng.exponential(size=80), q) for _ in range(500)]
        assert np.mean([low <= -np.log(1 - q) <= high for low, high in found]) > 0.93
    assert np.isnan(intervals.quantile_interval(np.arange(5.0), 0.9)[1])
    assert np.isnan(intervals.quantile_interval(np.zeros(0), 0.5)).all()


def test_bootstrap_is_stratified_and_repeats_with_its_seed():
    labels = np.repeat([0, 1], [95, 5])
    assert intervals.bootstrap(np.mean, (labels,), strata=labels, n=50) == (0.05, 0.05)
    assert intervals.bootstrap(np.mean, (labels,), n=50)[1] > 0.05
    assert intervals.bootstrap(np.mean, (labels,), seed=3) == intervals.bootstrap(np.mean, (labels,), seed=3)


# Summaries


def test_summary_of_two_classes_holds_its_own_parts():
    rng = np.random.default_rng(8)
    labels = (rng.uniform(size=2000) < 0.3).astype(int)
    logits = rng.normal(size=(2000, 2)).astype(np.float32)
    logits[:, 1] += 2 * labels
    found = metrics.classification_summary(logits, labels, ("non-lens", "lens"))
    scores = logits[:, 1].astype(float) - logits[:, 0]
    assert found["auroc"] == metrics.auroc(scores, labels)
    assert found["average_precision"] == metrics.average_precision(scores, labels)
    assert found["tpr0"] == metrics.tpr_at_false_positives(scores, labels, 0)
    assert found["tpr10"] == metrics.tpr_at_false_positives(scores, labels, 10)
    assert found["tpr_at_fpr_1e-3"] == metrics.tpr_at_fpr(scores, labels, 1e-3)
    assert np.isnan(found["tpr_at_fpr_1e-4"])  # 1400 negatives cannot resolve it
    assert found["n_positive"] + found["n_negative"] == found["n"] == 2000
    assert found["f1"] == pytest.approx(oracle.f1_score(labels, logits.argmax(1)))
    for name in [key[:-4] for key in found if key.endswith("_low")]:
        low, value, high = found[name + "_low"], found[name], found[name + "_high"]
        assert np.isnan(value) or low <= value <= high, name


def test_summary_of_many_classes_is_one_against_the_rest():
    rng = np.random.default_rng(9)
    labels = rng.integers(4, size=500)
    logits = rng.normal(size=(500, 4)) + 1.5 * np.eye(4)[labels]
    found = metrics.classification_summary(logits, labels, tuple("abcd"))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert found["auroc"] == pytest.approx(oracle.roc_auc_score(labels, p, multi_class="ovr"))
    assert found["average_precision"] == pytest.approx(oracle.average_precision_score(labels, p))
    assert len(found["f1_per_class"]) == len(found["auroc_per_class"]) == 4 and "tpr0" not in found


def test_summary_of_one_class_alone_is_nan_where_undefined():
    found = metrics.classification_summary(np.eye(2)[np.zeros(5, int)], np.zeros(5, int), ("no", "yes"))
    assert np.isnan(found["auroc"]) and np.isnan(found["tpr0"]) and found["accuracy"] == 1


def test_a_large_set_is_summarised_in_seconds():
    rng = np.random.default_rng(10)
    labels = np.arange(20_000) % 2
    logits = rng.normal(size=(20_000, 2)) + 2 * np.eye(2)[labels]
    start = time.perf_counter()
    metrics.classification_summary(logits, labels, ("non-lens", "lens"))
    assert time.perf_counter() - start < 5  # 0.1 s alone on a core


def broken(rows):
    logits = np.zeros((20, 2))
    logits[rows] = np.nan
    return logits


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (broken([3, 7]), np.zeros(20, int), r"2 of 20 rows of logits are not finite; look at rows 3, 7"),
        (broken(slice(None)), np.zeros(20, int), r"20 of 20 rows .*rows 0, 1, .*, …"),
        (broken([]), np.full(20, 2), r"labels lie in 2 … 2; 2 classes are 0 … 1"),
        (np.zeros((0, 2)), np.zeros(0, int), r"logits \(0, 2\) for 0 labels"),
        (np.zeros((20, 3)), np.zeros(20, int), r"logits \(20, 3\) for 20 labels and 2 classes"),
    ],
)
def test_bad_logits_and_labels_are_named(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        metrics.classification_summary(logits, labels, ("non-lens", "lens"))


def test_bad_requests_are_named():
    scores, labels = np.arange(4.0), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match="-1 false positives"):
        metrics.tpr_at_false_positives(scores, labels, -1)
    with pytest.raises(ValueError, match=r"rate of 1\.5"):
        metrics.tpr_at_fpr(scores, labels, 1.5)
    with pytest.raises(ValueError, match="labels hold"):
        metrics.auroc(scores, labels + 1)
    with pytest.raises(ValueError, match="1 of 4 scores"):
        metrics.auroc(np.array([0.0, np.inf, 1, 2]), labels)
    with pytest.raises(ValueError, match="no proportion"):
        intervals.wilson(3, 2)


# Positions


def test_position_errors_are_pixels_and_arcseconds():
    true = np.array([[0.5, 0.5], [0.25, 0.25], [np.nan, np.nan], [0.5, 0.5]])
    predicted = true + np.array([[3 / 64, 4 / 32], [0, 0], [0, 0], [1, 1]])
    valid = np.array([True, True, True, False])
    pixels, arcsec = metrics.position_errors(predicted, true, valid, (64, 32), 0.1)
    np.testing.assert_allclose(pixels, [5, 0, np.nan, np.nan])
    np.testing.assert_allclose(arcsec, pixels * 0.1)


def test_position_summary_against_known_errors_and_the_centre():
    rng = np.random.default_rng(11)
    true = rng.uniform(0.3, 0.7, size=(4000, 2)).astype(np.float32)
    sigma = rng.uniform(0.01, 0.03, size=(4000, 1)).astype(np.float32) * np.ones((1, 2), np.float32)
    predicted = true + sigma * rng.normal(size=true.shape).astype(np.float32)
    true[:1000] = np.nan
    predicted[0] = np.nan  # no lens there, so nobody asks
    theta_e = np.where(np.arange(4000) < 1000, np.nan, 2.0)
    valid = np.ones(4000, bool)
    found = metrics.position_summary(predicted, true, valid, (60, 60), 0.1, sigma=sigma, theta_e=theta_e)
    error = 60 * np.linalg.norm((predicted - true)[1000:], axis=1)
    assert found["position_n"] == 3000
    assert found["position_error_median_pixels"] == pytest.approx(np.median(error), rel=1e-5)
    assert found["position_error_p90_arcsec"] == pytest.approx(np.percentile(error, 90) / 10, rel=1e-5)
    assert found["position_recall_half_theta_e"] == pytest.approx(np.mean(error < 10))
    assert found["position_coverage_1sigma"] == pytest.approx(1 - np.exp(-0.5), abs=0.03)
    assert found["position_coverage_2sigma"] == pytest.approx(1 - np.exp(-2), abs=0.03)
    centre = 60 * np.linalg.norm((true - 0.5)[1000:], axis=1)
    assert found["centre_error_median_pixels"] == pytest.approx(np.median(centre), rel=1e-5)
    assert found["centre_recall_half_theta_e"] < found["position_recall_half_theta_e"]
    for name in [key[:-4] for key in found if key.endswith("_low")]:
        assert found[name + "_low"] <= found[name] <= found[name + "_high"], name


def test_positions_without_a_single_lens_are_nan():
    nothing = np.full((3, 2), np.nan)
    found = metrics.position_summary(
        nothing, nothing, np.ones(3, bool), (9, 9), 0.1, sigma=nothing, theta_e=nothing[:, 0]
    )
    assert found["position_n"] == 0 and np.isnan(found["position_error_median_pixels"])


def test_a_missing_prediction_of_a_known_position_is_named():
    true = np.full((3, 2), 0.5)
    predicted = np.array([[0.5, 0.5], [np.nan, 0.5], [0.5, 0.5]])
    with pytest.raises(ValueError, match=r"1 of 3 predicted positions are not finite; look at rows 1"):
        metrics.position_summary(predicted, true, np.ones(3, bool), (9, 9), 0.1)
    with pytest.raises(ValueError, match="2 coordinates but the image shape"):
        metrics.position_errors(true, true, np.ones(3, bool), (9, 9, 9), 0.1)
