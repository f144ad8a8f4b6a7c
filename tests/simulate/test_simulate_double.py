"""Double source planes: the lens equation against lenstronomy's, the kinds, the truth, their data set."""

import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM

from lensjax.config import LensData
from lensjax.data.store import datasets
from lensjax.simulate.lenses import compound_lenses, cosmology, light, render
from lensjax.simulate.lenses.evidence import TRUTH, LensRule
from lensjax.simulate.lenses.examples import examples, simulate
from lensjax.simulate.lenses.instruments import EUCLID
from lensjax.simulate.lenses.kinds import ALL_KINDS, COMPOUND_KINDS, KINDS, shares
from tests.oracles.lenstronomy_images import double_arguments, lens_model, lenstronomy_image

pytestmark = pytest.mark.filterwarnings("ignore")  # lenstronomy's own
SIZE, SUPERSAMPLING = 48, 1
COSMOLOGY = FlatLambdaCDM(H0=70, Om0=0.3)


@pytest.fixture(scope="module")
def scenes():
    """Three scenes of each compound kind, with all their parameters."""
    return {
        kind: [
            jax.device_get(simulate(jax.random.key(i), kind, EUCLID, SIZE, SUPERSAMPLING)) for i in range(3)
        ]
        for kind in COMPOUND_KINDS
    }


@pytest.fixture(scope="module")
def drawn():
    """Systems as drawn, found or not."""
    keys = jax.random.split(jax.random.key(2), 4000)
    return jax.device_get(jax.jit(jax.vmap(lambda key: compound_lenses.draw_double(key, EUCLID)))(keys))


@pytest.fixture(scope="module")
def mixed():
    """Two of each in turn: single lenses and both compound kinds."""
    kinds = ("single", *COMPOUND_KINDS)
    return list(examples("euclid", 32, 6, 3, supersampling=SUPERSAMPLING, chunk=3, kinds=kinds))


def every(scenes):
    return [scene for some in scenes.values() for scene in some]


def parameters(scene):
    """As JAX has them."""
    return jax.tree.map(jnp.asarray, scene.parameters)


def test_distances_are_astropys():
    z_l, z_1, z_2 = (
        np.array(z) for z in ([0.222, 0.3, 1.1, 0.05], [0.609, 0.9, 1.5, 3.0], [2.4, 1.0, 5.9, 6.0])
    )
    got = cosmology.distance_ratio(*(jnp.asarray(z, jnp.float32) for z in (z_l, z_1, z_2)))
    far = COSMOLOGY.angular_diameter_distance
    between = COSMOLOGY.angular_diameter_distance_z1z2
    expected = between(z_l, z_2) * far(z_1) / (far(z_2) * between(z_l, z_1))
    np.testing.assert_allclose(got, expected.value, rtol=1e-5)
    sigma = 4 * np.pi * (150 / 299792.458) ** 2 * 206264.806
    near, far_source = (cosmology.comoving_distance(jnp.asarray(z, jnp.float32)) for z in (z_1, z_2))
    own = cosmology.einstein_radius(jnp.full(z_1.shape, 150.0), near, far_source)
    np.testing.assert_allclose(own, sigma * (between(z_1, z_2) / far(z_2)).value, rtol=2e-5)
    # The sources in the wrong order, or one in front of the lens.
    assert cosmology.distance_ratio(*map(jnp.float32, (0.5, 1.5, 1.0))) == 0
    assert cosmology.distance_ratio(*map(jnp.float32, (0.5, 0.4, 1.0))) == 0


