"""Train one seed, or several at once.

One seed keeps its checkpoints in its own folder. Several train as one stack of states (`seed_stack`), with
checkpoints in a folder of the stack; at the end the folder of each is as if it had been trained alone, so
that explain.py and the studies read both in the same way.
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
from lensjax.data.surveys import galaxies
from lensjax.domain import domain_of
from lensjax.evaluation import predict
from lensjax.models import count_parameters
from lensjax.runtime import parallel
from lensjax.runtime.errors import UserError
from lensjax.runtime.logs import is_first_process, logger, progress
from lensjax.training import checkpoint, run_folder, seed_stack
from lensjax.training.check_config import check_classes, check_config
from lensjax.training.optim import make_optimiser, make_schedule
from lensjax.training.restore_run import best_params
from lensjax.training.run_log import open_run_log
from lensjax.training.seed_stack import SeedStates
from lensjax.training.state import TrainState, init_state, make_train_step, start_from


@dataclass(frozen=True)
class Training:
    """The inputs of the loop besides the states, all made from the configuration."""

    config: Config
    seeds: tuple[int, ...]
    workdirs: tuple[Path, ...]
    """Folder of each seed."""
    folder: Path
    """Folder of the checkpoints during training: the workdir of one seed, else the stack's."""
    directory: Path
    """Folder of the data set."""
    train: datasets.Source
    validation: datasets.Source
    mesh: Any
    train_step: Callable
    prediction_step: Callable
    schedule: Callable
    steps_per_epoch: int
    parameters: int

    @property
    def several(self) -> bool:
        return len(self.seeds) > 1

    @property
    def total_steps(self) -> int:
        return self.config.optim.epochs * self.steps_per_epoch


def train_one(config: Config, workdir: Path) -> bool:
    """Train the configuration's seed, or go on with it; False where it was asked to stop, and has saved.

    Raises:
      UserError: the configuration contradicts itself, the folder holds another run, or a loss is not finite.
    """
    run_folder.check_workdir(workdir, config)
    return run_loop(config, (config.seed,), (workdir,), workdir)


def train_several(config: Config, seeds: Sequence[int], folder: Path) -> bool:
    """Train the seeds that `folder`/seed0 … lack, all at once; False where it was asked to stop.

    Raises:
      UserError: as `train_one`; or the seeds would have examples of their own.
    """
    missing = find_unfinished(config, seeds, folder)
    if not missing:
        return True
    workdirs = tuple(folder / f"seed{seed}" for seed in missing)
    if len(missing) == 1:
        return train_one(replace(config, seed=missing[0]), workdirs[0])
    for field in domain_of(config.data).own_examples:
        raise UserError(f"data.{field} gives each seed examples of its own: train them one by one.")
    place = stack_folder(folder, missing)
    run_folder.check_workdir(place, config)
    return run_loop(config, missing, workdirs, place)


def stack_folder(folder: Path, seeds: Sequence[int]) -> Path:
    """Return where these seeds are while they are trained together."""
    return folder / f"together_{'_'.join(map(str, seeds))}"


def find_unfinished(config: Config, seeds: Sequence[int], folder: Path) -> tuple[int, ...]:
    """List the seeds to train together: those without a summary, or all that already began together.

    Raises:
      UserError: one of them is a run of another configuration, or one that train.py has begun.
    """
    if run_folder.has_checkpoints(stack_folder(folder, seeds)):
        return tuple(seeds)
    missing = []
    for seed in seeds:
        workdir = folder / f"seed{seed}"
        run_folder.check_workdir(workdir, replace(config, seed=seed))
        if not (workdir / "summary.json").exists():
            missing.append(seed)
    begun = [folder / f"seed{seed}" for seed in missing if run_folder.has_checkpoints(folder / f"seed{seed}")]
    if begun and len(missing) > 1 and not run_folder.has_checkpoints(stack_folder(folder, missing)):
        raise UserError(
            f"'{begun[0]}' was begun as a single run: finish it with train.py, or delete that folder."
        )
    return tuple(missing)


