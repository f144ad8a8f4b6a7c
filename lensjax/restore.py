"""A finished run, read back: its network, its parameters, and what it knows of its data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from lensjax import parallel, records
from lensjax.checkpoint import read_config_json, restore_best
from lensjax.config import Config, config_from_dict
from lensjax.data import datasets
from lensjax.events import WINDOWS, EventGrid
from lensjax.models import Network, build
from lensjax.optim import make_optimiser
from lensjax.state import TrainState, init_state


@dataclass(frozen=True)
class Trained:
    """A network with its parameters, and the grid and bands it wants its images in."""

    workdir: Path
    config: Config
    model: Network
    params: Any
    bands: tuple[str, ...]
    """Names of the channels."""
    pixel_scale: float | None
    """Arcseconds a pixel; None for events."""
    events: EventGrid | None
    """Axes of an event's windows; None for images of the sky."""
    summary: dict[str, Any]
    """summary.json; empty for a run that has not ended."""
    history: list[dict[str, Any]]
    """metrics.jsonl."""

    @property
    def classes(self) -> tuple[str, ...]:
        return self.config.model.classes

    @property
    def has_position(self) -> bool:
        return self.config.model.head != "class"


def restore(workdir: Path) -> Trained:
    """Read the best checkpoint of a run.

    Raises:
      ValueError: the folder is no run, has no checkpoint, or is damaged.
    """
    config = config_of(workdir)
    state = restore_best(workdir, blank_state(config))
    path = workdir / "summary.json"
    summary = json.loads(path.read_text()) if path.exists() else {}
    history = records.read(workdir / "metrics.jsonl") if (workdir / "metrics.jsonl").exists() else []
    return Trained(
        workdir,
        config,
        build(config.model),
        state.params,
        datasets.bands(config.data),
        datasets.pixel_scale(config.data),
        datasets.event_grid(config.data),
        summary,
        history,
    )


def config_of(workdir: Path) -> Config:
    """The configuration a run was made with."""
    return config_from_dict(read_config_json(workdir))


def blank_state(config: Config) -> TrainState:
    """Fresh parameters of a configuration's network, to restore a checkpoint into."""
    channels, size = len(datasets.bands(config.data)), config.data.size
    space = (size, size) if isinstance(size, int) else (len(WINDOWS), *size)
    image = jnp.zeros((1, *space, channels))
    model, optimiser = build(config.model), make_optimiser(config.optim, 1)

    def fresh() -> TrainState:
        return init_state(config, model, optimiser, image)

    return jax.jit(fresh, out_shardings=parallel.replicated(parallel.data_mesh()))()
