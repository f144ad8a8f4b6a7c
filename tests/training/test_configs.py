"""Configurations found by path or by name, and trainings that wait for each other."""

import logging
from dataclasses import replace

import pytest

from lensjax.config import Config, LensData
from lensjax.config_io import find_config, load_config
from lensjax.training import checkpoint, subprocesses, variants


def test_a_configuration_is_found_by_its_name_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config("lens_small").data == replace(
        load_config("lens_demo").data, train=1_500, validation=200
    )
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "lens_demo.py").write_text("from lensjax.config import Config as get_config")
    assert load_config("lens_demo") == Config()  # that of the working folder comes first
    with pytest.raises(ValueError, match="unknown configuration 'lens_dmo'.*one of gravity_spy_demo"):
        find_config("lens_dmo")
    with pytest.raises(ValueError, match="'else/lens_demo.py' does not exist; files beside it: none there"):
        find_config("else/lens_demo.py")


def test_variants_of_a_study_are_a_group():
    edits = variants.load_group("lens_places", only=("unet_joint",))
    assert edits["unet_joint"](Config()).model.kind == "unet" and len(edits) == 1
    with pytest.raises(ValueError, match="unknown variant unet of lens_places: choose from position"):
        variants.load_group("lens_places", only=("unet",))


def test_a_run_that_starts_from_another_waits_for_it(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(subprocesses.datasets, "prepare", lambda data: None)
    monkeypatch.setattr(subprocesses, "train_group", lambda shares, group: order.extend(group))
    first, second = tmp_path / "a" / "seed0", tmp_path / "b" / "seed0"
    config = Config(data=LensData(train=8))
    assert subprocesses.train_all({second: replace(config, init=str(first)), first: config}) == [
        second,
        first,
    ]
    assert order == [first, second]
    assert subprocesses.train_seeds("lens_demo", 2, tmp_path / "c") == [
        tmp_path / "c/seed0",
        tmp_path / "c/seed1",
    ]
    assert order[2:] == [tmp_path / "c/seed0", tmp_path / "c/seed1"]


def test_only_checkpoints_quieten_absl(tmp_path):
    absl = logging.getLogger("absl")
    before = absl.level
    with checkpoint.checkpointer(tmp_path):
        assert absl.level == logging.ERROR
    assert absl.level == before
