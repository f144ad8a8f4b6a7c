"""Make the number that a map explains from `--target`, as a function of parameters and one image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jax.tree_util import Partial

from lensjax.explain.engine.targets import target_score
from lensjax.models import Apply
from lensjax.types import Array


@dataclass(frozen=True)
class ScoreWithEnds:
    """`(params, predicted class, image [*s c], taps=None) -> (score, ends)`: what methods on features take.

    `Partial(ScoreWithEnds(…), params)` is a function of the rest whose parameters are arguments of what is
    compiled; equal networks and targets are equal.
    """

    apply: Apply
    target: str
    classes: tuple[str, ...]

    def __call__(
        self, params: Any, predicted: Array | int, image: Array, taps: Mapping[str, Array] | None = None
    ) -> tuple[Array, dict[str, Array]]:
        """Return the score and the ends of one example."""
        outputs = self.apply(params, image, taps)
        return target_score(outputs, self.target, self.classes, predicted), outputs.ends


@dataclass(frozen=True)
class Score:
    """`(params, predicted class, image [*s c]) -> score`: what methods on the image take."""

    apply: Apply
    target: str
    classes: tuple[str, ...]

    def __call__(self, params: Any, predicted: Array | int, image: Array) -> Array:
        """Return the score of one example."""
        return target_score(self.apply(params, image), self.target, self.classes, predicted)


def bind(function: Partial, *values: Any) -> Partial:
    """Fix the next arguments of a `Partial`; its arrays stay leaves beside them.

    jax boxes a Partial of a Partial, whose arrays are then constants of what is compiled.
    """
    return Partial(function.func, *function.args, *values, **function.keywords)
