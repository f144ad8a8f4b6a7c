"""Train a network: a configuration first, then options that change it.

    python train.py configs/lens_demo.py --workdir runs/demo [--optim.learning-rate 1e-3 --model.hidden 32 …]
    lensjax train lens_demo --workdir runs/demo

The same command again resumes a run that was stopped or killed, and ends with the same parameters, bit for
bit. To train several seeds together, or several seeds of each variant (GROUPS in configs/variants.py):

    python train.py configs/lens_demo.py --workdir runs/lens --seeds 5
    python train.py configs/lens_demo.py --ablate attention_placement --seeds 5

The workdir receives config.json, environment.json, metrics.jsonl, summary.json, test_predictions.npz,
checkpoints/ and tensorboard/.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from lensjax.config import Config
from lensjax.config_io import find_config, load_config
from lensjax.losses.custom import resolve_loss_config
from lensjax.runtime import jax_setup
from lensjax.runtime.command_line import run_command, split_debug
from lensjax.runtime.errors import UserError, one_line_errors
from lensjax.runtime.logs import logger

WriteTable = Callable[[Path, dict[str, Any]], None]


@dataclass(frozen=True)
class TrainOptions:
    workdir: Path | None = None
    """Folder of the run; an unfinished run in it is resumed. Of --ablate, where none is given,
    runs/ablations/CONFIG/GROUP."""
    multihost: bool = False
    """Join the other processes of a cluster through jax.distributed."""
    ablate: str = ""
    """A group of variants, each trained over several seeds, into WORKDIR/VARIANT/seed0 …"""
    seeds: int | None = None
    """Train so many, from 0, into WORKDIR/seed0 …; with --ablate of every variant, 5 where none is given."""
    ablations: Path | None = None
    """--ablate: file with GROUPS, group -> variant -> edit of a Config; configs/variants.py if not given."""
    only: tuple[str, ...] = ()
    """--ablate: names of some variants; the group's first, which all are compared with, is always trained."""
    config: Annotated[Config, tyro.conf.arg(name="")] = Config()


def run(arguments: Sequence[str] | None = None, write_table: WriteTable | None = None) -> None:
    """Read the command line and train.

    Args:
      arguments: the configuration and the words after it; those of the process where None.
      write_table: what to do with the table of --ablate (`lensjax.studies.variants_table.write_table`).
    """
    words, debug = split_debug(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0].startswith("-"):
        print(f"{__doc__}\nGive a configuration first; --help after it lists every option.")
        sys.exit(0 if set(words) & {"-h", "--help"} else 2)
    with one_line_errors(debug):
        config = load_config(words[0])
        # Written out, so that every term of the objective and its options can be changed by options.
        config = replace(config, loss=resolve_loss_config(config.loss))
    name = find_config(words[0]).stem
    run_command(
        partial(train, name=name, write_table=write_table),
        # The kind of data set is the configuration file's: its fields are options, not a subcommand.
        tyro.conf.AvoidSubcommands[TrainOptions],  # type: ignore[arg-type]
        prog=f"train.py {words[0]}",
        description=__doc__,
        arguments=words[1:] + ["--debug"] * debug,
        interrupted="interrupted; the same command starts again from what is saved.",
        default=TrainOptions(config=config),
    )


def train(options: TrainOptions, name: str, write_table: WriteTable | None = None) -> None:
    """Train one seed, several, or several of each variant of the configuration called `name`.

    Raises:
      UserError: options or the configuration contradict themselves, or a folder holds another run.
    """
    check_options(options)
    workdir = options.workdir or Path("runs/ablations") / name / options.ablate

    # ---- machine -------------------------------------------------------------------------------------------
    jax_setup.prepare(gradients=True, multihost=options.multihost, exact=False)
    import jax

    from lensjax.training import loop, variants

    devices = f"{jax.device_count()} × {jax.devices()[0].device_kind}"
    logger.info(f"{devices} · jax {jax.__version__} · workdir {workdir}")

    # ---- configuration, data, states, loop, test: see `loop.run_loop` --------------------------------------
    if options.ablate:
        seeds = 5 if options.seeds is None else options.seeds
        chosen = variants.choose_variants(options.config, options.ablate, options.ablations, options.only)
        table = variants.train_variants(options.config, options.ablate, chosen, seeds, workdir)
        if table and write_table:
            write_table(workdir, table)
    elif options.seeds is not None:
        if loop.train_several(options.config, range(options.seeds), workdir):
            logger.info(f"next:    python explain.py {workdir}")
    elif loop.train_one(options.config, workdir):
        logger.info(f"next:    python explain.py {workdir}")


def check_options(options: TrainOptions) -> None:
    """Refuse options that contradict each other.

    Raises:
      UserError: says which.
    """
    if options.workdir is None and not options.ablate:
        raise UserError("--workdir FOLDER is missing; give the folder of the run.")
    if options.only and not options.ablate:
        raise UserError("--only needs --ablate GROUP, whose variants it names.")
    if options.multihost and (options.ablate or options.seeds is not None):
        raise UserError(
            "--ablate and --seeds train in one process on all its devices; leave out --multihost."
        )
    if options.seeds is not None and options.seeds < 1:
        raise UserError(f"--seeds (={options.seeds}) must be 1 or more.")


if __name__ == "__main__":
    run()
