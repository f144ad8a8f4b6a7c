"""Faithfulness: closed forms, an optimum found by trying all orders, and what must not change a score."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import spearmanr

from lensjax.explain import FAITHFULNESS, map_chunks, max_sensitivity
from lensjax.explain.engine.segments import all_masks
from lensjax.explain.methods.gradient import gradient, input_x_gradient
from lensjax.explain.methods.integrated_gradients import integrated_gradients
from lensjax.explain.scores.deletion_insertion import (
    deletion,
    impute,
    insertion,
    neighbours,
    order_pixels,
    removal_curve,
    road,
)
from lensjax.explain.scores.faithfulness import infidelity, mu_fidelity, random_parts, sparseness
from lensjax.ops.map_statistics import rank_correlation, rank_values
from tests.oracles.explain_oracles import column, m2

KEY = jax.random.key(3)
IMAGE = jax.random.normal(jax.random.key(1), (8, 12, 2))
MAPS = jax.random.normal(jax.random.key(2), (3, 8, 12))


def SCORE(x):
    """Of images and of events: rows speak to each other, windows do not."""
    return jnp.tanh(x).sum() + (x[..., 1:, :, 0] * x[..., :-1, :, 1]).sum()


FEW = {"deletion": {"steps": 6}, "insertion": {"steps": 6, "baseline": 0.3}, "infidelity": {"samples": 9}}
FEW |= {"mu_fidelity": FEW["infidelity"]} | {
    f"road_{which}": {"fractions": (0.2, 0.6)} for which in ("most", "least")
}
close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)


def of(name, attribution, score=SCORE, image=IMAGE, **options):
    return FAITHFULNESS[name](score, image, attribution, key=KEY, **FEW.get(name, {}), **options)


@pytest.mark.parametrize("steps", [4, 96])
def test_deletion_and_insertion_at_their_best(steps):
    """C19: 0 and 1, but for the half step beside the untouched image."""
    image = 1 + jnp.abs(IMAGE)
    untouched = deletion(lambda x: 1.0 * (x != 0).all(), image, MAPS[0], steps=steps)
    assert untouched == pytest.approx(0.5 / steps)
    anything = insertion(lambda x: 1.0 * (x != 0).any(), image, MAPS[0], steps=steps, baseline=0)
    assert anything == pytest.approx(1 - 0.5 / steps)


def test_a_linear_score_falls_fastest_in_the_order_of_its_terms():
    weights = column(0.5, -1.0, 2.0, 1.5, -0.2)
    image = column(1.0, 2.0, -1.5, 3.0, 4.0)

    def score(x):
        return (weights * x).sum()

    found = input_x_gradient(score, image)[..., 0]
    orders = jnp.array(list(itertools.permutations(range(5))), jnp.float32)
    tried = jax.vmap(lambda order: deletion(score, image, order, steps=5))(orders)
    assert deletion(score, image, found, steps=5) == pytest.approx(float(tried.min()))
    tried = jax.vmap(lambda order: insertion(score, image, order, steps=5, baseline=0))(orders)
    assert insertion(score, image, found, steps=5, baseline=0) == pytest.approx(float(tried.max()))
    # The curve itself: what is left of the sum.
    left = float(score(image)) - np.concatenate([[0], np.cumsum(np.sort(np.asarray(found))[::-1])])
    close(removal_curve(score, image, found, image * 0, steps=5), left)


def test_ties_go_in_the_order_of_the_image():
    np.testing.assert_array_equal(order_pixels(jnp.array([[0.0, 1.0], [1.0, 0.0]])), [[2, 0], [1, 3]])
    np.testing.assert_array_equal(order_pixels(jnp.zeros((2, 3))), np.arange(6).reshape(2, 3))


def test_mu_fidelity_of_a_sum_is_one_and_of_its_opposite_minus_one():
    x = IMAGE.sum(-1)
    assert mu_fidelity(jnp.sum, IMAGE, x, key=KEY) == pytest.approx(1)
    assert mu_fidelity(jnp.sum, IMAGE, -x, key=KEY) == pytest.approx(-1)
    assert mu_fidelity(jnp.sum, IMAGE, 0 * x, key=KEY) == 0


def test_infidelity_over_all_parts():
    """C20: M2 is linear there, so its integrated gradients tell every part's loss."""
    image, parts = column(1.0, 2.5, 3.3), all_masks(3)[:-1]
    told = integrated_gradients(m2, image, steps=4)[:, 0]
    close(told, [3.0, 7.5, 9.9])
    for scaled in (False, True):
        assert infidelity(m2, image, told, parts=parts, scaled=scaled) == pytest.approx(0, abs=1e-8)
    assert infidelity(m2, image, 5 * told, parts=parts) == pytest.approx(0, abs=1e-8)
    assert infidelity(m2, image, told * 0, parts=parts) == 1
    wrong = infidelity(m2, image, told.at[0].add(2.0), parts=parts, scaled=False)
    assert wrong == pytest.approx(4 * 4 / 7, rel=1e-5)  # 4 of the 7 parts hold the pixel that is 2 off


