"""Train a network: configuration, data, model, state, loop, test.

    python train.py configs/lens_demo.py --workdir runs/demo [--optim.learning-rate 1e-3 --model.hidden 32 …]

The same command again resumes a run that was stopped or killed, and ends with the same parameters, bit for
bit. Several seeds together, and those of each variant of an experiment (GROUPS in configs/ablations.py):

    python train.py configs/lens_demo.py --workdir runs/lens --seeds 5
    python train.py configs/lens_demo.py --ablate attention_placement --seeds 5

The workdir receives config.json, environment.json, metrics.jsonl, summary.json, test_predictions.npz,
checkpoints/ and tensorboard/.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from lensjax.config import Config
from lensjax.config_io import load_config_file
from lensjax.runtime import jax_setup
from lensjax.runtime.errors import UserError


@dataclass(frozen=True)
class Command:
    workdir: Path
    """Folder of the run; an unfinished run in it is resumed. Of --ablate, runs/ablations/CONFIG/GROUP."""
    multihost: bool = False
    """Join the other processes of a cluster through jax.distributed."""
    ablate: str = ""
    """A group of variants, each trained over several seeds, into WORKDIR/VARIANT/seed0 …"""
    seeds: int | None = None
    """Train so many, from 0, into WORKDIR/seed0 …; with --ablate of every variant, 5 where none is given."""
    ablations: Path = Path("configs/ablations.py")
    """--ablate: file with GROUPS, a dict of group -> variant -> edit of a Config."""
    only: tuple[str, ...] = ()
    """--ablate: names of some variants; the group's first, which all are compared with, is always trained."""
    config: Annotated[Config, tyro.conf.arg(name="")] = Config()


def command_line(arguments: list[str]) -> Command:
    """The configuration file first, then overrides."""
    if not arguments or arguments[0].startswith("-"):
        print(f"{__doc__}\nGive a configuration file first; --help after it lists every option.")
        sys.exit(0 if set(arguments) & {"-h", "--help"} else 2)
    config, folder = load_config_file(arguments[0]), tyro.MISSING
    words = [word for argument in arguments[1:] for word in argument.split("=", 1)]
    if "--ablate" in words[:-1]:
        folder = Path("runs/ablations") / Path(arguments[0]).stem / words[words.index("--ablate") + 1]
    default = Command(workdir=folder, config=config)
    # The kind of data set is the configuration file's: its fields are options, not a subcommand.
    command = tyro.conf.AvoidSubcommands[Command]
    return tyro.cli(command, args=arguments[1:], default=default, prog=f"train.py {arguments[0]}")