def test_rays_meet_the_planes_where_lenstronomy_says(scenes):
    grid = light.ray_grid(SIZE, EUCLID.pixel_scale, 1)
    for scene in every(scenes):
        s = parameters(scene)
        first, second = compound_lenses.source_planes(tuple(map(jnp.asarray, grid)), s)
        arguments = double_arguments(s, EUCLID, SUPERSAMPLING)
        model = lens_model(arguments)
        x, y = model.ray_shooting(*(g.astype(float) for g in grid), arguments["lens"])
        np.testing.assert_allclose(second[0] + s["x"], x, atol=2e-5)
        np.testing.assert_allclose(second[1] + s["y"], y, atol=2e-5)
        # Without its own mass, and reduced to its redshift: the nearer source's plane.
        from lenstronomy.LensModel.lens_model import LensModel

        near = LensModel(
            ["SIE", "SHEAR"], z_source=float(s["z_s"]), z_source_convention=float(s["z_s_2"]),
            lens_redshift_list=[float(s["z_l"])] * 2, multi_plane=True, cosmo=COSMOLOGY,
        )  # fmt: skip
        x, y = near.ray_shooting(*(g.astype(float) for g in grid), arguments["lens"][:2])
        np.testing.assert_allclose(first[0] + s["x"], x, atol=2e-5)
        np.testing.assert_allclose(first[1] + s["y"], y, atol=2e-5)


def test_noise_free_image_is_lenstronomys(scenes):
    for kind in COMPOUND_KINDS:
        scene = scenes[kind][0]
        expected = lenstronomy_image(
            double_arguments(parameters(scene), EUCLID, SUPERSAMPLING), EUCLID, SIZE, SUPERSAMPLING
        )
        error = np.abs(scene.flux - expected).max((0, 1))
        assert (error < 3e-5 * expected.max((0, 1))).all(), error / expected.max((0, 1))


def test_a_massless_nearer_source_leaves_one_lens_scaled_by_f(scenes):
    s = parameters(scenes["compound_arcs"][0])
    grid = tuple(map(jnp.asarray, light.ray_grid(SIZE, EUCLID.pixel_scale, 1)))
    _, got = compound_lenses.source_planes(grid, s | {"theta_e_source": 0.0})
    f = s["distance_ratio"]
    scaled = s | {name: f * s[name] for name in ("theta_e", "gamma1", "gamma2")}
    expected = light.lens_plane_to_source_plane(grid, scaled, s["x"], s["y"])
    np.testing.assert_allclose(np.array(got), np.array(expected), atol=3e-6)


def test_distance_ratio_has_the_references_percentiles(drawn):
    f = drawn["distance_ratio"]
    got = np.percentile(f[f > 0], (5, 16, 50, 84, 95)) - 1
    np.testing.assert_allclose(got, (0.04, 0.07, 0.24, 0.74, 1.62), rtol=0.15, atol=0.01)


def test_kinds_are_what_their_names_say(scenes):
    for kind, some in scenes.items():
        for scene in some:
            t = scene.truth
            covered = t["beta"] < t["r_source"] and t["beta_2"] < t["r_source_2"]
            assert (covered and t["distance_ratio"] > 1.3) == (kind == "double_ring")
            assert kind == "compound_arcs" or t["theta_e"] > 2 * min(band.fwhm for band in EUCLID.bands)
            assert t["distance_ratio"] > 1.15 and t["z_l"] < t["z_s"] < t["z_s_2"]
            assert t["theta_e_2"] == pytest.approx(t["theta_e"] * t["distance_ratio"], rel=1e-5)
            assert 100 <= t["sigma_v_source"] <= 200 and 0 < t["theta_e_source"] < t["theta_e_2"] + 1.2
            assert t["snr_1"] > 20 and t["snr_2"] > 10 and min(t["n_pix_1"], t["n_pix_2"]) > 20
            assert min(t["magnification"], t["magnification_2"]) > 3
            assert t["kind"] == ALL_KINDS.index(kind) and set(t) == set(compound_lenses.ALL_TRUTH)


