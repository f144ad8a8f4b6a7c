"""A finished run, or a published network: its parameters, and what it knows of its data."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lensjax.config import Config, LensData
from lensjax.data.store import datasets
from lensjax.event_axes import EventGrid
from lensjax.models import Network, build, published
from lensjax.runtime import records
from lensjax.runtime.errors import UserError
from lensjax.training.checkpoint import restore_best
from lensjax.training.restore_run import blank_state, config_of

__all__ = ["Trained", "blank_state", "config_of", "restore", "restore_published"]

PUBLISHED = "published:"
SIMULATIONS = 16  # held out for a published network; its occlusion is thousands of forward passes an image


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
    published: published.Published | None = None
    """What a published network wants of its images; None for a run of train.py."""

    @property
    def classes(self) -> tuple[str, ...]:
        return self.config.model.classes

    @property
    def has_position(self) -> bool:
        return self.config.model.head != "class"


def restore(workdir: Path, weights: Path | None = None) -> Trained:
    """Read the best checkpoint of a run, or, for `published:NAME`, the weights of a published network.

    Raises:
      UserError: the folder is no run, has no checkpoint, or is damaged; or so are the weights.
    """
    if str(workdir).startswith(PUBLISHED):
        return restore_published(str(workdir).removeprefix(PUBLISHED), weights)
    if weights is not None:
        names = ", ".join(PUBLISHED + name for name in published.NETWORKS)
        raise UserError(f"--weights (={weights}) belongs to a published network ({names}), not to a run.")
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


def restore_published(name: str, weights: Path | None) -> Trained:
    """A published network; its data are simulations of Euclid that show its field of view.

    Raises:
      UserError: no such network, or no usable weights.
    """
    network = published.named(name)
    if weights is None:
        raise UserError(f"{PUBLISHED}{name} needs --weights FILE, the published .pt or an .npz made from it.")
    model, variables = published.load(name, weights)
    data = LensData(train=1, validation=1, test=SIMULATIONS, min_theta_e=0.5, min_snr=40.0)
    scale = datasets.pixel_scale(data)
    assert scale is not None  # images of the sky have one
    data = replace(data, size=network.size * round(network.pixel_scale / scale))
    return Trained(
        Path("runs/published") / name,
        Config(data=data, model=network.model),
        model,
        variables["params"],
        network.bands,
        network.pixel_scale,
        None,
        {},
        [],
        network,
    )
