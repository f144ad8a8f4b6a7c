"""What a user's Python file defines: configurations, ablations, loss terms."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any


def defined_in(path: Path, name: str, form: str) -> Any:
    """What a Python file, which is run, defines under a name.

    Raises:
      ValueError: it is no Python file, or defines no such thing; `form` says what to add.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise ValueError(f"'{path}' is no Python file; give one that has {form}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, name):
        raise ValueError(f"'{path}' defines no {name}; add {form}.")
    return getattr(module, name)