def test_masks_are_of_each_source_and_their_union(scenes):
    for scene in every(scenes):
        np.testing.assert_array_equal(scene.mask, scene.source_masks.any(0))
        pixels = scene.source_masks.sum((1, 2))
        assert tuple(pixels) == (scene.truth["n_pix_1"], scene.truth["n_pix_2"])
        assert scene.truth["n_pix_source"] == scene.mask.sum()
        np.testing.assert_allclose(
            (scene.position - 0.5) * SIZE * EUCLID.pixel_scale,
            (scene.truth["y"], scene.truth["x"]),
            atol=1e-5,
        )
        # Each source adds its light, and nothing but light.
        view = render.camera(jnp.asarray(scene.fwhm), EUCLID, SIZE, SUPERSAMPLING)
        flux, _ = compound_lenses.sources(view, parameters(scene))
        np.testing.assert_allclose(flux.sum(0), scene.source_flux, atol=1e-5 * scene.source_flux.max())
        assert all(one.max() > 0 for one in np.asarray(flux))


@pytest.mark.slow
def test_a_data_set_of_kinds_takes_them_in_turn(mixed):
    kinds = [ALL_KINDS[int(e["truth"]["kind"])] for e in mixed]
    assert kinds[1::3] == ["compound_arcs"] * 2 and kinds[2::3] == ["double_ring"] * 2
    assert set(kinds[0::3]) <= {"arc", "quad"}
    for example, kind in zip(mixed, kinds, strict=True):
        assert example["label"] == 1 and example["mask"].any() and np.isfinite(example["position"]).all()
        assert np.isfinite([example["truth"][name] for name in TRUTH]).all()
        further = [example["truth"][name] for name in compound_lenses.COMPOUND_TRUTH]
        assert np.isfinite(further).all() if kind in COMPOUND_KINDS else np.isnan(further).all()


def test_a_rule_that_no_lens_passes_is_refused():
    rule = LensRule(1.5, 200.0)
    compound_lenses.refuse_unfound({"snr": np.array([20.0, 30.0])}, rule)
    with pytest.raises(ValueError, match="no compound lens with θE above 1.5″ .* above 200 .* min_snr"):
        compound_lenses.refuse_unfound({"snr": np.array([20.0, np.nan])}, rule)


def test_shares_of_names_are_of_kinds():
    rows = shares(("ring", "jackpot", "single", "non_lens"))
    np.testing.assert_allclose(rows.sum(1), 1)
    assert rows[0, ALL_KINDS.index("ring")] == 1 and (rows[1, -2:] == 0.5).all()
    assert rows[2, :2] == pytest.approx([0.65 / 0.8, 0.15 / 0.8]) and not rows[3, :3].any()
    with pytest.raises(ValueError, match="unknown kind of scene 'blob': choose from arc, .*double_ring"):
        shares(("blob",))


def test_the_default_mix_is_what_it_was():
    """No compound lens, no further truth, the same name on disk."""
    assert len(KINDS) == 10 and not set(KINDS) & set(COMPOUND_KINDS)
    plain = datasets.spec_of(LensData())
    assert plain.name == (
        "euclid_64-train12000-validation1500-test2000-seed0-lens0.5-ss2-theta0.25-snr20.0"
    ) and plain.truth == tuple(TRUTH)
    some = datasets.spec_of(replace(LensData(), kinds=("ring", "jackpot")))
    assert some.name == f"{plain.name}-kinds_ring+jackpot" and some.truth == tuple(compound_lenses.ALL_TRUTH)


@pytest.mark.slow
def test_the_default_scenes_are_what_they_were():
    first = next(examples("euclid", 48, 1, 7, supersampling=1, chunk=1))
    # Of the simulator before compound kinds were in it.
    assert first["truth"]["theta_e"] == pytest.approx(0.6706134676933289, rel=1e-6)
    assert first["truth"]["z_l"] == pytest.approx(0.6089015007019043, rel=1e-6)
    assert float(first["image"].sum()) == pytest.approx(12872.0859375, rel=1e-6)


@pytest.mark.slow
def test_the_command_shows_chosen_kinds(tmp_path):
    out = tmp_path / "sheet.png"
    command = [sys.executable, "-m", "lensjax.simulate", "--kinds", "compound_arcs", "--columns", "1"]
    subprocess.run([*command, "--size", "32", "--out", str(out)], check=True)
    assert out.stat().st_size > 1000
