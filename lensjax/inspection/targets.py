"""What a map explains: the number that `--target` names, as a function of parameters and one image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jax.tree_util import Partial

from lensjax.explain.engine.targets import TARGETS
from lensjax.models import Apply
from lensjax.runtime.errors import UserError
from lensjax.specs import suggest_name
from lensjax.types import Array, Float, Outputs

COORDINATES = {"row": 0, "column": 1, "frequency": 0, "time": 1}


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


def check_target(target: str, classes: Sequence[str], has_position: bool) -> None:
    """Refuse a target that `read_target` does not know, or that the network does not give.

    Raises:
      UserError: it is none of these, or the network gives no position.
    """
    if read_target(target, classes)[0] in COORDINATES and not has_position:
        raise UserError(f"--target '{target}' is a position, which this network does not give.")


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
        hint = suggest_name(target, [*known, *TARGETS])
        raise UserError(
            f"--target '{target}' is not known to this network{hint}. Choose a class ({', '.join(known)}), "
            f"{', '.join(f'{one}(class)' for one in TARGETS if one != 'difference')}, "
            "difference(class, class), "
            f"or a coordinate ({', '.join(COORDINATES)})."
        )
    return name, given


def target_score(
    outputs: Outputs, target: str, classes: Sequence[str], predicted: Array | int
) -> Float[Array, ""]:
    """Return the number that a map explains: of a class, or a coordinate in fractions of the image."""
    name, given = read_target(target, classes)
    if name in COORDINATES:
        return outputs.position[COORDINATES[name]]
    return TARGETS[name](
        outputs.logits, *(predicted if one == "predicted" else list(classes).index(one) for one in given)
    )
