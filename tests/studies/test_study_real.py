"""The study of real lenses: its statistics on what is made up, and the whole of it on small files."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from real_lens_files import write_galaxies, write_lens, write_radii, write_rings

from lensjax.config import AttentionConfig, Config, LensData, ModelConfig
from lensjax.config_io import config_from_dict
from lensjax.inspection.restore import Trained
from lensjax.models import build
from lensjax.studies.lenses import real_images as inputs
from lensjax.studies.lenses import real_lenses as real
from lensjax.studies.lenses import real_variants
from lensjax.studies.lenses import ring_profiles as annuli
from lensjax.training.restore_run import blank_state

SCALE, EDGES = 0.05, annuli.RING_EDGES
CONFIG = Config(
    data=LensData(instrument="hst_f814w", size=32, train=1, validation=1, test=1),
    model=ModelConfig(features=(4, 6), hidden=8, attention=AttentionConfig(at=("stage2",))),
)


def rings(radii, side=96, noise=0.0, centre=(0.5, 0.5)):
    """Maps that are 1 within 0.1″ of a radius about `centre`, and noise."""
    rows, columns = np.indices((side, side))
    at = [c * side - 0.5 for c in centre]
    radius = np.hypot(rows - at[0], columns - at[1]) * SCALE
    maps = np.stack([(np.abs(radius - r) < 0.1).astype(float) for r in radii])
    return maps + noise * np.random.default_rng(0).normal(size=maps.shape)


def test_a_profile_is_one_where_a_map_knows_nothing():
    flat = annuli.measure_profiles(np.ones((2, 96, 96)), np.full((2, 2), 0.5), SCALE, EDGES)
    np.testing.assert_allclose(flat, 1)
    assert not annuli.measure_profiles(-np.ones((1, 96, 96)), np.full((1, 2), 0.5), SCALE, EDGES).any()
    at = (0.4, 0.55)
    found = annuli.measure_profiles(rings([1.1], centre=at), np.array([at]), SCALE, EDGES)[0]
    assert found.argmax() == 5 and found[5] > 5  # the ring from 1.0 to 1.2


def test_energy_at_the_own_radius_is_told_from_a_common_profile():
    rng = np.random.default_rng(1)
    radii = rng.uniform(0.5, 1.9, 30)
    at = np.full((30, 2), 0.5)
    knows = annuli.compare_radii(
        annuli.measure_profiles(rings(radii, noise=0.3), at, SCALE, EDGES), radii, EDGES
    )
    assert knows["own"] > knows["swapped"] and knows["p_swapped"] < 1e-3 and knows["p_rings"] < 1e-3
    # A map that is bright at 1.1″ in every lens beats random rings if radii lie there, but knows no lens.
    common = annuli.measure_profiles(rings(np.full(30, 1.1), noise=0.3), at, SCALE, EDGES)
    assert annuli.compare_radii(common, rng.permutation(radii), EDGES)["p_swapped"] > 0.01
    near = rng.uniform(1.01, 1.19, 30)
    same = annuli.compare_radii(common, near, EDGES)
    assert same["p_rings"] < 1e-3 and same["p_swapped"] == 1.0
    none = annuli.compare_radii(common, np.full(30, np.nan), EDGES)
    assert none["n"] == 0 and np.isnan(none["own"])


def test_p_values_are_uniform_where_nothing_is_known():
    rng = np.random.default_rng(0)
    found = [
        annuli.compare_radii(
            rng.exponential(size=(12, 11)), rng.uniform(0.3, 2, 12), EDGES, draws=200, seed=i
        )
        for i in range(200)
    ]
    for name in ("p_rings", "p_swapped"):
        values = np.array([row[name] for row in found])
        assert 0.42 < values.mean() < 0.58 and 0.02 < (values < 0.1).mean() < 0.2


def test_a_profile_in_einstein_radii_has_its_peak_at_one():
    radii, scaled = np.array([0.6, 1.0, np.nan, 1.6]), np.linspace(0, 2, 21)
    maps = rings(np.nan_to_num(radii, nan=1.0))
    found = annuli.measure_scaled_profiles(maps, np.full((4, 2), 0.5), radii, SCALE, scaled)
    assert found.shape == (3, 20) and np.isnan(found[2, -1])
    assert set(np.nanargmax(found, axis=1)) <= {8, 9, 10}


def test_what_is_lopsided_is_taken_out_and_nothing_else():
    rng = np.random.default_rng(0)
    rows, columns = np.indices((64, 64))
    radius = np.hypot(rows - 30, columns - 33)
    flux = 200 * np.exp(-radius / 6) + rng.normal(0, 1, (64, 64))
    arc = 40 * np.exp(-((radius - 14) ** 2) / 4) * (columns > 38) * (np.abs(rows - 30) < 8)
    with_arc, without = (np.arcsinh(x)[None, ..., None].astype(np.float32) for x in (flux + arc, flux))
    cleaned = inputs.remove_lopsided_light(with_arc, SCALE)
    left = np.sinh(cleaned - 0.0)[0, ..., 0] - flux
    assert np.abs(left[arc > 10]).mean() < 0.15 * arc[arc > 10].mean()
    untouched = inputs.remove_lopsided_light(without, SCALE)
    assert (untouched != without).mean() < 0.05
    np.testing.assert_allclose(inputs.find_peak_of_light(with_arc[0], SCALE) * 64 - 0.5, (30, 33), atol=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    for i in range(6):
        write_lens(folder / "lenses", f"L{i}", i, theta_e=0.3 + 0.05 * i)
    write_radii(folder / "lenses", {f"L{i}": 0.3 + 0.05 * i for i in range(5)})
    write_galaxies(folder / "galaxies")
    write_rings(folder / "rings.npz")
    return folder


def trained(folder: Path, seed: int, config: Config = CONFIG) -> Trained:
    """An untrained network in the place of a run that has ended."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    label = np.repeat([1, 0], 200).astype(np.int32)
    np.savez(folder / "test_predictions.npz", logits=rng.normal(size=(400, 2)), label=label)
    params = blank_state(config, seed).params
    return Trained(folder, config, build(config.model), params, {}, [])


