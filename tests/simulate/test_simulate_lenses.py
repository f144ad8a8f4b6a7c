"""Scenes: reproducible, of the stated population, with the truth they claim."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lensjax.simulate.lenses.artefacts import ARTEFACTS, COLUMN, GAP
from lensjax.simulate.lenses.evidence import TRUTH, LensRule, arc_mask, pixel_noise
from lensjax.simulate.lenses.examples import examples, simulate
from lensjax.simulate.lenses.instruments import INSTRUMENTS
from lensjax.simulate.lenses.kinds import KINDS, LENS_KINDS, NON_LENS_KINDS
from lensjax.simulate.lenses.scene import to_example

EUCLID = INSTRUMENTS["euclid"]
SIZE, SUPERSAMPLING = 48, 1


@pytest.fixture(scope="module")
def made():
    return list(examples("euclid", SIZE, 1024, seed=7, supersampling=SUPERSAMPLING))


@pytest.fixture(scope="module")
def scenes():
    """Six scenes of every kind, with all their parameters."""
    return {
        kind: [jax.device_get(simulate(key, kind, EUCLID, SIZE, SUPERSAMPLING)) for key in keys_of(kind)]
        for kind in KINDS
    }


def keys_of(kind):
    return jax.random.split(jax.random.key(KINDS.index(kind)), 6)


def column(made, name):
    return np.array([example["truth"][name] for example in made])


def test_examples_are_complete(made):
    assert [example["id"] for example in made] == [f"euclid-{SIZE}-s7-{i:06d}" for i in range(1024)]
    for example in made:
        assert example["image"].shape == (SIZE, SIZE, 4) and example["image"].dtype == np.float32
        assert example["mask"].shape == (SIZE, SIZE) and example["mask"].dtype == bool
        assert np.isfinite(example["image"]).all()
        assert set(example["truth"]) == set(TRUTH)
        assert np.isfinite(list(example["truth"].values())).all()
        lens = example["label"] == 1
        assert lens == (example["truth"]["kind"] < len(LENS_KINDS))
        assert example["mask"].any() == lens
        assert np.isfinite(example["position"]).all() == lens


def test_an_example_depends_on_seed_and_index_alone(made):
    few = list(examples("euclid", SIZE, 19, seed=7, supersampling=SUPERSAMPLING, chunk=8))
    for one, other in zip(few, made, strict=False):
        for name in ("image", "mask", "position"):
            np.testing.assert_array_equal(one[name], other[name])
        assert one["truth"] == other["truth"]
    other_seed = next(examples("euclid", SIZE, 1, seed=8, supersampling=SUPERSAMPLING))
    assert not np.array_equal(other_seed["image"], made[0]["image"])


def test_the_same_key_gives_the_same_scene(scenes):
    again = simulate(keys_of("quad")[2], "quad", EUCLID, SIZE, SUPERSAMPLING)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(again), scenes["quad"][2])


def test_classes_and_kinds_have_their_shares(made):
    kinds = np.bincount(column(made, "kind").astype(int), minlength=len(KINDS))
    assert abs(kinds[: len(LENS_KINDS)].sum() / len(made) - 0.5) < 0.06
    assert (kinds > 5).all()
    artefacts = column(made, "artefact")
    labels = np.array([example["label"] for example in made])
    for label in (0, 1):
        assert 0.14 < (artefacts[labels == label] > 0).mean() < 0.26
    assert set(artefacts) == set(range(len(ARTEFACTS) + 1))


# LensPop's 16, 50, 84 %. Tolerance: a fifth of the value, and 0.35 mag; selection at the depth of each
# image (LensPop has one depth) makes found sources 0.2 to 0.4 mag brighter.
PERCENTILES = {
    "z_l": (0.36, 0.64, 1.08),
    "z_s": (1.10, 1.82, 2.79),
    "theta_e": (0.37, 0.65, 1.11),
    "sigma_v": (172, 220, 272),
    "q": (0.52, 0.71, 0.85),
    "r_lens": (0.35, 0.53, 0.82),
    "magnification": (3.5, 5.4, 11.1),
    "beta_ratio": (0.18, 0.39, 0.64),
}


@pytest.mark.parametrize("name", PERCENTILES)
def test_population_is_lenspops(made, name):
    value = column(made, name)[column(made, "kind") == KINDS.index("arc")]
    np.testing.assert_allclose(np.percentile(value, (16, 50, 84)), PERCENTILES[name], rtol=0.2)


def test_magnitudes_are_lenspops(made):
    arc = column(made, "kind") == KINDS.index("arc")
    lens, source = (np.percentile(column(made, f"mag_{n}")[arc], (16, 50, 84)) for n in ("lens", "source"))
    np.testing.assert_allclose(lens, (18.6, 20.9, 23.6), atol=0.5)
    np.testing.assert_allclose(source, (22.7, 23.7, 24.4), atol=0.6)


def test_lenses_pass_the_rule(made):
    lens = column(made, "kind") < len(LENS_KINDS)
    assert (column(made, "snr") > 20).all() and (column(made, "n_pix_source") > 20).all()
    ring = column(made, "kind") == KINDS.index("ring")
    assert (column(made, "magnification")[lens & ~ring] > 3).all()
    assert (column(made, "theta_e") > 0.25).all()
    assert (column(made, "beta")[ring] <= 0.3 * column(made, "r_source")[ring] + 1e-6).all()


def test_a_data_set_may_ask_for_more():
    few = list(examples("euclid", SIZE, 48, 3, supersampling=SUPERSAMPLING, rule=LensRule(0.7, 60.0)))
    assert (column(few, "theta_e") > 0.7).all() and (column(few, "snr") > 60).all()


def auroc(labels, score):
    return roc_auc_score(labels, score)


def test_brightness_size_and_place_are_no_shortcut(made):
    labels = np.array([example["label"] for example in made])
    for name in (
        "mag_lens",
        "r_lens",
        "q",
        "noise_factor",
        "psf_fwhm",
        "x",
        "y",
        "z_l",
        "sigma_v",
        "theta_e",
    ):
        assert 0.42 < auroc(labels, column(made, name)) < 0.58, name
    full = np.array([i for i, e in enumerate(made) if e["truth"]["artefact"] == 0])
    # Empty sky has no galaxy by intent, and is a twentieth of the non-lenses.
    full = full[column(made, "kind")[full] != KINDS.index("empty")]
    flux = np.stack([np.sinh(made[i]["image"].astype(float)) for i in full])
    middle, quarter = slice(SIZE * 3 // 8, SIZE * 5 // 8), SIZE // 8
    edge = flux.copy()
    edge[:, quarter:-quarter, quarter:-quarter] = 0
    central = flux[:, middle, middle].sum((1, 2))
    for band in range(4):
        for score in (
            flux[..., band].sum((1, 2)),
            central[:, band],
            central[:, band] / np.abs(edge[..., band].sum((1, 2)) + 1),
        ):
            assert 0.4 < auroc(labels[full], score) < 0.6


def test_mask_is_the_source_above_the_noise_in_any_band(scenes):
    for kind in LENS_KINDS:
        for scene in scenes[kind]:
            sky, galaxy = (
                np.asarray(pixel_noise(jnp.asarray(scene.sigma), jnp.asarray(glare), EUCLID))
                for glare in (0 * scene.flux, scene.flux - scene.source_flux)
            )
            assert not (scene.mask & ~(scene.source_flux > sky).any(-1)).any()
            # The glare in the rule is the lens galaxy's, without its company, and not supersampled.
            differs = scene.mask != (scene.source_flux > galaxy).any(-1)
            assert differs.mean() < 0.02
            assert scene.mask.sum() == scene.truth["n_pix_source"]
    for kind in NON_LENS_KINDS:
        for scene in scenes[kind]:
            assert not scene.mask.any() and not scene.source_flux.any() and np.isnan(scene.position).all()
    assert not arc_mask(jnp.zeros((4, 4, 2)), jnp.ones((4, 4, 2))).any()


def test_position_is_the_centre_of_the_deflector(scenes):
    side = SIZE * EUCLID.pixel_scale
    for kind in LENS_KINDS:
        for scene in scenes[kind]:
            y, x = (scene.position - 0.5) * side
            np.testing.assert_allclose((x, y), (scene.truth["x"], scene.truth["y"]), atol=1e-5)
            assert abs(x) <= 1 and abs(y) <= 1
            # The lens light, a symmetric galaxy, peaks within a pixel of it.
            galaxy = (scene.flux - scene.source_flux)[..., 0]
            window = galaxy.copy()
            row, col = np.round(scene.position * SIZE - 0.5).astype(int)
            window[:] = 0
            window[row - 3 : row + 4, col - 3 : col + 4] = galaxy[row - 3 : row + 4, col - 3 : col + 4]
            peak = np.array(np.unravel_index(window.argmax(), window.shape))
            assert np.abs(peak + 0.5 - scene.position * SIZE).max() <= 1.01


def test_noise_free_flux_and_image_agree(scenes):
    for kind in ("ring", "elliptical", "empty"):
        for scene in scenes[kind]:
            if scene.truth["artefact"] == 0:
                residual = np.sinh(scene.image) - scene.flux / scene.sigma
                sky = residual[scene.flux / scene.sigma < 0.5]
                assert sky.size < 200 or sky.std() == pytest.approx(1, abs=0.2)


def test_artefacts_are_where_their_mask_says(scenes):
    seen = set()
    for scene in (scene for kind in KINDS for scene in scenes[kind]):
        which = int(scene.truth["artefact"])
        seen.add(which)
        assert scene.artefact_mask.any() == (which > 0) or which in (1, 2, COLUMN, GAP)
        excess = np.sinh(scene.image) - scene.flux / scene.sigma
        error = np.sqrt(1 + 0.05 * scene.flux / scene.sigma)
        outside = (np.abs(excess) / error)[~scene.artefact_mask]
        assert np.percentile(outside, 99.9) < 6 if outside.size else True
        if which == GAP and scene.artefact_mask.any():
            assert (scene.image[scene.artefact_mask] == 0).all(axis=0).any()
    assert len(seen) >= 4


def test_artefacts_left_out_leave_the_rest_of_the_scene(made):
    kept = ARTEFACTS.index("star") + 1
    few = list(examples("euclid", SIZE, 64, seed=7, supersampling=SUPERSAMPLING, artefacts=("star",)))
    for one, other in zip(few, made, strict=False):
        had = other["truth"]["artefact"]
        assert one["truth"]["artefact"] == (had if had == kept else 0)
        assert np.array_equal(one["image"], other["image"]) == (had in (0, kept))
        np.testing.assert_array_equal(one["mask"], other["mask"])


def test_light_is_the_lensed_source_in_the_images_units(scenes):
    for kind in ("ring", "elliptical"):
        scene = jax.tree.map(lambda leaf: leaf[None], scenes[kind][0])
        light = to_example(scene, 0, "one")["light"]
        np.testing.assert_allclose(np.sinh(light) * scene.sigma, scene.source_flux[0], rtol=1e-4)
        assert light.any() == (kind == "ring")
    assert "light" not in to_example(scene._replace(source_flux=scene.source_flux[:, :0]), 0, "one")


def test_sources_are_blue_and_red(made):
    red = column(made, "source_red")
    assert 0.2 < red.mean() < 0.4


def test_importing_and_simulating_leave_precision_and_processes_alone():
    code = (
        "import jax, multiprocessing as m; import lensjax.simulate.lenses.examples;"
        "assert not jax.config.jax_enable_x64; assert m.get_start_method(allow_none=True) is None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("jwst", 64, 1, 0), "unknown instrument 'jwst': choose one of euclid"),
        (("euclid", 8, 1, 0), "image size 8 is too small"),
        (("euclid", 64, 1, 0, 1.5), "lens_fraction 1.5 is not a fraction"),
        (("euclid", 64, 1, 0, 0.5, 0), "supersampling 0 is not positive"),
        (("euclid", 64, 1, 0, 0.5, 7), "supersampling 7 has a prime factor above 5"),
        (("euclid", 64, -1, 0), "count -1"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        examples(*arguments)


def test_an_unknown_kind_lists_the_kinds():
    with pytest.raises(ValueError, match="unknown kind of scene 'blob': choose one of arc"):
        simulate(jax.random.key(0), "blob", EUCLID, SIZE)
