"""From one example to many: a chunk of examples at a time, each with its own key, and class where given."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from lensjax.explain.engine.loops import AnyArray, Chunk, at_least_one, map_chunks, staged
from lensjax.runtime.errors import UserError
from lensjax.types import Array


def batched(method: Callable, *, chunk: Chunk = 8) -> Callable[..., Array]:
    """Lift a method from one example to many: `batched(method)(score, images, key=key, **options)`.

    Of `images` [b *s c], `chunk` are explained at a time. Example i gets the key `fold_in(key, i)`; an array
    of keys [b] is taken as it is. For a method on features, pass its `forward` instead of the score. Pass the
    same function object every time: what is compiled is remembered under it. With `given`, arrays [b …], one
    row an example, the score of example i is `score(given[i], image)`: a class of its own for each. `done`
    is told how many more examples are explained, as `map_chunks` does.

    On an accelerator a chunk of examples is one program, compiled once for the same method, function and
    options (of JAX arrays among these: the same object).

    Raises:
      UserError: no examples, a value that is not finite (with the rows), or a number of keys that differs.
    """
    if not isinstance(chunk, str):
        at_least_one("chunk", chunk)

    def explain(
        function: Callable,
        images: AnyArray,
        *,
        key: Array | None = None,
        given: AnyArray | None = None,
        done: Callable[[int], object] | None = None,
        **options: Any,
    ) -> Array:
        if given is not None and len(given) != len(images):
            raise UserError(f"given has {len(given)} rows for {len(images)} images; give one an image.")
        samples = {"image": images, "key": _example_keys(key, _check_images(images)), "given": given}
        samples = {name: rows for name, rows in samples.items() if rows is not None}
        many = None if staged() or loops_on_host() else _as_one_program(method, function, options)
        return map_chunks(_as_it_is(method, function, options), samples, chunk, done, many)

    return explain


def loops_on_host() -> bool:
    """Whether loops beneath a method stay on the host: an accelerator would wait for it at every chunk."""
    return jax.default_backend() == "cpu"


class Known:
    """What a program is remembered by: numbers, words and NumPy arrays by value, all else by identity."""

    def __init__(self, *values: Any) -> None:
        self.values = values
        self.marks = repr(jax.tree.map(_mark, values))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Known) and self.marks == other.marks

    def __hash__(self) -> int:
        return hash(self.marks)


def _mark(value: Any) -> str:
    if isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, np.ndarray):  # may be written to between two calls
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    return f"{type(value).__name__} {id(value)}"


def _as_it_is(method: Callable, function: Callable, options: dict[str, Any]) -> Callable[[Any], Array]:
    def one(sample: dict[str, Array]) -> Array:
        score = _give(function, sample["given"]) if "given" in sample else function
        return method(score, sample["image"], key=sample.get("key"), **options)

    return one


def _give(function: Callable, first: Array) -> Partial:
    if not isinstance(function, Partial):
        return Partial(function, first)
    return Partial(function.func, *function.args, first, **function.keywords)  # its arrays stay arguments


def _as_one_program(method: Callable, function: Callable, options: dict[str, Any]) -> Callable[[Any], Array]:
    """The same of a chunk of samples, compiled as a whole; the arrays of a `Partial` are arguments."""
    if isinstance(function, Partial):
        return functools.partial(_program, Known(method, None, options), function)
    return functools.partial(_program, Known(method, function, options), None)


@functools.partial(jax.jit, static_argnums=0)
def _program(known: Known, partial: Partial | None, samples: dict[str, Array]) -> Array:
    method, function, options = known.values
    return jax.vmap(_as_it_is(method, function if partial is None else partial, options))(samples)


@functools.partial(jax.jit, static_argnums=1)
def _fold_in_each(key: Array, count: int) -> Array:
    return jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.arange(count))


def _check_images(images: AnyArray) -> int:
    if images.ndim < 2 or len(images) == 0:
        raise UserError(f"images have shape {images.shape}; batched wants one or more examples, [b *s c].")
    if not isinstance(images, jax.core.Tracer):
        finite = np.isfinite(np.asarray(images, np.float32)).reshape(len(images), -1).all(axis=1)
        if not finite.all():
            rows = ", ".join(map(str, np.flatnonzero(~finite)[:8]))
            raise UserError(f"images hold NaN or infinity in rows {rows}; fill or drop them first.")
    return len(images)


def _example_keys(key: Array | None, count: int) -> Array | None:
    if key is None:
        return None
    if key.ndim == 0:
        return _fold_in_each(key, count)
    if key.shape != (count,):
        raise UserError(
            f"key has shape {key.shape}; give one jax.random.key, or {count} of them, one an image."
        )
    return key
