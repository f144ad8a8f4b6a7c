"""Refuse a configuration that would fail later, before the run spends time."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp

from lensjax.config import Config
from lensjax.data.store import datasets
from lensjax.data.store.datasets import Source
from lensjax.data.surveys import galaxies
from lensjax.domain import domain_of
from lensjax.evaluation.predict import make_prediction_step, metric_names
from lensjax.losses.objective import check_weights
from lensjax.models import Network, build
from lensjax.runtime import parallel
from lensjax.runtime.errors import UserError
from lensjax.training.optim import find_frozen
from lensjax.training.restore_run import config_of


def check_config(config: Config) -> tuple[Network, tuple[int, ...]]:
    """Return the network and the shape [*s c] of its images.

    Raises:
      UserError: parts of the configuration contradict each other, or there is no such thing.
    """
    parallel.check_batch_size(config.optim.batch_size)
    check_weights(config.loss)
    shape = datasets.image_shape(config.data)  # checks the data, on which the metrics depend
    check_monitor(config)
    galaxies.check_negatives(config)
    model = build(config.model)
    if config.init:
        config_of(Path(config.init))  # fails now where there is no such run
    dry_run(config, model, shape)
    return model, shape


def dry_run(config: Config, model: Network, shape: tuple[int, ...]) -> None:
    """Trace the objective on shapes alone: a loss without its head, or too much pooling, fails now.

    Raises:
      UserError: parts of the configuration contradict each other.
    """
    domain = domain_of(config.data)
    rows, grid = config.optim.batch_size, domain.grid
    if grid and config.model.head == "heatmap" and config.model.windows != grid.windows:
        raise UserError(
            f"model.windows (={config.model.windows}) are {grid.windows} s with data.inputs "
            f"{config.data.inputs}: set them so, or the head reads times off wrongly."
        )
    if config.optim.epochs < 1 or rows < 1:
        raise UserError(f"optim.epochs (={config.optim.epochs}) and batch_size (={rows}) must be 1 or more.")
    batch = {
        "image": jax.ShapeDtypeStruct((rows, *shape), jnp.float32),
        "label": jax.ShapeDtypeStruct((rows,), jnp.int32),
        "position": jax.ShapeDtypeStruct((rows, 2), jnp.float32),
        "mask": jax.ShapeDtypeStruct((rows, *shape[:-1]), bool),
        "valid": jax.ShapeDtypeStruct((rows,), bool),
        "index": jax.ShapeDtypeStruct((rows,), jnp.int32),
    }
    if domain.stores_light:
        batch["light"] = batch["image"]
    params = jax.eval_shape(lambda images: model.init(jax.random.key(0), images)["params"], batch["image"])
    find_frozen(config.optim, params)
    jax.eval_shape(make_prediction_step(config, model), params, batch)


def check_classes(config: Config, source: Source) -> None:
    """Refuse a network whose class names are not those of the data, in their order.

    Raises:
      UserError: they differ.
    """
    if source.classes and tuple(source.classes) != config.model.classes:
        raise UserError(
            f"model.classes {config.model.classes} must be those of the data, {source.classes}, in order."
        )


def check_monitor(config: Config) -> None:
    """Refuse an unknown `optim.monitor`.

    Raises:
      UserError: with the metrics there are.
    """
    name, names = config.optim.monitor, metric_names(config)
    if name.removesuffix("_low").removesuffix("_high") not in names:
        raise UserError(f"optim.monitor '{name}' is no validation metric; choose from {', '.join(names)}.")
