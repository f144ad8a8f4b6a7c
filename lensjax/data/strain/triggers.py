"""Scan a whole file: find the loudest tiles, and classify the events around them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from lensjax.data.strain.strain_files import Strain, cut, whole_stretches
from lensjax.data.strain.strain_scan import (
    BLOCK,
    EDGE,
    LOCAL,
    REACH,
    Whitened,
    block_at,
    event_at,
    loudest,
    whitened,
)
from lensjax.event_axes import CLIP, Encoding
from lensjax.runtime.errors import UserError
from lensjax.runtime.logs import progress
from lensjax.types import Float

Classify = Callable[[np.ndarray], np.ndarray]
"""Images [n t h w c] → probabilities [n k]."""
BATCH = 16
MARGIN = REACH - EDGE
"""Seconds at the ends of a whitened stretch in which no event can be pictured."""
APART = 0.5
"""Seconds within which only the loudest trigger of a detector counts."""


@dataclass(frozen=True)
class Trigger:
    """A loud tile that has no louder one near."""

    gps: float
    energy: float
    """In units of the median of noise."""
    frequency: float  # Hz
    q: float
    detector: str = ""


@dataclass(frozen=True)
class Candidate:
    """A trigger, and the most probable class of the event around it."""

    gps: float
    label: str
    probability: float
    energy: float
    frequency: float
    q: float
    detector: str = ""


Loud = TypeVar("Loud", Trigger, Candidate)


def triggers(
    strain: Strain, *, step: float = 0.5, min_energy: float = CLIP, apart: float = APART
) -> list[Trigger]:
    """Find the loudest tiles of all planes above `min_energy`, by time, no two within `apart` seconds.

    Of Gaussian noise one tile in 2^E is louder than E. The default, where the official colours saturate, is a
    signal-to-noise of 5.8, which noise alone passes about three times an hour; 42 is the 7.5 of the official
    triggers. Gaps, and 3 s at the ends of each stretch, are left out.

    Raises:
      UserError: no stretch without gaps is longer than 6 s; a step or an energy is not positive.
    """
    if not 0 < step <= 2 or min_energy <= 0 or apart < 0:
        raise UserError(
            f"step {step} s must lie in (0, 2], min_energy {min_energy} above 0, apart {apart} s not below 0."
        )
    pieces = list(_pieces(strain, step))
    if not pieces:
        raise UserError(
            f"the {strain.detector} strain, {strain.range}, holds no {2 * REACH + step:g} s without a gap."
        )
    found: list[Trigger] = []
    for piece in progress(pieces, f"{strain.detector}: looking for triggers", unit="piece"):
        found += _loud_tiles(whitened(piece), step, min_energy)
    return [replace(one, detector=strain.detector) for one in separate(found, apart)]


def _pieces(strain: Strain, step: float) -> Iterator[Strain]:
    """Yield stretches of 64 s whose ends overlap, or less where there is less."""
    for stretch in whole_stretches(strain):
        number, length = len(stretch.values), round(LOCAL * strain.sample_rate)
        hop = round((LOCAL - 2 * REACH - step) * strain.sample_rate)
        if number < (2 * REACH + step) * strain.sample_rate:
            continue
        for first in range(0, max(number - length, 0) + hop, hop):
            first = min(first, max(number - length, 0))
            yield cut(stretch, first, min(first + length, number))
            if first + length >= number:
                break


def _loud_tiles(white: Whitened, step: float, min_energy: float) -> list[Trigger]:
    """Find the loudest tile of each `step` seconds, where it is loud enough."""
    low, high = white.gps_start + MARGIN, white.gps_end - MARGIN
    inner = min(BLOCK, np.floor(white.gps_end - white.gps_start)) - 2 * MARGIN
    cells = max(1, int(inner / step))
    offsets = (np.arange(cells) - (cells - 1) / 2) * step
    found = []
    for start in np.arange(low, high - step / 2, cells * step):
        middle = float(min(start, max(high - cells * step, low)) + cells * step / 2)
        block, config, centre = block_at(white, middle, search=step / 2, shape=(1, 1), windows=(step,))
        tiles = {k: np.asarray(v) for k, v in loudest(block, np.float32(centre + offsets), config).items()}
        for i in np.flatnonzero(tiles["energy"] >= min_energy):
            gps = middle - centre + float(tiles["time"][i])
            if low <= gps <= high:
                energy, frequency, q = (float(tiles[k][i]) for k in ("energy", "frequency", "q"))
                found.append(Trigger(gps, energy, frequency, q))
    return found


def separate(found: Sequence[Loud], apart: float = APART) -> list[Loud]:
    """Keep the loudest of each crowd in a detector, by time."""
    kept: list[Loud] = []
    for one in sorted(found, key=lambda one: -one.energy):
        if all(one.detector != other.detector or abs(one.gps - other.gps) > apart for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: (one.gps, one.detector))


def candidates(
    strain: Strain,
    classify: Classify,
    classes: Sequence[str],
    *,
    size: tuple[int, int] = (140, 170),
    encoding: Encoding = "clipped",
    plane: str = "loudest",
    step: float = 0.5,
    min_energy: float = CLIP,
) -> list[Candidate]:
    """Find the triggers of a whole file, each with the class of the event around it, by time.

    Raises:
      UserError: there is too little strain, or an option is out of its range (see `triggers`).
    """
    loud = triggers(strain, step=step, min_energy=min_energy)
    found: list[Candidate] = []
    for start in progress(range(0, len(loud), BATCH), f"{strain.detector}: classifying", unit="batch"):
        some = loud[start : start + BATCH]
        images = [event_at(strain, one.gps, size=size, encoding=encoding, plane=plane)[0] for one in some]
        probabilities = _checked(classify(np.stack(images)), len(some), len(classes))
        for one, p in zip(some, probabilities, strict=True):
            best = int(p.argmax())
            found.append(Candidate(label=classes[best], probability=float(p[best]), **asdict(one)))
    return found


def _checked(probabilities: np.ndarray, count: int, classes: int) -> Float[np.ndarray, "n k"]:
    probabilities = np.asarray(probabilities)
    if probabilities.shape != (count, classes):
        raise UserError(f"classify gave {probabilities.shape} for {count} images of {classes} classes.")
    return probabilities


def write_candidates(path: Path, found: Sequence[Candidate]) -> None:
    """Write a CSV with a line a candidate."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Candidate)])
        for one in found:
            row = asdict(one) | {"gps": f"{one.gps:.4f}"}
            writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in row.values()])


def candidate_lines(found: Sequence[Candidate]) -> list[str]:
    """Return the candidates as a table."""
    header = f"{'detector':8s} {'GPS':>14s}  {'class':20s} {'p':>5s} {'energy':>8s} {'Hz':>7s} {'Q':>5s}"
    return [header] + [
        f"{one.detector:8s} {one.gps:14.3f}  {one.label:20s} {one.probability:5.2f} {one.energy:8.1f} "
        f"{one.frequency:7.1f} {one.q:5.1f}"
        for one in found
    ]
