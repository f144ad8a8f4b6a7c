"""Trainings of a study, each by train.py in a process of its own; what has ended is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from lensjax.config import Config, EventData, LensData
from lensjax.config_io import config_from_dict
from lensjax.data.store import datasets
from lensjax.runtime import logs
from lensjax.runtime.errors import UserError
from lensjax.training import seed_stack
from lensjax.training.checkpoint import read_config_json

Configs = Mapping[Path, Config]


def sized(config: Config, train: int | None, epochs: int | None) -> Config:
    """The same with so many simulations and epochs to train on; as it is where None."""
    data = config.data
    if train is not None:
        assert isinstance(data, LensData | EventData)  # the studies with this option ask for simulations
        data = replace(data, train=train)
    optim = config.optim if epochs is None else replace(config.optim, epochs=epochs)
    return replace(config, data=data, optim=optim)


def train_all(configs: Configs, jobs: int, desc: str = "training") -> list[Path]:
    """Train what is missing, `jobs` at once, each on its share of the cores; the workdirs, in order.

    On an accelerator the seeds of one experiment, in folders seed0, seed1 … side by side, share a process.

    Raises:
      UserError: a folder holds another run, or a training failed; names the file with its own message.
    """
    groups = seeds_together(configs) if seed_stack.all_at_once() else [{k: v} for k, v in configs.items()]
    groups = [group for group in groups if not ended(group)]
    for data in dict.fromkeys(config.data for group in groups for config in group.values()):
        datasets.prepare(data)  # once, before several trainings want it
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        for _ in logs.progress(pool.map(partial(train, core_shares(jobs)), groups), desc, total=len(groups)):
            pass
    return list(configs)


def seeds_together(configs: Configs) -> list[Configs]:
    """Groups that one process can train: folders seed0 … seedN side by side of one configuration."""
    groups: dict[tuple[Path, str], dict[Path, Config]] = {}
    for place, config in configs.items():
        own = any(getattr(config.data, field, False) for field in ("shuffle_labels", "negatives"))
        fits = place.name == f"seed{config.seed}" and not own
        key = (place.parent if fits else place, repr(replace(config, seed=0)))
        groups.setdefault(key, {})[place] = config
    found: list[Configs] = []
    for group in groups.values():
        whole = {config.seed for config in group.values()} == set(range(len(group)))
        found += [group] if whole else [{place: config} for place, config in group.items()]
    return found


def core_shares(jobs: int) -> SimpleQueue[set[int]]:
    """Disjoint sets of this process's cores, one a job; empty sets where they cannot be told apart."""
    shares: SimpleQueue[set[int]] = SimpleQueue()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    for job in range(max(1, jobs)):
        shares.put(set(cores[job::jobs]) if len(cores) >= jobs > 1 else set())
    return shares


def ended(group: Configs) -> bool:
    """Whether there is nothing left to train.

    Raises:
      UserError: a folder holds another run.
    """
    finished = [workdir for workdir in group if (workdir / "summary.json").exists()]
    for workdir in finished:
        if config_from_dict(read_config_json(workdir)) != group[workdir]:
            raise UserError(
                f"'{workdir}' is a run of another configuration: delete it, or choose another --out."
            )
    return len(finished) == len(group)


def train(shares: SimpleQueue[set[int]], group: Configs) -> None:
    """Train in a process of its own what of the group has not ended.

    Raises:
      UserError: the training failed; names the file with its own message.
    """
    if not Path("train.py").exists():
        raise UserError("train.py is not in this folder: run from the project's root.")
    first, config = next(iter(group.items()))
    place, more = (first.parent, ["--seeds", str(len(group))]) if len(group) > 1 else (first, [])
    source, log = place.with_suffix(".json"), place.with_suffix(".log")
    source.parent.mkdir(parents=True, exist_ok=True)
    logs.write_json(source, asdict(config))
    failed = run([sys.executable, "train.py", str(source), "--workdir", str(place), *more], log, shares)
    if failed or not ended(group):
        raise UserError(f"training did not end: '{log}' says why; the same command then goes on from there.")


def run(command: list[str], log: Path, shares: SimpleQueue[set[int]]) -> int:
    """A process on the next free share of the cores; its exit status."""
    cores = shares.get()
    try:
        with log.open("w") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
            if cores:
                os.sched_setaffinity(process.pid, cores)
            return process.wait()
    finally:
        shares.put(cores)
