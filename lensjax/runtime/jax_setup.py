"""Set-up that must precede the first use of jax: compiler flags, compilation cache, processes.

Import this module and call `prepare` in a script's first lines; it imports jax only inside.
"""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

from lensjax.runtime.errors import UserError

# jaxlib sends convolutions on the CPU to experimental fusions that double the cost of their gradients
# (measured by benchmarks/train.py). jaxlib refuses flags it does not know, hence the range.
FAST_CPU_GRADIENTS = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"
KNOWN_JAXLIB = ((0, 10), (0, 12))


def prepare(*, gradients: bool, multihost: bool = False, exact: bool = True) -> None:
    """Choose compiler flags (never over the user's), switch on the compilation cache, join processes.

    `exact`, which training does without, asks for products in float32 where accelerators would take shorter
    numbers (TF32 keeps three digits). Maps are then those of the CPU, and small differences of scores, as in
    occlusion, are not lost in rounding.

    Raises:
      UserError: `multihost` without a coordinator to join.
    """
    if gradients and known_jaxlib() and "xla_cpu_experimental_ynn" not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FAST_CPU_GRADIENTS}".strip()
    # Several processes share a device: a study beside the trainings it started, a page beside a training.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(cache_directory() / "xla")
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    if multihost:
        join_processes()
    if exact and not os.environ.get("JAX_DEFAULT_MATMUL_PRECISION") and jax.default_backend() != "cpu":
        jax.config.update("jax_default_matmul_precision", "float32")


def join_processes() -> None:
    """Join `jax.distributed`: no arguments on TPU, Slurm, Kubernetes; elsewhere three environment variables.

    Raises:
      UserError: neither tells where the coordinator is.
    """
    import jax

    names = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
    address, count, index = (os.environ.get(name) for name in names)
    try:
        if address and count and index:
            jax.distributed.initialize(address, int(count), int(index))
        else:
            jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"--multihost found no cluster ({error}); set {', '.join(names)}, or leave the flag out."
        ) from error


def known_jaxlib() -> bool:
    """Tell whether this jaxlib is one on which the flag was tried."""
    major, minor = importlib.metadata.version("jaxlib").split(".")[:2]
    return KNOWN_JAXLIB[0] <= (int(major), int(minor)) <= KNOWN_JAXLIB[1]


def cache_directory() -> Path:
    """Return the user's cache folder for lensjax: $XDG_CACHE_HOME or ~/.cache, then lensjax."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lensjax"
