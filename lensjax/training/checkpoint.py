"""Checkpoints: the latest two and the best, each with the state and the place in the data."""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import jax
from orbax.checkpoint import v1 as ocp

from lensjax.runtime.errors import UserError
from lensjax.training.seed_stack import SeedStates
from lensjax.training.state import TrainState

State = TypeVar("State", TrainState, SeedStates)
preserve = ocp.training.preservation_policies
save_policies = ocp.training.save_decision_policies


@contextlib.contextmanager
def checkpointer(workdir: Path) -> Iterator[ocp.training.Checkpointer]:
    """Open the checkpoints of a run, in `workdir/checkpoints`; waits for writes at the end."""
    with (
        quiet_absl(),
        ocp.training.Checkpointer(
            (workdir / "checkpoints").absolute(),
            # Every save here is asked for with `force`; the policy itself must not add its own.
            save_decision_policy=save_policies.SpecificStepsPolicy([]),
            preservation_policy=preserve.AnyPreservationPolicy(
                [
                    preserve.LatestN(2),
                    preserve.BestN(get_metric_fn=score_of, n=1, keep_checkpoints_without_metrics=False),
                ]
            ),
        ) as ckpt,
    ):
        yield ckpt


@contextlib.contextmanager
def quiet_absl() -> Iterator[None]:
    """Hide what orbax logs below an error, and let others log as before."""
    absl = logging.getLogger("absl")
    before = absl.level
    absl.setLevel(logging.ERROR)
    try:
        yield
    finally:
        absl.setLevel(before)


def score_of(metrics: dict[str, float]) -> float:
    """Return what makes a checkpoint the best: its validation score, larger is better."""
    return metrics["score"]


def save(ckpt: ocp.training.Checkpointer, state: State, data: Any, score: float | None = None) -> None:
    """Save the state and the data iterator; blocks, because the step that follows donates these buffers."""
    metrics = None if score is None else {"score": score}
    ckpt.save_checkpointables(int(state.step), {"state": state, "data": data}, force=True, metrics=metrics)


def restore(ckpt: ocp.training.Checkpointer, state: State, data: Any) -> State:
    """Restore the latest checkpoint, or return `state` when there is none; the iterator continues in place.

    Raises:
      UserError: the checkpoint cannot be read, or belongs to another network.
    """
    if ckpt.latest is None:
        return state
    check_processes(Path(ckpt.directory) / str(ckpt.latest.step) / "data")
    try:
        restored = ckpt.load_checkpointables(ckpt.latest.step, {"state": to_shapes(state), "data": data})
    except Exception as error:
        raise UserError(explain_unreadable(Path(ckpt.directory), ckpt.latest.step, error)) from error
    return restored["state"]


def check_processes(place: Path) -> None:
    """Refuse a run that was saved by another number of processes: each saves its own place in the data.

    Raises:
      UserError: the run was saved by another number of processes.
    """
    saved = sorted(place.glob("process_*-of-*.json"))
    mine = f"process_{jax.process_index()}-of-{jax.process_count()}.json"
    if saved and not (place / mine).exists():
        count = saved[0].stem.rsplit("-", 1)[1]
        raise UserError(
            f"this run was saved by {count} process(es), not {jax.process_count()}: resume it so."
        )


def restore_best(workdir: Path, state: TrainState) -> TrainState:
    """Restore the state of a run's best checkpoint; of the latest, where no validation score is known.

    Raises:
      UserError: there is no checkpoint, it cannot be read, or it belongs to another network.
    """
    directory = (workdir / "checkpoints").absolute()
    if not directory.is_dir():
        raise UserError(
            f"'{workdir}' holds no checkpoints; train first: python train.py CONFIG --workdir {workdir}"
        )
    with checkpointer(workdir) as ckpt:
        scored = [c for c in ckpt.checkpoints if c.metrics]
        chosen = max(scored, key=lambda c: (score_of(c.metrics), c.step)) if scored else ckpt.latest
        if chosen is None:
            raise UserError(
                f"'{directory}' is empty: the run was stopped before its first epoch ended; train again."
            )
        try:
            return ckpt.load_checkpointables(chosen.step, {"state": to_shapes(state)})["state"]
        except Exception as error:
            raise UserError(explain_unreadable(directory, chosen.step, error)) from error


def to_shapes(state: State) -> State:
    """Return shapes and shardings to restore into."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state)


def explain_unreadable(directory: Path, step: int, error: Exception) -> str:
    """Say which checkpoint cannot be read, why, and what to do."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return (
        f"checkpoint {directory / str(step)} cannot be read ({reason[:200]}); it is damaged or belongs "
        "to another model. Delete that folder to continue from the one before."
    )


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[int], bool]]:
    """Turn SIGTERM (and Ctrl-C) into a question to ask after each step: "shall I save and stop?".

    With several processes the answer is agreed on by `jax.distributed`, so all stop at one step.
    """
    received: list[int] = []

    def asked(step: int) -> bool:
        if jax.process_count() == 1:
            return bool(received)
        from jax.experimental import multihost_utils

        return bool(received) or multihost_utils.reached_preemption_sync_point(step)

    signals = (signal.SIGTERM, signal.SIGINT) if jax.process_count() == 1 else ()
    before = {s: signal.signal(s, lambda number, _: received.append(number)) for s in signals}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
