"""Write a command's messages to stdout (the logger `lensjax`) and its progress bars to stderr.

`append`, `environment`, `plain`, `read`, `rewind` and `write_json` are those of `records` and `environment`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any

import jax
from tqdm import tqdm

from lensjax.runtime.environment import environment
from lensjax.runtime.records import append, plain, read, rewind, write_json

__all__ = [
    "append",
    "environment",
    "is_first_process",
    "logger",
    "plain",
    "progress",
    "read",
    "rewind",
    "start_logging",
    "write_json",
]

logger = logging.getLogger("lensjax")
"""Progress messages for the user, at level INFO. Commands show it (`start_logging`)."""


class _PrintHandler(logging.Handler):
    """Print messages alone to the stdout of the moment, those of the first process."""

    def emit(self, record: logging.LogRecord) -> None:
        if is_first_process():
            print(self.format(record), flush=True)


def start_logging() -> None:
    """Show on stdout what `lensjax` logs, the message alone; a second call changes nothing."""
    if not any(isinstance(handler, _PrintHandler) for handler in logger.handlers):
        logger.addHandler(_PrintHandler())
    logger.setLevel(logging.INFO)
    logger.propagate = False  # absl puts a handler of its own on the root


def is_first_process() -> bool:
    """Tell whether this is the first of the processes of a run, or the only one."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


class _LineStream:
    """A stream on which tqdm writes lines instead of redrawing one."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> None:
        if text.strip():
            self.stream.write(text.strip() + "\n")

    def flush(self) -> None:
        self.stream.flush()


def progress(
    iterable: Iterable[Any] | None = None,
    desc: str = "",
    *,
    total: int | None = None,
    initial: int = 0,
    unit: str = "it",
) -> tqdm:
    """Show a progress bar with the time left on stderr; a line every ten seconds where that is no terminal.

    Only the first of several processes shows it.
    """
    stream = sys.stderr
    terminal = stream.isatty()
    return tqdm(
        iterable,
        desc=desc or None,
        total=total,
        initial=initial,
        unit=unit,
        disable=not is_first_process(),
        dynamic_ncols=terminal,
        ncols=None if terminal else 100,
        file=stream if terminal else _LineStream(stream),
        mininterval=0.1 if terminal else 10.0,
        miniters=1,
    )
