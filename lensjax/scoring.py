"""A trained network as the functions that explanations take: `score(image)`, `forward(image, taps)`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from lensjax.models import Network
from lensjax.shapes import Array, Float, Int
from lensjax.types import Outputs

POSITION_TARGETS = ("row", "column")


def single(model: Network, params: Any) -> Callable[..., Outputs]:
    """The network for ONE example: `f(image [*s c], taps) -> Outputs` without batch axes."""

    def forward(image: Array, taps: dict[str, Array] | None = None) -> Outputs:
        lifted = None if taps is None else {name: value[None] for name, value in taps.items()}
        outputs: Any = model.apply({"params": params}, image[None], lifted)
        first = jax.tree.map(lambda leaf: leaf[0], outputs)
        # A mapped dict is sorted by name; layers are wanted in the order of the network.
        return replace(first, ends={name: first.ends[name] for name in outputs.ends})

    return forward


def log_odds(logits: Float[Array, "k"], index: Int[Array, ""] | int) -> Float[Array, ""]:
    """Log odds of a class against all others; of two classes, the difference of the logits.

    Unlike a probability it does not saturate, and unlike a logit it cannot rise with all of them.
    """
    others = jnp.where(jnp.arange(logits.shape[-1]) == index, -jnp.inf, logits)
    return logits[index] - jax.nn.logsumexp(others)


def check_target(target: str, classes: Sequence[str], has_position: bool) -> None:
    """A target is "predicted", a class name, "row" or "column".

    Raises:
      ValueError: it is none of these, or the network gives no position.
    """
    positions = POSITION_TARGETS if has_position else ()
    if target not in ("predicted", *classes, *positions):
        choices = ", ".join(("predicted", *classes, *positions))
        raise ValueError(f"--target '{target}' is not known to this network; choose from {choices}.")


def target_score(
    outputs: Outputs, target: str, classes: Sequence[str], predicted: Array | int
) -> Float[Array, ""]:
    """The scalar that an explanation explains: a class's log odds, or a coordinate in fractions."""
    if target in POSITION_TARGETS:
        return outputs.position[POSITION_TARGETS.index(target)]
    return log_odds(outputs.logits, predicted if target == "predicted" else list(classes).index(target))
