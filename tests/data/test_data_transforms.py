"""Units, and augmentations that keep image, mask and position together."""

from functools import partial

import numpy as np
import pytest

from lensjax.data.batches import augment
from lensjax.data.batches.augment import AUGMENTATIONS, asinh_units, orient, translate


def example(shape=(9, 9, 3), pixel=(2, 6), dtype=np.float32, seed=0):
    """An image that is one bright pixel, with its mask and its position."""
    *space, _ = shape
    image, mask = np.zeros(shape, dtype), np.zeros(space, bool)
    image[..., *pixel, :], mask[..., *pixel] = 5, True
    position = (np.array(pixel, np.float32) + 0.5) / np.array(space[-2:], np.float32)
    return {"image": image, "label": 1, "position": position, "mask": mask, "id": "delta"}


def brightest(image):
    """(row, column) of the brightest pixel of the last window, as fractions."""
    plane = image.reshape(-1, *image.shape[-3:])[-1].sum(-1)
    return (np.array(np.unravel_index(plane.argmax(), plane.shape)) + 0.5) / plane.shape


def check_together(changed):
    np.testing.assert_allclose(changed["position"], brightest(changed["image"]), atol=1e-6)
    np.testing.assert_array_equal(changed["mask"], changed["image"].sum(-1) > 1)
    assert changed["position"].dtype == np.float32 and changed["mask"].dtype == bool


@pytest.mark.parametrize("element", range(8))
def test_the_position_keeps_pointing_at_the_same_pixel(element):
    check_together(orient(example(), element))
    check_together(orient(example((2, 9, 9, 3)), element))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_copies_of_turned_views_are_exact(bands, dtype):
    image = np.random.default_rng(0).normal(size=(6, 6, bands)).astype(dtype)
    turned = image.swapaxes(0, 1)[::-1]
    out = np.empty(image.shape, dtype)
    augment.as_pixels(out)[...] = augment.as_pixels(turned)
    np.testing.assert_array_equal(out, turned)


def test_eight_different_symmetries_that_form_a_group():
    image = np.random.default_rng(0).normal(size=(4, 4, 2)).astype(np.float32)
    start = example((4, 4, 2), (0, 0)) | {"image": image}
    seen = {orient(start, k)["image"].tobytes() for k in range(8)}
    assert len(seen) == 8
    for first in range(8):
        for second in range(8):
            assert orient(orient(start, first), second)["image"].tobytes() in seen
    np.testing.assert_array_equal(orient(start, 0)["image"], image)


def test_dihedral_uses_all_eight_and_needs_squares():
    rng = np.random.default_rng(0)
    start = example() | {"image": rng.normal(size=(9, 9, 3)).astype(np.float32)}
    assert len({augment.dihedral(start, rng)["image"].tobytes() for _ in range(100)}) == 8
    with pytest.raises(ValueError, match="'dihedral' needs square images, not 9×8: use 'flips'"):
        augment.dihedral(example((9, 8, 3)), rng)


@pytest.mark.parametrize(("name", "number"), [("flips", 4), ("flip_rows", 2), ("flip_columns", 2)])
def test_flips_take_rectangles_and_events(name, number):
    rng = np.random.default_rng(0)
    start = example((2, 5, 8, 3), (1, 2))
    results = [AUGMENTATIONS[name](start, rng) for _ in range(60)]
    for result in results:
        check_together(result)
    assert len({tuple(r["position"]) for r in results}) == number


@pytest.mark.parametrize("steps", [(0, 0), (2, -3), (-2, 2), (6, 2)])
@pytest.mark.parametrize("shape", [(9, 9, 3), (9, 9, 1), (2, 9, 9, 4)])
def test_translate_moves_all_and_fills_with_sky(steps, shape):
    moved = translate(example(shape), *steps)
    check_together(moved)
    assert moved["image"].sum() == example(shape)["image"].sum()
    noisy = example(shape) | {"image": np.ones(shape, np.float32)}
    inside = translate(noisy, *steps)["image"]
    assert inside.sum() == np.prod(shape) * (9 - abs(steps[0])) * (9 - abs(steps[1])) // 81


def test_translate_out_of_the_image_leaves_sky():
    moved = translate(example(), 9, 0)
    assert not moved["image"].any() and not moved["mask"].any()


def test_shift_reaches_every_step_and_keeps_the_position_inside():
    rng = np.random.default_rng(0)
    shift = partial(augment.shift, share=0.25)
    reached = [shift(example((9, 9, 3), (4, 4)), rng)["position"] * 9 - 4.5 for _ in range(300)]
    assert {tuple(np.round(r)) for r in reached} == {(i, j) for i in range(-2, 3) for j in range(-2, 3)}
    for _ in range(50):
        corner = shift(example((9, 9, 3), (0, 8)), rng)
        check_together(corner)
        assert (corner["position"] > 0).all() and (corner["position"] < 1).all()


SHAPES = {"band_limit": (4, 9, 9, 1)}
"""Of examples for augmentations of events; others take images."""


