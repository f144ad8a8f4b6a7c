"""Names that a user writes: `name(option=value)` on a command line, definitions in a Python file."""

from __future__ import annotations

import ast
import runpy
from collections.abc import Callable, Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from lensjax.runtime.errors import UserError

NUMBER_OR_WORD = ("chunk", "segments")
"""Options whose default is a number and that take a word too: bytes of memory, a kind of patches."""


class MethodSpec(NamedTuple):
    """A method as it was asked for: the text, and the name and the options that were read from it."""

    written: str
    name: str
    options: dict[str, Any]


def parse_spec(text: str, known_options: Callable[[str], dict[str, Any]]) -> MethodSpec:
    """Read `occlusion(window=8, stride=4)`, or just `occlusion`.

    Values are Python literals; a bare word is text (`rule=midpoint`). Nothing is evaluated. `known_options`
    gives the options of a name and their defaults, and refuses names it does not know.

    Raises:
      UserError: no such name or option, or another form; says which.
    """
    form = f"cannot read '{text}': write a method as name or name(option=value, option=value)"
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise UserError(f"{form}.") from None
    call = tree if isinstance(tree, ast.Call) else ast.Call(tree, [], [])
    if not isinstance(call.func, ast.Name) or call.args:
        raise UserError(f"{form}.")
    name, known, options = call.func.id, known_options(call.func.id), {}
    for option, node in ((keyword.arg, keyword.value) for keyword in call.keywords):
        if option is None:
            raise UserError(f"{form}.")
        if option not in known:
            choices = ", ".join(known) or "none"
            raise UserError(
                f"{name} has no option '{option}'{suggest_name(option, known)}; it has {choices}."
            )
        try:
            options[option] = node.id if isinstance(node, ast.Name) else ast.literal_eval(node)
        except ValueError:
            raise UserError(f"{form}; the value of '{option}' is no plain value.") from None
        _check_kind(text, option, options[option], known[option])
    return MethodSpec(text, name, options)


def _check_kind(text: str, option: str, given: Any, default: Any) -> None:
    """Refuse what no value of the option looks like; its range is the method's own business."""
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if isinstance(default, bool):
        right, kind = isinstance(given, bool), "True or False"
    elif option == "layer":
        right, kind = given is None or isinstance(given, str), "the name of a layer, or None"
    elif option in ("tolerance", "most_steps"):
        right, kind = given is default or number, "a number"
    elif option == "baseline":
        right, kind = number or isinstance(given, str | list | tuple), "a number, or a name"
    elif isinstance(default, float):
        right, kind = number, "a number"
    elif isinstance(default, str):
        right, kind = isinstance(given, str), "a word"
    elif isinstance(default, int) and option not in NUMBER_OR_WORD:
        numbers = given if isinstance(given, list | tuple) else (given,)
        right, kind = all(isinstance(one, int | float) for one in numbers), "a whole number, or one an axis"
    else:
        return
    if not right:
        raise UserError(f"{text.strip()}: {option} (={given!r}) must be {kind}.")


def suggest_name(name: str, choices: Collection[str]) -> str:
    """Return ` (did you mean 'gradient'?)` where one of the choices is near, else nothing."""
    near = get_close_matches(name, choices, 1)
    return f" (did you mean '{near[0]}'?)" if near else ""


def check_names(what: str, names: Collection[str], choices: Collection[str], of: str = "") -> None:
    """Check that all names are among the choices; `what` is what they name, `of` where.

    Raises:
      UserError: an unknown name; lists the choices.
    """
    unknown = sorted(set(names) - set(choices))
    if unknown:
        where, hint = f" of {of}" if of else "", suggest_name(unknown[0], choices)
        raise UserError(
            f"unknown {what} {', '.join(unknown)}{where}: choose from {', '.join(choices)}{hint}."
        )


def load_definition(path: Path, name: str, form: str) -> Any:
    """Run a Python file and return what it defines under a name.

    Raises:
      UserError: it is no Python file, or defines no such thing; `form` says what to add.
    """
    if path.suffix != ".py" or not path.is_file():
        raise UserError(f"'{path}' is no Python file; give one that has {form}.")
    defined = runpy.run_path(str(path), run_name=path.stem)
    if name not in defined:
        raise UserError(f"'{path}' defines no {name}; add {form}.")
    return defined[name]
