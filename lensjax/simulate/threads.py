"""Threads of the simulators: programs that several threads run at once, and chunks in order."""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import jax

Chunk = TypeVar("Chunk")
ONE_CORE = {"xla_cpu_multi_thread_eigen": False}
"""With jaxlib 0.11.2 the simulators deadlock when called from Python threads (the event simulator even from
one): their loops wait for XLA's own threads. The reason is not known, here or elsewhere
(PyAutoLabs/PyAutoFit#1530 has other programs and the same cure). Loops of convolutions or of Fourier
transforms alone do not deadlock."""


def jit_for_threads(**options: Any) -> Callable[[Callable], Callable]:
    """Compile by `jax.jit(**options)`, on a CPU for one core: the threads that call it run in parallel."""

    def decorate(function: Callable) -> Callable:
        @functools.cache
        def compiled(backend: str) -> Callable:
            only = ONE_CORE if backend == "cpu" else None
            return jax.jit(function, compiler_options=only, **options)

        @functools.wraps(function)
        def call(*args: Any, **named: Any) -> Any:
            return compiled(jax.default_backend())(*args, **named)

        return call

    return decorate


def map_rows(function: Callable, *columns: Any) -> Any:
    """Map over the first axis: one by one on a CPU, where `cond` skips what is absent, else all at once."""
    if jax.default_backend() == "cpu":
        return jax.lax.map(lambda row: function(*row), columns)
    return jax.vmap(function)(*columns)


def iterate_chunks(
    make: Callable[[int], Chunk], count: int, chunk: int, workers: int | None = None
) -> Iterator[tuple[int, Chunk]]:
    """Yield (start, make(start)) for start = 0, chunk, 2 chunk … below count, in order.

    `workers` threads, one a core where None, compute ahead. The first chunk is computed alone: it compiles,
    and threads that start together would each compile.
    """
    workers = workers or os.cpu_count() or 1
    running: deque[tuple[int, Future[Chunk]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, count, chunk):
            running.append((start, pool.submit(make, start)))
            if start == 0:
                running[0][1].result()
            if len(running) > workers:
                ready, future = running.popleft()
                yield ready, future.result()
        for ready, future in running:
            yield ready, future.result()
