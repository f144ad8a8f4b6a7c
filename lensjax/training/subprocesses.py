"""Train runs in separate processes, for studies; keep the runs that have ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from lensjax.config import Config, EventData, LensData
from lensjax.config_io import load_config
from lensjax.data.store import datasets
from lensjax.domain import domain_of
from lensjax.losses.custom import resolve_loss_config
from lensjax.runtime import logs
from lensjax.runtime.errors import UserError
from lensjax.training import run_folder, seed_stack
from lensjax.training.restore_run import config_of

Configs = Mapping[Path, Config]


def set_size(config: Config, train: int | None, epochs: int | None) -> Config:
    """Return the same with so many simulations and epochs to train on; as it is where None."""
    data = config.data
    if train is not None:
        assert isinstance(data, LensData | EventData)  # the studies with this option ask for simulations
        data = replace(data, train=train)
    optim = config.optim if epochs is None else replace(config.optim, epochs=epochs)
    return replace(config, data=data, optim=optim)


def train_seeds(
    config: Config | Path | str, seeds: int | Sequence[int], folder: Path, jobs: int = 1
) -> list[Path]:
    """Train a configuration with each seed (a number: from 0) into `folder`/seed0 …; return these folders.

    Raises:
      UserError: as `train_all`.
    """
    base = config if isinstance(config, Config) else load_config(config)
    numbers = range(seeds) if isinstance(seeds, int) else seeds
    return train_all({folder / f"seed{seed}": replace(base, seed=seed) for seed in numbers}, jobs)


def train_all(configs: Configs, jobs: int = 1, desc: str = "training") -> list[Path]:
    """Train what is missing, `jobs` at once, each on its share of the cores; return the workdirs, in order.

    A run that starts from another one of them (`init`) waits until that has ended. On an accelerator the
    seeds of one experiment, in folders seed0, seed1 … side by side, share a process.

    Raises:
      UserError: a folder holds another run, or a training failed; names the file with its own message.
    """
    places = {str(place) for place in configs}
    later = {place: config for place, config in configs.items() if config.init in places}
    if later:
        train_all({place: config for place, config in configs.items() if place not in later}, jobs, desc)
    waiting = later or configs
    groups = group_seeds(waiting) if seed_stack.share_one_step() else [{k: v} for k, v in waiting.items()]
    groups = [group for group in groups if not has_ended(group)]
    for data in dict.fromkeys(config.data for group in groups for config in group.values()):
        datasets.prepare(data)  # once, before several trainings want it
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        done = pool.map(partial(train_group, share_cores(jobs)), groups)
        for _ in logs.progress(done, desc, total=len(groups)):
            pass
    return list(configs)


sized = set_size  # the name up to 0.1


def group_seeds(configs: Configs) -> list[Configs]:
    """Group what one process can train: folders seed0 … seedN side by side of one configuration."""
    groups: dict[tuple[Path, str], dict[Path, Config]] = {}
    for place, config in configs.items():
        fits = place.name == f"seed{config.seed}" and not domain_of(config.data).own_examples
        key = (place.parent if fits else place, repr(replace(config, seed=0)))
        groups.setdefault(key, {})[place] = config
    found: list[Configs] = []
    for group in groups.values():
        whole = {config.seed for config in group.values()} == set(range(len(group)))
        found += [group] if whole else [{place: config} for place, config in group.items()]
    return found


def share_cores(jobs: int) -> SimpleQueue[set[int]]:
    """Split this process's cores into disjoint sets, one a job; empty where they cannot be told apart."""
    shares: SimpleQueue[set[int]] = SimpleQueue()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    for job in range(max(1, jobs)):
        shares.put(set(cores[job::jobs]) if len(cores) >= jobs > 1 else set())
    return shares


def has_ended(group: Configs) -> bool:
    """Return whether the training has ended.

    Raises:
      UserError: a folder holds another run.
    """
    finished = [workdir for workdir in group if (workdir / "summary.json").exists()]
    for workdir in finished:
        before, wanted = (run_folder.comparable_dict(c) for c in (config_of(workdir), group[workdir]))
        if before != wanted:
            raise UserError(
                f"'{workdir}' is a run of another configuration: delete it, or choose another --out."
            )
    return len(finished) == len(group)


def train_group(shares: SimpleQueue[set[int]], group: Configs) -> None:
    """Train the unfinished runs of the group in a separate process.

    Raises:
      UserError: the training failed; names the file with its own message.
    """
    first, config = next(iter(group.items()))
    place, more = (first.parent, ["--seeds", str(len(group))]) if len(group) > 1 else (first, [])
    source, log = place.with_suffix(".json"), place.with_suffix(".log")
    source.parent.mkdir(parents=True, exist_ok=True)
    logs.write_json(source, asdict(replace(config, loss=resolve_loss_config(config.loss))))
    command = [sys.executable, "-m", "lensjax.training.train_command", str(source), "--workdir", str(place)]
    if run_process([*command, *more], log, shares) or not has_ended(group):
        raise UserError(
            f"training did not end; see '{log}' for the reason. The same command then continues from there."
        )


def run_process(command: list[str], log: Path, shares: SimpleQueue[set[int]]) -> int:
    """Run a process on the next free share of the cores; return its exit status."""
    cores = shares.get()
    try:
        with log.open("w") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
            if cores:
                os.sched_setaffinity(process.pid, cores)
            return process.wait()
    finally:
        shares.put(cores)
