"""Read a traced computation, a jaxpr: its inner jaxprs, its work, its memory, its identity; and run it."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

OWN_DERIVATIVE = ("custom_jvp", "custom_vjp")
"""Primitives whose parameters hold rules for a derivative, new Python functions at every trace."""


def inner_jaxprs(eqn: JaxprEqn) -> list[Jaxpr]:
    """Return the jaxprs that an equation holds: of a loop its body, of a `cond` its branches."""
    flat = [leaf for p in eqn.params.values() for leaf in (p if isinstance(p, tuple | list) else [p])]
    return [p.jaxpr if isinstance(p, ClosedJaxpr) else p for p in flat if isinstance(p, ClosedJaxpr | Jaxpr)]


def run_equation(eqn: JaxprEqn, args: Sequence[Any]) -> list[Any]:
    """Compute one equation; a list, also of one result."""
    bound = eqn.primitive.get_bind_params(eqn.params)
    functions, params = bound if isinstance(bound, tuple) else ((), bound)  # differs between versions of jax
    out = eqn.primitive.bind(*functions, *args, **params)
    return list(out) if eqn.primitive.multiple_results else [out]


def run_jaxpr(
    jaxpr: Jaxpr,
    consts: Sequence[Any],
    args: Sequence[Any],
    *,
    equations: Sequence[JaxprEqn] | None = None,
    apply: Callable[[JaxprEqn, list[Any]], list[Any]] = run_equation,
    literals: Iterator[Any] | None = None,
) -> list[Any]:
    """Compute a jaxpr's results, each equation by `apply`.

    `equations` are those to compute, None for all. `literals`, where given, stand in for the jaxpr's own, in
    the order of `literal_values`.
    """
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))

    def read(v: Any) -> Any:
        if not isinstance(v, Literal):
            return values[v]
        return v.val if literals is None else next(literals)

    for eqn in jaxpr.eqns if equations is None else equations:
        values.update(zip(eqn.outvars, apply(eqn, [read(v) for v in eqn.invars]), strict=True))
    return [read(v) for v in jaxpr.outvars]


def literal_values(jaxpr: Jaxpr) -> list[np.ndarray]:
    """Return the numbers written into a jaxpr itself, inner ones left out, in the order of `run_jaxpr`."""
    atoms = [*(v for eqn in jaxpr.eqns for v in eqn.invars), *jaxpr.outvars]
    return [np.asarray(v.val, v.aval.dtype) for v in atoms if isinstance(v, Literal)]  # type: ignore[attr-defined]


def structure_of(jaxpr: Jaxpr, literals: bool = False) -> Hashable:
    """Return what two jaxprs of the same computation have in common: equations, shapes, parameters.

    Rules of derivatives are left out, so a program that is known by this must not be differentiated. Numbers
    written into the jaxpr are part of it only if `literals`; those of inner jaxprs always.
    """
    numbers: dict[Any, int] = {}

    def name(v: Any) -> Hashable:
        if isinstance(v, Literal):
            value = np.asarray(v.val, v.aval.dtype)  # type: ignore[attr-defined]
            return (v.aval, value.tobytes()) if literals else v.aval
        return numbers.setdefault(v, len(numbers)), v.aval

    def describe(eqn: JaxprEqn) -> Hashable:
        primitive, params = eqn.primitive.name, eqn.params
        if primitive.startswith(OWN_DERIVATIVE):
            params = {k: v for k, v in params.items() if isinstance(v, ClosedJaxpr | Jaxpr | int)}
        settings = tuple((key, _param(value)) for key, value in sorted(params.items()))
        return primitive, tuple(map(name, eqn.invars)), tuple(map(name, eqn.outvars)), settings

    ends = tuple(map(name, jaxpr.constvars)), tuple(map(name, jaxpr.invars))
    return ends, tuple(map(describe, jaxpr.eqns)), tuple(map(name, jaxpr.outvars))


def _param(value: Any) -> Hashable:
    if isinstance(value, ClosedJaxpr):
        return structure_of(value.jaxpr, literals=True), tuple(map(_constant, value.consts))
    if isinstance(value, Jaxpr):
        return structure_of(value, literals=True)
    if isinstance(value, tuple | list):
        return type(value).__name__, tuple(map(_param, value))
    if isinstance(value, dict):
        return tuple((key, _param(one)) for key, one in value.items())
    if isinstance(value, np.ndarray):
        return _constant(value)
    try:
        hash(value)
    except TypeError:
        return Same(value)
    return type(value).__name__, value


def _constant(value: Any) -> Hashable:
    if isinstance(value, np.ndarray | np.generic):
        return str(value.dtype), value.shape, value.tobytes()
    return Same(value)  # an array on a device never changes


class Same:
    """An object that equals itself alone; held, so that no other can take its place in memory."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def count_passes(method: Callable[[Any], Any], forward: Callable[[Any], Any], sample: Any) -> float:
    """Return how many forward passes `method(sample)` is worth: its multiplications over `forward`'s.

    A gradient with respect to the image is 2, one pass there and one back; a CAM of the last layer little
    more than 1. Convolutions and matrix products are counted, in loops as often as they run.
    """
    return count_multiplications(method, sample) / max(1, count_multiplications(forward, sample))


