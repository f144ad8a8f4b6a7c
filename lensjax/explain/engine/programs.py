"""Compiled programs for score functions whose weights may change between two calls.

`jax.jit` knows a function by identity: it would answer with the weights that were there when it first saw the
function, and keep every fresh lambda for ever. Here a score is traced anew, which takes milliseconds, and
the arrays that it reads become arguments of the program. A program is known by the traced equations, so
new weights, other seeds, and fresh lambdas of the same computation share it. Tracing is skipped in two cases:
within one loop over chunks (`share_traces`), and where `fingerprint` proves that nothing the score can read
has changed. All that is remembered is bounded.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun
from jax.tree_util import Partial

from lensjax.explain.engine.jaxprs import Same, literal_values, run_jaxpr, structure_of

PROGRAMS_KEPT, TRACES_KEPT = 256, 256
LIBRARIES = ("jax", "jaxlib", "numpy", "flax", "lensjax", "builtins", "math", "functools")
"""Packages whose own globals are code, and hold no weights of a user."""
UNSEEN = {"eval", "exec", "globals", "__import__", "open"}
"""Builtins through which a function reads what its code does not mention."""
CODE = (type(jax.jit(abs)), jax.custom_jvp, jax.custom_vjp, np.ufunc, jnp.ufunc, types.BuiltinFunctionType)


def is_staged() -> bool:
    """Return whether `jit` (or scan, …) is tracing: even a constant is a tracer, and the host cannot loop."""
    return isinstance(jnp.zeros(()), jax.core.Tracer)


def jit_method(function: Callable | None = None, *, static: tuple[str, ...] = ()) -> Callable:
    """Compile a function whose first argument is a score function; never answer with old weights.

    The arrays of a `jax.tree_util.Partial` are arguments: one compilation explains every class (`batched`,
    `given`) and every seed. Options named in `static` must be hashable. Under `jax.jit` it is part of what
    is compiled there; under `jax.grad` alone it runs as it is.
    """
    if function is None:
        return functools.partial(jit_method, static=static)

    @functools.wraps(function)
    def call(score: Callable, *args: Any, **options: Any) -> Any:
        fixed = {name: options.pop(name) for name in static if name in options}
        return run_compiled(function, score, args, options, fixed)

    return call


def name_as(source: Callable) -> Callable[[Callable], Callable]:
    """Give a function that is made of `source` its name and docstring, but not its signature."""

    def rename(function: Callable) -> Callable:
        function.__name__, function.__qualname__ = source.__name__, source.__qualname__
        function.__module__, function.__doc__ = source.__module__, source.__doc__
        return function

    return rename


def run_compiled(
    function: Callable, score: Callable, args: tuple, options: dict[str, Any], fixed: dict[str, Any]
) -> Any:
    """Return `function(score, *args, **options, **fixed)`, compiled; `fixed` may hold anything."""

    def run(leaves: Sequence[Any]) -> Any:
        score, args, options = jax.tree.unflatten(form, map(jnp.asarray, leaves))
        return function(score, *args, **options, **fixed)

    numbers = jax.Array | np.ndarray | np.generic | float | int | complex
    if not isinstance(score, Partial) and not all(isinstance(x, numbers) for x in jax.tree.leaves(score)):
        score = Partial(score)  # a function, unlike a `Stack`, has no arrays of its own
    leaves, form = jax.tree.flatten((score, args, options))
    if is_staged() or _is_differentiated(leaves):
        return run(leaves)
    traced = _find_trace(function, run, leaves, form, fixed)
    constants = traced.constants()
    if constants is None or _is_differentiated(constants):
        return run(leaves)
    return jax.tree.unflatten(traced.form, traced.program(traced.literals, constants, leaves))


@contextmanager
def share_traces() -> Iterator[None]:
    """Trace each score once within this block, in which no weights can change."""
    token = _SHARED.set({}) if _SHARED.get() is None else None
    try:
        yield
    finally:
        if token is not None:
            _SHARED.reset(token)


_SHARED: ContextVar[dict[Hashable, Any] | None] = ContextVar("shared traces", default=None)


class Program:
    """One computation, compiled twice at most: for the numbers first seen in it, then for any numbers."""

    def __init__(self, jaxpr: Jaxpr, literals: bytes) -> None:
        self.first = literals
        self.exact = jax.jit(lambda consts, args: jaxpr_as_fun(ClosedJaxpr(jaxpr, consts))(*args))
        self.general = jax.jit(
            lambda numbers, consts, args: run_jaxpr(jaxpr, consts, args, literals=iter(numbers))
        )

    def __call__(self, literals: list[np.ndarray], consts: list[Any], args: Sequence[Any]) -> Sequence[Any]:
        if _bytes_of(literals) == self.first:
            return self.exact(consts, args)
        return self.general(literals, consts, args)


@dataclass(frozen=True)
class Traced:
    """A program, and what it is given beside the arguments of the call."""

    program: Program
    literals: list[np.ndarray]
    references: list[Callable[[], Any]]
    form: Any

    def constants(self) -> list[Any] | None:
        """Return the arrays that the score reads; None if one is gone, and with it the score."""
        found = [get() for get in self.references]
        return None if any(one is None for one in found) else found


class Bounded(OrderedDict):
    """A dict of the entries that were last used."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def find(self, key: Hashable) -> Any:
        if key in self:
            self.move_to_end(key)
        return self.get(key)

    def keep(self, key: Hashable, value: Any) -> Any:
        self[key] = value
        self.move_to_end(key)
        while len(self) > self.most:
            self.popitem(last=False)
        return value


