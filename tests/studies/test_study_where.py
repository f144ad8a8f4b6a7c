"""The studies of place and flag: plans, tables and pictures from made-up rows, and one network scored."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.config import LensData
from lensjax.config_io import load_config_file
from lensjax.data.store.datasets import Source
from lensjax.inspection.restore import Trained
from lensjax.models import build, count_parameters
from lensjax.report.figures import studies as pictures
from lensjax.studies.lenses import disagreement_flags as flag_study
from lensjax.studies.lenses import position_designs as where

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "where.py"


def test_a_way_that_starts_from_another_comes_after_it(tmp_path):
    plan = where.plan_designs(where.PositionDesignOptions(tmp_path, CONFIG, seeds=2))
    names = [name for name, seed in plan if seed == 1]
    assert names.index("unet_frozen") > names.index("unet_restore") and len(names) == 5
    frozen = plan["unet_frozen", 1]
    assert frozen.init == str(tmp_path / "unet_restore" / "seed1") and frozen.seed == 1
    assert len({config.data for config in plan.values()}) == 1
    assert len({replace(config.optim, frozen=()) for config in plan.values()}) == 1


def test_a_quick_look_has_fewer_images_and_epochs_of_every_way(tmp_path):
    quick = where.plan_designs(
        where.PositionDesignOptions(tmp_path, CONFIG, seeds=1, train=64, epochs=1)
    ).values()
    assert {(config.data.train, config.optim.epochs) for config in quick} == {(64, 1)}
    whole, config = (
        where.plan_designs(where.PositionDesignOptions(tmp_path, CONFIG, seeds=1)),
        load_config_file(CONFIG),
    )
    assert whole["position", 0] == config


def test_the_ways_have_about_as_many_weights(tmp_path):
    plan = where.plan_designs(where.PositionDesignOptions(tmp_path, CONFIG, seeds=1))
    image = jnp.zeros((1, 64, 64, 4))
    counts = {
        name: count_parameters(jax.eval_shape(build(config.model).init, jax.random.key(0), image))
        for (name, _), config in plan.items()
    }
    assert max(counts.values()) < 1.25 * min(counts.values()), counts


@pytest.mark.parametrize(
    "only, message",
    [(("unet",), "unknown way unet: choose from position"), (("unet_frozen",), "also needs unet_restore")],
)
def test_mistakes_are_told(tmp_path, only, message):
    with pytest.raises(ValueError, match=message):
        where.plan_designs(where.PositionDesignOptions(tmp_path, CONFIG, only=only))


def source(count=6, size=16):
    """Images of noise with a bright square, whose middle is the position."""
    rng = np.random.default_rng(1)
    image = rng.normal(size=(count, size, size, 4)).astype(np.float16)
    mask = np.zeros((count, size, size), bool)
    mask[:, 4:8, 6:10] = True
    image[mask] += 5
    label = np.arange(count, dtype=np.int32) % 2
    place = np.tile(np.float32([6 / size, 8 / size]), (count, 1))
    truth = {"psf_fwhm": np.full(count, 0.2, np.float32), "kind": np.zeros(count, np.float32)}
    return Source(image, mask, label, place, np.arange(count).astype(str), truth, ("non-lens", "lens"))


@pytest.fixture(scope="module")
def unet():
    config = load_config_file(CONFIG)
    config = where.plan_designs(where.PositionDesignOptions(Path("x"), CONFIG, seeds=1))["unet_joint", 0]
    model = build(replace(config.model, features=(2, 3), hidden=2))
    params = model.init(jax.random.key(0), jnp.zeros((1, 16, 16, 4)))["params"]
    config = replace(config, model=model.config)
    return Trained(Path("runs/x"), config, model, params, {"parameters": 1}, [])


def test_a_network_is_scored_for_what_where_and_evidence(unet):
    test = source()
    shown = np.flatnonzero(test.label == 1)
    (row,) = where.compare_readings(unet, test, shown, chunk=2)
    assert row["read"] == "position" and row["map"] == "restored light"
    assert set(where.WHAT) | set(where.WHERE) | set(where.EVIDENCE) <= set(row)
    assert row["median_psf"] == pytest.approx(row["median_arcsec"] / 0.2)
    middle = where.measure_centre_errors(test, shown, LensData())
    assert middle["median_arcsec"] == pytest.approx(0.2)  # two pixels of 0.1"


def test_the_table_has_every_way_and_the_picture_is_drawn(tmp_path, unet):
    test = source()
    shown = np.flatnonzero(test.label == 1)
    row = where.compare_readings(unet, test, shown, chunk=2)[0]
    rows = {
        "unet, position": [row, row | {"auroc": 0.5}],
        "middle": [where.measure_centre_errors(test, shown, LensData())],
    }
    lines = where.tabulate_designs(rows, test, len(shown), {"unet": 1234})
    assert "3 lenses, 3 non-lenses" in lines[0] and "unet 1,234" in lines[1]
    assert lines[-1].startswith("| middle | – | – | 0.200 ") and "±" in lines[-2]
    path = pictures.draw_dots(tmp_path / "a.png", rows, {"auroc": "AUROC", "median_arcsec": "error"})
    assert path.read_bytes().startswith(b"\x89PNG")


def test_flags_of_a_network_and_their_table(unet):
    test = source()
    flag, margin = flag_study.flag_predictions(unet, test, range(6), "input_x_gradient", chunk=3)
    assert flag.shape == margin.shape == (6,) and bool((flag >= 0).all())
    with pytest.raises(ValueError, match="'random' stands for none; choose from occlusion"):
        flag_study.flag_predictions(unet, test, range(6), "random", chunk=3)
    found = flag_study.detection(flag, margin, test.label, limit=1.0, recall=0.5)
    about = {"run": "x", "evidence": "gradient", "images": "all"}
    lines = flag_study.tabulate_flags([about | found], 0.5)
    assert lines[-1].startswith("| x | gradient | all | ") and lines[-1].endswith("% |")


TINY = """
from dataclasses import replace
from lensjax.config import AttentionConfig, Config, LensData, LossConfig, ModelConfig, OptimConfig

