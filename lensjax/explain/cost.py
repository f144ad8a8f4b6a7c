"""What a function costs in multiplications, counted from its jaxpr: nothing is compiled or run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Jaxpr, JaxprEqn

from lensjax.explain.memory import inside


def passes(method: Callable[[Any], Any], forward: Callable[[Any], Any], sample: Any) -> float:
    """How many forward passes `method(sample)` is worth: its multiplications over those of `forward(sample)`.

    A gradient with respect to the image is 2, one pass there and one back; a CAM of the last layer little
    more than 1. Convolutions and matrix products are counted, in loops as often as they run.
    """
    return multiplications(method, sample) / max(1, multiplications(forward, sample))


def multiplications(function: Callable[[Any], Any], sample: Any) -> int:
    """Multiply-adds of convolutions and matrix products; of a branch the dearer, of a `while` one turn."""
    return _count(jax.make_jaxpr(function)(sample).jaxpr)


def _count(jaxpr: Jaxpr) -> int:
    return sum(map(_of_equation, jaxpr.eqns))


def _of_equation(eqn: JaxprEqn) -> int:
    name, shapes = eqn.primitive.name, [getattr(v.aval, "shape", ()) for v in (*eqn.outvars, *eqn.invars)]
    if name == "conv_general_dilated":
        out, _, kernel = shapes
        features = kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
        return math.prod(out) * math.prod(kernel) // features
    if name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        return math.prod(shapes[0]) * math.prod(shapes[1][i] for i in contracted)
    inner = [_count(one) for one in inside(eqn)]
    if name == "cond":
        return max(inner, default=0)
    return sum(inner) * (eqn.params["length"] if name == "scan" else 1)
