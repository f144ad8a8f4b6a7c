"""LIME and KernelSHAP: C13 to C15, scikit-learn's ridge, Shapley's definition, constraints, messages."""

import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from lensjax.explain import METHODS, batched, kernel_shap_fit, lime_fit, to_image_grid
from lensjax.explain.engine.segments import all_masks, coin_masks, paired_masks
from lensjax.explain.methods.patch_regression import proximity
from tests.oracles.explain_oracles import column, m2, network, score_of

close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
KEY = jax.random.key(0)
V = column(20, 50, 30)
TWINS = pytest.mark.parametrize("axes", [1, 2, 3])  # the same three numbers along a line, in 2D and in 3D
IMAGE = jax.random.normal(jax.random.key(1), (8, 12, 2))
SCORE = score_of(network())
OPTIONS = {"key": KEY, "segments": (2, 3), "samples": 40}  # one compilation for most tests
SUBJECT = {2: (IMAGE, SCORE), 3: (jnp.stack([IMAGE[:, :8], IMAGE[:, 4:]]), score_of(network(dims=3)))}


def along(axes, values=V):
    """Three numbers [3 1] as an image with that many axes, and a patch for each."""
    shape = (1,) * (axes - 1) + (3,)
    return values.reshape(*shape, 1), np.arange(3).reshape(shape)


def seen(score, image, masks, labels, base=0.0):
    """The score of the image through each mask."""
    kept = np.asarray(masks)[:, np.asarray(labels)][..., None]
    return np.asarray(jax.vmap(score)(jnp.where(kept, image, base)), np.float64)


def shapley(score, image, labels, base=0.0):
    """By definition: what a patch adds, on average over all orders."""
    count = int(np.max(labels)) + 1
    values = dict(zip(map(tuple, np.asarray(all_masks(count))), seen(score, image, all_masks(count), labels,
                                                                    base), strict=True))  # fmt: skip
    total = np.zeros(count)
    for order in itertools.permutations(range(count)):
        mask = [False] * count
        for patch in order:
            before = values[tuple(mask)]
            mask[patch] = True
            total[patch] += values[tuple(mask)] - before
    return total / math.factorial(count)


@TWINS
@pytest.mark.parametrize(
    ("alpha", "coefficients", "intercept"),
    [
        (1.0, [21.5191, 81.6203, 41.5528], 168.1631),
        (0.01, [78.2105, 197.0264, 117.8158], -3.2055),
        (0.0, [79.9959, 199.9959, 119.9959], -7.9907),
    ],
)
def test_c14_lime_with_all_masks(axes, alpha, coefficients, intercept):
    image, labels = along(axes)
    fit = lime_fit(m2, image, segments=labels, samples=8, alpha=alpha)
    close(fit.coefficients, coefficients, atol=2e-4)
    close(fit.intercept, intercept, atol=4e-4)
    if alpha == 1:
        close(fit.r2, 0.624053, atol=1e-6)
        close(fit.prediction, 312.8553)
    found = METHODS["lime"](m2, image, segments=labels, samples=8, alpha=alpha)
    close(found, fit.coefficients.reshape(image.shape))


@TWINS
def test_c14_of_a_linear_score_lime_is_exact(axes):
    image, labels = along(axes, column(1, 1, 1))
    weights = jnp.array([3.0, -2.0, 0.5])
    fit = lime_fit(lambda x: x.ravel() @ weights + 7, image, segments=labels, samples=8, alpha=0.0)
    close(fit.coefficients, weights, rtol=1e-6)
    close(fit.intercept, 7, rtol=1e-6)
    close(fit.r2, 1, rtol=1e-6)
    close(fit.standard_errors, 0)


def test_c15_the_kernel_is_that_of_the_lime_package():
    share = jnp.array([3, 2, 1, 0]) / 3
    close(proximity(share, 0.25), [1, 0.763847, 0.239533, 0.000335], atol=1e-6)
    distance = 1 - np.sqrt(np.asarray(share))
    close(proximity(share, 0.4), np.exp(-(distance**2) / (2 * 0.4**2)))  # Captum's form
    close(proximity(share, 0.4 / np.sqrt(2)), np.exp(-(distance**2) / 0.4**2))  # Xplique's form


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize(("alpha", "width"), [(1.0, 0.25), (0.01, 0.7)])
def test_lime_is_scikit_learns_ridge(dims, alpha, width):
    image, score = SUBJECT[dims]
    labels = np.arange(image[..., 0].size).reshape(image.shape[:-1]) % 6
    fit = lime_fit(score, image, key=KEY, segments=labels, samples=40, alpha=alpha, width=width)
    masks = np.asarray(coin_masks(jax.random.fold_in(KEY, 1), 6, 40))
    y = seen(score, image, masks, labels)
    weights = np.exp(-((1 - np.sqrt(masks.mean(1))) ** 2) / (2 * width**2))
    ridge = Ridge(alpha=alpha).fit(masks, y, weights)
    close(fit.coefficients, ridge.coef_, rtol=1e-4)
    close(fit.intercept, ridge.intercept_, rtol=1e-4)
    close(fit.r2, ridge.score(masks, y, weights), rtol=1e-4)
    close(fit.prediction, ridge.predict(np.ones((1, 6)))[0], rtol=1e-4)


