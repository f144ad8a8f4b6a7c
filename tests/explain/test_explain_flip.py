"""The smallest edit that flips a decision: closed forms of linear scores, in 2D and 3D."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from lensjax.explain import by_gradient, by_patches, margin

SHAPES = [(8, 12, 2), (3, 4, 6, 1)]


def linear(weights, offset, image):
    return (weights * image).sum() + offset


def drawn(shape, gap=3.0, seed=0):
    rng = np.random.default_rng(seed)
    image, weights = (jnp.asarray(rng.normal(size=shape).astype(np.float32)) for _ in range(2))
    return image, weights, -float((weights * image).sum()) - gap


def test_margin_is_over_the_best_other():
    logits = jnp.array([1.0, 4.0, 3.0])
    assert margin(logits, 1) == 1 and margin(logits, 2) == -1 and margin(logits, 0) == -3


@pytest.mark.parametrize("shape", SHAPES)
def test_patches_of_a_linear_score_are_the_fewest(shape):
    image, weights, offset = drawn(shape, gap=1.0)
    score = Partial(linear, weights, offset)
    cells = (2, 3) if len(shape) == 3 else (3, 1, 3)
    found = by_patches(score, image, segments=cells, chunk=4)
    assert found.flipped and found.scores[0] == pytest.approx(-1, abs=1e-4) and found.scores[-1] > 0
    places = np.meshgrid(*(np.arange(n) * k // n for n, k in zip(shape, cells, strict=False)), indexing="ij")
    labels = np.ravel_multi_index(places, cells)
    gains = np.array([-float((weights * image)[labels == k].sum()) for k in range(labels.max() + 1)])
    fewest = next(n for n in range(1, 10) if np.sort(gains)[::-1][:n].sum() > 1)
    assert len(found.segments) == fewest
    assert list(found.segments) == np.argsort(-gains)[:fewest].tolist()
    assert found.pixels == sum((labels == k).sum() for k in found.segments)
    np.testing.assert_allclose(found.image, np.where(np.isin(labels, found.segments)[..., None], 0, image))
    np.testing.assert_allclose(np.diff(found.scores), gains[list(found.segments)], atol=1e-4)


def test_patches_stop_where_nothing_helps_or_enough_are_gone():
    image, weights, offset = drawn(SHAPES[0])
    hopeless = by_patches(Partial(linear, 0 * weights, -1.0), image, segments=6)
    assert not hopeless.flipped and hopeless.segments == () and not hopeless.removed.any()
    one = by_patches(Partial(linear, weights, offset - 50), image, segments=24, most=2)
    assert len(one.segments) == 2 and not one.flipped
    right = by_patches(Partial(linear, weights, offset + 9), image, segments=6)
    assert right.flipped and right.pixels == 0


def test_labels_that_own_nothing_are_never_taken():
    image, weights, offset = drawn(SHAPES[0])
    labels = np.full(SHAPES[0][:-1], 3)
    labels[:4] = 5
    found = by_patches(Partial(linear, weights, offset), image, segments=labels)
    assert set(found.segments) <= {3, 5}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_shortest_step_of_a_linear_score(shape):
    image, weights, offset = drawn(shape)
    found = by_gradient(Partial(linear, weights, offset), image)
    norm = float(jnp.sqrt((weights**2).sum()))
    assert found.flipped and found.steps == 1
    assert found.l2 == pytest.approx(3 / norm, rel=2e-3)
    np.testing.assert_allclose(found.image, image + 3 * weights / norm**2, atol=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_sparsest_step_of_a_linear_score(shape):
    image, weights, offset = drawn(shape)
    found = by_gradient(Partial(linear, weights, offset), image, norm="l1")
    assert found.flipped and found.pixels == 1
    assert found.l1 == pytest.approx(3 / float(jnp.abs(weights).max()), rel=2e-3)


def test_in_a_box_the_sparsest_step_fills_the_steepest_values():
    rng = np.random.default_rng(1)
    image = jnp.asarray(rng.uniform(size=(3, 3, 1)).astype(np.float32))
    weights = jnp.asarray(rng.normal(size=(3, 3, 1)).astype(np.float32))
    room = np.where(weights > 0, 1 - image, image).ravel()
    steep = np.abs(np.asarray(weights)).ravel()
    order = np.argsort(-steep)
    gap = 0.7 * float((room * steep).sum())
    offset = -float((weights * image).sum()) - gap
    found = by_gradient(Partial(linear, weights, offset), image, norm="l1", low=0.0, high=1.0)
    full = next(n for n in itertools.count() if (room * steep)[order][: n + 1].sum() > gap)
    rest = (gap - (room * steep)[order][:full].sum()) / steep[order[full]]
    assert found.flipped and found.pixels == full + 1
    assert found.l1 == pytest.approx(room[order][:full].sum() + rest, rel=5e-3)
    assert float(found.image.min()) >= 0 and float(found.image.max()) <= 1
    shortest = by_gradient(Partial(linear, weights, offset), image, low=0.0, high=1.0)
    assert shortest.flipped and shortest.l2 <= found.l2 + 1e-5
    beyond = by_gradient(Partial(linear, weights, offset - 100), image, norm="l1", low=0.0, high=1.0)
    assert not beyond.flipped


def test_a_score_that_bends_is_followed():
    image = jnp.full((2, 2, 1), 0.1)
    found = by_gradient(lambda x: (x**2).sum() - 4.0, image)
    assert found.flipped  # the first step reaches five times too far
    assert found.l2 == pytest.approx(2 - 0.2, rel=0.02)  # the sphere of radius 2, from 0.2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: by_gradient(jnp.sum, x, norm="l3"), "unknown norm 'l3'; choose l2 or l1"),
        (lambda x: by_gradient(jnp.sum, x, low=0.0, high=1.0), "does not lie in"),
        (lambda x: by_patches(jnp.sum, x, most=0), "most"),
    ],
)
def test_mistakes_are_told(call, message):
    with pytest.raises(ValueError, match=message):
        call(jnp.full((4, 4, 1), -1.0))
