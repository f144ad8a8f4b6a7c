"""Programs of the simulators: several threads run them at once, each on one core."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

ONE_CORE = {"xla_cpu_multi_thread_eigen": False}
"""With jaxlib 0.11.2 the simulators' loops wait for ever for XLA's own threads, events even by themselves.

Why is not known, here or elsewhere (PyAutoLabs/PyAutoFit#1530 has other programs of lenses, the same cure).
Loops of convolutions or Fourier transforms alone do not wait; `examples` of lenses and of events did.
"""


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
