"""Scores of a map against the true mask: perfect, wrong, tied, empty, and at chance; 2D and 3D."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from lensjax.explain import SCORES, bootstrap_interval, centre_distance, centroid, chance, iou, score_maps
from lensjax.explain.scores.localisation import (
    average_precision,
    energy_inside,
    pointing,
    rank_accuracy,
    squared_distance,
)

MASK = jnp.zeros((6, 8), bool).at[1:3, 2:6].set(True)  # 8 of 48


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("mask", [MASK, jnp.stack([MASK, ~MASK])])
def test_perfect_is_one_and_its_opposite_zero(name, mask):
    perfect = mask.astype(jnp.float32)
    assert SCORES[name](perfect, mask) == 1
    worst = average_precision(-perfect, mask) if name == "average_precision" else 0
    assert SCORES[name](-perfect, mask) == pytest.approx(float(worst))
    assert SCORES[name](perfect * 3 - 1, mask) == 1


@pytest.mark.parametrize("name", SCORES)
def test_no_information_is_chance(name):
    flat = 0 if name == "energy_inside" else 8 / 48
    assert SCORES[name](jnp.zeros((6, 8)), MASK) == pytest.approx(flat)
    assert SCORES[name](jnp.ones((6, 8)), MASK) == pytest.approx(8 / 48)


@pytest.mark.parametrize("name", SCORES)
def test_random_maps_score_the_chance_level(name):
    mask = jnp.zeros((24, 24), bool).at[3:9, 4:20].set(True)
    noise = jax.random.uniform(jax.random.key(0), (400, 24, 24))
    scores = score_maps(noise, jnp.broadcast_to(mask, noise.shape))
    error = float(scores[name].std()) / 20
    assert float(scores[name].mean()) == pytest.approx(float(chance(mask)), abs=5 * error + 0.01)


@pytest.mark.parametrize("name", SCORES)
def test_an_empty_mask_is_nan_and_left_out_of_the_mean(name):
    maps, masks = jnp.stack([MASK.astype(jnp.float32)] * 3), jnp.stack([MASK, MASK, MASK & False])
    scores = score_maps(maps, masks)[name]
    assert np.isnan(scores[2])
    mean, low, high = bootstrap_interval(scores, jax.random.key(0))
    assert (mean, low, high) == (1, 1, 1)


def test_energy_half_inside():
    half = MASK.astype(jnp.float32).at[5].set(1.0)  # 8 inside, 8 outside
    assert energy_inside(half - 5.0 * (half == 0), MASK) == 0.5


def test_pointing_counts_the_share_of_tied_maxima():
    tied = jnp.zeros((6, 8)).at[1, 2].set(1.0).at[0, 0].set(1.0)
    assert pointing(tied, MASK) == 0.5


@pytest.mark.parametrize(("tolerance", "hit"), [(0.0, 0), (1.0, 0), (1.4, 0), (1.5, 1), (9.0, 1)])
def test_pointing_tolerance_is_a_distance_in_pixels(tolerance, hit):
    diagonal = jnp.zeros((6, 8)).at[3, 6].set(1.0)  # √2 from the corner of the mask
    assert pointing(diagonal, MASK, tolerance=tolerance) == hit


def test_squared_distance_is_exact_in_3d():
    mask = jax.random.uniform(jax.random.key(0), (4, 5, 6)) > 0.9
    inside = np.argwhere(mask)
    expected = [((inside - p) ** 2).sum(1).min() for p in np.ndindex(4, 5, 6)]
    np.testing.assert_allclose(squared_distance(mask).ravel(), expected)
    assert np.isinf(squared_distance(mask & False)).all()


def test_rank_accuracy_spreads_ties():
    levels = (
        jnp.zeros((6, 8)).at[1, 2:6].set(2.0)
    )  # 4 hits above, then 4 places for 44 tied, of which 4 are hits
    assert rank_accuracy(levels, MASK) == pytest.approx((4 + 4 * 4 / 44) / 8)


def test_iou_at_the_area_of_the_mask():
    half = jnp.zeros((6, 8)).at[1:3, 4:8].set(1.0)  # 4 of 8 inside, the union has 12
    assert iou(half, MASK) == pytest.approx(4 / 12)
    assert iou(MASK * 1.0, MASK) == 1 and iou(-1.0 * MASK, MASK) == 0
    assert np.isnan(iou(half, MASK & False))


def test_tolerance_does_not_reach_into_another_window():
    event = jnp.stack([MASK, MASK & False])
    other = jnp.zeros((2, 6, 8)).at[1, 1, 2].set(1.0)
    assert pointing(other, event, tolerance=1.5) == 1
    assert pointing(other, event, tolerance=1.5, axes=(-2, -1)) == 0
    assert pointing(other[::-1], event, tolerance=1.5, axes=(-2, -1)) == 1


def test_the_centroid_is_in_the_units_of_its_coordinates():
    spot = jnp.zeros((2, 3, 4)).at[0, 1, 1].set(1.0).at[1, 1, 3].set(3.0) - 0.5
    seconds = jnp.broadcast_to(jnp.array([1.0, 10.0])[:, None, None] * jnp.arange(4.0), (2, 3, 4))
    found = centroid(spot, jnp.stack([seconds, 0 * seconds + 7], axis=-1))
    np.testing.assert_allclose(found, [(0.5 * 1 + 2.5 * 30) / 3, 7], rtol=1e-6)
    np.testing.assert_allclose(centroid(0 * spot, seconds[..., None])[0], seconds.mean(), rtol=1e-6)


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_average_precision_is_that_of_scikit_learn(levels):
    for seed in range(5):
        random = np.random.default_rng(seed)
        values = random.integers(0, levels, (6, 8)).astype(np.float32)
        mask = random.random((6, 8)) < 0.3
        expected = average_precision_score(mask.ravel(), values.ravel())
        assert average_precision(jnp.asarray(values), jnp.asarray(mask)) == pytest.approx(expected, rel=1e-5)


def test_scores_are_the_same_alone_and_in_a_batch():
    maps = jax.random.normal(jax.random.key(0), (4, 6, 8))
    masks = jax.random.uniform(jax.random.key(1), (4, 6, 8)) > 0.7
    table = score_maps(maps, masks)
    for name, score in SCORES.items():
        for i in range(4):
            np.testing.assert_allclose(score(maps[i], masks[i]), table[name][i], rtol=1e-6)


def test_centre_distance_is_in_pixels():
    spot = jnp.zeros((10, 20)).at[2, 13].set(3.0) - 0.1
    assert centre_distance(spot, jnp.array([2.5 / 10, 13.5 / 20])) == pytest.approx(0, abs=1e-5)
    assert centre_distance(spot, jnp.array([5.5 / 10, 17.5 / 20])) == pytest.approx(5, rel=1e-5)
    event = jnp.stack([spot, spot])
    assert centre_distance(event, jnp.array([5.5 / 10, 17.5 / 20])) == pytest.approx(5, rel=1e-5)
    assert centre_distance(jnp.zeros((10, 20)), jnp.array([0.5, 0.5])) == pytest.approx(0, abs=1e-5)
    assert np.isnan(centre_distance(spot, jnp.array([np.nan, np.nan])))


def test_bootstrap_covers_the_mean():
    values = jax.random.normal(jax.random.key(0), (400,)).at[::4].set(jnp.nan)
    mean, low, high = bootstrap_interval(values, jax.random.key(1))
    assert low < mean < high
    assert float(high - low) == pytest.approx(2 * 1.96 / 300**0.5, rel=0.15)
    assert all(np.isnan(bootstrap_interval(jnp.full(3, jnp.nan), jax.random.key(0))))
