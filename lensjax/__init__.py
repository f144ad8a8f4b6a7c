"""Attention-based interpretable networks in JAX whose explanations are scored against the truth.

    network = lensjax.load("runs/demo")
    network.predict(images), network.explain(images, "grad_cam", target="lens")

`Config`, `load_config` and `load` are imported at their first use: `import lensjax` stays light, and
`lensjax.explain` needs jax and numpy alone.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["Config", "__version__", "load", "load_config"]

_PUBLIC = {
    "Config": ("lensjax.config", "Config"),
    "load_config": ("lensjax.config_io", "load_config"),
    "load": ("lensjax.inspection.network", "load_network"),
}


def __getattr__(name: str) -> Any:
    """Import a public name from where it is defined."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'lensjax' has no attribute '{name}'")
    module, attribute = _PUBLIC[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    """List what the package has, the public names that are imported late among it."""
    return sorted({*globals(), *__all__})
