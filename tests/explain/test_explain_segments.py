"""Patches: grids in any number of axes, superpixels of an image or of each window, and your own labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.explain import slic
from lensjax.explain.engine.segments import find_owners, grid, grid_cells, label_patches, segment_mean

IMAGE = jax.random.normal(jax.random.key(1), (8, 12, 2))


def blocks(channels=1):
    """Four plain quarters with the border off the middle, and a little noise."""
    plain = np.zeros((20, 28), np.float32)
    plain[:12, 10:], plain[12:, :10], plain[12:, 10:] = 1, 2, 3
    noise = np.random.default_rng(0).normal(size=(20, 28, channels)) * 0.01
    return (plain[..., None] + noise).astype(np.float32)


@pytest.mark.parametrize(
    ("space", "segments", "expected"),
    [
        ((64, 64), 250, (16, 16)),
        ((30, 120), 100, (5, 20)),  # nearly square
        ((40,), 7, (7,)),
        ((4, 32, 32), 256, (4, 8, 8)),  # every window on its own
        ((4, 32, 32), 2, (4, 1, 1)),
        ((3, 4), 1000, (3, 4)),  # never finer than pixels
        ((8, 12), (2, 30), (2, 12)),
        ((4, 8, 12), [1, 2, 3], (1, 2, 3)),  # windows in one patch, if one asks
    ],
)
def test_cells_of_a_grid(space, segments, expected):
    assert grid_cells(space, segments) == expected


@pytest.mark.parametrize(("space", "cells"), [((7,), (3,)), ((7, 10), (3, 4)), ((2, 7, 10), (2, 3, 4))])
def test_a_grid_has_boxes_of_nearly_one_size_in_order(space, cells):
    found = grid(space, cells)
    assert found.dtype == np.int32 and found.shape == space
    names, first, pixels = np.unique(found, return_index=True, return_counts=True)
    assert (names == np.arange(np.prod(cells))).all() and (np.diff(first) > 0).all()
    for name, count in zip(names, pixels, strict=True):
        sides = [np.ptp(at) + 1 for at in np.nonzero(found == name)]
        assert np.prod(sides) == count  # a box
        assert all(side in (n // k, -(-n // k)) for side, n, k in zip(sides, space, cells, strict=True))


@pytest.mark.parametrize("channels", [1, 5])
def test_superpixels_follow_the_image(channels):
    found = slic(blocks(channels), 8, sigma=0.0, compactness=0.01)
    assert found.dtype == np.int32 and found.max() < 8
    assert (np.unique(found) == np.arange(found.max() + 1)).all()
    plain = np.round(blocks()[..., 0])
    for name in np.unique(found):  # no patch crosses a border
        assert len(np.unique(plain[found == name])) == 1


@pytest.mark.parametrize("patches", [1, 7, 30])
def test_superpixels_are_never_more_than_asked_for(patches):
    noise = np.random.default_rng(1).normal(size=(24, 20, 3))
    assert len(np.unique(slic(noise, patches))) <= patches
    assert len(np.unique(slic(np.ones((24, 20, 1)), patches))) <= patches  # and a plain image is no trouble


def test_superpixels_of_an_event_are_those_of_its_windows():
    windows = [blocks(), blocks()[::-1], blocks() * 0]
    found = slic(np.stack(windows), 25)
    for i, window in enumerate(windows):
        assert (found[i] == slic(window, 8) + 8 * i).all()
    labels, count = label_patches("slic", 25, jnp.stack(windows))
    assert count == 24 and (labels == found).all()


def test_superpixels_under_jit_and_vmap():
    images = jnp.stack([blocks(), blocks()[:, ::-1]])
    found = jax.jit(jax.vmap(lambda x: label_patches("slic", 8, x)[0]))(images)
    for image, one in zip(images, found, strict=True):
        assert (one == slic(np.asarray(image), 8)).all()


def test_labels_of_ones_own():
    labels = np.arange(96).reshape(8, 12) % 5
    found, count = label_patches(labels, 250, IMAGE)
    assert count == 5 and (found == labels).all() and found.dtype == jnp.int32
    traced = jax.jit(lambda own: label_patches(own, 7, IMAGE)[0])(labels)
    assert (traced == labels).all()
    own = label_patches(jnp.asarray(labels).at[labels == 3].set(1), 250, IMAGE)[0]
    assert find_owners(own, 5).tolist() == [True, True, True, False, True]


def test_mean_of_each_patch():
    labels = jnp.asarray(grid((8, 12), (2, 3)))
    found = segment_mean(IMAGE, labels, 7)
    for name in range(6):
        inside = np.asarray(labels) == name
        expected = np.broadcast_to(np.asarray(IMAGE)[inside].mean(0), (inside.sum(), 2))
        np.testing.assert_allclose(found[inside], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("segments", "words"),
    [
        ("watershed", "unknown segments 'watershed'"),
        (0, "segments (=0)"),
        (2.5, "segments (=2.5)"),
        ((2, 3, 4), "must have 2 numbers, one a spatial axis"),
        (np.zeros((8, 12)), "must be whole numbers (8, 12)"),
        (np.zeros((8, 8), int), "segments of shape (8, 8)"),
        (np.full((8, 12), -1), "segments hold -1; labels start at 0"),
    ],
)
def test_messages(segments, words):
    with pytest.raises(ValueError) as error:
        label_patches(segments, 250, IMAGE)
    assert words in str(error.value)
    with pytest.raises(ValueError, match="needs two spatial axes"):
        slic(np.zeros((8, 1)))
