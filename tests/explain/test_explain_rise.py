"""RISE: its masks and its map against the expectation, worked out pixel by pixel in NumPy."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.explain.methods.rise import rise, rise_mask
from tests.oracles.explain_oracles import network, score_of

close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
KEY = jax.random.key(0)
SPACES = [((5, 6), (2, 3)), ((2, 5, 6), (1, 2, 3))]
KEEP = 0.4


def axis_weights(pixels, cells):
    """Share of cells in pixels [place pixel cell]: linear, to (cells + 1)·⌈pixels / cells⌉, cropped."""
    size = -(-pixels // cells)
    wide = (cells + 1) * size / cells
    units = np.eye(cells)
    place = np.arange(size)[:, None]
    at = (np.arange(pixels) + 0.5 + place) / wide - 0.5
    return np.stack([np.interp(at, np.arange(cells), unit) for unit in units], -1)


def masks_covariance(space, cells, keep):
    """Covariance of the mask at two pixels: over cells kept or not, and over the places of the cut."""
    together = np.ones((1, 1))
    for pixels, count in zip(space, cells, strict=True):
        weights = axis_weights(pixels, count)
        together = np.kron(together, np.einsum("spc,sqc->pq", weights, weights) / len(weights))
    return keep * (1 - keep) * together  # the mean is `keep` at every place, so places add nothing


def masks_of(space, cells, count):
    keys = jax.random.split(jax.random.fold_in(KEY, 1), count)
    return np.asarray(jax.vmap(lambda key: rise_mask(key, space, cells, KEEP))(keys), np.float64)


@pytest.mark.parametrize(("space", "cells"), SPACES)
def test_masks_keep_what_they_say_and_vary_as_they_should(space, cells):
    masks = masks_of(space, cells, 4000).reshape(4000, -1)
    assert masks.min() >= 0 and masks.max() <= 1 and ((masks > 0.01) & (masks < 0.99)).any()
    error = 1 / np.sqrt(4000)
    close(masks.mean(0), KEEP, atol=5 * 0.5 * error)
    close(np.cov(masks.T), masks_covariance(space, cells, KEEP), atol=5 * 0.25 * error)


@pytest.mark.parametrize("centre", [True, False])
def test_the_map_is_its_formula(centre):
    image = jax.random.normal(jax.random.key(1), (8, 12, 2))
    score = score_of(network())
    found = rise(score, image, key=KEY, cells=3, samples=50, keep=KEEP, centre=centre, baseline=0.5, chunk=16)
    masks = masks_of((8, 12), (3, 3), 50)
    seen = np.array(
        [score(m[..., None] * image + (1 - m[..., None]) * 0.5) for m in masks.astype(np.float32)]
    )
    seen = seen - seen.mean() if centre else seen
    close(found[..., 0], np.tensordot(seen, masks, 1) / (50 * KEEP), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("space", "cells"), SPACES)
def test_of_a_linear_score_the_map_is_the_covariance(space, cells):
    weights = jax.random.normal(jax.random.key(2), space)
    score = lambda x: (weights * x[..., 0]).sum() + 3  # noqa: E731
    image = jnp.ones((*space, 1))
    found = rise(score, image, key=KEY, cells=cells, samples=4000, keep=KEEP, chunk=1000)
    expected = masks_covariance(space, cells, KEEP) @ np.asarray(weights).ravel() / KEEP
    spread = np.asarray(jnp.abs(weights).sum()) / np.sqrt(4000)
    close(found.ravel(), expected, atol=2 * spread)
    assert np.corrcoef(found.ravel(), expected)[0, 1] > 0.98


def test_one_cell_hides_all_or_nothing():
    """Then the map is f·z̄(1 − z̄)/keep everywhere, z̄ the share of masks that hide nothing."""
    image = jax.random.uniform(KEY, (5, 7, 1))
    score = lambda x: (x**2).sum()  # noqa: E731
    found = rise(score, image, key=KEY, cells=1, samples=64, keep=KEEP)
    kept = masks_of((5, 7), (1, 1), 64)[:, 0, 0].mean()
    close(found, score(image) * kept * (1 - kept) / KEEP)


def test_without_the_mean_a_constant_score_is_found_everywhere():
    found = rise(
        lambda x: x.sum() * 0 + 2, jnp.ones((5, 6, 1)), key=KEY, samples=1000, keep=KEEP, centre=False
    )
    close(found, 2, atol=5 * 2 * 0.5 / KEEP / np.sqrt(1000))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "rise draws masks; pass key"),
        ({"key": KEY, "keep": 1.0}, "keep .=1.0. must lie between 0 and 1"),
        ({"key": KEY, "keep": 0.0}, "keep .=0.0."),
        ({"key": KEY, "cells": 0}, "cells .=0."),
        ({"key": KEY, "cells": (2, 2, 2)}, "or 2, one a spatial axis"),
        ({"key": KEY, "samples": 0}, "samples .=0."),
    ],
)
def test_messages(options, words):
    with pytest.raises(ValueError, match=words):
        rise(jnp.sum, jnp.ones((4, 4, 1)), **options)
