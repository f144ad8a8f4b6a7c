"""Choose the occlusion of a trained network: from changed patches alone where possible, else in full."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jax.tree_util import Partial

from lensjax.config import ModelConfig
from lensjax.explain import METHODS, incremental_occlusion
from lensjax.explain.engine.targets import COORDINATES, read_target, target_score
from lensjax.explain.incremental.local_layers import Stack
from lensjax.inspection.as_layers import describe, refusal
from lensjax.inspection.restore import Trained
from lensjax.types import Array, Outputs


def choose_occlusion(trained: Trained, target: str) -> tuple[Callable, Partial]:
    """Return a method and the function of the predicted class that it takes.

    Both methods give the same map, to rounding.
    """
    if reason(trained, target):
        return METHODS["occlusion"], trained.score(target)
    return incremental_occlusion, Partial(MakeStack(trained.config.model, target), trained.params)


def reason(trained: Trained, target: str) -> str:
    """Say why windows cannot be computed from changed patches; empty where they can."""
    if read_target(target, trained.classes)[0] in COORDINATES:
        return "the target is a position"
    return refusal(trained.config.model)


@dataclass(frozen=True)
class MakeStack:
    """`(params, predicted class) -> Stack`: the network as layers, its target as the score of its logits."""

    config: ModelConfig
    target: str

    def __call__(self, params: Any, predicted: Any) -> Stack:
        """Describe the network with these parameters."""
        score = ScoreOfLogits(self.target, self.config.classes)
        return describe(self.config, params, Partial(score, predicted))


@dataclass(frozen=True)
class ScoreOfLogits:
    """`(predicted class, logits [k]) -> score`."""

    target: str
    classes: tuple[str, ...]

    def __call__(self, predicted: Any, logits: Array) -> Array:
        """Return the number that the target names."""
        return target_score(Outputs(logits), self.target, self.classes, predicted)
