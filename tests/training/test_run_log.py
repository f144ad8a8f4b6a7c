"""What a run logs, and that TensorBoard reads it."""

import struct

import jax.numpy as jnp
import pytest

from lensjax.runtime import records
from lensjax.training.run_log import open_run_log


def events(folder):
    """The events of all files, read by the format's definition: length, crc, message, crc."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.iterdir()):
        content, i = path.read_bytes(), 0
        while i < len(content):
            (size,) = struct.unpack("<Q", content[i : i + 8])
            yield Event.FromString(content[i + 12 : i + 12 + size])
            i += size + 16


def test_run_log_writes_lines_and_scalars(tmp_path):
    with open_run_log(tmp_path, 0) as log:
        log(1, {"loss": jnp.float32(0.5), "auroc": float("nan"), "confusion": [[1, 2]], "device": "cpu"})
        assert len(records.read(tmp_path / "metrics.jsonl")) == 1  # on disk before the run ends
        assert len(list(events(tmp_path / "tensorboard"))) == 2
        log(2, {"loss": 0.25})
    with open_run_log(tmp_path, 1) as log:
        log(2, {"loss": 0.125})
    assert [r["loss"] for r in records.read(tmp_path / "metrics.jsonl")] == [0.5, 0.125]
    assert records.read(tmp_path / "metrics.jsonl")[0]["auroc"] is None
    found = list(events(tmp_path / "tensorboard"))
    scalars = [(e.step, v.tag, v.simple_value) for e in found for v in e.summary.value]
    assert sorted(scalars) == [(1, "loss", 0.5), (2, "loss", 0.125), (2, "loss", 0.25)]
    assert [e.step for e in found if e.session_log.status == e.session_log.START] == [2]  # hides the older 2


def test_event_files_pass_the_reader_of_tensorboard(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with open_run_log(tmp_path, 0) as log:
        log(1, {"loss": 0.5})
    found = reader.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in found.Scalars("loss")] == [(1, 0.5)]


def test_only_the_leader_writes(tmp_path):
    with open_run_log(tmp_path, 0, leader=False) as log:
        log(1, {"loss": 0.5})
    assert not list(tmp_path.iterdir())
