"""The talk's recipe in one call, and whether other masks would have named the same patches."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from lensjax.explain import Surrogate, kernel_shap_fit, lime_top_patches, top_patches
from lensjax.explain.scores.stability import stability
from lensjax.ops.map_statistics import rank_correlation

KEY = jax.random.key(0)


def cutout():
    """Sky, and three bright sources far apart."""
    row, column = np.indices((40, 40))
    image = np.random.default_rng(0).normal(size=(40, 40)) * 0.05
    for r, c in ((8, 8), (20, 30), (33, 12)):
        image += np.exp(-((row - r) ** 2 + (column - c) ** 2) / 8)
    return jnp.asarray(image[..., None], jnp.float32)


def brightness(image):
    return image.sum()


def test_the_talks_recipe_is_one_call():
    fit, best = lime_top_patches(brightness, cutout(), key=KEY, samples=400)
    assert len(fit.coefficients) == 250
    assert best.keys() == {5, 10}
    pixels = np.asarray(fit.segments)
    for n, inside in best.items():
        named = np.unique(pixels[inside])
        assert len(named) == n
        assert (np.sort(np.asarray(fit.coefficients)[named]) == np.sort(fit.coefficients)[-n:]).all()
        assert (np.isin(pixels, named) == inside).all()  # whole patches
    assert (best[10] | ~best[5]).all()
    light = np.asarray(cutout())[..., 0]
    assert light[best[10]].mean() > 10 * abs(light[~np.asarray(best[10])].mean())


def test_its_defaults_are_the_talks():
    given = inspect.signature(lime_top_patches).parameters
    assert (given["segments"].default, given["patches"].default) == ("slic", 250)
    assert given["top"].default == (5, 10)


def fit_of(coefficients):
    zero = jnp.zeros(())
    values = jnp.asarray(coefficients, jnp.float32)
    return Surrogate(values, zero, zero, zero, values, jnp.arange(len(coefficients))[None])


def test_top_patches_support_the_score():
    assert top_patches(fit_of([3, -9, 1, 2]), 2).tolist() == [[True, False, False, True]]
    assert top_patches(fit_of([3, -9, 0, -1]), 3).tolist() == [[True, False, False, False]]  # no more do
    assert top_patches(fit_of([1, 1, 1]), 2).tolist() == [[True, True, False]]  # ties in order
    with pytest.raises(ValueError, match="n .=0."):
        top_patches(fit_of([1.0]), 0)


@pytest.mark.parametrize("options", [{"alpha": 1e-4}, {"fit": kernel_shap_fit}], ids=["lime", "kernel_shap"])
def test_fits_of_a_linear_score_agree_and_of_a_wild_one_do_not(options):
    image = jnp.linspace(1, 2, 12).reshape(12, 1)
    options = {"segments": 12, "samples": 60, "top": 3, "keys": jax.random.split(KEY, 4), **options}
    assert stability(brightness, image, **options) == {"rank_correlation": 1, "jaccard": 1}
    wild = stability(lambda x: jnp.sin(1e3 * (x * jnp.arange(12.0)[:, None] ** 2).sum()), image, **options)
    assert abs(wild["rank_correlation"]) < 0.5 and wild["jaccard"] < 0.5


def test_rank_correlation_is_spearmans():
    a, b = np.random.default_rng(0).integers(0, 6, (2, 40))  # many ties
    assert rank_correlation(a, b) == pytest.approx(scipy.stats.spearmanr(a, b).statistic)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    assert rank_correlation(a * 0, a * 0) == 1 and rank_correlation(a, a * 0) == 0


@pytest.mark.parametrize("keys", [KEY, jax.random.split(KEY, 1)])
def test_one_key_compares_with_nothing(keys):
    with pytest.raises(ValueError, match="two keys or more"):
        stability(brightness, cutout(), keys=keys)
