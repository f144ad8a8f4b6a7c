"""Trainings of a study, each by train.py in a process of its own; what has ended is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from lensjax import logs
from lensjax.checkpoint import read_config_json
from lensjax.config import Config
from lensjax.config_files import config_from_dict
from lensjax.data import datasets


def train_all(configs: Mapping[Path, Config], jobs: int, desc: str = "training") -> list[Path]:
    """Train what is missing, `jobs` at once, each on its share of the cores; the workdirs, in order.

    Raises:
      ValueError: as `train`.
    """
    for data in dict.fromkeys(config.data for config in configs.values()):
        datasets.prepare(data)  # once, before several trainings want it
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        done = pool.map(partial(train, core_shares(jobs)), configs.values(), configs)
        return list(logs.progress(done, desc, total=len(configs)))


def core_shares(jobs: int) -> SimpleQueue[set[int]]:
    """Disjoint sets of this process's cores, one a job; empty sets where they cannot be told apart."""
    shares: SimpleQueue[set[int]] = SimpleQueue()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    for job in range(max(1, jobs)):
        shares.put(set(cores[job::jobs]) if len(cores) >= jobs > 1 else set())
    return shares


def train(shares: SimpleQueue[set[int]], config: Config, workdir: Path) -> Path:
    """Train in a process of its own; a run that has ended is kept.

    Raises:
      ValueError: the training failed; names the file with its own message.
    """
    if (workdir / "summary.json").exists():
        kept: Config = config_from_dict(read_config_json(workdir))
        if kept != config:
            raise ValueError(
                f"'{workdir}' is a run of another configuration: delete it, or choose another --out."
            )
        return workdir
    if not Path("train.py").exists():
        raise ValueError("train.py is not in this folder: run from the project's root.")
    source = workdir.with_suffix(".json")
    source.parent.mkdir(parents=True, exist_ok=True)
    logs.write_json(source, asdict(config))
    log = workdir.with_suffix(".log")
    command = [sys.executable, "train.py", str(source), "--workdir", str(workdir)]
    cores = shares.get()
    try:
        with log.open("w") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
            if cores:
                os.sched_setaffinity(process.pid, cores)
            failed = process.wait()
    finally:
        shares.put(cores)
    if failed or not (workdir / "summary.json").exists():
        raise ValueError(f"training did not end: '{log}' says why; the same command then goes on from there.")
    return workdir