def test_a_band_limit_takes_rows_but_never_the_evidence():
    rng = np.random.default_rng(2)
    low, high = example((4, 60, 9, 1), (50, 4)), example((4, 60, 9, 1), (1, 4))
    low["image"][:, 0] = high["image"][:, 0] = 1
    cut = [augment.band_limit(low, rng) for _ in range(40)]
    limited = [one for one in cut if not one["image"][:, 0].any()]
    assert 5 < len(limited) < 35
    assert all(one["image"][:, 50].any() and one["mask"].any() for one in cut)
    assert all(augment.band_limit(high, rng)["mask"].any() for _ in range(40))
    with pytest.raises(ValueError, match="is for events"):
        augment.band_limit(example(), rng)


@pytest.mark.parametrize("name", ["shift", "dihedral"])
def test_what_would_tear_an_event_apart_is_refused(name):
    with pytest.raises(ValueError, match=r"is for images \[h w c\]"):
        AUGMENTATIONS[name](example((4, 9, 9, 1)), np.random.default_rng(0))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_augmentation_is_pure_and_follows_its_generator(name):
    start = example(SHAPES.get(name, (9, 9, 3)), dtype=np.float16)
    start["image"] += np.random.default_rng(1).normal(size=start["image"].shape).astype(np.float16)
    kept = {k: np.copy(v) for k, v in start.items()}
    first = AUGMENTATIONS[name](start, np.random.default_rng(5))
    again = AUGMENTATIONS[name](start, np.random.default_rng(5))
    for key, value in start.items():
        np.testing.assert_array_equal(value, kept[key])
        np.testing.assert_array_equal(first[key], again[key])
    assert first["image"].shape == start["image"].shape and np.isfinite(first["image"]).all()


@pytest.mark.parametrize("name", sorted(set(AUGMENTATIONS) - {"band_limit"}))
def test_light_follows_the_image_wherever_it_goes(name):
    """Of an image without noise that is nothing but the lensed source, light stays the image."""
    one = example((16, 16, 3), dtype=np.float16)
    changed = AUGMENTATIONS[name](one | {"light": one["image"]}, np.random.default_rng(5))
    if name == "noise":  # which the light has none of: it is dimmed alone
        unit = 1 + np.random.default_rng(5).uniform(0, 1.0) ** 2
        expected = np.arcsinh(np.sinh(one["image"].astype(np.float32)) / np.sqrt(unit))
        np.testing.assert_allclose(changed["light"], expected, atol=1e-4)
    else:
        np.testing.assert_array_equal(changed["light"], changed["image"])


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_no_position_stays_none(name):
    nothing = example(SHAPES.get(name, (9, 9, 3))) | {"position": np.full(2, np.nan, np.float32), "label": 0}
    assert np.isnan(AUGMENTATIONS[name](nothing, np.random.default_rng(0))["position"]).all()


def test_asinh_units_and_back():
    flux = np.array([[[-3.0, 0.0, 2e5]]], np.float32)
    sigma = np.array([0.5, 1.0, 2.0], np.float32)
    image = asinh_units(flux, sigma)
    np.testing.assert_allclose(image, np.arcsinh(flux / sigma), rtol=1e-6)
    np.testing.assert_allclose(np.sinh(image) * np.asarray(sigma), flux, rtol=1e-5)
    assert image[0, 0, 1] == 0
    with pytest.raises(ValueError, match="must be finite and > 0"):
        asinh_units(flux, 0.0)


def test_noise_keeps_the_sky_at_unit_width_and_dims_the_source():
    rng = np.random.default_rng(0)
    sky = {**example((200, 200, 1)), "image": np.arcsinh(rng.normal(size=(200, 200, 1)).astype(np.float32))}
    for _ in range(3):
        flux = np.sinh(augment.noise(sky, rng, largest=2.0)["image"])
        assert abs(flux.std() - 1) < 0.02 and abs(flux.mean()) < 0.02
    bright = {**example(), "image": np.full((9, 9, 1), 8.0, np.float32)}
    assert augment.noise(bright, rng)["image"].mean() < 8


def test_fast_sinh_and_arcsinh_agree_with_numpy():
    x = np.linspace(-14, 14, 10001, dtype=np.float32)
    np.testing.assert_allclose(augment._sinh(x), np.sinh(x), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(augment._arcsinh(np.sinh(x)), x, rtol=1e-6, atol=1e-6)


def test_brightness_multiplies_flux_band_by_band():
    image = np.random.default_rng(0).normal(size=(9, 9, 3)).astype(np.float32)
    bright = augment.brightness(example() | {"image": image}, np.random.default_rng(1))["image"]
    ratio = (np.sinh(bright) / np.sinh(image))[(np.abs(image) > 0.1).all(-1)]
    assert np.ptp(ratio, axis=0).max() < 1e-4 and np.ptp(ratio) > 1e-3
    assert ratio.min() > 0.9 and ratio.max() < 1.11


def test_band_dropout_takes_one_band_and_never_the_last():
    rng = np.random.default_rng(0)
    results = [augment.band_dropout(example(), rng)["image"].any((0, 1)).sum() for _ in range(200)]
    assert set(results) == {2, 3} and 0.1 < np.mean(np.array(results) == 2) < 0.4
    assert all(augment.band_dropout(example((9, 9, 1)), rng)["image"].any() for _ in range(50))


def test_unknown_augmentation_lists_the_choices():
    with pytest.raises(ValueError, match="unknown augmentation 'rotate': choose from dihedral, flips"):
        augment.augmentations(("shift", "rotate"))
