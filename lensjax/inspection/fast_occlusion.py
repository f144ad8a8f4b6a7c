"""Which occlusion a trained network gets: from changed patches alone where it can be, else in full."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jax.tree_util import Partial

from lensjax.explain.incremental.incremental import incremental_occlusion
from lensjax.explain.incremental.local_layers import Stack
from lensjax.explain.methods.perturbation import occlusion
from lensjax.inspection.as_layers import describe, refusal
from lensjax.inspection.restore import Trained
from lensjax.inspection.targets import COORDINATES, read_target, target_score
from lensjax.types import Outputs


def occlusion_of(trained: Trained, target: str, score: Callable) -> tuple[Callable, Callable]:
    """A method, and the function of the predicted class it takes; a note where it is the slow one.

    Both give the same map, to rounding.
    """
    why = reason(trained, target)
    if why:
        print(f"occlusion: every window costs a whole evaluation, for {why}.")
        return occlusion, score
    return incremental_occlusion, Partial(stack_of(trained, target), trained.params)


def reason(trained: Trained, target: str) -> str:
    """Why windows cannot be computed from changed patches; empty where they can."""
    if read_target(target, trained.classes)[0] in COORDINATES:
        return "the target is a position"
    return refusal(trained.config.model)


def stack_of(trained: Trained, target: str) -> Callable[[Any, Any], Stack]:
    """`(params, predicted class) -> Stack`: the network as layers, its target as the score of its logits."""

    def of_logits(predicted: Any, logits: Any) -> Any:
        return target_score(Outputs(logits, None, None, {}, None, {}), target, trained.classes, predicted)

    def stack(params: Any, predicted: Any) -> Stack:
        return describe(trained.config.model, params, Partial(of_logits, predicted))

    return stack