_PROGRAMS = Bounded(PROGRAMS_KEPT)  # structure -> Program
_TRACES = Bounded(TRACES_KEPT)  # fingerprint -> Traced, and the arrays that the fingerprint names


def _find_trace(function: Callable, run: Callable, leaves: list[Any], form: Any, fixed: dict) -> Traced:
    traced: Any
    shapes, shared = tuple(map(jax.typeof, leaves)), _SHARED.get()
    own = function, form, shapes, _hashable(fixed)
    if shared is not None and own in shared:
        return shared[own]
    arrays: list[Any] = []
    key: Hashable = None
    try:
        skeleton = jax.tree.unflatten(form, [_SLOT] * len(leaves))
        key = (function, shapes, _settings(), fingerprint((skeleton, fixed), arrays))
    except Unknown:
        traced = _trace(run, leaves, arrays)
    else:
        traced, alive = _TRACES.find(key) or (None, [])
        if traced is None or any(get() is None for get in (*alive, *traced.references)):
            traced = _trace(run, leaves, arrays)
            _TRACES.keep(key, (traced, [_weak(array) for array in arrays]))
    if shared is not None:
        shared[own] = traced
    return traced


def _trace(run: Callable, leaves: list[Any], known: list[Any]) -> Traced:
    forms = []

    def flat(*leaves: Any) -> list[Any]:  # a new function: jax remembers the traces of those it has seen
        out, form = jax.tree.flatten(run(leaves))
        forms.append(form)
        return out

    closed = jax.make_jaxpr(flat)(*leaves)
    structure, literals = structure_of(closed.jaxpr), literal_values(closed.jaxpr)
    program = _PROGRAMS.find(structure)
    if program is None:
        program = _PROGRAMS.keep(structure, Program(closed.jaxpr, _bytes_of(literals)))
    held = {id(array) for array in known}
    # A copy of NumPy arrays, which may be written to while the program runs.
    consts = [jnp.array(c) if isinstance(c, np.ndarray) else c for c in closed.consts]
    references = [_weak(c) if id(c) in held else _strong(c) for c in consts]
    return Traced(program, literals, references, forms[-1])


def _is_differentiated(leaves: Sequence[Any]) -> bool:
    """Return whether JAX is differentiating: a program does not contain rules of derivatives."""
    tracers = [leaf for leaf in map(_strip_batching, leaves) if isinstance(leaf, jax.core.Tracer)]
    if not tracers:
        return False
    found = []

    @jax.custom_jvp
    def same(x: Any) -> Any:
        return x

    @same.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        found.append(True)
        return primals[0], tangents[0]

    same(tracers)
    return bool(found)


