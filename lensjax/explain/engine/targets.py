"""Choose the number to explain, from a network's logits [k] or its position, and parse a target's name.

A score is `lambda image: target(network(image))`, or `target_score(outputs, "difference(lens, star)", …)`.

Each takes the logits of ONE example; nothing is ever reduced over a batch, so no image depends on another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from lensjax.runtime.errors import UserError
from lensjax.specs import suggest_name
from lensjax.types import Array, Float, Int

Index = Int[Array, ""] | int


def logit(logits: Float[Array, "k"], index: Index) -> Float[Array, ""]:
    """Return the class's own logit, which may rise with all others."""
    return logits[index]


def difference(logits: Float[Array, "k"], index: Index, other: Index) -> Float[Array, ""]:
    """Return the logit of a class less that of another: why this and not that?"""
    return logits[index] - logits[other]


def log_probability(logits: Float[Array, "k"], index: Index) -> Float[Array, ""]:
    """Return the log of the softmax probability."""
    return jax.nn.log_softmax(logits)[index]


def probability(logits: Float[Array, "k"], index: Index) -> Float[Array, ""]:
    """Return the softmax probability, which saturates, and with it the gradient."""
    return jax.nn.softmax(logits)[index]


def log_odds(logits: Float[Array, "k"], index: Index) -> Float[Array, ""]:
    """Return the log odds of a class against all others; of two classes, the difference of the logits.

    Unlike a probability it does not saturate, and unlike a logit it cannot rise with all of them.
    """
    others = jnp.where(jnp.arange(logits.shape[-1]) == index, -jnp.inf, logits)
    return logits[index] - jax.nn.logsumexp(others)


def signed_logit(logits: Float[Array, "k"], positive: bool = True) -> Float[Array, ""]:
    """Return the one logit of a network: as it is for the positive class, negated for the other.

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


COORDINATES = {"row": 0, "column": 1, "frequency": 0, "time": 1}
"""Targets that are a coordinate of the position, in fractions of the image."""


def sum_log_probabilities(logits: Float[Array, "k"], index: Index) -> Float[Array, ""]:
    """Return Σ_k log p_k, of no class in particular (Ross et al. 2017)."""
    return jax.nn.log_softmax(logits).sum()


CLASS_TARGETS: Mapping[str, Callable[..., Array]] = {
    **{name: target for name, target in TARGETS.items() if name != "difference"},
    "log_probabilities": sum_log_probabilities,
}
"""The targets that a loss on explanations accepts: a number of one class, or of all."""


def class_score(logits: Float[Array, "k"], target: str, label: Index) -> Float[Array, ""]:
    """Return the number of `CLASS_TARGETS` for the class `label`.

    Raises:
      UserError: no such target; lists those there are.
    """
    if target not in CLASS_TARGETS:
        *first, last = CLASS_TARGETS
        hint = suggest_name(target, CLASS_TARGETS)
        raise UserError(f"unknown target '{target}'{hint}; choose {', '.join(first)} or {last}.")
    return CLASS_TARGETS[target](logits, label)


def read_target(target: str, classes: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the score that a target names, and the classes it is of.

    `predicted` or a class: its log odds; `logit`, `log_probability`, `probability` or `log_odds`, of a class
    in brackets or of the predicted one; `difference(a, b)` of two logits; `row` and `column` of the position,
    for events `frequency` and `time`.

    Raises:
      UserError: another name or number of classes; lists the choices.
    """
    found = re.fullmatch(r"\s*([^()]+?)\s*(?:\((.*)\))?\s*", target)
    name, inside = found.groups() if found else (target, None)
    given = tuple(part.strip() for part in inside.split(",")) if inside else ()
    if inside is None and (name in classes or name == "predicted"):
        name, given = "log_odds", (name,)
    if name in COORDINATES and inside is None:
        return name, ()
    wanted = 2 if name == "difference" else 1
    given = given or ("predicted",) * (name != "difference")
    known = ("predicted", *classes)
    if name not in TARGETS or len(given) != wanted or any(one not in known for one in given):
        raise UserError(
            f"--target '{target}' is not known to this network{suggest_name(target, [*known, *TARGETS])}. "
            f"Choose a class ({', '.join(known)}), "
            f"{', '.join(f'{one}(class)' for one in TARGETS if one != 'difference')}, "
            "difference(class, class), "
            f"or a coordinate ({', '.join(COORDINATES)})."
        )
    return name, given


def check_target(target: str, classes: Sequence[str], has_position: bool) -> None:
    """Check a target as `--target` takes it: see `read_target`.

    Raises:
      UserError: it is none of these, or the network gives no position.
    """
    if read_target(target, classes)[0] in COORDINATES and not has_position:
        raise UserError(f"--target '{target}' is a position, which this network does not give.")


def target_score(
    outputs: Any, target: str, classes: Sequence[str], predicted: Array | int
) -> Float[Array, ""]:
    """Return the number that an explanation explains: of a class, or a coordinate in fractions of the image.

    `outputs` has `logits` [k], and `position` [2] where the target is a coordinate. `predicted` is the class
    that the name `predicted` stands for.

    Raises:
      UserError: as `read_target`.
    """
    name, given = read_target(target, classes)
    if name in COORDINATES:
        return outputs.position[COORDINATES[name]]
    return TARGETS[name](
        outputs.logits, *(predicted if one == "predicted" else list(classes).index(one) for one in given)
    )


def all_classes(
    method: Callable, score: Callable, image: Float[Array, "*s c"], classes: int, **options: Any
) -> Float[Array, "k ..."]:
    """Apply `method` to `score(index, image)` for every class: maps [k …].

    Of gradients and CAMs the forward pass is shared: the class enters behind it, so one is computed, and as
    many backward passes as classes. For a method on features pass `forward(index, image, taps)`.
    """
    return jax.vmap(lambda k: method(Partial(score, k), image, **options))(jnp.arange(classes))
