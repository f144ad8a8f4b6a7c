"""A loss of one's own in a configuration file: stored as text, found again, trained with."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.config import ARTEFACTS, Config, LossConfig, Ramp
from lensjax.config_io import changes, config_from_dict, load_config
from lensjax.losses import LOSSES, Context
from lensjax.losses.custom import load, options_of, resolve_loss_config
from lensjax.losses.objective import check_weights, find_term, objective
from lensjax.models import build
from lensjax.runtime import logs
from lensjax.simulate.lenses import artefacts
from lensjax.training.check_config import dry_run

MINE = """
import jax.numpy as jnp
from lensjax.config import AttentionConfig, Config, LossConfig, ModelConfig

def dark_border(context, batch, *, width=3):
    heat = context.explain("grad_cam", batch)  # [b h w], of the true class
    inside = jnp.zeros(heat.shape[1:], bool).at[width:-width, width:-width].set(True)
    return jnp.where(inside, 0, heat**2).mean((1, 2))  # one value an example

def get_config():
    weights = {"cross_entropy": 1.0, "dark_border": 0.1}
    return Config(
        loss=LossConfig(weights, losses={"dark_border": dark_border}, options={"dark_border": {"width": 2}}),
        model=ModelConfig(features=(3,), attention=AttentionConfig(at=())),
    )
"""


@pytest.fixture
def mine(tmp_path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path / "mine.py"


def read(path) -> Config:
    """A configuration as a run is started with it."""
    config = load_config(path)
    return replace(config, loss=resolve_loss_config(config.loss))


def test_a_loss_in_a_configuration_file_survives_config_json(mine):
    config = read(mine)
    assert config.loss.losses == {"dark_border": f"{mine}:dark_border"}
    text = json.dumps(logs.plain(asdict(config)))
    assert config_from_dict(json.loads(text)) == config
    check_weights(config.loss)
    dry_run(config, build(config.model), (12, 12, 4))
    with pytest.raises(ValueError, match="no option 'with'.*it has width, fraction"):
        check_weights(replace(config.loss, options={"dark_border": {"with": 2}}))


def test_below_the_working_directory_the_path_is_relative(mine, monkeypatch):
    monkeypatch.chdir(mine.parent)
    config = read("mine.py")
    assert config.loss.losses == {"dark_border": "mine.py:dark_border"}
    assert load("dark_border", "mine.py:dark_border").__name__ == "dark_border"


def test_the_term_is_computed_and_weighed(mine):
    config = read(mine)
    model = build(config.model)
    batch = {
        "image": jnp.asarray(np.random.default_rng(0).normal(size=(2, 12, 12, 4)), jnp.float32),
        "label": jnp.asarray([0, 1]),
        "valid": jnp.ones(2, bool),
    }
    params = model.init(jax.random.key(0), batch["image"])["params"]

    def forward(images, taps=None):
        return model.apply({"params": params}, images, taps)

    @jax.jit
    def values():
        total, (terms, context) = objective(forward, batch, config.loss)
        return total, terms, context.explain("grad_cam", batch)

    total, terms, heat = values()
    border = heat.at[:, 2:-2, 2:-2].set(0)
    np.testing.assert_allclose(terms["dark_border"], (border**2).mean(), rtol=1e-4)
    np.testing.assert_allclose(total, terms["cross_entropy"] + 0.1 * terms["dark_border"], rtol=1e-5)


def test_a_run_is_explained_after_its_loss_is_gone(mine):
    values = logs.plain(asdict(read(mine)))
    mine.unlink()
    config = config_from_dict(values)  # no import
    with pytest.raises(ValueError, match="mine.py' is no Python file; give one that has `def dark_border"):
        check_weights(config.loss)


def of_module(context, batch):
    return jnp.zeros(len(batch["label"]))


def test_a_function_of_a_module_is_named_by_it():
    loss = resolve_loss_config(LossConfig({"zero": 1.0}, losses={"zero": of_module}))
    assert loss.losses == {"zero": f"{__name__}:of_module"}
    assert load("zero", loss.losses["zero"]) is of_module


@pytest.mark.parametrize("term", [lambda context, batch: 0, print, Context])
def test_what_could_not_be_found_again_is_refused(term):
    with pytest.raises(ValueError, match="must be a function defined at the top of a file"):
        resolve_loss_config(LossConfig({"mine": 1.0}, losses={"mine": term}))


def test_options_and_ramps_are_written_out_and_read_again():
    loss = resolve_loss_config(
        LossConfig(
            {"cross_entropy": 1.0, "map_l1": Ramp(0.0, 2.0, 10)}, options={"map_l1": {"fraction": 0.5}}
        )
    )
    assert loss.options == {"map_l1": {"map": "grad_cam", "target": "log_odds", "fraction": 0.5}}
    config = Config(loss=loss)
    values = json.loads(json.dumps(logs.plain(asdict(config))))
    assert config_from_dict(values) == config
    edited = replace(config, loss=replace(loss, weights={"map_l1": 1.0}))
    assert any("map_l1" in line for line in changes(values, logs.plain(asdict(edited))))


def test_configurations_from_before_there_were_options_are_read():
    values = logs.plain(asdict(Config(loss=LossConfig({"cross_entropy": 1.0}))))
    for field in ("options", "losses"):
        del values["loss"][field]
    assert config_from_dict(values) == Config(loss=LossConfig({"cross_entropy": 1.0}))


def test_a_run_of_the_defaults_names_every_term_and_its_options():
    loss = resolve_loss_config(LossConfig())
    assert list(loss.weights) == list(LOSSES) and loss.weights["focal"] == 0
    assert loss.weights["position"] == 5.0 and loss.options["gain"] == options_of(LOSSES["gain"])
    assert resolve_loss_config(loss) == loss


def test_a_function_is_computed_without_being_written_out():
    assert find_term("zero", LossConfig({"zero": 1.0}, losses={"zero": of_module})) is of_module


def test_names_in_the_configuration_are_those_of_the_simulator():
    assert ARTEFACTS == artefacts.ARTEFACTS
