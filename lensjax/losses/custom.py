"""User-defined loss terms: refer to them by 'file.py:name' in a config, and load them from config.json.

In a configuration file, without touching the package:

    def dark_border(context, batch, *, width=8):
        heat = context.explain("grad_cam", batch)  # [b h w], of the true class
        inside = jnp.zeros(heat.shape[1:], bool).at[width:-width, width:-width].set(True)
        return jnp.where(inside, 0, heat**2).mean((1, 2))  # one value an example

    def get_config():
        weights = {"cross_entropy": 1.0, "dark_border": 0.1}
        return Config(loss=LossConfig(weights, losses={"dark_border": dark_border}))

config.json stores "FILE.py:NAME", relative to the working directory where the file is below it, or
"MODULE:NAME" of an installed module. Only training reads it again: a run is explained without.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lensjax.config import DEFAULT_WEIGHTS, LossConfig
from lensjax.losses import LOSSES
from lensjax.losses.context import Term
from lensjax.runtime.errors import UserError
from lensjax.specs import load_definition


def write_place(name: str, term: Callable | str) -> str:
    """Return where a term is defined, as text: "MODULE:NAME" or "FILE.py:NAME".

    Raises:
      UserError: it is no function at the top of a file, so it could not be found again.
    """
    if isinstance(term, str):
        return term
    function = getattr(term, "__name__", "")
    if not inspect.isfunction(term) or term.__qualname__ != function or not function.isidentifier():
        raise UserError(
            f"loss {name} (={term}) must be a function defined at the top of a file, or 'MODULE:NAME': a run "
            "that is resumed has to find it again."
        )
    module = sys.modules.get(term.__module__)
    if term.__module__ != "__main__" and getattr(module, function, None) is term:
        return f"{term.__module__}:{function}"
    path = Path(term.__code__.co_filename).absolute()
    return f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}:{function}"


def load(name: str, where: str) -> Term:
    """Load the term that `write_place` wrote down.

    Raises:
      UserError: it cannot be imported; says why.
    """
    place, _, function = where.rpartition(":")
    if not place:
        raise UserError(f"loss {name} (='{where}') must be a function, 'MODULE:NAME' or 'FILE.py:NAME'.")
    if place.endswith(".py"):
        return load_definition(Path(place), function, f"`def {function}(context, batch)`, the loss {name}")
    try:
        return getattr(importlib.import_module(place), function)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"loss {name} (='{where}') cannot be imported ({error}): install the module, or set PYTHONPATH."
        ) from error


def options_of(term: Term) -> dict[str, Any]:
    """Return a term's own options and their defaults: its keyword-only arguments."""
    parameters = inspect.signature(term).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def resolve_loss_config(config: LossConfig) -> LossConfig:
    """Write out what is implied, so that config.json holds every option, and no function.

    Default weights list every other term with weight 0, so that the command line offers it. Resolving twice
    changes nothing.

    Raises:
      UserError: a function of the configuration could not be found again.
    """
    weights = dict(config.weights)
    if weights == DEFAULT_WEIGHTS:
        weights = {**dict.fromkeys(LOSSES, 0.0), **weights}
    implied = {name: options_of(LOSSES[name]) for name in weights if name in LOSSES}
    options = {
        name: implied.get(name, {}) | config.options.get(name, {}) for name in implied | config.options
    }
    return replace(
        config,
        weights=weights,
        losses={name: write_place(name, term) for name, term in config.losses.items()},
        options={name: given for name, given in options.items() if given},
    )
