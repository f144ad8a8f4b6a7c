"""What to explain: one number from a network's logits [k]. A score is `lambda image: target(network(image))`.

Each takes the logits of ONE example; nothing is ever reduced over a batch, so no image depends on another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, Int

Index = Int[Array, ""] | int


def logit(logits: Float[Array, "k"], index: Index) -> Float[Array, ""]:
    """The class's own logit, which may rise with all others."""
    return logits[index]


def difference(logits: Float[Array, "k"], index: Index, other: Index) -> Float[Array, ""]:
    """Logit of a class less that of another: why this and not that?"""
    return logits[index] - logits[other]


def log_probability(logits: Float[Array, "k"], index: Index) -> Float[Array, ""]:
    """Log of the softmax probability."""
    return jax.nn.log_softmax(logits)[index]


def probability(logits: Float[Array, "k"], index: Index) -> Float[Array, ""]:
    """Softmax probability; saturates, and with it the gradient."""
    return jax.nn.softmax(logits)[index]


def log_odds(logits: Float[Array, "k"], index: Index) -> Float[Array, ""]:
    """Log odds of a class against all others; of two classes, the difference of the logits.

    Unlike a probability it does not saturate, and unlike a logit it cannot rise with all of them.
    """
    others = jnp.where(jnp.arange(logits.shape[-1]) == index, -jnp.inf, logits)
    return logits[index] - jax.nn.logsumexp(others)


def signed_logit(logits: Float[Array, "k"], positive: bool = True) -> Float[Array, ""]:
    """Of a network with one logit: as it is for the positive class, negated for the other.

    Raises:
      UserError: there are several.
    """
    if logits.shape != (1,):
        raise UserError(f"signed_logit takes one logit, these are {logits.shape}: use logit or log_odds.")
    return logits[0] if positive else -logits[0]


TARGETS: dict[str, Callable[..., Array]] = {
    "log_odds": log_odds,
    "logit": logit,
    "log_probability": log_probability,
    "probability": probability,
    "difference": difference,
}


def all_classes(
    method: Callable, score: Callable, image: Float[Array, "*s c"], classes: int, **options: Any
) -> Float[Array, "k ..."]:
    """`method` on `score(index, image)` for every class: maps [k …].

    Of gradients and CAMs the forward pass is shared: the class enters behind it, so one is computed, and as
    many backward passes as classes. For a method on features pass `forward(index, image, taps)`.
    """
    return jax.vmap(lambda k: method(Partial(score, k), image, **options))(jnp.arange(classes))