def count_multiplications(function: Callable[[Any], Any], sample: Any) -> int:
    """Count multiply-adds of convolutions and matrix products.

    Of a branch the dearer counts, of a `while` one turn.
    """
    return _count(_trace(function, sample))


def _trace(function: Callable, sample: Any) -> Jaxpr:
    # Under a new function: jax would remember the trace of one that it knows, with the old weights.
    return jax.make_jaxpr(lambda x: function(x))(sample).jaxpr


def _count(jaxpr: Jaxpr) -> int:
    return sum(map(_count_equation, jaxpr.eqns))


def _count_equation(eqn: JaxprEqn) -> int:
    name, shapes = eqn.primitive.name, [getattr(v.aval, "shape", ()) for v in (*eqn.outvars, *eqn.invars)]
    if name == "conv_general_dilated":
        out, _, kernel = shapes
        features = kernel[eqn.params["dimension_numbers"].rhs_spec[0]]
        return math.prod(out) * math.prod(kernel) // features
    if name == "dot_general":
        (contracted, _), _ = eqn.params["dimension_numbers"]
        return math.prod(shapes[0]) * math.prod(shapes[1][i] for i in contracted)
    inner = [_count(one) for one in inner_jaxprs(eqn)]
    if name == "cond":
        return max(inner, default=0)
    return sum(inner) * (eqn.params["length"] if name == "scan" else 1)


def peak_bytes(function: Callable, sample: Any) -> int:
    """Return the most that is alive at once while `function(sample)` runs, sample and result included.

    What one sample needs, without what all share (parameters, constants). XLA fuses, and needs less.
    """
    return _peak(_trace(function, sample))


def _peak(jaxpr: Jaxpr) -> int:
    last = {}
    for i, eqn in enumerate(jaxpr.eqns):
        last.update({v: i for v in eqn.invars if not isinstance(v, Literal)})
    ends = {v: len(jaxpr.eqns) for v in jaxpr.outvars if not isinstance(v, Literal)}
    last |= ends
    alive = {v for v in jaxpr.invars if v in last}
    most = now = sum(_bytes(v) for v in alive)
    for i, eqn in enumerate(jaxpr.eqns):
        inner = max((_peak(one) for one in inner_jaxprs(eqn)), default=0)
        made = [v for v in eqn.outvars if v in last]
        now += sum(_bytes(v) for v in made)
        alive.update(made)
        most = max(most, now + inner)
        gone = {v for v in (*eqn.invars, *made) if not isinstance(v, Literal) and v in alive and last[v] <= i}
        now -= sum(_bytes(v) for v in gone)
        alive -= gone
    return most


def _bytes(v: Any) -> int:
    shape, dtype = getattr(v.aval, "shape", ()), getattr(v.aval, "dtype", None)
    return int(np.prod(shape)) * getattr(dtype, "itemsize", 4)