def run_loop(config: Config, seeds: tuple[int, ...], workdirs: tuple[Path, ...], folder: Path) -> bool:
    """Prepare, train epoch after epoch, and test; False where it was asked to stop, and has saved."""
    training, states, iterator = prepare(config, seeds, workdirs, folder)
    with (
        checkpoint.stop_requests() as stop_asked,
        checkpoint.checkpointer(folder) as ckpt,
        ExitStack() as opened,
    ):
        restored = checkpoint.restore(ckpt, states.saved, iterator)
        states = restored if training.several else replace(states, now=restored)
        step = states.step
        if step:
            logger.info(f"resuming at step {step} of {training.total_steps}")
        first = is_first_process()
        write = [opened.enter_context(open_run_log(workdir, step, first)) for workdir in workdirs]
        while step < training.total_steps and (active := states.active(config.optim.patience)).any():
            start = time.perf_counter()
            states, history = train_epoch(training, states, step, active, iterator, stop_asked)
            step += len(history)
            if not history or step % training.steps_per_epoch:
                if history:  # else the last save was of this very step
                    checkpoint.save(ckpt, states.saved, iterator)
                logger.info(f"stopped and saved at step {step}; the same command continues from there.")
                return False
            seconds = (time.perf_counter() - start) / active.sum()  # a seed's share
            results = evaluate(training, training.validation, states.now.params, "validation")
            scores = [predict.validation_score(summary, config.optim.monitor) for summary, _ in results]
            states = states.record_scores(scores, active)
            lines, history = [], jax.device_get(history)
            for k in map(int, np.flatnonzero(active)):
                means = run_folder.mean_values(history, k)
                record = {
                    "epoch": step // training.steps_per_epoch,
                    "seconds": seconds,
                    "steps": len(history),
                }
                record["learning_rate"] = float(training.schedule(step))
                record |= {f"train/{name}": value for name, value in means.items()}
                record |= {f"validation/{name}": value for name, value in results[k][0].items()}
                write[k](step, record)
                label = f"seed {seeds[k]} · " if training.several else ""
                lines.append(label + run_folder.epoch_line(record["epoch"], means, results[k][0], seconds))
            # After the records: a resumed run drops those beyond its checkpoint, and would miss one before.
            checkpoint.save(ckpt, states.saved, iterator, None if training.several else scores[0])
            logger.info("\n".join(lines))
    test_and_summarise(training, states, iterator)
    return True


def prepare(
    config: Config, seeds: tuple[int, ...], workdirs: tuple[Path, ...], folder: Path
) -> tuple[Training, SeedStates, Any]:
    """Make everything that the loop needs: data, compiled steps, initial states, and the batches to come."""
    # ---- configuration, checked before anything costs time -------------------------------------------------
    model, shape = check_config(config)
    for workdir, seed in zip(workdirs, seeds, strict=True):
        run_folder.start_workdir(workdir, replace(config, seed=seed))
    if folder not in workdirs:
        run_folder.start_workdir(folder, config)

    # ---- data ----------------------------------------------------------------------------------------------
    directory = datasets.prepare(config.data)
    train, validation = datasets.load(directory, "train"), datasets.load(directory, "validation")
    check_classes(config, train)
    train = galaxies.with_negatives(train, config)
    if config.data.shuffle_labels:
        # Random labels can only be memorised, so we validate on the training set.
        train = validation = datasets.shuffle_labels(train, config.seed)
    size, augment = config.optim.batch_size, config.data.augment
    if len(seeds) == 1:
        iterator = pipeline.train_iterator(train, size, seeds[0], augment)
    else:
        iterator = pipeline.stacked_iterator(train, size, seeds, augment)
    steps_per_epoch = len(train) // size
    total_steps = config.optim.epochs * steps_per_epoch

    # ---- states --------------------------------------------------------------------------------------------
    mesh, optimiser = parallel.data_mesh(), make_optimiser(config.optim, total_steps)
    everywhere = parallel.replicated(mesh)

    def init(seed: Any) -> TrainState:
        return init_state(config, model, optimiser, jnp.zeros((1, *shape)), seed)

    # A seed is an argument: the others find the function compiled.
    jitted_init = jax.jit(init, out_shardings=everywhere)
    each = [jitted_init(jnp.uint32(seed)) for seed in seeds]
    parameters = count_parameters({"params": each[0].params})
    if config.init and not run_folder.has_checkpoints(folder):
        given = best_params(Path(config.init))
        started = [start_from(state.params, given, config.init) for state in each]
        each = [replace(state, params=params) for state, (params, _) in zip(each, started, strict=True)]
        arrays = len(jax.tree.leaves(each[0].params))
        logger.info(f"{len(started[0][1])} of {arrays} arrays of parameters from {config.init}")

    # ---- steps ---------------------------------------------------------------------------------------------
    step, predict_step = (
        make_train_step(config, model, optimiser),
        predict.make_prediction_step(config, model),
    )
    training = Training(
        config,
        seeds,
        workdirs,
        folder,
        directory,
        train,
        validation,
        mesh,
        seed_stack.make_step(step, seeds, everywhere),
        seed_stack.make_prediction_step(predict_step, len(seeds)),
        make_schedule(config.optim, total_steps),
        steps_per_epoch,
        parameters,
    )
    logger.info(
        f"{parameters:,} parameters · {len(train):,} training examples · {steps_per_epoch} steps an epoch"
    )
    return training, seed_stack.stack(each, everywhere), iterator