DATA = LensData(size=32, train=32, validation=16, test=16, supersampling=1, light=True, directory={data!r})
UNET = ModelConfig(kind="unet", features=(2, 3), attention=AttentionConfig(at=()), head="restored", hidden=4)

def get_config():
    return Config(data=DATA, model=ModelConfig(features=(4, 6), hidden=8), optim=OptimConfig(16, 1))

def unet(frozen=(), **weights):
    return lambda c: replace(c, model=UNET, loss=LossConfig(weights), optim=replace(c.optim, frozen=frozen))

WAYS = {{
    "restore": unet(restoration=1.0),
    "frozen": unet(("stage", "up", "restored"), cross_entropy=1.0),
    "classifier": lambda c: replace(
        c, model=replace(c.model, head="class"), loss=LossConfig({{"cross_entropy": 1.0}})
    ),
}}
STARTS = {{"frozen": "restore"}}
"""


@pytest.mark.slow
def test_both_studies_from_training_to_table(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "tiny.py").write_text(TINY.format(data=str(tmp_path / "data")))
    command = where.PositionDesignOptions(tmp_path / "out", tmp_path / "tiny.py", seeds=1, test=40, lenses=8)
    where.main(command)
    where.main(command)  # nothing is trained again
    rows = json.loads((tmp_path / "out" / "table.json").read_text())["rows"]
    assert set(rows) >= {"frozen, position", "classifier, peak of grad_cam", where.CENTRE}
    restored, frozen = (
        where.restore(tmp_path / "out" / name / "seed0").params for name in ("restore", "frozen")
    )
    np.testing.assert_array_equal(frozen["stage1a_kernel"], restored["stage1a_kernel"])
    assert not np.array_equal(frozen["head"]["logits"]["bias"], restored["head"]["logits"]["bias"])
    runs = tuple(tmp_path / "out" / name / "seed0" for name in ("frozen", "classifier"))
    flag_study.main(flag_study.FlagOptions(runs, tmp_path / "flags", ("grad_cam",), count=40, validation=16))
    assert (tmp_path / "flags" / "table.md").read_text().count("grad_cam") == 6
