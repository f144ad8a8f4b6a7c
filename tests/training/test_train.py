"""The training script end to end, as a user runs it: killed, stopped, spread over devices and processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import grain
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.config import AttentionConfig, Config, ModelConfig
from lensjax.training import checkpoint
from lensjax.training.state import with_validation

ROOT = Path(__file__).resolve().parents[2]


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
    state = restore_run.blank_state(restore_run.config_of(workdir))
    with checkpoint.checkpointer(workdir) as ckpt:
        state = ckpt.load_checkpointables(ckpt.latest.step, {"state": checkpoint.abstract(state)})["state"]
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def records(workdir: Path) -> list[dict]:
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "time")} for line in lines]


def environment(workdir: Path) -> dict:
    return json.loads((workdir / "environment.json").read_text())


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


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("config.json", marks=pytest.mark.slow),
        "checkpoints/4",
        pytest.param("checkpoints/8", marks=pytest.mark.slow),
    ],
)
def test_killed_at_any_time_and_run_again_gives_the_same_bits(moment, tiny_config, tiny_run):
    workdir = tiny_config.parent / f"killed-{moment.replace('/', '-')}"
    process = launch(tiny_config, workdir)
    wait_for(workdir / moment, process)
    process.kill()
    process.communicate()
    train(tiny_config, workdir)
    assert_same(workdir, tiny_run)
    assert records(workdir) == records(tiny_run)


def test_sigterm_saves_and_exits_cleanly(tiny_config, tiny_run):
    """The handler is there before the folder of checkpoints, and the first step still has to compile."""
    workdir = tiny_config.parent / "stopped"
    process = launch(tiny_config, workdir)
    wait_for(workdir / "checkpoints", process)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "stopped" in output and not (workdir / "summary.json").exists()
    train(tiny_config, workdir)
    assert_same(workdir, tiny_run)


def test_eight_devices_give_the_numbers_of_one(tiny_config, tiny_run):
    workdir = tiny_config.parent / "eight"
    train(tiny_config, workdir, JAX_NUM_CPU_DEVICES="8")
    assert environment(workdir)["device_count"] == 8
    assert_same(workdir, tiny_run, rtol=2e-3, atol=2e-5)


@pytest.mark.slow
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
    assert environment(workdir)["process_count"] == 2
    assert_same(workdir, tiny_run, rtol=2e-3, atol=2e-5)
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
        (
            ("configs/lens_demo.py", "--workdir", "x", "--model.head", "class"),
            "a position loss needs model.head",
        ),
        (("configs/lens_demo.py", "--workdir", "x", "--model.pool", "4"), "pool less"),
        (("configs/lens_demo.py", "--workdir", "x", "--optim.epochs", "0"), "must be 1 or more"),
        (("configs/lens_demo.py", "--workdir", "x", "--seeds", "0"), "--seeds (=0) must be 1 or more"),
        (("configs/lens_demo.py", "--workdir", "x", "--loss.class-weights", "1"), "must hold 2 numbers"),
        (("README.md", "--workdir", "x"), "is no Python file"),
    ],
)
def test_mistakes_on_the_command_line_say_what_to_do(arguments, message, tmp_path):
    arguments = [str(tmp_path / a) if a == "x" else a for a in arguments]
    process = subprocess.run(
        [sys.executable, "train.py", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert process.returncode in (1, 2)
    assert message in process.stderr + process.stdout and "Traceback" not in process.stderr
    assert not (tmp_path / "x" / "config.json").exists()  # the corrected command is not refused


@pytest.mark.slow
def test_early_stopping_counts_epochs_without_improvement(tiny_config):
    """Nothing improves at a learning rate of nearly 0, so the run ends `patience` epochs after the first."""
    workdir = tiny_config.parent / "stale"
    options = ("--optim.epochs", "9", "--optim.patience", "2", "--optim.learning-rate", "1e-30")
    train(tiny_config, workdir, *options, "--optim.monitor", "auroc")
    assert [record["epoch"] for record in records(workdir)] == [1, 2, 3]


def test_the_latest_two_checkpoints_and_the_best_are_kept(tmp_path):
    config = Config(model=ModelConfig(features=(2,), hidden=0, attention=AttentionConfig(at=())))
    state, data = restore_run.blank_state(config), iter(grain.MapDataset.range(9).to_iter_dataset())
    with checkpoint.checkpointer(tmp_path) as ckpt:
        for step, score in enumerate([0.1, 0.9, 0.3, 0.2, 0.4], 1):
            state = with_validation(replace(state, step=jnp.asarray(step, jnp.int32)), score)
            checkpoint.save(ckpt, state, data, score)
    kept = sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir() if p.name.isdigit())
    assert kept == [2, 4, 5]
    best = checkpoint.restore_best(tmp_path, state)
    assert int(best.step) == 2 and float(best.best) == pytest.approx(0.9) and int(best.stale) == 0
    assert int(state.stale) == 3