def _strip_batching(value: Any) -> Any:
    """Return what `vmap` maps over, where it can be had: asking jax takes a fifth of a millisecond."""
    while type(value).__name__ == "BatchTracer" and hasattr(value, "val"):
        value = value.val
    return value


class Unknown(Exception):
    """A score reads a value that may change unnoticed."""


_SLOT = object()  # in place of an array that is an argument


def fingerprint(value: Any, arrays: list[Any]) -> Hashable:
    """Return a key that is the same only if all that `value`, code and data, can read is the same.

    Functions are followed into their closures, defaults and globals. Arrays on devices, which never change,
    count by identity and are added to `arrays`: the key holds only while they live. NumPy arrays count by
    content. Of the `LIBRARIES` the code is trusted.

    Raises:
      Unknown: anything else, such as an object of a user's class or a module of NNX.
    """
    marks: list[Hashable] = []
    _visit(value, marks, arrays, set())
    return tuple(marks)


def _visit(value: Any, marks: list[Hashable], arrays: list[Any], seen: set[int]) -> None:
    def visit(*values: Any) -> None:
        marks.append(len(values))
        for one in values:
            _visit(one, marks, arrays, seen)

    if value is None or value is _SLOT or isinstance(value, types.EllipsisType):
        marks.append(str(value) if value is not _SLOT else "slot")
    elif isinstance(value, bool | int | float | complex | str | bytes | np.generic | np.dtype):
        marks.append((type(value).__name__, repr(value)))
    elif isinstance(value, jax.Array) and not isinstance(value, jax.core.Tracer):
        arrays.append(value)
        marks.append(id(value))
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        marks.append((str(value.dtype), value.shape, digest))
    elif isinstance(value, types.FunctionType):
        marks.append(value.__code__)
        if id(value) not in seen:
            seen.add(id(value))
            visit(*map(_read_cell, value.__closure__ or ()))
            visit(value.__defaults__, value.__kwdefaults__)
            if not _is_library(value):
                mentioned = _global_names(value.__code__)
                if mentioned is None:
                    raise Unknown
                names = sorted(mentioned & value.__globals__.keys())
                marks.append(tuple(names))
                visit(*(value.__globals__[name] for name in names))
    elif isinstance(value, types.MethodType):
        visit(value.__func__, value.__self__)
    elif isinstance(value, functools.partial):
        visit(value.func, value.args, value.keywords)
    elif isinstance(value, tuple | list):
        visit(*value)
    elif isinstance(value, dict):
        visit(*value.keys(), *value.values())
    elif isinstance(value, CODE) or (isinstance(value, types.ModuleType | type) and _is_library(value)):
        marks.append(Same(value))
    elif hasattr(value, "__dataclass_fields__") and _is_library(type(value)):
        marks.append(Same(type(value)))
        visit(*(getattr(value, name) for name in value.__dataclass_fields__))
    else:
        raise Unknown


def _read_cell(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        raise Unknown from None


@functools.lru_cache(maxsize=1024)
def _global_names(code: types.CodeType) -> frozenset[str] | None:
    """Return the names of globals (and attributes) that a function mentions; None if it may read others."""
    inner = [_global_names(const) for const in code.co_consts if isinstance(const, types.CodeType)]
    imports = any(step.opname == "IMPORT_NAME" for step in dis.get_instructions(code))
    if imports or UNSEEN & set(code.co_names) or None in inner:
        return None
    return frozenset(code.co_names).union(*(names for names in inner if names is not None))


def _is_library(value: Any) -> bool:
    name = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return (name or "").split(".")[0] in LIBRARIES


def _hashable(options: dict[str, Any]) -> Hashable:
    items = tuple((name, type(value), value) for name, value in options.items())
    try:
        hash(items)
    except TypeError:
        return Same(options)
    return items


def _settings() -> Hashable:
    """Return what beside the arguments decides how a function is traced."""
    config: Any = jax.config
    return config.jax_enable_x64, config.jax_default_matmul_precision, jax.default_backend()


def _bytes_of(literals: list[np.ndarray]) -> bytes:
    return b"".join(literal.tobytes() for literal in literals)


def _weak(value: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(value)
    except TypeError:
        return _strong(value)


def _strong(value: Any) -> Callable[[], Any]:
    return lambda: value
