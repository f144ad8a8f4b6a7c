"""Restore a saved run: its configuration, and a network's parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from lensjax.config import Config
from lensjax.config_io import config_from_dict, read_json
from lensjax.domain import domain_of
from lensjax.models import build
from lensjax.runtime import parallel
from lensjax.runtime.errors import UserError
from lensjax.training.checkpoint import restore_best
from lensjax.training.optim import make_optimiser
from lensjax.training.state import TrainState, init_state


def config_of(workdir: Path) -> Config:
    """Return the configuration that a run was made with.

    Raises:
      UserError: the folder is not a run, or its config.json is damaged.
    """
    path = workdir / "config.json"
    if not path.is_file():
        raise UserError(f"'{workdir}' is not a run: it has no config.json. Give the --workdir of train.py.")
    return config_from_dict(read_json(path))  # fields added since take their defaults


def blank_state(config: Config, seed: int | None = None) -> TrainState:
    """Return a fresh state of a configuration, to restore a checkpoint into or to compare with."""
    image = jnp.zeros((1, *domain_of(config.data).image_shape))
    model, optimiser = build(config.model), make_optimiser(config.optim, 1)

    def init(seed: Any) -> TrainState:
        return init_state(config, model, optimiser, image, seed)

    everywhere = parallel.replicated(parallel.data_mesh())
    return jax.jit(init, out_shardings=everywhere)(jnp.uint32(config.seed if seed is None else seed))


def best_params(workdir: Path) -> Any:
    """Return the parameters of a run's best checkpoint.

    Raises:
      UserError: the folder is no run, has no checkpoint, or is damaged.
    """
    return restore_best(workdir, blank_state(config_of(workdir))).params
