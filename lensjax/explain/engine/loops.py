"""Loop over samples within a method, and over examples around it, holding one chunk in memory at a time.

A method that is called directly loops on the host over compiled chunks; under `jax.jit` the same code becomes
a `lax.scan`. On the CPU the host's loop is faster: XLA runs the gradient of a convolution several times
slower inside a loop (jax#12868), and does not bound the memory of an unrolled one. The last chunk is padded,
so that one body is compiled, where `lax.map(batch_size=…)` compiles a second one for the remainder.
"""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.explain.engine.jaxprs import peak_bytes
from lensjax.explain.engine.programs import is_staged, share_traces
from lensjax.runtime.errors import UserError
from lensjax.types import Array

Tree = Any
AnyArray = Array | np.ndarray
Chunk = int | str
"""Items at a time, or how many bytes they may take: `256MB`."""
UNITS = {"": 1, "B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}


def sum_chunks(term: Callable[[Tree], Tree], samples: Tree, chunk: Chunk) -> Tree:
    """Sum `term(samples[n])` over n, in float32 or better, never holding more than `chunk` terms.

    `term` should call a jitted function that does the work: the loop around it is not compiled.
    """

    def part(index: AnyArray, valid: AnyArray) -> Tree:
        return _masked_sum(jax.vmap(term)(_rows(samples, index)), valid)

    add = functools.partial(jax.tree.map, operator.add)
    indices, valid = _chunks(samples, items(term, samples, chunk))
    if not is_staged():
        with share_traces():
            return functools.reduce(add, map(part, indices, valid))
    zero = jax.tree.map(jnp.zeros_like, jax.eval_shape(part, indices[0], valid[0]))
    return jax.lax.scan(lambda total, rows: (add(total, part(*rows)), None), zero, (indices, valid))[0]


def map_chunks(
    function: Callable[[Tree], Tree],
    samples: Tree,
    chunk: Chunk,
    done: Callable[[int], object] | None = None,
    many: Callable[[Tree], Tree] | None = None,
) -> Tree:
    """Stack `function(samples[n])` of every n; at most `chunk` are computed at a time.

    On the host, `done(count)` is called after every chunk, once its `count` results are there. `many` is a
    compiled `jax.vmap(function)`, where there is one: tracing takes milliseconds a chunk.
    """

    on_host = not is_staged()

    def part(index: AnyArray) -> Tree:
        rows = _rows(samples, index)
        if many is not None:
            return many(rows)
        if len(index) > 1 or not on_host:
            return jax.vmap(function)(rows)
        # One by itself: batching it would trace every jitted function beneath anew, which takes milliseconds.
        one = function(jax.tree.map(lambda row: jnp.asarray(row[0]), rows))
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], one)

    indices, valid = _chunks(samples, items(function, samples, chunk))
    if on_host:
        parts = []
        with share_traces():
            for index, real in zip(indices, valid, strict=True):
                parts.append(part(index))
                if done is not None:
                    jax.block_until_ready(parts[-1])
                    done(int(real.sum()))
        if len(parts) == 1:
            return parts[0]  # which has no padding
        return jax.tree.map(lambda *rows: jnp.concatenate(rows)[: valid.sum()], *parts)
    stacked = jax.lax.map(part, indices)
    return jax.tree.map(lambda rows: rows.reshape(-1, *rows.shape[2:])[: valid.sum()], stacked)


def items(function: Callable[[Tree], Tree], samples: Tree, chunk: Chunk) -> int:
    """Return the number of samples at a time that `chunk` means for this function.

    Raises:
      UserError: neither a whole number of 1 or more, nor an amount of memory.
    """
    if isinstance(chunk, str):
        return items_within(function, _rows(samples, np.array(0)), parse_bytes(chunk))
    return at_least_one("chunk", chunk)


def parse_bytes(text: str) -> int:
    """Read `256MB` as a number of bytes; units are powers of 1024.

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
    """Return how many samples `function` may be given at once within `budget` bytes; at least 1."""
    return max(1, budget // max(1, peak_bytes(function, sample)))


def at_least(name: str, value: object, least: int) -> int:
    """Return `value`, a whole number of `least` or more; a UserError says so otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise UserError(f"{name} (={value!r}) must be a whole number, {least} or more.")
    return int(value)


at_least_one = functools.partial(at_least, least=1)


def at_least_float32(x: Array) -> Array:
    """Widen to float32; float32 and float64 pass unchanged."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _chunks(samples: Tree, chunk: int) -> tuple[np.ndarray, np.ndarray]:
    """Return row numbers [m chunk], the last row repeated as padding, and which of them are no padding."""
    count = len(jax.tree.leaves(samples)[0])
    chunk = min(at_least_one("chunk", chunk), count)
    index = np.arange(math.ceil(count / chunk) * chunk).reshape(-1, chunk)
    return np.minimum(index, count - 1), index < count


def _rows(samples: Tree, index: AnyArray) -> Tree:
    def pick(leaf: AnyArray) -> AnyArray:
        if not isinstance(index, np.ndarray):
            return jnp.asarray(leaf)[index]
        # One chunk of all rows: picking them from an array of keys takes a millisecond.
        return leaf if index.shape == leaf.shape[:1] else leaf[index]

    return jax.tree.map(pick, samples)


@jax.jit
def _masked_sum(terms: Tree, valid: Array) -> Tree:
    def total(leaf: Array) -> Array:
        keep = valid.reshape(-1, *(1,) * (leaf.ndim - 1))
        return jnp.where(keep, at_least_float32(leaf), 0).sum(0)

    return jax.tree.map(total, terms)
