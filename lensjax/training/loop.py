"""The training loop of train.py for all seeds of an experiment at once.

Afterwards the folder of every seed is as if train.py had made it: explain.py and the studies read it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.config import Config
from lensjax.data.batches import pipeline
from lensjax.data.store import datasets
from lensjax.evaluation import predict
from lensjax.inspection.restore import restore
from lensjax.models import count_parameters
from lensjax.runtime import logs, parallel, run_folder
from lensjax.runtime.errors import UserError
from lensjax.training import checkpoint, seed_stack
from lensjax.training.optim import make_optimiser, make_schedule
from lensjax.training.seed_stack import Stacked
from lensjax.training.state import init_state, make_train_step, start_from

Say = Callable[[str], Any]


@dataclass(frozen=True)
class Parts:
    """What the loop needs besides the state, all made from the configuration."""

    config: Config
    seeds: tuple[int, ...]
    train: datasets.Source
    validation: datasets.Source
    test: datasets.Source
    mesh: Any
    train_step: Callable
    prediction_step: Callable
    schedule: Callable
    steps_per_epoch: int

    @property
    def total_steps(self) -> int:
        return self.config.optim.epochs * self.steps_per_epoch


def train(config: Config, seeds: Sequence[int], folder: Path, say: Say, together: bool | None = None) -> bool:
    """Train the seeds that `folder`/seed0 … lack; False where it was asked to stop, and has saved.

    Raises:
      UserError: the configuration contradicts itself, or a folder holds another run.
      FloatingPointError: a loss or gradient is not finite.
    """
    missing = unfinished(config, seeds, folder)
    if not missing:
        return True
    stack_folder = stack_of(folder, missing)
    run_folder.check(stack_folder, config)
    run_folder.start(stack_folder, config)
    for seed in missing:
        run_folder.start(folder / f"seed{seed}", replace(config, seed=seed))
    together = seed_stack.all_at_once() if together is None else together
    parts, stack = prepare(config, missing, stack_folder, together)
    iterator = pipeline.stacked_iterator(parts.train, config.optim.batch_size, missing, config.data.augment)
    with checkpoint.stop_requests() as stop_asked, checkpoint.checkpointer(stack_folder) as ckpt:
        stack = checkpoint.restore(ckpt, stack, iterator)
        if int(stack.step):
            say(f"resuming at step {int(stack.step)} of {parts.total_steps}")
        with ExitStack() as opened:
            places = [folder / f"seed{seed}" for seed in missing]
            write = [opened.enter_context(logs.run_log(place, int(stack.step))) for place in places]
            while int(stack.step) < parts.total_steps and active(stack, config).any():
                before = int(stack.step)
                stack, ended = epoch(parts, stack, iterator, stop_asked, write, say)
                if int(stack.step) > before:
                    checkpoint.save(ckpt, stack, iterator)
                if not ended:
                    say(f"stopped and saved at step {int(stack.step)}; the same command goes on from there.")
                    return False
    finish(parts, stack, iterator, folder)
    shutil.rmtree(stack_folder)
    return True


def stack_of(folder: Path, seeds: Sequence[int]) -> Path:
    """Where these seeds are while they are trained together."""
    return folder / f"together_{'_'.join(map(str, seeds))}"


def unfinished(config: Config, seeds: Sequence[int], folder: Path) -> tuple[int, ...]:
    """The seeds to train together: those without a summary, or all that already began together.

    Raises:
      UserError: one of them is a run of another configuration, or one that train.py has begun.
    """
    if run_folder.has_checkpoints(stack_of(folder, seeds)):
        return tuple(seeds)
    missing = []
    for seed in seeds:
        workdir = folder / f"seed{seed}"
        run_folder.check(workdir, replace(config, seed=seed))
        if not (workdir / "summary.json").exists():
            missing.append(seed)
    began = [folder / f"seed{seed}" for seed in missing if run_folder.has_checkpoints(folder / f"seed{seed}")]
    if began and not run_folder.has_checkpoints(stack_of(folder, missing)):
        raise UserError(f"'{began[0]}' was begun by itself: end it with train.py, or delete that folder.")
    return tuple(missing)


def prepare(config: Config, seeds: tuple[int, ...], folder: Path, together: bool) -> tuple[Parts, Stacked]:
    """Data, compiled steps and fresh states."""
    model, shape = predict.check(config)
    directory = datasets.prepare(config.data)
    train, validation, test = (datasets.load(directory, split) for split in ("train", "validation", "test"))
    predict.check_classes(config, train)
    for field in ("shuffle_labels", "negatives"):
        if getattr(config.data, field, False):
            raise UserError(f"data.{field} gives each seed examples of its own: train them one by one.")
    steps_per_epoch = len(train) // config.optim.batch_size
    total_steps = config.optim.epochs * steps_per_epoch
    optimiser, everywhere = (
        make_optimiser(config.optim, total_steps),
        parallel.replicated(parallel.data_mesh()),
    )

    def init(seed: Any) -> Any:
        return init_state(config, model, optimiser, jnp.zeros((1, *shape)), seed)

    # A seed is an argument: a run of its own has compiled the same.
    fresh = jax.jit(init, out_shardings=everywhere)
    stack = seed_stack.fresh([fresh(jnp.uint32(seed)) for seed in seeds], everywhere)
    if config.init and not run_folder.has_checkpoints(folder):
        given = jax.tree.map(lambda x: jnp.stack([x] * len(seeds)), restore(Path(config.init)).params)
        params, _ = start_from(stack.now.params, given, config.init)
        stack = replace(stack, now=replace(stack.now, params=params))
    parts = Parts(
        config,
        seeds,
        train,
        validation,
        test,
        parallel.data_mesh(),
        seed_stack.make_step(make_train_step(config, model, optimiser), together, everywhere),
        seed_stack.make_prediction_step(predict.make_prediction_step(config, model), together),
        make_schedule(config.optim, total_steps),
        steps_per_epoch,
    )
    return parts, stack


def active(stack: Stacked, config: Config) -> np.ndarray:
    """bool [s]: seeds that early stopping has not ended; what `exhausted` of train.py denies."""
    stale = np.asarray(stack.now.stale)
    return (stale < config.optim.patience) | (config.optim.patience <= 0)


def epoch(
    parts: Parts, stack: Stacked, iterator: Any, stop_asked: Callable, write: Sequence[Callable], say: Say
) -> tuple[Stacked, bool]:
    """The rest of an epoch and its validation; False with it where a stop was asked for before its end."""
    step, start, history = int(stack.step), time.perf_counter(), []
    number, going = step // parts.steps_per_epoch + 1, active(stack, parts.config)
    first, end = step % parts.steps_per_epoch, number * parts.steps_per_epoch
    seeds, states = jnp.asarray(parts.seeds, jnp.uint32), stack.now
    bar = logs.progress(desc=f"epoch {number}", total=parts.steps_per_epoch, initial=first)
    while step < end and not stop_asked(step):
        batch = parallel.shard(next(iterator), parts.mesh, axis=1)
        states, values = parts.train_step(states, batch, seeds, going)
        history.append((values, batch["index"]))
        step += 1
        bar.update()
        if len(history) > 1:  # the step before, so that the host need not wait for the device
            require_finite(parts, going, *history[-2], step - 1)
    bar.close()
    if history:
        require_finite(parts, going, *history[-1], step)
    stack = replace(stack, now=states)
    if step < end:
        return stack, False
    seconds = (time.perf_counter() - start) / going.sum()  # a seed's share
    summaries = evaluated(parts, parts.validation, states.params, "validation")
    scores = [predict.monitored(summary, parts.config.optim.monitor) for summary, _ in summaries]
    stack = seed_stack.judged(stack, jnp.asarray(scores, jnp.float32), jnp.asarray(going))
    rows = jax.device_get([values for values, _ in history])
    for k in map(int, np.flatnonzero(going)):
        means = run_folder.means([{name: value[k] for name, value in row.items()} for row in rows])
        record = {"epoch": number, "seconds": seconds, "steps": len(history)}
        record["learning_rate"] = float(parts.schedule(step))
        record |= {f"train/{name}": value for name, value in means.items()}
        record |= {f"validation/{name}": value for name, value in summaries[k][0].items()}
        write[k](step, record)
        say(f"seed {parts.seeds[k]} · {run_folder.epoch_line(number, means, summaries[k][0], seconds)}")
    return stack, True


def require_finite(parts: Parts, going: np.ndarray, values: dict, rows: Any, step: int) -> None:
    """As `run.require_finite`, of the seeds that are trained."""
    host = jax.device_get(values)
    for k in np.flatnonzero(going):
        if not all(np.isfinite(value[k]) for value in host.values()):
            named = {f"{name} of seed {parts.seeds[k]}": value[k] for name, value in host.items()}
            run_folder.require_finite(named, rows[k], parts.train.id, step)


def evaluated(
    parts: Parts, split: datasets.Source, params: Any, desc: str
) -> list[tuple[dict[str, Any], predict.Predictions]]:
    """Metrics and predictions of every seed on a split, which is read once for all."""
    batches = pipeline.eval_batches(split, parts.config.optim.batch_size)
    shown = logs.progress(batches, desc, total=len(batches))
    columns = predict.predicted_rows(parts.prediction_step, params, shown, parts.mesh)
    each = [
        predict.as_predictions({name: values[:, k] for name, values in columns.items()})
        for k in range(len(parts.seeds))
    ]
    return [(predict.summarise(one, split, parts.config), one) for one in each]


def finish(parts: Parts, stack: Stacked, iterator: Any, folder: Path) -> None:
    """Give every seed the checkpoints, the predictions and, last, the summary of a run of its own."""
    results = evaluated(parts, parts.test, stack.best.params, "test")
    for k, seed in enumerate(parts.seeds):
        workdir, now, best = (
            folder / f"seed{seed}",
            *(seed_stack.member(s, k) for s in (stack.now, stack.best)),
        )
        shutil.rmtree(workdir / "checkpoints", ignore_errors=True)  # of a finish that was interrupted
        place = pipeline.train_iterator(
            parts.train, parts.config.optim.batch_size, seed, parts.config.data.augment
        )
        place.set_state(iterator.get_state())
        with checkpoint.checkpointer(workdir) as ckpt:
            checkpoint.save(ckpt, best, place, float(best.best))
            if int(now.step) > int(best.step):
                checkpoint.save(ckpt, now, place)
        run_folder.write_test_predictions(workdir, results[k][1], parts.test)
        run_folder.write_summary(
            workdir,
            results[k][0],
            steps_per_epoch=parts.steps_per_epoch,
            batch_size=parts.config.optim.batch_size,
            parameters=count_parameters({"params": best.params}),
            best_step=int(best.step),
            seeds_together=len(parts.seeds),
        )
