"""What a user's Python file defines: configurations, ablations, loss terms."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lensjax.runtime.errors import UserError


def defined_in(path: Path, name: str, form: str) -> Any:
    """What a Python file, which is run, defines under a name.

    Raises:
      UserError: it is no Python file, or defines no such thing; `form` says what to add.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise UserError(f"'{path}' is no Python file; give one that has {form}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, name):
        raise UserError(f"'{path}' defines no {name}; add {form}.")
    return getattr(module, name)


def suggest_name(name: str, choices: Iterable[str]) -> str:
    """Return a hint at the choice that was meant, " (did you mean 'x'?)", or "" where none is similar."""
    similar = get_close_matches(name, list(choices), 1)
    return f" (did you mean '{similar[0]}'?)" if similar else ""


def check_names(what: str, names: Collection[str], choices: Collection[str], of: str = "") -> None:
    """That all names are among the choices; `what` is what they name, `of` where.

    Raises:
      UserError: an unknown name; lists the choices.
    """
    unknown = sorted(set(names) - set(choices))
    if unknown:
        where = f" of {of}" if of else ""
        raise UserError(f"unknown {what} {', '.join(unknown)}{where}: choose from {', '.join(choices)}.")
