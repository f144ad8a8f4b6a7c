"""Log a run during training: `metrics.jsonl` and TensorBoard scalars.

TensorBoard's files are written at once and without threads. tensorboardX's SummaryWriter queues events for a
thread: a kill loses the last ones, and a full disk ends the thread, so that the run waits for ever. Its
record writer and messages alone have neither fault.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.runtime.records import append, rewind

Log = Callable[[int, Mapping[str, Any]], None]


@contextmanager
def open_run_log(workdir: str | Path, step: int, leader: bool = True) -> Iterator[Log]:
    """Give `log(step, record)`, to `metrics.jsonl` and TensorBoard, for a run that goes on from `step`.

    What an interrupted run logged beyond `step` is dropped. Nothing is written where `leader` is False.
    """
    if not leader:
        yield lambda step, record: None
        return
    path = Path(workdir) / "metrics.jsonl"
    rewind(path, step)
    with open_scalar_log(Path(workdir) / "tensorboard", step) as write_scalars:

        def log(step: int, record: Mapping[str, Any]) -> None:
            append(path, {"step": step, **record})
            write_scalars(step, record)

        yield log


@contextmanager
def open_scalar_log(folder: str | Path, step: int = 0) -> Iterator[Log]:
    """Give `write(step, record)`, which keeps the finite numbers of a record as scalars in an event file.

    A run resumed at `step` hides what an earlier event file in the folder holds beyond it.
    """
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.record_writer import RecordWriter

    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}"
    writer = RecordWriter(str(folder / name))

    def emit(**event: Any) -> None:
        writer.write(Event(wall_time=time.time(), **event).SerializeToString())

    def write(step: int, record: Mapping[str, Any]) -> None:
        values = [
            Summary.Value(tag=tag, simple_value=value) for tag, value in _finite_numbers(record).items()
        ]
        emit(step=step, summary=Summary(value=values))
        writer.flush()

    try:
        first = step + 1 if step else 0
        emit(step=first, file_version="brain.Event:2")
        if step:
            emit(step=first, session_log=SessionLog(status=SessionLog.START))
        writer.flush()
        yield write
    finally:
        writer.close()


def _finite_numbers(record: Mapping[str, Any]) -> dict[str, float]:
    scalars = {tag: np.asarray(value) for tag, value in record.items() if not isinstance(value, str | None)}
    return {
        t: float(v) for t, v in scalars.items() if v.ndim == 0 and v.dtype.kind in "biuf" and np.isfinite(v)
    }
