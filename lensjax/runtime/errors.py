"""Errors that the user can mend, and how a command ends with them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """A mistake that the user can mend. One line: what is wrong, its value, the rule, the fix.

    Every other exception is a fault of the program and keeps its traceback.
    """


@contextmanager
def one_line_errors(debug: bool = False, interrupted: str = "interrupted.") -> Iterator[None]:
    """End a command with one line on stderr where the user can mend the cause, or pressed Ctrl-C.

    `debug` shows the traceback of these too. An OSError (a full disk, a missing file) names its file.

    Raises:
      SystemExit: with the line, and status 1.
    """
    try:
        yield
    except (UserError, OSError) as error:
        if debug:
            raise
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        if debug:
            raise
        sys.exit(interrupted)
