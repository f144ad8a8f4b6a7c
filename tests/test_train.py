"""The training script end to end, as a user runs it: killed, stopped, spread over devices and processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from lensjax import checkpoint, restore

ROOT = Path(__file__).resolve().parents[1]


def launch(config: Path, workdir: Path, *options: str, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "train.py", str(config), "--workdir", str(workdir), *options]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | environment,
    )


def train(config: Path, workdir: Path, *options: str, **environment: str) -> str:
    process = launch(config, workdir, *options, **environment)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output


def wait_for(path: Path, process: subprocess.Popen) -> None:
    """Until a file appears."""
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)


def final_state(workdir: Path) -> dict[str, np.ndarray]:
    """Parameters and optimiser state of the latest checkpoint, by path."""
    state = restore.blank_state(restore.config_of(workdir))
    with checkpoint.checkpointer(workdir) as ckpt:
        state = ckpt.load_checkpointables(ckpt.latest.step, {"state": checkpoint.abstract(state)})["state"]
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def records(workdir: Path) -> list[dict]:
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "time")} for line in lines]


def assert_same(workdir: Path, other: Path, **tolerance: float) -> None:
    ours, theirs = final_state(workdir), final_state(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], err_msg=name, **({"rtol": 0} | tolerance))


def test_a_run_leaves_what_the_design_promises(tiny_run):
    names = {path.name for path in tiny_run.iterdir()}
    assert names >= {
        "config.json",
        "environment.json",
        "checkpoints",
        "metrics.jsonl",
        "summary.json",
        "tensorboard",
    }
    summary = json.loads((tiny_run / "summary.json").read_text())
    assert summary["parameters"] > 0 and summary["epochs"] == 3 and summary["images_per_second"] > 0
    assert 0 <= summary["test"]["auroc_low"] <= summary["test"]["auroc"] <= summary["test"]["auroc_high"] <= 1
    assert [record["step"] for record in records(tiny_run)] == [4, 8, 12]


def test_killed_at_any_time_and_run_again_gives_the_same_bits(tiny_config, tiny_run):
    workdir = tiny_config.parent / "killed"
    process = launch(tiny_config, workdir)
    wait_for(workdir / "checkpoints" / "4", process)
    process.kill()
    process.communicate()
    assert "resuming" in train(tiny_config, workdir)
    assert_same(workdir, tiny_run)
    assert records(workdir) == records(tiny_run)


def test_sigterm_saves_and_exits_cleanly(tiny_config, tiny_run):
    workdir = tiny_config.parent / "stopped"
    process = launch(tiny_config, workdir, "--optim.epochs", "3")
    wait_for(workdir / "metrics.jsonl", process)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    if not (workdir / "summary.json").exists():
        assert "stopped and saved" in output
        train(tiny_config, workdir)
    assert_same(workdir, tiny_run)


def test_eight_devices_give_the_numbers_of_one(tiny_config, tiny_run):
    workdir = tiny_config.parent / "eight"
    train(tiny_config, workdir, JAX_NUM_CPU_DEVICES="8")
    assert_same(workdir, tiny_run, rtol=2e-3, atol=2e-5)


def test_two_processes_give_the_numbers_of_one(tiny_config, tiny_run):
    workdir = tiny_config.parent / "two"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    cluster = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
    both = [launch(tiny_config, workdir, "--multihost", **cluster, JAX_PROCESS_ID=str(i)) for i in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    for ours, theirs in zip(records(workdir), records(tiny_run), strict=True):
        for name in ("train/loss", "validation/loss", "validation/auroc"):
            assert ours[name] == pytest.approx(theirs[name], rel=2e-3)


def test_another_configuration_in_the_same_workdir_is_refused(tiny_config, tiny_run):
    process = launch(tiny_config, tiny_run, "--model.hidden", "9")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert (
        "holds a run of another configuration (model.hidden: 8 → 9)" in errors and "Traceback" not in errors
    )


def test_a_loss_that_is_not_finite_stops_with_the_batch(tiny_config):
    workdir = tiny_config.parent / "diverged"
    process = launch(tiny_config, workdir, "--optim.learning-rate", "1e30", "--optim.clip-norm", "0")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "not finite at step" in errors and "euclid-32" in errors and "Traceback" not in errors


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("nothing.py", "--workdir", "x"), "configuration file 'nothing.py' does not exist"),
        (("configs/lens_demo.py", "--workdir", "x", "--model.hiden", "3"), "Perhaps you meant"),
        (("configs/lens_demo.py", "--workdir", "x", "--model.head", "both"), "invalid choice"),
        (("configs/lens_demo.py", "--workdir", "x", "--optim.monitor", "acuracy"), "no validation metric"),
        (("configs/lens_demo.py", "--workdir", "x", "--data.instrument", "eucild"), "euclid"),
    ],
)
def test_mistakes_on_the_command_line_say_what_to_do(arguments, message, tmp_path):
    arguments = [str(tmp_path / a) if a == "x" else a for a in arguments]
    process = subprocess.run(
        [sys.executable, "train.py", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert process.returncode in (1, 2)
    assert message in process.stderr + process.stdout and "Traceback" not in process.stderr