def main(command: Command) -> None:
    # ---- machine -------------------------------------------------------------------------------------------
    jax_setup.prepare(gradients=True, multihost=command.multihost, exact=False)
    import jax

    from lensjax import power
    from lensjax.data.batches import pipeline
    from lensjax.data.store import datasets
    from lensjax.data.surveys import galaxies
    from lensjax.evaluation import predict
    from lensjax.inspection.restore import restore
    from lensjax.models import count_parameters
    from lensjax.runtime import logs, parallel, run_folder
    from lensjax.training import checkpoint, loop
    from lensjax.training import variants as ablate
    from lensjax.training.optim import make_optimiser, make_schedule
    from lensjax.training.state import init_state, make_train_step, start_from, with_validation

    config, workdir, leader = command.config, command.workdir, jax.process_index() == 0
    say = print if leader else (lambda *_: None)
    say(f"{jax.device_count()} × {jax.devices()[0].device_kind} · jax {jax.__version__} · workdir {workdir}")

    if command.only and not command.ablate:
        raise UserError("--only names variants of --ablate; give that too.")
    if command.ablate or command.seeds is not None:
        if command.multihost:
            raise UserError("--ablate and --seeds train in one process, on all its devices: no --multihost.")
        seeds = 5 if command.seeds is None else command.seeds
        if seeds < 1:
            raise UserError(f"--seeds (={seeds}) must be 1 or more.")
        if command.ablate:
            return ablate.main(config, command.ablate, seeds, workdir, command.ablations, say, command.only)
        if loop.train(config, range(seeds), workdir, say):
            say(f"next:    python explain.py {workdir}")
        return None

    # ---- configuration, checked before anything costs time -------------------------------------------------
    model, shape = predict.check(config)
    run_folder.check(workdir, config)
    if leader:
        run_folder.start(workdir, config)

    # ---- data ----------------------------------------------------------------------------------------------
    directory = datasets.prepare(config.data)
    train, validation = datasets.load(directory, "train"), datasets.load(directory, "validation")
    predict.check_classes(config, train)
    train = galaxies.with_negatives(train, config)
    if config.data.shuffle_labels:
        # Learned by heart, it is no use elsewhere: the best checkpoint is the one that knows most of it.
        train = validation = datasets.shuffle_labels(train, config.seed)
    iterator = pipeline.train_iterator(train, config.optim.batch_size, config.seed, config.data.augment)
    steps_per_epoch = len(train) // config.optim.batch_size
    total_steps = config.optim.epochs * steps_per_epoch

    # ---- state and step ------------------------------------------------------------------------------------
    mesh = parallel.data_mesh()
    optimiser = make_optimiser(config.optim, total_steps)
    schedule = make_schedule(config.optim, total_steps)

    def fresh(seed):
        return init_state(config, model, optimiser, jax.numpy.zeros((1, *shape)), seed)

    everywhere, seed = parallel.replicated(mesh), jax.numpy.uint32(config.seed)
    state = jax.jit(fresh, out_shardings=everywhere)(seed)
    if config.init and not run_folder.has_checkpoints(workdir):
        params, taken = start_from(state.params, restore(Path(config.init)).params, config.init)
        state = replace(state, params=params)
        say(f"{len(taken)} of {len(jax.tree.leaves(params))} arrays of parameters from {config.init}")
    step_function = make_train_step(config, model, optimiser)
    train_step = jax.jit(step_function, donate_argnums=0, out_shardings=everywhere)
    prediction_step = jax.jit(predict.make_prediction_step(config, model))
    parameters = count_parameters({"params": state.params})
    say(f"{parameters:,} parameters · {len(train):,} training examples · {steps_per_epoch} steps an epoch")

    def evaluated(split, state, desc):
        batches = pipeline.eval_batches(split, config.optim.batch_size)
        predictions = predict.predict(
            prediction_step, state.params, logs.progress(batches, desc, total=len(batches)), mesh
        )
        return predictions, predict.summarise(predictions, split, config)

    # ---- loop ----------------------------------------------------------------------------------------------
    with checkpoint.stop_requests() as stop_asked, checkpoint.checkpointer(workdir) as ckpt:
        state = checkpoint.restore(ckpt, state, iterator)
        step = int(state.step)
        if step:
            say(f"resuming at step {step} of {total_steps}")
        with logs.run_log(workdir, step, leader) as log:
            while step < total_steps and not exhausted(state, config):
                epoch, start, history = step // steps_per_epoch + 1, time.perf_counter(), []
                joules = power.meter()
                first, end = step % steps_per_epoch, epoch * steps_per_epoch
                bar = logs.progress(desc=f"epoch {epoch}", total=steps_per_epoch, initial=first)
                while step < end and not stop_asked(step):
                    batch = parallel.shard(next(iterator), mesh)
                    state, values = train_step(state, batch, seed)
                    history.append((values, batch["index"]))
                    step += 1
                    bar.update()
                    # The step before: asking for this one's loss would make the host wait for the device.
                    if len(history) > 1:
                        run_folder.require_finite(*history[-2], train.id, step - 1)
                bar.close()
                if history:
                    run_folder.require_finite(*history[-1], train.id, step)
                if step < end:
                    if history:  # else the last save was of this very step
                        checkpoint.save(ckpt, state, iterator)
                    say(f"stopped and saved at step {step}; the same command goes on from there.")
                    return
                seconds, energy = time.perf_counter() - start, joules()

                _, summary = evaluated(validation, state, "validation")
                score = predict.monitored(summary, config.optim.monitor)
                state = with_validation(state, score)
                means = run_folder.means([values for values, _ in history])
                record = {"epoch": epoch, "seconds": seconds, "steps": len(history)}
                record["learning_rate"] = float(schedule(step))
                record |= {} if energy is None else {"joules": energy}
                record |= {f"train/{name}": value for name, value in means.items()}
                record |= {f"validation/{name}": value for name, value in summary.items()}
                # The record first: a resumed run drops those after its checkpoint, and would miss one before.
                log(step, record)
                checkpoint.save(ckpt, state, iterator, score)
                say(run_folder.epoch_line(epoch, means, summary, seconds))

    # ---- test ----------------------------------------------------------------------------------------------
    state = checkpoint.restore_best(workdir, state)
    test = datasets.load(directory, "test")
    predictions, summary = evaluated(test, state, "test")
    if leader:
        run_folder.write_test_predictions(workdir, predictions, test)
        run_folder.write_summary(
            workdir,
            summary,
            steps_per_epoch=steps_per_epoch,
            batch_size=config.optim.batch_size,
            parameters=parameters,
            best_step=int(state.step),
        )
        say(f"test, {summary['n']:,} held-out images, 95 % intervals:\n{run_folder.summary_lines(summary)}")
        say(f"summary: {workdir / 'summary.json'}\nnext:    python explain.py {workdir}")


def exhausted(state, config: Config) -> bool:
    """Early stopping: too many epochs without improvement."""
    return 0 < config.optim.patience <= int(state.stale)


if __name__ == "__main__":
    try:
        main(command_line(sys.argv[1:]))
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command starts again from what is saved.")
