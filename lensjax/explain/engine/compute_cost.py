"""What a method costs: expected from its options, for a progress bar, or counted from its jaxpr."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import Jaxpr, JaxprEqn

from lensjax.explain.engine.jaxprs import inner_jaxprs as inside
from lensjax.explain.methods.perturbation import per_axis, window_starts
from lensjax.explain.methods.registry import TRIVIAL, options_of

BACKWARD = 3
"""A pass forward and back, in forward passes."""


def expected_passes(name: str, options: dict[str, Any], shape: Sequence[int], channels: int) -> int:
    """About how many forward passes a method takes for one image of `shape` [*s c]; at least 1.

    `channels` are those of the layer a CAM reads. An estimate: where an option is out of range, the method
    itself says so.
    """
    given = options_of(name) | options
    if name in TRIVIAL or name in ("attention", "eigen_cam"):
        return 1
    if name in ("score_cam", "ablation_cam"):
        return channels
    if name == "occlusion":
        return _windows(given, tuple(shape[:-1]))
    number = given.get("samples", given.get("steps", 1))
    number = number if isinstance(number, int) and number > 0 else 1
    return number if name in ("rise", "lime", "kernel_shap") else BACKWARD * number


def _windows(options: dict[str, Any], space: tuple[int, ...]) -> int:
    try:
        sizes = tuple(map(min, per_axis("window", options["window"], len(space)), space))
        halves = tuple(max(1, size // 2) for size in sizes)
        stride = halves if options["stride"] is None else options["stride"]
        return len(window_starts(space, sizes, per_axis("stride", stride, len(space)), options["edges"]))
    except ValueError:
        return math.prod(space)


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
