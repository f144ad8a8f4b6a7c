"""Strain to explain: files or open data, and GPS times or a scan of everything, as items for a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lensjax.config import LensData
from lensjax.data.open_strain import fetch
from lensjax.data.readers import Problem
from lensjax.data.strain import Strain, read_strain
from lensjax.data.strain_scan import event_at
from lensjax.data.triggers import BATCH, Candidate, Classify, candidate_lines, candidates, write_candidates
from lensjax.explained import Item
from lensjax.restore import Trained

__all__ = ["classifier", "event_at", "items_from_strain", "settings"]

EXPLAINED = 48
"""Candidates of a scan that are explained, the loudest; all are listed."""
ENDINGS = (".hdf5", ".h5")


def settings(trained: Trained) -> dict[str, Any]:
    """How a network wants its events: size, encoding and plane.

    Raises:
      ValueError: it is a network for images of the sky.
    """
    data = trained.config.data
    if isinstance(data, LensData):
        raise ValueError(f"{trained.workdir} was trained on images of the sky; strain needs a run on events.")
    return {"size": data.size, "encoding": data.encoding, "plane": getattr(data, "plane", "loudest")}


def items_from_strain(
    trained: Trained,
    inputs: Sequence[Path],
    *,
    gps: Sequence[float] = (),
    detector: str | None = None,
    candidates: Path | None = None,
) -> tuple[list[Item], list[Problem]]:
    """Events at GPS times in files of strain, or in open data of a detector where no file is given.

    With `candidates` all of the strain is looked through for triggers, which are written there as CSV and
    printed; the loudest are returned. Each time is looked for in every file.

    Raises:
      ValueError: neither files nor a detector, neither times nor a scan, or a network not made for events.
    """
    wanted = settings(trained)
    if not gps and candidates is None:
        raise ValueError("strain without a time: give --gps T, or --scan to look through all of it.")
    if not inputs and (detector is None or not gps):
        raise ValueError("no strain: give GWOSC files by --inputs, or --detector H1 and --gps T to fetch it.")
    strains, problems = _open(inputs, detector) if inputs else _fetch(detector or "", gps)
    if candidates is not None:
        items, faults = _scan(trained, strains, wanted, candidates)
    else:
        items, faults = _at_times(strains, gps, wanted)
    return items, problems + faults


def _open(inputs: Sequence[Path], detector: str | None) -> tuple[list[Strain], list[Problem]]:
    """Strain of all files, and of those in folders; of one detector if it is named."""
    strains, problems = [], []
    for path in (found for given in inputs for found in _files(Path(given))):
        try:
            strain = read_strain(path)
        except ValueError as error:
            problems.append(Problem(str(path), _reason(error, path)))
            continue
        if detector in (None, strain.detector):
            strains.append(strain)
        else:
            problems.append(
                Problem(str(path), f"is strain of {strain.detector}, --detector says {detector}.")
            )
    return strains, problems


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.suffix in ENDINGS) if path.is_dir() else [path]


def _reason(error: ValueError, path: Path) -> str:
    """The message without the file's name before it."""
    return str(error).removeprefix(f"{path}: ").removeprefix(f"{path.name}: ")


def _fetch(detector: str, gps: Sequence[float]) -> tuple[list[Strain], list[Problem]]:
    strains: list[Strain] = []
    problems = []
    for time in gps:
        if any(one.gps_start + 9 <= time < one.gps_end - 9 for one in strains):
            continue
        try:
            strains.append(fetch(detector, time))
        except ValueError as error:
            problems.append(Problem(f"{detector} {time:.3f}", str(error)))
    return strains, problems


def _at_times(
    strains: Sequence[Strain], gps: Sequence[float], wanted: dict[str, Any]
) -> tuple[list[Item], list[Problem]]:
    items, problems = [], []
    for time in gps:
        holding = [one for one in strains if one.gps_start <= time < one.gps_end]
        if strains and not holding:
            ranges = "; ".join(f"{one.detector} {one.range}" for one in strains[:4])
            problems.append(Problem(f"GPS {time:.3f}", f"outside the strain given: {ranges}."))
        for strain in holding:
            try:
                items.append(_item(strain, time, wanted))
            except ValueError as error:
                problems.append(Problem(strain.source, str(error)))
    return items, problems


def _item(strain: Strain, gps: float, wanted: dict[str, Any]) -> Item:
    image, scan, notes = event_at(strain, gps, **wanted)
    loudest = (
        f"loudest tile: energy {float(scan.peak_energy):.1f} at {float(scan.peak_frequency):.0f} Hz, "
        f"{float(scan.peak_time):+.3f} s, on the Q {float(scan.q):.1f} plane"
    )
    return Item(f"{strain.detector} {gps:.3f}", strain.source, image, notes=(loudest, *notes))


def _scan(
    trained: Trained, strains: Sequence[Strain], wanted: dict[str, Any], path: Path
) -> tuple[list[Item], list[Problem]]:
    classify = classifier(trained)
    found: list[tuple[Candidate, Strain]] = []
    problems = []
    for strain in strains:
        try:
            loud = candidates(strain, classify, trained.classes, **wanted)
        except ValueError as error:
            problems.append(Problem(strain.source, str(error)))
            continue
        found += [(one, strain) for one in loud]
        if not loud:
            problems.append(Problem(strain.source, "no tile in it is loud enough for a candidate."))
    found.sort(key=lambda pair: (pair[0].gps, pair[0].detector))
    listed = [one for one, _ in found]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_candidates(path, listed)
    print("\n".join(candidate_lines(listed)))
    least = sorted((one.energy for one in listed), reverse=True)[:EXPLAINED][-1:]
    items = [_item(strain, one.gps, wanted) for one, strain in found if one.energy >= least[0]]
    if len(items) < len(found):
        print(f"the {len(items)} loudest of {len(found)} candidates are explained; all are in {path}")
    return items, problems


def classifier(trained: Trained) -> Classify:
    """`classify(images [n t h w c]) -> probabilities [n k]` of a network."""

    @jax.jit
    def forward(images: jax.Array) -> jax.Array:
        outputs: Any = trained.model.apply({"params": trained.params}, images)
        return jax.nn.softmax(outputs.logits)

    def classify(images: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(images), BATCH):
            some = images[start : start + BATCH]
            padding = [(0, BATCH - len(some))] + [(0, 0)] * (some.ndim - 1)
            parts.append(np.asarray(forward(np.pad(some, padding)))[: len(some)])
        return np.concatenate(parts)

    return classify
