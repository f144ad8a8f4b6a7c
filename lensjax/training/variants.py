"""Variants of a configuration over several seeds, and their differences from the first one.

A group of variants is a dict of name -> edit of a Config, in GROUPS of configs/variants.py or of a file of
one's own. The seeds of one variant train together. Differences are paired by seed: the same order of data,
and the same initial parameters where the networks share them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.config import Config
from lensjax.config_io import find_config
from lensjax.evaluation import intervals
from lensjax.losses.custom import resolve_loss_config
from lensjax.runtime.errors import UserError
from lensjax.runtime.logs import logger
from lensjax.specs import check_names, load_definition
from lensjax.training import loop, run_folder
from lensjax.training.check_config import check_config

Edit = Callable[[Config], Config | None]
"""An edit may return None if it does not apply to a configuration; its variant is then left out."""
FACTS = ("parameters", "epochs", "seconds_per_epoch")


def load_group(group: str, file: Path | None = None, only: Sequence[str] = ()) -> dict[str, Edit]:
    """Read a group of edits, `only` some or all, from GROUPS of a Python file (configs/variants.py if None).

    Raises:
      UserError: no such file, group or variant; lists the choices.
    """
    file = file or find_config("variants")
    groups = load_definition(file, "GROUPS", "`GROUPS: dict[str, dict[str, Callable[[Config], Config]]]`")
    check_names("group of variants", [group], groups)
    check_names("variant", only, groups[group], of=group)
    return {name: edit for name, edit in groups[group].items() if name in (only or groups[group])}


def choose_variants(
    config: Config, group: str, file: Path | None = None, only: Sequence[str] = ()
) -> dict[str, Config]:
    """Return the variants of a group, the first of which is always among them; logs each that is left out.

    Raises:
      UserError: no such group or variant, or fewer than two variants that differ.
    """
    edits = load_group(group, file)
    check_names("variant", only, edits, of=group)
    first = next(iter(edits))
    variants: dict[str, Config] = {}
    left_out = []
    for name, edit in edits.items():
        if only and name not in (first, *only):
            continue
        variant = edit(config)
        if variant is None:
            left_out.append(f"{name} is left out: it means nothing for this {config.data.name} configuration")
            continue
        variant = replace(variant, loss=resolve_loss_config(variant.loss))
        same = [other for other, known in variants.items() if known == variant]
        if same:
            left_out.append(f"{name} is left out: it is {same[0]} here")
        else:
            variants[name] = variant
    if len(variants) < 2:
        why = f"{left_out[0]}, and so on" if left_out else f"--only names {first} alone"
        raise UserError(f"group '{group}' has nothing to compare: {why}.")
    for line in left_out:
        logger.info(line)
    return variants


def train_variants(
    config: Config, group: str, variants: Mapping[str, Config], seeds: int, folder: Path
) -> dict[str, Any] | None:
    """Train what is missing into `folder`/VARIANT/seedK; the table of numbers, or None if asked to stop.

    The table has `base`, `group`, `rows` (by variant, a row of facts and test metrics a seed), and
    `differences` (by variant and metric, mean, low and high of variant minus first).

    Raises:
      UserError: a variant contradicts itself.
    """
    for name, variant in variants.items():
        try:
            check_config(variant)
        except UserError as error:
            raise UserError(f"variant {name} of {group}: {error}") from error
    for number, (name, variant) in enumerate(variants.items(), 1):
        logger.info(f"variant {number} of {len(variants)}: {name}, {seeds} seeds")
        if not loop.train_several(variant, range(seeds), folder / name):
            return None
    rows = {name: [read_outcome(folder / name, seed) for seed in range(seeds)] for name in variants}
    metrics = [m for m in run_folder.HEADLINES if any(m in row for each in rows.values() for row in each)]
    differences = {name: {metric: difference(rows, name, metric) for metric in metrics} for name in rows}
    return {"base": asdict(config), "group": group, "rows": rows, "differences": differences}


def read_outcome(folder: Path, seed: int) -> dict[str, Any]:
    """Read facts and test metrics of a finished seed."""
    summary = json.loads((folder / f"seed{seed}" / "summary.json").read_text())
    numbers = {k: v for k, v in summary["test"].items() if isinstance(v, int | float)}
    return {"seed": seed, **{name: summary[name] for name in FACTS}, **numbers}


def difference(rows: Mapping[str, Sequence[Mapping[str, Any]]], name: str, metric: str) -> tuple[float, ...]:
    """Return (mean, low, high) of a variant minus the first one, seed by seed; NaN if either has no value."""
    first = next(iter(rows.values()))
    pairs = [(row.get(metric), other.get(metric)) for row, other in zip(rows[name], first, strict=True)]
    values = np.array([a - b if a is not None and b is not None else np.nan for a, b in pairs])
    return (float(values.mean()), *intervals.mean_interval(values))
