"""Records, progress, messages and environment: what survives a kill, a full disk and a pipe."""

import contextlib
import errno
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from lensjax.runtime import environment, logs, records


@dataclass(frozen=True)
class Inner:
    size: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    inner: Inner = Inner()
    path: Path = Path("a/b")


def test_json_holds_what_science_code_hands_it(tmp_path):
    value = {
        "config": Outer(),
        "numpy": [np.float32(0.5), np.int64(3), np.bool_(True), np.arange(2), np.float64(np.inf)],
        "jax": jnp.float32(1.5),
        "bfloat16": ml_dtypes.bfloat16(2.5),
        "undefined": [float("nan"), np.float32("nan"), np.array([np.nan, 1.0])],
        3: None,
    }
    path = tmp_path / "value.json"
    logs.write_json(path, value)
    assert json.loads(path.read_text()) == {
        "config": {"inner": {"size": [1, 2]}, "path": "a/b"},
        "numpy": [0.5, 3, True, [0, 1], None],
        "jax": 1.5,
        "bfloat16": 2.5,
        "undefined": [None, None, [None, 1.0]],
        "3": None,
    }


def test_what_json_cannot_hold_is_named_and_the_old_file_stays(tmp_path):
    path = tmp_path / "value.json"
    logs.write_json(path, 1)
    with pytest.raises(TypeError, match="a function cannot be written as JSON"):
        logs.write_json(path, {"a": len, "b": lambda: 0} | {"a": 1})
    assert path.read_text() == "1\n" and os.listdir(tmp_path) == ["value.json"]


def test_a_float_survives_the_file_bit_for_bit(tmp_path):
    values = np.random.default_rng(0).normal(size=50)
    logs.append(tmp_path / "m.jsonl", {"values": values})
    assert logs.read(tmp_path / "m.jsonl") == [{"values": values.tolist()}]


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_names_the_file_and_leaves_the_old_content(tmp_path, monkeypatch):
    table, value = tmp_path / "m.jsonl", tmp_path / "value.json"
    logs.append(table, {"step": 1})
    logs.write_json(value, "old")
    monkeypatch.setattr(records.os, "fsync", full_disk)
    for write, path in ((logs.append, table), (logs.write_json, value)):
        with pytest.raises(OSError, match=f"No space left on device; make room.*{path.name}"):
            write(path, {"step": 2})
    assert logs.read(table) == [{"step": 1}] and value.read_text() == '"old"\n'
    assert sorted(os.listdir(tmp_path)) == ["m.jsonl", "value.json"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_device_without_room_is_named():
    with pytest.raises(OSError, match="No space left on device.*/dev/full"):
        logs.append("/dev/full", {"step": 1})


def test_an_interrupted_and_resumed_file_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    monkeypatch.setattr(records.os, "fsync", lambda file: None)  # thousands of writes
    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    for step in range(1, 9):
        logs.append(whole, {"step": step, "loss": 1 / step})
    content = whole.read_bytes()
    for size in range(len(content) + 1):  # killed at any byte, with a checkpoint of step 3 at the latest
        broken.write_bytes(content[:size])
        done = min(len(logs.read(broken)), 3)
        logs.rewind(broken, done)
        for step in range(done + 1, 9):
            logs.append(broken, {"step": step, "loss": 1 / step})
        assert broken.read_bytes() == content


def test_rewind_keeps_what_belongs_to_no_step_and_minds_no_missing_file(tmp_path):
    path = tmp_path / "m.jsonl"
    logs.rewind(path, 0)
    assert not path.exists()
    for record in ({"note": "é"}, {"step": 5}, {"step": 6}):
        logs.append(path, record)
    logs.rewind(path, 5)
    assert logs.read(path) == [{"note": "é"}, {"step": 5}]


def test_a_corrupt_line_is_named(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 1}\n{"st\n{"step": 2}\n')
    for action in (logs.read, lambda p: logs.rewind(p, 1)):
        with pytest.raises(ValueError, match=r"line 2 of .*m\.jsonl is not a JSON object; delete"):
            action(path)


# Progress and environment


def test_progress_through_a_pipe_is_whole_lines():
    stream = io.StringIO()
    with contextlib.redirect_stderr(stream):
        assert list(logs.progress(range(500), "simulating")) == list(range(500))
        with logs.progress(total=10, initial=4, desc="epoch 1") as bar:
            bar.update(6)
    text = stream.getvalue()
    lines = text.splitlines()
    assert "\r" not in text and text.endswith("\n") and len(lines) == 4  # quick: the first and the last alone
    assert lines[0].startswith("simulating:   0%") and "500/500" in lines[1] and "10/10" in lines[3]


def test_progress_on_a_terminal_redraws_one_line():
    stream = io.StringIO()
    stream.isatty = lambda: True
    with contextlib.redirect_stderr(stream):
        list(logs.progress(range(5), "simulating"))
    assert "\r" in stream.getvalue() and stream.getvalue().count("\n") == 1


def test_messages_are_shown_once_started_and_alone(capsys, monkeypatch):
    monkeypatch.setattr(logs.logger, "propagate", True)  # as it is to be afterwards
    logs.start_logging()
    logs.start_logging()
    logs.logger.info("epoch %d", 1)
    monkeypatch.setattr(logs, "is_first_process", lambda: False)
    logs.logger.info("of another process")
    assert capsys.readouterr().out == "epoch 1\n"


def test_environment_names_versions_devices_and_revision():
    found = environment.environment()
    assert found["packages"]["jax"] and found["packages"]["numpy"] == np.__version__
    assert found["backend"] == "cpu" and found["device_count"] == 8 and found["python"].startswith("3.")
    json.dumps(found, allow_nan=False)


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_git_revision_of_a_checkout_and_of_none(tmp_path, monkeypatch):
    assert environment.git_revision(tmp_path) is None
    git(tmp_path, "init")
    (tmp_path / "a").write_text("1")
    assert environment.git_revision(tmp_path) is None  # installed inside a checkout that does not track it
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "first")
    assert environment.git_revision(tmp_path)["dirty"] is False
    (tmp_path / "a").write_text("2")
    found = environment.git_revision(tmp_path)
    assert found["dirty"] is True and len(found["revision"]) == 40
    monkeypatch.setenv("PATH", "")
    assert environment.git_revision(tmp_path) is None


def test_a_kill_in_mid_append_leaves_a_file_that_resumes(tmp_path):
    program = f"""
import os
from lensjax.runtime import records
for step in range(1, 4):
    records.append({str(tmp_path / "m.jsonl")!r}, {{"step": step}})
records._write = lambda file, content: (os.write(file, content[:4]), os.kill(os.getpid(), 9))
records.append({str(tmp_path / "m.jsonl")!r}, {{"step": 4}})
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == -9
    assert (tmp_path / "m.jsonl").read_bytes().endswith(b'\n{"st')
    assert [r["step"] for r in logs.read(tmp_path / "m.jsonl")] == [1, 2, 3]
    logs.rewind(tmp_path / "m.jsonl", 2)
    assert (tmp_path / "m.jsonl").read_text() == '{"step": 1}\n{"step": 2}\n'
