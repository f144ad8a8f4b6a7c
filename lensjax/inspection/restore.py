"""Restore a finished run or a published network: its parameters, its domain and its explained function."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from jax.tree_util import Partial

from lensjax.config import Config, LensData
from lensjax.domain import PublishedDomain, domain_of
from lensjax.event_axes import EventGrid
from lensjax.inspection.targets import Score, ScoreWithEnds
from lensjax.models import Apply, Network, build, published
from lensjax.runtime import records
from lensjax.runtime.errors import UserError
from lensjax.training.restore_run import best_params, config_of

PUBLISHED = "published:"
SIMULATIONS = 16
"""Held-out images of a published network: its occlusion takes thousands of forward passes an image."""


@dataclass(frozen=True)
class Trained:
    """A network with its parameters, and what it was made from."""

    workdir: Path
    config: Config
    model: Network
    params: Any
    summary: dict[str, Any]
    """summary.json; empty for a run that has not ended."""
    history: list[dict[str, Any]]
    """metrics.jsonl."""
    published: published.Published | None = None
    """The description of a published network; None for a run of train.py."""

    @cached_property
    def domain(self) -> Any:
        """What differs between kinds of data, `lensjax.domain.Domain`."""
        data: Any = self.config.data
        return PublishedDomain(data, self.published) if self.published else domain_of(data)

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the channels."""
        return self.domain.bands

    @property
    def pixel_scale(self) -> float | None:
        """Arcseconds a pixel; None for events."""
        return self.domain.pixel_scale

    @property
    def events(self) -> EventGrid | None:
        """Axes of an event's windows; None for images of the sky."""
        return self.domain.grid

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.config.model.classes

    @property
    def has_position(self) -> bool:
        """Whether the network gives a position."""
        return self.config.model.head != "class"

    def score(self, target: str) -> Partial:
        """Return `score(predicted class, image [*s c])`, the number that `target` names."""
        return Partial(Score(Apply(self.model), target, self.classes), self.params)

    def score_with_ends(self, target: str) -> Partial:
        """Return `forward(predicted class, image, taps=None) -> (score, ends)`, for methods on features."""
        return Partial(ScoreWithEnds(Apply(self.model), target, self.classes), self.params)


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
    params = best_params(workdir)
    path = workdir / "summary.json"
    summary = json.loads(path.read_text()) if path.exists() else {}
    history = records.read(workdir / "metrics.jsonl") if (workdir / "metrics.jsonl").exists() else []
    return Trained(workdir, config, build(config.model), params, summary, history)


def restore_published(name: str, weights: Path | None) -> Trained:
    """Load a published network; its data are simulations of Euclid that show its field of view.

    Raises:
      UserError: no such network, or no usable weights.
    """
    network = published.network_named(name)
    if weights is None:
        raise UserError(f"{PUBLISHED}{name} needs --weights FILE, the published .pt or an .npz made from it.")
    model, variables = published.load(name, weights)
    data = LensData(train=1, validation=1, test=SIMULATIONS, min_theta_e=0.5, min_snr=40.0)
    data = replace(data, size=network.size * round(network.pixel_scale / domain_of(data).pixel_scale))
    config = Config(data=data, model=network.model)
    return Trained(
        Path("runs/published") / name, config, model, variables["params"], {}, [], published=network
    )
