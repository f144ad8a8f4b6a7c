"""Statistics of maps, the bootstrap, and convolutions of events on other backends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.ops.bootstrap import bootstrap, percentiles
from lensjax.ops.conv import conv
from lensjax.ops.map_statistics import (
    average_precision,
    gini_index,
    mean_variation,
    share_weights,
    weighted_centroid,
)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("channels", [1, 3])
def test_events_are_convolved_the_same_on_every_backend(padding, channels, monkeypatch):
    x = jax.random.normal(jax.random.key(0), (2, 4, 6, 7, channels))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, 2, channels, 5))
    expected = conv(x, kernel, padding)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    np.testing.assert_allclose(conv(x, kernel, padding), expected, atol=1e-4)
    with pytest.raises(ValueError, match="time kernel of 3 exceeds 2 windows"):
        conv(x[:, :2], kernel, "VALID")


def test_gini_index():
    assert gini_index(jnp.ones((3, 4))) == pytest.approx(0, abs=1e-6)
    assert gini_index(jnp.zeros(5).at[2].set(-3.0)) == pytest.approx(0.8)
    assert gini_index(jnp.zeros(5)) == 0 and gini_index(jnp.full(5, 1e-9), least=1e-7) == 0


def test_shares_and_centroids():
    weights = jnp.array([[1.0, 3.0], [0.0, 0.0]])
    np.testing.assert_allclose(share_weights(weights), weights / 4)
    np.testing.assert_allclose(share_weights(weights, (1,)), [[0.25, 0.75], [0.5, 0.5]])
    coordinates = jnp.stack(jnp.meshgrid(jnp.arange(2.0), jnp.arange(2.0), indexing="ij"), -1)
    np.testing.assert_allclose(weighted_centroid(weights, coordinates), [0, 0.75])
    np.testing.assert_allclose(weighted_centroid(weights * 0, coordinates), [0.5, 0.5])


def test_mean_variation_leaves_windows_apart():
    x = jnp.arange(3.0)[:, None, None] * jnp.ones((3, 4, 5))
    assert mean_variation(x) == 0
    assert mean_variation(jnp.arange(5.0) * jnp.ones((3, 4, 5))) == 1


def test_average_precision_agrees_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    values = np.random.default_rng(0).integers(0, 8, 60).astype(np.float32)
    positive = np.random.default_rng(1).random(60) < 0.3
    expected = metrics.average_precision_score(positive, values)
    assert float(average_precision(jnp.asarray(values), jnp.asarray(positive))) == pytest.approx(
        expected, abs=1e-6
    )


def test_the_bootstrap_repeats_with_its_seed_and_leaves_out_what_is_undefined():
    values = np.random.default_rng(0).normal(size=200)
    low, high = bootstrap(np.mean, (values,), seed=3)
    assert (low, high) == bootstrap(np.mean, (values,), seed=3) != bootstrap(np.mean, (values,), seed=4)
    assert low < values.mean() < high
    assert percentiles(np.array([np.nan, 1.0, 1.0])) == (1, 1)
    assert all(np.isnan(percentiles(np.array([np.nan]))))
