"""Record the environment of a run: versions, device, git revision."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = (
    "lensjax",
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "grain",
    "numpy",
    "scipy",
    "tensorflow-datasets",
    "array-record",
    "astropy",
    "jaxtronomy",
    "lenstronomy",
)


def environment() -> dict[str, Any]:
    """Collect versions, platform, devices, git revision (None without one), date. Never fails."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "xla_flags": os.environ.get("XLA_FLAGS"),
        "packages": {name: _version(name) for name in PACKAGES},
        "git": git_revision(Path(__file__).resolve().parent),
        **_devices(),
    }


def git_revision(folder: Path) -> dict[str, Any] | None:
    """Return the revision of the checkout that tracks `folder` and whether files changed since; else None."""
    try:
        # A package installed inside somebody else's checkout is not tracked by it.
        if not _git(folder, "ls-files", "."):
            return None
        changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
        return {"revision": _git(folder, "rev-parse", "HEAD"), "dirty": bool(changes)}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> dict[str, Any]:
    try:
        import jax

        devices = jax.devices()
        return {
            "backend": devices[0].platform,
            "device_kind": devices[0].device_kind,
            "device_count": len(devices),
            "process_count": jax.process_count(),
        }
    except (ImportError, RuntimeError) as error:
        return {"backend": None, "device_kind": None, "device_count": 0, "device_error": str(error)}
