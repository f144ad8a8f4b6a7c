"""Explain many examples, a chunk at a time, each with its own key and, if given, its own class."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from lensjax.explain.engine.loops import AnyArray, Chunk, at_least_one, map_chunks
from lensjax.explain.engine.programs import is_staged, run_compiled
from lensjax.runtime.errors import UserError
from lensjax.types import Array


def batched(method: Callable, *, chunk: Chunk = 8) -> Callable[..., Array]:
    """Lift a method from one example to many: `batched(method)(score, images, key=key, **options)`.

    Of `images` [b *s c], `chunk` are explained at a time. Example i gets the key `fold_in(key, i)`; an array
    of keys [b] is taken as it is. For a method on features, pass its `forward` instead of the score. With
    `given`, arrays [b …], one row an example, the score of example i is `score(given[i], image)`: a class of
    its own for each. `done(count)` is called when `count` more examples are explained (`map_chunks`).

    On an accelerator a chunk of examples is one program. Programs are compiled once for the same computation,
    whatever function object or weights it comes with (`programs`).

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
        fixed, many = {"method": method, "options": options}, None
        if not is_staged() and not loops_on_host():  # one program a chunk
            many = lambda rows: run_compiled(_explain_rows, function, (rows,), {}, fixed)  # noqa: E731
        return map_chunks(_explain_one(method, function, options), samples, chunk, done, many)

    return explain


def loops_on_host() -> bool:
    """Tell whether loops beneath a method stay on the host: an accelerator would wait at every chunk."""
    return jax.default_backend() == "cpu"


def _explain_one(method: Callable, function: Callable, options: dict[str, Any]) -> Callable[[Any], Array]:
    def one(sample: dict[str, Array]) -> Array:
        score = _give(function, sample["given"]) if "given" in sample else function
        return method(score, sample["image"], key=sample.get("key"), **options)

    return one


def _give(function: Callable, first: Array) -> Partial:
    if not isinstance(function, Partial):
        return Partial(function, first)
    return Partial(function.func, *function.args, first, **function.keywords)  # its arrays stay arguments


def _explain_rows(
    function: Callable, samples: dict[str, Array], *, method: Callable, options: dict[str, Any]
) -> Array:
    """Explain a chunk of samples at once."""
    return jax.vmap(_explain_one(method, function, options))(samples)


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