@pytest.mark.parametrize("n", [2, 12])
def test_gini(n):
    one = jnp.zeros(n).at[n // 2].set(-3.0)
    assert sparseness(None, None, one) == pytest.approx(1 - 1 / n)
    assert sparseness(None, None, jnp.full((n, 2), 0.7)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", FAITHFULNESS)
def test_a_map_of_zeros_and_a_score_that_never_changes_give_numbers(name):
    for score in (SCORE, lambda x: 0 * x.sum() + 2.0):
        for attribution in (jnp.zeros((8, 12)), MAPS[0]):
            assert np.isfinite(of(name, attribution, score))


@pytest.mark.parametrize("name", FAITHFULNESS)
def test_chunk_jit_batch_and_a_window_more_do_not_matter(name):
    found = of(name, MAPS[0])
    close(jax.jit(partial(of, name))(MAPS[0]), found)
    close(map_chunks(partial(of, name), MAPS, 2)[0], found)
    if name in ("deletion", "road_most", "infidelity"):
        close(of(name, MAPS[0], chunk=2), found)
    # Noise of another shape is other noise.
    plain = {"noise": 0.0} if name.startswith("road") else {}
    close(of(name, MAPS[0][None], image=IMAGE[None], **plain), of(name, MAPS[0], **plain))


@pytest.mark.parametrize("name", ["infidelity", "mu_fidelity"])
def test_many_maps_cost_the_score_no_more_than_one(name):
    seen = []

    @jax.custom_batching.custom_vmap
    def noted(x):
        return jnp.tanh(x).sum()

    @noted.def_vmap
    def _(size, batched, x):
        seen.append(x.shape)
        return jnp.tanh(x).sum((-3, -2, -1)), True

    map_chunks(lambda a: FAITHFULNESS[name](noted, IMAGE, a, key=KEY, samples=4), MAPS, 3)
    assert seen == [(4, 8, 12, 2)]


def test_imputation_solves_the_system():
    for share, seed in ((0.1, 0), (0.9, 1)):
        image = jax.random.normal(jax.random.key(seed), (9, 11, 2)).at[3, 4].add(9.0)
        removed = jax.random.uniform(KEY, (9, 11)) < share
        found = impute(image, removed)
        assert (found[~removed] == image[~removed]).all()
        np.testing.assert_allclose(found, dense(image, removed), atol=0.01 * float(jnp.ptp(image)))
    flat = impute(jnp.full((9, 11, 1), 3.0), removed)
    close(flat, 3.0)


def dense(image, removed):
    """All equations at once, by NumPy, from the paper's words."""
    image, gone = np.array(image, float), np.argwhere(removed)
    number = {tuple(p): i for i, p in enumerate(gone)}
    a, b = np.zeros((len(gone),) * 2), np.zeros((len(gone), image.shape[-1]))
    for i, (r, c) in enumerate(gone):
        for dr, dc in itertools.product((-1, 0, 1), repeat=2):
            inside = 0 <= r + dr < image.shape[0] and 0 <= c + dc < image.shape[1]
            if not inside or (dr, dc) == (0, 0):
                continue
            w = 1 / 6 if 0 in (dr, dc) else 1 / 12
            a[i, i] += w
            if (r + dr, c + dc) in number:
                a[i, number[r + dr, c + dc]] -= w
            else:
                b[i] += w * image[r + dr, c + dc]
    image[tuple(gone.T)] = np.linalg.solve(a, b)
    return image


@pytest.mark.parametrize("hole", [np.s_[2:62, 2:62], np.s_[:, :58]])
def test_imputation_converges_in_a_large_hole(hole):
    """A ramp is its own imputation in a hole with a border around it; a plain towards an open border."""
    ramp = jnp.broadcast_to(jnp.arange(64.0), (64, 64)) if hole[0] != np.s_[:] else jnp.full((64, 64), 5.0)
    removed = jnp.zeros((64, 64), bool).at[hole].set(True)
    start = jnp.where(removed, -40.0, ramp)[..., None]
    np.testing.assert_allclose(impute(start, removed)[..., 0], ramp, atol=0.01 * float(jnp.ptp(start)))


def test_windows_of_an_event_are_imputed_apart():
    event = jnp.stack([jnp.full((6, 6, 1), value) for value in (1.0, 5.0)])
    removed = jnp.zeros((2, 6, 6), bool).at[:, 1:4, 1:5].set(True)
    close(impute(event, removed), event)
    alone = impute(event, removed.at[0].set(True))  # nothing is left of the first: the mean of the rest
    close(alone, jnp.full_like(event, 5.0))


def test_imputation_adds_noise_of_its_width_and_only_there():
    image, removed = IMAGE * 0 + jnp.array([0.0, 1.0]), jnp.ones((8, 12), bool).at[0].set(False)
    noisy = impute(image, removed, key=KEY, noise=0.01) - impute(image, removed)
    assert (noisy[0] == 0).all() and float(noisy[1:].std()) == pytest.approx(0.01, rel=0.15)
    close(
        neighbours(jnp.ones((3, 3, 1)))[:, :, 0],
        [[5 / 12, 2 / 3, 5 / 12], [2 / 3, 1, 2 / 3], [5 / 12, 2 / 3, 5 / 12]],
    )


def test_road_tells_the_best_from_the_worst_order():
    """The score is the light of a block: without it first, the score falls; with it last, it stays."""
    block = jnp.zeros((8, 12)).at[2:4, 3:7].set(1.0)
    image = block[..., None] * jnp.array([1.0, 2.0])

    def score(x):
        return (x * block[..., None]).sum() / 24

    assert road(score, image, block, key=KEY, noise=0.0) < 0.25
    assert road(score, image, block, key=KEY, noise=0.0, most=False) > 0.95


def test_max_sensitivity():
    def linear(x):
        return (jnp.arange(3.0) * x[..., 0]).sum()

    image = column(1.0, 2.0, 3.0)
    assert max_sensitivity(lambda x: gradient(linear, x), image, key=KEY) == 0
    found = max_sensitivity(lambda x: input_x_gradient(linear, x), image, key=KEY, radius=0.1, samples=50)
    worst = 0.2 * np.sqrt((1 + 4) / (4 + 36))  # 0.2 in every pixel: ‖(0, .2, .4)‖ / ‖(0, 2, 6)‖
    assert 0.7 * worst < float(found) <= worst * 1.0001
    assert max_sensitivity(lambda x: 0 * x, image, key=KEY) == 0
    step = max_sensitivity(lambda x: jnp.where(x == image, 0, x), image, key=KEY)
    assert step == 1


def test_random_parts_have_their_share():
    parts = random_parts(KEY, IMAGE, samples=5, segments=24, share=0.25)
    assert parts.shape == (5, 8, 12) and (parts.sum((1, 2)) == 24).all()
    event = random_parts(KEY, jnp.zeros((4, 10, 10, 1)), samples=3)
    assert event.shape == (3, 4, 10, 10)


def test_ranks_and_their_correlation():
    close(rank_values(jnp.array([3.0, 1.0, 3.0, 7.0])), [1.5, 0, 1.5, 3])
    a, b = jnp.asarray(np.random.default_rng(0).integers(0, 6, (2, 5, 8)), jnp.float32)
    expected = spearmanr(a.ravel(), b.ravel()).statistic
    assert rank_correlation(a, b) == pytest.approx(expected, abs=1e-6)
    assert rank_correlation(a, a) == 1 and rank_correlation(a, -a) == pytest.approx(-1)
    assert rank_correlation(a, a * 0) == 0 and rank_correlation(a * 0, a * 0 + 1) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: road(SCORE, IMAGE, MAPS[0]), "road draws noise"),
        (lambda: road(SCORE, IMAGE, MAPS[0], key=KEY, fractions=(1.0,)), "between 0 and 1"),
        (lambda: deletion(SCORE, IMAGE, MAPS[0], steps=0), "steps"),
        (lambda: infidelity(SCORE, IMAGE, MAPS[0]), "parts are drawn"),
        (lambda: max_sensitivity(jnp.abs, IMAGE), "max_sensitivity draws"),
        (lambda: max_sensitivity(jnp.abs, IMAGE, key=KEY, radius=0.0), "radius"),
        (lambda: random_parts(KEY, IMAGE, share=1.0), "share"),
        (lambda: impute(column(1.0, 2.0), jnp.array([True, False])), "rows, columns"),
    ],
)
def test_mistakes_say_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()