def change_domain(run: Trained, **changes) -> Trained:
    """The same run, as if its data had other bands or another pixel scale."""
    changed = dataclasses.replace(run)
    seen = {"bands": run.bands, "pixel_scale": run.pixel_scale}
    changed.__dict__["domain"] = SimpleNamespace(**(seen | changes))  # a cached property
    return changed


def test_scores_of_a_network_and_what_follows(files, tmp_path):
    runs = [trained(tmp_path / "seed0", 0)]
    places = files / "lenses", files / "galaxies", files / "rings.npz"
    images = inputs.read_real_images(runs, *places)
    assert len(images.lenses) == 6 and len(images.galaxies) == 8 and images.is_ring.sum() == 3
    held_out = inputs.read_real_images(runs, *places, held_out=True)
    assert 0 < len(held_out.galaxies) < 8 and set(held_out.galaxy_ids) < set(images.galaxy_ids)
    result = real.score_networks(runs, images, 8)
    # A threshold of one's own simulations: 2 of 200 non-lenses pass.
    assert result["simulated"][0]["n_negative"] == 200
    middle = result["position"]["the image centre, from the origin"]
    assert 0.1 < middle["median"][0] < 0.5  # cutouts were moved off their lenses
    row = real_variants.summarise_network(result)
    assert len(real_variants.tabulate_variants({"base": [row, row], "psf": [row]})) == 4
    text = "\n".join(real.tabulate_results(result))
    assert "lenses against galaxies | 6 + 8" in text and "ring galaxies (DECaLS) | 3" in text


@pytest.mark.slow
def test_the_whole_study_of_two_networks(files, tmp_path):
    runs = [trained(tmp_path / f"seed{i}", i) for i in range(2)]
    places = files / "lenses", files / "galaxies", files / "rings.npz"
    images = inputs.read_real_images(runs, *places)
    result = real.score_networks(runs, images, 8)
    methods = ("attention", "grad_cam", "abs_input")
    result["maps"], result["profiles"] = real.measure_map_energy(runs, images, methods, 8)
    options = real.RealLensOptions(tuple(run.workdir for run in runs), *places, tmp_path / "out")
    real.write_results(options, result, images)
    text = (tmp_path / "out" / "table.md").read_text()
    assert "grad_cam" in text and "5 lenses" in text
    saved = json.loads((tmp_path / "out" / "table.json").read_text())
    assert len(saved["auroc"]["lenses against galaxies"]["each"]) == 2
    assert len((tmp_path / "out" / "lenses.csv").read_text().splitlines()) == 7
    assert (tmp_path / "out" / "real.png").stat().st_size > 10_000


def test_runs_that_do_not_belong_together_are_refused(files, tmp_path):
    places = files / "lenses", files / "galaxies", files / "rings.npz"
    run = trained(tmp_path / "a", 0)
    with pytest.raises(ValueError, match="no run was given"):
        inputs.read_real_images([], *places)
    coarse = change_domain(run, pixel_scale=0.1)
    with pytest.raises(ValueError, match="another size or scale"):
        inputs.read_real_images([run, coarse], *places)
    with pytest.raises(ValueError, match="no lens finder of one band"):
        inputs.read_real_images([change_domain(run, bands=("Y", "J"))], *places)
    with pytest.raises(ValueError, match=r"no test_predictions.npz"):
        real.read_own_simulations(dataclasses.replace(run, workdir=tmp_path))
    with pytest.raises(ValueError, match="is no .npz with images and ring"):
        inputs.read_rings(tmp_path, 32)
    with pytest.raises(ValueError, match="the network wants 64"):
        inputs.read_rings(files / "rings.npz", 64)


def test_variants_are_planned_seed_by_seed_with_the_folders_of_the_command(tmp_path):
    options = real_variants.RealVariantOptions(
        Path("configs/lens_hst_study.py"), Path("l"), Path("g"), Path("r"), tmp_path, seeds=2, directory="d"
    )
    configs = real_variants.plan_variants(options)
    assert [seed for _, seed in configs] == [0] * 6 + [1] * 6
    negatives = {name: config.data.negatives for (name, _), config in configs.items()}
    assert negatives.pop("real_negatives") == "g" and not any(negatives.values())
    assert {config.data.directory for config in configs.values()} == {"d"}
    for config in configs.values():
        assert config_from_dict(json.loads(json.dumps(dataclasses.asdict(config)))) == config
    with pytest.raises(ValueError, match="unknown variant x: choose from base"):
        real_variants.plan_variants(dataclasses.replace(options, only=("x",)))
    few = real_variants.plan_variants(dataclasses.replace(options, train=20, epochs=1))
    assert {(c.data.train, c.optim.epochs) for c in few.values()} == {(20, 1)}
