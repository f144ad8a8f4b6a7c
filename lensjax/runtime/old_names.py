"""Modules of 0.1 under their old names, with a warning; they go with 0.2."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any


def forward_names(old: str, new: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of the module `old`, which gives the names of `new` with a warning."""

    def get_name(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module '{old}' has no attribute '{name}'")
        value = getattr(importlib.import_module(new), name)
        warnings.warn(f"{old} is now {new}; the old name goes with 0.2.", DeprecationWarning, stacklevel=2)
        return value

    return get_name
