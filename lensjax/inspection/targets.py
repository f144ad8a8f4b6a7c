"""A trained network as the functions that explanations take: `score(image)`, `forward(image, taps)`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import jax

from lensjax.explain.engine.targets import TARGETS, log_odds
from lensjax.models import Network
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, Outputs

__all__ = ["COORDINATES", "check_target", "log_odds", "read_target", "single", "target_score"]

COORDINATES = {"row": 0, "column": 1, "frequency": 0, "time": 1}


def single(model: Network, params: Any) -> Callable[..., Outputs]:
    """The network for ONE example: `f(image [*s c], taps) -> Outputs` without batch axes."""

    def forward(image: Array, taps: dict[str, Array] | None = None) -> Outputs:
        lifted = None if taps is None else {name: value[None] for name, value in taps.items()}
        outputs: Any = model.apply({"params": params}, image[None], lifted)
        first = jax.tree.map(lambda leaf: leaf[0], outputs)
        # A mapped dict is sorted by name; layers are wanted in the order of the network.
        return replace(first, ends={name: first.ends[name] for name in outputs.ends})

    return forward


def check_target(target: str, classes: Sequence[str], has_position: bool) -> None:
    """A target as `--target` takes it: see `read_target`.

    Raises:
      UserError: it is none of these, or the network gives no position.
    """
    if read_target(target, classes)[0] in COORDINATES and not has_position:
        raise UserError(f"--target '{target}' is a position, which this network does not give.")


def read_target(target: str, classes: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The score a target names, and the classes it is of.

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
        near = get_close_matches(target, [*known, *TARGETS], 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise UserError(
            f"--target '{target}' is not known to this network.{hint} Choose a class ({', '.join(known)}), "
            f"{', '.join(f'{one}(class)' for one in TARGETS if one != 'difference')}, "
            "difference(class, class), "
            f"or a coordinate ({', '.join(COORDINATES)})."
        )
    return name, given


def target_score(
    outputs: Outputs, target: str, classes: Sequence[str], predicted: Array | int
) -> Float[Array, ""]:
    """The scalar that an explanation explains: of a class, or a coordinate in fractions of the image."""
    name, given = read_target(target, classes)
    if name in COORDINATES:
        return outputs.position[COORDINATES[name]]
    return TARGETS[name](
        outputs.logits, *(predicted if one == "predicted" else list(classes).index(one) for one in given)
    )
