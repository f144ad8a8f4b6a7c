"""Programs that several threads run at once, each on one core."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

ONE_CORE = {"xla_cpu_multi_thread_eigen": False}
"""With jaxlib 0.11.2, two programs at once that share XLA's threads wait for each other for ever."""


def jit_for_threads(**options: Any) -> Callable[[Callable], Callable]:
    """`jax.jit(**options)`, on the CPU for one core: the threads that call it are the parallelism."""

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