@TWINS
@pytest.mark.parametrize(
    ("groups", "baseline", "expected"),
    [
        ([0, 1, 2], (0, 0, 0), [76.666667, 196.666667, 116.666667]),
        ([0, 1, 2], (10, 20, 10), [40, 120, 80]),
        ([0, 0, 1], (0, 0, 0), [275, 275, 115]),  # each pixel has the value of its group
    ],
)
def test_c13_kernel_shap_is_exact(axes, groups, baseline, expected):
    image, labels = along(axes)
    options = {"segments": np.array(groups).reshape(labels.shape), "samples": 8}
    found = METHODS["kernel_shap"](m2, image, baseline=along(axes, column(*baseline))[0], **options)
    close(found.ravel(), expected, rtol=1e-6)


@pytest.mark.parametrize("dims", [2, 3])
def test_kernel_shap_of_a_network_is_the_mean_over_orders(dims):
    image, score = SUBJECT[dims]
    labels = np.asarray(jax.random.randint(KEY, image.shape[:-1], 0, 5))
    fit = kernel_shap_fit(score, image, segments=labels, samples=32)
    close(fit.coefficients, shapley(score, image, labels), rtol=1e-4)
    assert (fit.standard_errors == 0).all()
    close(fit.intercept, score(image * 0))
    close(fit.prediction, score(image))


@pytest.mark.parametrize("samples", [2, 10, 40, 41])
def test_sampled_shapley_values_sum_to_the_change_of_the_score(samples):
    fit = kernel_shap_fit(SCORE, IMAGE, key=KEY, segments=(2, 3), samples=samples)
    close(fit.coefficients.sum(), SCORE(IMAGE) - SCORE(IMAGE * 0))
    # Too few masks fix nothing: pairs count, and the constraint saves one.
    assert np.isinf(fit.standard_errors).all() == (samples < 12)


def test_sampled_shapley_values_of_a_linear_score_are_exact():
    weights = jax.random.normal(KEY, IMAGE.shape)
    fit = kernel_shap_fit(lambda x: (weights * x).sum(), IMAGE, **OPTIONS)
    expected = np.bincount(np.asarray(fit.segments).ravel(), np.asarray((weights * IMAGE).sum(-1)).ravel())
    close(fit.coefficients, expected, atol=1e-4)
    close(fit.r2, 1)


def test_sampled_shapley_values_approach_the_exact_ones():
    exact = kernel_shap_fit(SCORE, IMAGE, segments=(2, 3), samples=64)
    found = kernel_shap_fit(SCORE, IMAGE, **OPTIONS)
    error = np.abs(found.coefficients - exact.coefficients)
    assert 0 < error.max() < 0.05 * np.abs(exact.coefficients).max()
    assert (error < 4 * found.standard_errors).all()


def test_masks():
    masks = np.asarray(all_masks(4))
    assert masks[0].all() and len(np.unique(masks, axis=0)) == 16 and (masks == ~masks[::-1]).all()
    masks = np.asarray(coin_masks(KEY, 9, 2000))
    assert masks[0].all() and np.abs(masks[1:].mean(0) - 0.5).max() < 5 * 0.5 / np.sqrt(2000)
    there = jnp.array([True] * 6 + [False])
    masks = np.asarray(paired_masks(KEY, there, 3000))
    assert len(masks) == 6002 and masks[0].all() and (masks == ~masks[::-1]).all()
    size = masks[1:3001, :6].sum(1)
    kernel = np.array([1 / (m * (6 - m)) for m in range(1, 6)])
    share = np.array([(size == m).mean() for m in range(1, 6)])
    close(share, kernel / kernel.sum(), atol=5 * 0.5 / np.sqrt(3000))


def spread_score(x):
    """Linear in eight patches, and something that looks like noise: another number for each mask."""
    code = (x[:, 0] * 2.0 ** jnp.arange(8)).sum()
    return (jnp.linspace(-1, 2, 8) * x[:, 0]).sum() + 1.5 * jnp.sin(37.7 * code + 1.13 * code**2)


@pytest.mark.parametrize("fit", [partial(lime_fit, alpha=1e-3), kernel_shap_fit], ids=["lime", "kernel_shap"])
def test_standard_errors_are_the_spread_over_keys(fit):
    image = jnp.ones((8, 1))
    many = jax.jit(jax.vmap(lambda key: fit(spread_score, image, key=key, segments=8, samples=120)))
    fits = many(jax.random.split(KEY, 200))
    said = np.sqrt(np.square(fits.standard_errors).mean(0))
    ratio = said / np.std(fits.coefficients, axis=0)
    assert 0.85 < ratio.mean() < 1.15 and (np.abs(ratio - 1) < 0.3).all(), ratio


