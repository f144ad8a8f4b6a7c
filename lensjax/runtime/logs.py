"""What a run writes while it goes, `metrics.jsonl` and TensorBoard scalars, and the progress it shows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from tqdm import tqdm

from lensjax.runtime.environment import environment
from lensjax.runtime.records import append, plain, read, rewind, write_json
from lensjax.training.tensorboard import scalar_log

__all__ = ["append", "environment", "plain", "progress", "read", "rewind", "run_log", "write_json"]


class _Lines:
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
    """A progress bar with the time left, on stderr; a line every ten seconds where that is no terminal.

    Of several processes only the first shows it.
    """
    stream = sys.stderr
    terminal = stream.isatty()
    silent = jax.distributed.is_initialized() and jax.process_index() > 0
    return tqdm(
        iterable,
        desc=desc or None,
        total=total,
        initial=initial,
        unit=unit,
        disable=silent,
        dynamic_ncols=terminal,
        ncols=None if terminal else 100,
        file=stream if terminal else _Lines(stream),
        mininterval=0.1 if terminal else 10.0,
        miniters=1,
    )


@contextmanager
def run_log(
    workdir: str | Path, step: int, leader: bool = True
) -> Iterator[Callable[[int, Mapping[str, Any]], None]]:
    """Give `log(step, record)`, to `metrics.jsonl` and TensorBoard, for a run that goes on from `step`.

    What an interrupted run logged beyond `step` is dropped. Nothing is written where `leader` is False.
    """
    if not leader:
        yield lambda step, record: None
        return
    path = Path(workdir) / "metrics.jsonl"
    rewind(path, step)
    with scalar_log(Path(workdir) / "tensorboard", step) as write_scalars:

        def log(step: int, record: Mapping[str, Any]) -> None:
            append(path, {"step": step, **record})
            write_scalars(step, record)

        yield log
