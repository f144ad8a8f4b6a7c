"""How many samples fit into so many bytes: counted from the function's own jaxpr, nothing compiled or run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from lensjax.runtime.errors import UserError

UNITS = {"": 1, "B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}


def parse_bytes(text: str) -> int:
    """`256MB` as a number of bytes; units are powers of 1024.

    Raises:
      UserError: another form, or nothing.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B?)\s*", text.upper())
    unit = found[2] if found else "?"
    unit = unit + "B" if unit in ("K", "M", "G", "T") else unit
    if found is None or unit not in UNITS or float(found[1]) * UNITS[unit] < 1:
        raise UserError(f"'{text}' is no amount of memory; write a number and a unit, such as 256MB or 2GB.")
    return int(float(found[1]) * UNITS[unit])


def items_within(function: Callable, sample: Any, budget: int) -> int:
    """How many samples `function` may be given at once within `budget` bytes; at least 1."""
    return max(1, budget // max(1, peak_bytes(function, sample)))


def peak_bytes(function: Callable, sample: Any) -> int:
    """The most that is alive at once while `function(sample)` runs, the sample and the result included.

    What one sample needs, without what all share (parameters, constants). XLA fuses, and needs less.
    """
    closed = jax.make_jaxpr(function)(sample)
    return _peak(closed.jaxpr)


def _peak(jaxpr: Jaxpr) -> int:
    last = {}
    for i, eqn in enumerate(jaxpr.eqns):
        last.update({v: i for v in eqn.invars if not isinstance(v, Literal)})
    ends = {v: len(jaxpr.eqns) for v in jaxpr.outvars if not isinstance(v, Literal)}
    last |= ends
    alive = {v for v in jaxpr.invars if v in last}
    most = now = sum(_bytes(v) for v in alive)
    for i, eqn in enumerate(jaxpr.eqns):
        inner = max((_peak(one) for one in inside(eqn)), default=0)
        made = [v for v in eqn.outvars if v in last]
        now += sum(_bytes(v) for v in made)
        alive.update(made)
        most = max(most, now + inner)
        gone = {v for v in (*eqn.invars, *made) if not isinstance(v, Literal) and v in alive and last[v] <= i}
        now -= sum(_bytes(v) for v in gone)
        alive -= gone
    return most


def inside(eqn: Any) -> list[Jaxpr]:
    flat = [leaf for p in eqn.params.values() for leaf in (p if isinstance(p, tuple | list) else [p])]
    return [p.jaxpr if isinstance(p, ClosedJaxpr) else p for p in flat if isinstance(p, ClosedJaxpr | Jaxpr)]


def _bytes(v: Any) -> int:
    shape, dtype = getattr(v.aval, "shape", ()), getattr(v.aval, "dtype", None)
    return int(np.prod(shape)) * getattr(dtype, "itemsize", 4)
