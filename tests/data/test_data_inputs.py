"""Edits of an image, and transformations of every input: closed forms, one way for all."""

from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.config import AttentionConfig, Config, EventData, GravitySpyData, LensData, ModelConfig
from lensjax.config_io import config_from_dict
from lensjax.data.batches import input_transforms, region_fills
from lensjax.data.images import normalise_band
from lensjax.data.store import dataset_specs, datasets
from lensjax.domain import domain_of
from lensjax.event_axes import CLASSES
from lensjax.inspection import examples
from lensjax.inspection.maps import Item
from lensjax.inspection.restore import Trained
from lensjax.models import build
from lensjax.models.heads import soft_argmax
from lensjax.spectrogram.colour_map import colour
from lensjax.training.check_config import dry_run

RNG = np.random.default_rng(0)


def image(shape=(16, 16, 2), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def example(shape=(16, 16, 2), **changes):
    values = {"image": image(shape), "label": 1, "position": np.float32([0.5, 0.5]), "id": "a"}
    return values | {"mask": np.ones(shape[:-1], bool)} | changes


def event(width=40, dtype=np.uint8):
    """A line across the middle column of every window, at the trigger."""
    one = np.zeros((4, 8, width, 1), dtype)
    mask = np.zeros((4, 8, width), bool)
    for t, length in enumerate((0.5, 1.0, 2.0, 4.0)):
        half = round(0.0625 * width / length)  # ± 1/16 s
        one[t, :, width // 2 - half : width // 2 + half] = 255
        mask[t, :, width // 2 - half : width // 2 + half] = True
    place = np.float32([0.5, 0.5 + 0.0625 / 0.5])
    return {"image": one, "label": 4, "position": place, "mask": mask, "id": "e"}


# ---- edits ----------------------------------------------------------------------------------------------


def test_the_region_is_filled_and_nothing_else():
    x, region = image(), np.zeros((16, 16), bool)
    region[4:9, 3:8] = True
    for kind in region_fills.FILLS:
        filled = region_fills.fill(x, region, kind, np.random.default_rng(1))
        np.testing.assert_array_equal(filled[~region], x[~region])
        assert (filled[region] != x[region]).any() and filled.dtype == np.float32
    assert not region_fills.fill(x, region, "background", RNG)[region].any()
    np.testing.assert_allclose(region_fills.fill(x, region, "median", RNG)[5, 5], np.median(x[~region], 0))


def test_noise_has_the_values_of_the_background_of_the_same_frequency():
    x = np.tile(np.arange(8, dtype=np.float32)[None, :, None, None], (4, 1, 10, 1)) / 100
    x[:, :, 4:6] = 50  # what is bright is no background
    region = np.zeros((4, 8, 10), bool)
    region[..., 3:7] = True
    filled = region_fills.fill(x, region, "noise", np.random.default_rng(2))
    np.testing.assert_array_equal(filled[..., 0], x[..., :1, 0] + np.zeros(10, np.float32))


def test_the_largest_share_is_taken_and_downweighting_is_gradual():
    blame = np.arange(16, dtype=np.float32).reshape(4, 4) - 4
    region = region_fills.largest(blame, 0.25)
    assert region.sum() == 4 and region[3].all()
    x = np.ones((4, 4, 3), np.float32)
    lighter = region_fills.downweighted(x, blame, 0.25)[..., 0]
    assert not lighter[3].any() and (lighter[blame <= 0] == 1).all()
    np.testing.assert_allclose(lighter[2, 0], 1 - 4 / 8)
    for name in region_fills.EDITS:
        assert region_fills.blamed(x, blame, name, 0.25, RNG).shape == x.shape
    np.testing.assert_array_equal(region_fills.downweighted(x, -np.abs(blame) - 1, 0.1), x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: region_fills.fill(image(), np.ones((16, 16), bool), "red", RNG),
            "unknown fill 'red': choose from",
        ),
        (
            lambda: region_fills.blamed(image(), image()[..., 0], "cut", 0.1, RNG),
            "unknown edit 'cut': choose from",
        ),
        (lambda: region_fills.blamed(image(), np.ones((3, 3)), "blur", 0.1, RNG), "not one value a pixel"),
        (lambda: region_fills.largest(np.ones((2, 2)), 1.0), "share"),
        (lambda: input_transforms.read(["cropp"]), "unknown input 'cropp'.*did you mean 'crop'"),
        (lambda: input_transforms.read(["crop(side=1)"]), "no option 'side'"),
        (lambda: input_transforms.read(["blamed(file='nowhere.npz')"]), "is no .npz with an array `map`"),
        (lambda: input_transforms.transform(example(), ["equal_stretch"]), "for events"),
        (lambda: input_transforms.transform(event(), ["equal_stretch(seconds=8)"]), "seconds"),
        (lambda: input_transforms.transform(example(), ["crop(columns=0.5)"]), "cut in all"),
        (lambda: input_transforms.transform(example(), ["blur(sigma=0)"]), "must be positive"),
        (lambda: input_transforms.transform(example(), ["min_max(of=light)"]), "must be 'values' or 'flux'"),
        (lambda: datasets.spec_of(LensData(inputs=("nothing",))), "unknown input 'nothing'"),
        (lambda: datasets.spec_of(LensData(inputs=("equal_stretch",))), "for events"),
    ],
)
def test_mistakes_are_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- transformations ------------------------------------------------------------------------------------


def test_crops_keep_the_shape_and_take_evidence_with_them():
    found = input_transforms.transform(example(), ["crop(columns=0.25,top=0.125)"])
    left = np.zeros((16, 16), bool)
    left[2:, 4:12] = True
    np.testing.assert_array_equal(found["mask"], left)
    np.testing.assert_array_equal(found["image"] != 0, left[..., None] & (image() != 0))
    np.testing.assert_array_equal(found["position"], [0.5, 0.5])


def test_border_and_centre_are_what_the_other_leaves():
    inner = input_transforms.transform(example(), ["remove_border(share=0.25)"])["mask"]
    outer = input_transforms.transform(example(), ["remove_centre(share=0.5)"])["mask"]
    assert (inner ^ outer).all() and inner[4:12, 4:12].all() and inner.sum() == 64
    times = input_transforms.transform(event(), ["remove_centre(share=0.5)"])
    assert not times["image"][..., 10:30, :].any()  # all frequencies of the middle times
    assert times["mask"].sum() == 0


def test_an_event_in_colours_is_cut_to_the_colour_of_no_energy():
    shown = event()
    shown["image"] = colour(shown["image"][..., 0] / np.float32(255))
    cut = input_transforms.transform(shown, ["crop(top=0.5)"])["image"]
    assert cut.dtype == np.uint8
    np.testing.assert_array_equal(cut[:, 0, 0], np.broadcast_to(colour(np.zeros((), np.float32)), (4, 3)))


def test_min_max_of_the_flux_is_what_published_networks_take():
    one = example(light=np.abs(image(seed=1)))
    one["image"][..., 1] = 3  # a constant band
    scaled = input_transforms.transform(one, ["min_max(of=flux)"])
    expected = normalise_band.from_simulation(one, (0, 1), 1)["image"]
    np.testing.assert_allclose(scaled["image"], expected, rtol=1e-6, atol=1e-7)
    flux = np.sinh(one["image"][..., 0])
    light = np.sinh(one["light"][..., 0]) / np.ptp(flux)
    np.testing.assert_allclose(scaled["light"][..., 0], light, rtol=1e-5)
    values = input_transforms.transform(one, ["min_max"])["image"]
    x = one["image"][..., 0]
    np.testing.assert_allclose(values[..., 0], (x - x.min()) / np.ptp(x), rtol=1e-6, atol=1e-7)
    assert not values[..., 1].any()


def test_equal_stretch_makes_windows_alike():
    found = input_transforms.transform(event(width=64), ["equal_stretch"])
    half = 8  # ± 1/16 s of 64 columns over 0.5 s
    inside = np.zeros(64, bool)
    inside[32 - half : 32 + half] = True
    np.testing.assert_array_equal(found["mask"], np.broadcast_to(inside, (4, 8, 64)))
    np.testing.assert_array_equal(found["image"][0, 0, :, 0], 255 * inside)
    for t in range(1, 4):  # half as much at the edge, which is as wide as a pixel was
        np.testing.assert_allclose(found["image"][t, 0, :, 0].sum() / 255, 2 * half, atol=0.5)
    np.testing.assert_allclose(found["position"], [0.5, 0.625])


def test_equal_stretch_to_longer_times_shrinks_the_short_windows():
    found = input_transforms.transform(event(width=64), ["equal_stretch(seconds=1)"])
    assert not found["image"][0, :, :16].any() and not found["image"][0, :, 48:].any()
    np.testing.assert_array_equal(found["image"][0], found["image"][1])
    np.testing.assert_allclose(found["position"], [0.5, 0.5625])
    assert input_transforms.windows_after(["blur", "equal_stretch(seconds=1)"]) == (1.0,) * 4
    grid = domain_of(EventData(inputs=("equal_stretch(seconds=1)",))).grid
    assert grid.time(0.5625, 3) == pytest.approx(0.0625)


def test_a_head_that_says_when_must_know_the_windows():
    heat = np.zeros((1, 4, 2, 10), np.float32)
    heat[0, 3, 0, 7] = 100  # the last window
    place = soft_argmax(jnp.asarray(heat), (0.25, 0.05), (0.5, 0.1), (0.5,) * 4)
    np.testing.assert_allclose(place, [[0.25, 0.75]], atol=1e-5)
    data = EventData(size=(16, 24), inputs=("equal_stretch",))
    model = ModelConfig(features=(2,), attention=AttentionConfig(at=()), classes=CLASSES)
    config = Config(data=data, model=model)
    with pytest.raises(ValueError, match="model.windows .* set them so"):
        dry_run(config, build(model), (4, 16, 24, 1))
    model = replace(model, windows=(0.5,) * 4)
    dry_run(replace(config, model=model), build(model), (4, 16, 24, 1))


def test_a_frozen_map_is_blamed(tmp_path):
    blame = np.zeros((16, 16), np.float32)
    blame[:4] = 1
    np.savez(tmp_path / "blame.npz", map=blame)
    spec = f"blamed(file='{tmp_path / 'blame.npz'}',share=0.25,edit=noise)"
    found = input_transforms.transform(example(), [spec])
    assert not found["mask"][:4].any() and found["mask"][4:].all()
    np.testing.assert_array_equal(found["image"], input_transforms.transform(example(), [spec])["image"])
    other = input_transforms.transform(example(id="b"), [spec])["image"]
    assert (other[:4] != found["image"][:4]).any()  # noise of its own
    before = input_transforms.fingerprint([spec])
    np.savez(tmp_path / "blame.npz", map=-blame)
    assert input_transforms.fingerprint([spec]) != before


def test_every_kind_of_data_has_the_field_and_old_configurations_read():
    for kind in (LensData, EventData, GravitySpyData):
        assert kind().inputs == ()
        values = {"name": kind().name}
        assert config_from_dict({"data": values}).data.inputs == ()
    assert config_from_dict({"data": {"name": "simulated_lenses", "inputs": ["blur"]}}).data.inputs == (
        "blur",
    )


# ---- data sets --------------------------------------------------------------------------------------------


def fake(count, seed):
    for i in range(count):
        one = example((16, 16, 4), image=image((16, 16, 4), i), id=f"s{seed}-{i}", label=i % 2)
        yield one | {"truth": {"theta_e": np.float32(i)}, "light": one["image"] / 2}


def test_the_set_is_made_from_the_plain_one_and_kept_beside_it(tmp_path, monkeypatch):
    plain = dataset_specs.lens_spec(
        instrument="euclid", size=16, train=3, validation=2, test=2, seed=1, lens_fraction=0.5,
        supersampling=1, light=True, generate=fake, truth=("theta_e",),
    )  # fmt: skip
    real = datasets.spec_of
    monkeypatch.setattr(dataset_specs, "lens_spec", lambda **_: plain)
    config = LensData(size=16, directory=str(tmp_path), light=True)
    cut = replace(config, inputs=("remove_border(share=0.25)", "blur"))
    before, after = datasets.prepare(config), datasets.prepare(cut)
    assert real(cut).name.startswith(f"{plain.name}-inputs_remove_border_blur_")
    assert before.parent.parent == after.parent.parent and before != after
    for split in dataset_specs.SPLITS:
        old, new = datasets.load(before, split), datasets.load(after, split)
        assert len(old) == len(new) and new.id.tolist() == old.id.tolist()
        for row in range(len(old)):
            expected = input_transforms.transform(old[row], cut.inputs)
            np.testing.assert_array_equal(new[row]["image"], expected["image"].astype(np.float16))
            np.testing.assert_array_equal(new[row]["light"], expected["light"].astype(np.float16))
            np.testing.assert_array_equal(new[row]["mask"], expected["mask"])
            assert new[row]["truth"] == old[row]["truth"]


def test_a_users_event_is_transformed_as_the_training_was():
    one = event()
    data = EventData(inputs=("equal_stretch", "blur(sigma=1)"))
    stored = input_transforms.transform(one, data.inputs)["image"]
    item = Item("e", "mine", one["image"].astype(np.float32) / 255)

    run = Trained(Path("runs/x"), Config(data=data), build(ModelConfig()), {}, {}, [])
    got = examples.transform_item(item, run)
    np.testing.assert_array_equal(got.image, stored * np.float32(1 / 255))
