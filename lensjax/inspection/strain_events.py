"""Turn strain (files or open data) into events to explain: at GPS times, or by a scan of all of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.data.batches.input_transforms import transform_image
from lensjax.data.images.readers import Problem
from lensjax.data.strain.open_strain import fetch
from lensjax.data.strain.strain_files import Strain, read_strain, whole_stretch
from lensjax.data.strain.strain_scan import LOCAL, event_at
from lensjax.data.strain.triggers import (
    BATCH,
    Candidate,
    Classify,
    candidate_lines,
    candidates,
    separate,
    write_candidates,
)
from lensjax.event_axes import CLIP
from lensjax.inspection import maps
from lensjax.inspection.maps import Item
from lensjax.inspection.restore import Trained
from lensjax.runtime.errors import UserError

EXPLAINED = 48
"""How many candidates of a scan are explained, the loudest ones; all are listed."""
ENDINGS = (".hdf5", ".h5")


def settings(trained: Trained) -> dict[str, Any]:
    """Return how a network wants its events: size, encoding and plane.

    Raises:
      UserError: it is a network for images of the sky.
    """
    if trained.events is None:
        raise UserError(f"{trained.workdir} was trained on images of the sky; strain needs a run on events.")
    domain = trained.domain
    return {"size": trained.config.data.size, "encoding": domain.encoding, "plane": domain.plane}


def items_from_strain(
    trained: Trained,
    inputs: Sequence[Path],
    *,
    gps: Sequence[float] = (),
    detector: str | None = None,
    candidates: Path | None = None,
    min_energy: float = CLIP,
) -> tuple[list[Item], list[Problem]]:
    """Cut events at GPS times from files of strain, or from open data of a detector where no file is given.

    With `candidates` all of the strain is searched for triggers, which are written there as CSV and printed;
    the loudest are returned. Each time is searched in every file; where several files of a detector hold
    it, the one with the most strain around it is taken. A trigger of a scan is louder than `min_energy`.

    Raises:
      UserError: neither files nor a detector, neither times nor a scan, an energy that is not positive, or a
        network not made for events.
    """
    wanted = settings(trained)
    gps = list(dict.fromkeys(gps))
    if not gps and candidates is None:
        raise UserError("strain without a time: give --gps T, or --scan to look through all of it.")
    if not inputs and (detector is None or not gps):
        raise UserError("no strain: give GWOSC files by --inputs, or --detector H1 and --gps T to fetch it.")
    if not min_energy > 0:
        raise UserError(f"--min-energy (={min_energy:g}) must be above 0; 42 is the official threshold.")
    strains, problems = _open(inputs, detector) if inputs else _fetch(detector or "", gps)
    if candidates is not None:
        items, faults = _scan(trained, strains, wanted, candidates, min_energy)
    else:
        items, faults = _at_times(strains, gps, wanted)
    return items, problems + faults


def _open(inputs: Sequence[Path], detector: str | None) -> tuple[list[Strain], list[Problem]]:
    """Read the strain of all files, and of those in folders; of one detector if it is named."""
    strains: list[Strain] = []
    problems = []
    paths = {given: _files(given) for given in map(Path, inputs)}
    for folder in (given for given, found in paths.items() if not found):
        problems.append(Problem(str(folder), "a folder without strain; .hdf5 and .h5 are looked for."))
    for path in dict.fromkeys(path for found in paths.values() for path in found):
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
    """Return the message without the file's name before it."""
    return str(error).removeprefix(f"{path}: ").removeprefix(f"{path.name}: ")


def _fetch(detector: str, gps: Sequence[float]) -> tuple[list[Strain], list[Problem]]:
    strains: list[Strain] = []
    problems = []
    for time in gps:
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
        for detector in dict.fromkeys(one.detector for one in holding):
            of_it = [one for one in holding if one.detector == detector]
            strain = max(of_it, key=lambda one: (_room(one, time), one.sample_rate))
            try:
                items.append(_item(strain, time, wanted))
            except ValueError as error:
                problems.append(Problem(strain.source, str(error)))
    return items, problems


def _room(strain: Strain, gps: float) -> float:
    """Return the seconds without a gap on both sides of a time, at most what is of use; below 0 in a gap."""
    try:
        stretch = whole_stretch(strain, gps)
    except ValueError:
        return -1.0
    return min(gps - stretch.gps_start, stretch.gps_end - gps, LOCAL / 2)


def _item(strain: Strain, gps: float, wanted: dict[str, Any]) -> Item:
    image, scan, notes = event_at(strain, gps, **wanted)
    loudest = (
        f"loudest tile: energy {float(scan.peak_energy):.1f} at {float(scan.peak_frequency):.0f} Hz, "
        f"{float(scan.peak_time):+.3f} s, on the Q {float(scan.q):.1f} plane"
    )
    return Item(f"{strain.detector} {gps:.3f}", strain.source, image, notes=(loudest, *notes))


def _scan(
    trained: Trained, strains: Sequence[Strain], wanted: dict[str, Any], path: Path, min_energy: float
) -> tuple[list[Item], list[Problem]]:
    classify = classifier(trained)
    found: dict[Candidate, Strain] = {}
    problems = []
    for strain in strains:
        try:
            loud = candidates(strain, classify, trained.classes, min_energy=min_energy, **wanted)
        except ValueError as error:
            problems.append(Problem(strain.source, str(error)))
            continue
        found |= dict.fromkeys(loud, strain)
        if not loud:
            problems.append(Problem(strain.source, "no tile in it is loud enough for a candidate."))
    listed = separate(list(found))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_candidates(path, listed)
    print("\n".join(candidate_lines(listed)))
    least = sorted((one.energy for one in listed), reverse=True)[:EXPLAINED][-1:]
    items = [_item(found[one], one.gps, wanted) for one in listed if one.energy >= least[0]]
    if len(items) < len(listed):
        print(f"the {len(items)} loudest of {len(listed)} candidates are explained; all are in {path}")
    return items, problems


def classifier(trained: Trained) -> Classify:
    """Return `classify(images [n t h w c]) -> probabilities [n k]` of a network, inputs transformed."""
    specs, kind = trained.config.data.inputs, trained.domain.stored_type

    def classify(images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        ready = [transform_image(one, specs, "", kind) for one in images]
        return maps.predict_images(trained, ready, BATCH).probabilities

    return classify
