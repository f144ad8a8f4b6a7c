"""Read the options of every command and end it: one help, one `--debug`, one line for a user's error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tyro

from lensjax.runtime.errors import one_line_errors
from lensjax.runtime.logs import start_logging

Options = TypeVar("Options")
DEBUG = "--debug"


def run_command(
    main: Callable[[Options], None],
    options: type[Options],
    *,
    prog: str,
    description: str | None,
    arguments: Sequence[str] | None = None,
    interrupted: str = "interrupted; nothing of the run was changed.",
    default: Options | None = None,
) -> None:
    """Parse a command line into a dataclass of options and run `main` with it.

    Args:
      main: what the command does.
      options: a frozen dataclass; a string under a field is its help text.
      prog: the command as the user types it, shown by `--help`.
      description: what the command does, with examples; usually the module's docstring.
      arguments: the words after the command; those of the process where None.
      interrupted: the line after Ctrl-C.
      default: options to start from, where they are not all given by the class.

    Raises:
      SystemExit: status 2 for unknown options, 1 for a mistake that the user can mend.
    """
    words, debug = split_debug(sys.argv[1:] if arguments is None else arguments)
    text = f"{description or ''}\n\n{DEBUG} shows the traceback of an error."
    given: Any = {} if default is None else {"default": default}
    start_logging()
    with one_line_errors(debug, interrupted):
        main(tyro.cli(options, prog=prog, description=text, args=words, **given))


def split_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Return the words without `--debug`, and whether it was among them."""
    return [word for word in arguments if word != DEBUG], DEBUG in arguments