def train_epoch(
    training: Training,
    states: SeedStates,
    step: int,
    active: np.ndarray,
    iterator: Any,
    stop_asked: Callable[[int], bool],
) -> tuple[SeedStates, list[dict[str, Any]]]:
    """Take steps to the end of the epoch, or until a stop is asked for; the values that each step logs."""
    epoch, done = divmod(step, training.steps_per_epoch)
    history: list[tuple[dict[str, Any], Any]] = []
    bar = progress(desc=f"epoch {epoch + 1}", total=training.steps_per_epoch, initial=done)
    now = states.now
    for number in range(step, (epoch + 1) * training.steps_per_epoch):
        if stop_asked(number):
            break
        batch = parallel.shard(next(iterator), training.mesh, axis=int(training.several))
        now, values = training.train_step(now, batch, active)
        history.append((values, batch["index"]))
        bar.update()
        # The step before: asking for this one's loss would make the host wait for the device.
        if len(history) > 1:
            require_finite(training, active, *history[-2], number)
    bar.close()
    if history:
        require_finite(training, active, *history[-1], step + len(history))
    return replace(states, now=now), [values for values, _ in history]


def require_finite(
    training: Training, active: np.ndarray, values: dict[str, Any], rows: Any, step: int
) -> None:
    """Stop when a loss or gradient is not a finite number, and name the batch.

    Raises:
      UserError: nothing was saved since the last good checkpoint.
    """
    host = {name: np.atleast_1d(value) for name, value in jax.device_get(values).items()}
    for k in map(int, np.flatnonzero(active)):
        wrong = [name for name, value in host.items() if not np.isfinite(value[k])]
        if wrong:
            mine = rows[k] if training.several else rows
            # Rows of other processes are not here; each names its own.
            places = np.concatenate([np.asarray(shard.data) for shard in mine.addressable_shards])
            names = ", ".join(str(training.train.id[i]) for i in places)
            of_seed = f" of seed {training.seeds[k]}" if training.several else ""
            raise UserError(
                f"{', '.join(wrong)}{of_seed} not finite at step {step}, in the batch of {names}. Nothing "
                "was saved since the last good checkpoint, if there was one. Look at these examples, or "
                "lower optim.learning_rate in a new --workdir."
            )


def evaluate(
    training: Training, split: datasets.Source, params: Any, desc: str
) -> list[tuple[dict[str, Any], predict.Predictions]]:
    """Return metrics and predictions of every seed on a split, which is read once for all."""
    batches = pipeline.eval_batches(split, training.config.optim.batch_size)
    shown = progress(batches, desc, total=len(batches))
    columns = predict.predict_columns(training.prediction_step, params, shown, training.mesh)
    each = [columns]
    if training.several:
        each = [{name: v[:, k] for name, v in columns.items()} for k in range(len(training.seeds))]
    predictions = [predict.collect_predictions(one) for one in each]
    return [(predict.summarise(one, split, training.config), one) for one in predictions]


def test_and_summarise(training: Training, states: SeedStates, iterator: Any) -> None:
    """Test the best parameters; give every seed of a stack the folder of a run of its own."""
    config, seeds = training.config, training.seeds
    best = states.best
    if best is None:
        best = checkpoint.restore_best(training.folder, states.now)
    test = datasets.load(training.directory, "test")
    results = evaluate(training, test, best.params, "test")
    facts = {"seeds_together": len(seeds)} if training.several else {}
    for k, (workdir, (summary, predictions)) in enumerate(zip(training.workdirs, results, strict=True)):
        if training.several:
            save_member(training, states, k, iterator)
        if is_first_process():
            run_folder.write_test_predictions(workdir, predictions, test)
            run_folder.write_summary(
                workdir,
                summary,
                steps_per_epoch=training.steps_per_epoch,
                batch_size=config.optim.batch_size,
                parameters=training.parameters,
                best_step=int(np.atleast_1d(best.step)[k]),
                **facts,
            )
    if training.several:
        shutil.rmtree(training.folder)
        return
    lines = run_folder.summary_lines(results[0][0])
    logger.info(f"test, {len(test):,} held-out images, 95 % intervals:\n{lines}")
    logger.info(f"summary: {training.folder / 'summary.json'}")


def save_member(training: Training, states: SeedStates, k: int, iterator: Any) -> None:
    """Save the best and the latest checkpoint of a seed of a stack, as of a run of its own."""
    assert states.best is not None  # of a stack
    workdir, optim = training.workdirs[k], training.config.optim
    shutil.rmtree(workdir / "checkpoints", ignore_errors=True)  # of an end that was interrupted
    augment = training.config.data.augment
    place = pipeline.train_iterator(training.train, optim.batch_size, training.seeds[k], augment)
    place.set_state(iterator.get_state())
    now, best = (seed_stack.take_member(states, k) for states in (states.now, states.best))
    with checkpoint.checkpointer(workdir) as ckpt:
        checkpoint.save(ckpt, best, place, float(best.best))
        if int(now.step) > int(best.step):
            checkpoint.save(ckpt, now, place)