def test_masks_that_cannot_tell_patches_apart_leave_no_nan():
    """Five masks of four patches, no penalty: some keys keep two patches always together."""
    image = jnp.ones((4, 1))
    many = jax.vmap(
        lambda key: lime_fit(lambda x: 3 * x.sum(), image, key=key, segments=4, samples=5, alpha=0.0)
    )
    fits = many(jax.random.split(KEY, 50))
    assert np.isfinite(fits.coefficients).all()
    assert np.median(np.abs(np.asarray(fits.coefficients) - 3)) < 1e-3


@pytest.mark.parametrize("fit", [lime_fit, kernel_shap_fit])
def test_a_label_without_pixels_changes_nothing(fit):
    image, labels = along(2)
    whole = fit(m2, image, segments=labels, samples=8)
    gap = fit(m2, image, segments=np.where(labels == 2, 4, labels), samples=32)  # 2 and 3 own nothing
    close(gap.coefficients, [*whole.coefficients[:2], 0, 0, whole.coefficients[2]])
    for name in ("intercept", "r2", "prediction"):
        close(getattr(gap, name), getattr(whole, name), rtol=1e-4)


@pytest.mark.parametrize("fit", [lime_fit, kernel_shap_fit])
def test_all_numbers_of_a_score_share_the_masks(fit):
    def two(image):
        return jnp.stack([SCORE(image), 2 * image.sum()])

    both = fit(two, IMAGE, **OPTIONS)
    for i in range(2):
        alone = fit(lambda x, i=i: two(x)[i], IMAGE, **OPTIONS)
        for name in ("coefficients", "intercept", "r2", "prediction", "standard_errors"):
            close(getattr(both, name)[..., i], getattr(alone, name), atol=1e-4)


def test_patches_filled_with_their_own_mean():
    labels = np.repeat(np.arange(4), 24).reshape(8, 12)
    flat = jnp.asarray(np.stack([labels, -labels], -1), jnp.float32)
    found = METHODS["lime"](SCORE, flat, segments=labels, samples=16, baseline="segment_mean")
    close(found, 0)  # a patch of one brightness is its own mean
    assert np.abs(METHODS["lime"](SCORE, flat, segments=labels, samples=16)).max() > 0.01


def test_segments_of_its_own_for_each_example():
    """One K for all: `patches`; labels come in as values that are not known while tracing."""
    images = jnp.stack([IMAGE, -IMAGE])
    labels = np.stack([np.arange(96).reshape(8, 12) % k for k in (3, 4)])

    def method(score, sample, key=None):
        number = sample[..., -1].astype(int)
        return lime_fit(score, sample[..., :-1], segments=number, patches=4, samples=16).coefficients

    samples = jnp.concatenate([images, labels[..., None]], -1)
    found = batched(jax.jit(method, static_argnums=0))(SCORE, samples)
    close(found[0, :3], lime_fit(SCORE, IMAGE, segments=labels[0], samples=8).coefficients, atol=1e-4)
    close(found[1], lime_fit(SCORE, -IMAGE, segments=labels[1], samples=16).coefficients, atol=1e-4)
    assert found[0, 3] == 0


@pytest.mark.parametrize("name", ["lime", "kernel_shap"])
def test_a_map_has_one_value_a_patch(name):
    found = METHODS[name](SCORE, IMAGE, **OPTIONS)
    assert found.shape == (8, 12, 1)
    assert len(np.unique(found)) == 6
    assert (to_image_grid(found, IMAGE.shape)[:4, :4] == found[0, 0]).all()


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("lime", {}, "lime draws masks; pass key"),
        ("kernel_shap", {}, "kernel_shap draws masks; pass key"),
        ("lime", {"alpha": -1.0}, "alpha (=-1.0) must be 0 or more"),
        ("lime", {"width": 0.0}, "width (=0.0) must be positive"),
        ("lime", {"alpha": 0.0, "segments": 96, "samples": 50}, "alpha=0 needs more than 96 samples"),
        ("lime", {"samples": 0}, "samples (=0)"),
        ("kernel_shap", {"segments": "voronoi"}, "unknown segments 'voronoi'"),
    ],
)
def test_messages(name, options, words):
    with pytest.raises(ValueError) as error:
        METHODS[name](SCORE, IMAGE, **options)
    assert words in str(error.value)


def test_a_map_is_of_one_number():
    with pytest.raises(ValueError, match=r"score returns shape \(2,\)"):
        METHODS["lime"](lambda x: x[0, 0], IMAGE, segments=2, samples=4)
