"""Turn strain around a time into a network input: whiten, scan on Q planes, encode."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import numpy as np

from lensjax.data.strain.strain_files import Strain, cut, flags_missed, gaps, gaps_in_words, whole_stretch
from lensjax.event_axes import WINDOWS, Encoding
from lensjax.ops.stored_images import to_float32
from lensjax.runtime.errors import UserError
from lensjax.spectrogram.pictures import encode, get_picture_options, scan_pictures
from lensjax.spectrogram.q_planes import ScanConfig, describe_reach
from lensjax.spectrogram.qtransform import Scan, q_scan
from lensjax.spectrogram.whitening import whiten
from lensjax.types import Float

LOCAL = 64.0
"""Seconds of strain around a time of which the noise is measured, as in the official pictures."""
BLOCK = 16.0
"""Seconds of whitened strain that are scanned, where there are as many."""
EDGE = 1.0
"""Seconds that whitening spoils at each end."""
REACH = EDGE + max(WINDOWS) / 2
"""Least seconds from a time to the end of its strain."""

_pictures = jax.jit(scan_pictures, static_argnames=("config", "plane"))
_whiten = jax.jit(whiten, static_argnames=("sample_rate",))


@dataclass(frozen=True)
class Whitened:
    """Strain of unit variance a sample, the spoilt ends cut off."""

    values: np.ndarray  # float32 [n]
    sample_rate: float
    gps_start: float

    @property
    def gps_end(self) -> float:
        return self.gps_start + len(self.values) / self.sample_rate


def whitened(strain: Strain) -> Whitened:
    """Whiten all of a stretch without gaps by its own noise.

    Raises:
      UserError: it is shorter than 4 s, or constant.
    """
    if len(strain.values) and np.ptp(strain.values) == 0:
        raise UserError(f"the {strain.detector} strain, {strain.range}, is constant: no data.")
    edge = round(EDGE * strain.sample_rate)
    values = np.asarray(_whiten(strain.values, strain.sample_rate))
    return Whitened(values[edge:-edge], strain.sample_rate, strain.gps_start + edge / strain.sample_rate)


def around(strain: Strain, gps: float) -> Strain:
    """Return the stretch without gaps that holds a time, 32 s on both sides of it at most.

    Raises:
      UserError: the time is outside the strain, in a gap, or within 3 s of the end of its stretch.
    """
    stretch = whole_stretch(strain, gps)
    low, high = stretch.gps_start + REACH, stretch.gps_end - REACH
    if not low <= gps <= high:
        what = "a gap" if gaps(strain) else "the end"
        rule = (
            f"choose {low:.3f} to {high:.3f}" if low <= high else f"{2 * REACH:g} s in one piece are needed"
        )
        raise UserError(
            f"GPS {gps:.3f} is within {REACH:g} s of {what} of the {strain.detector} strain, "
            f"{stretch.range}; {rule}."
        )
    first = round((gps - LOCAL / 2 - stretch.gps_start) * stretch.sample_rate)
    last = round((gps + LOCAL / 2 - stretch.gps_start) * stretch.sample_rate)
    return cut(stretch, max(first, 0), min(last, len(stretch.values)))


def block_at(
    white: Whitened, gps: float, **settings: object
) -> tuple[Float[np.ndarray, " n"], ScanConfig, float]:
    """Return a block that holds a time, if possible in its middle; its scan; the time from its middle (s)."""
    length = white.gps_end - white.gps_start
    duration = min(BLOCK, float(np.floor(length + 1e-6)))
    config = ScanConfig(sample_rate=white.sample_rate, duration=duration, **settings)  # type: ignore[arg-type]
    first = round((gps - duration / 2 - white.gps_start) * white.sample_rate)
    first = min(max(first, 0), len(white.values) - config.samples)
    middle = white.gps_start + first / white.sample_rate + duration / 2
    return white.values[first : first + config.samples], config, gps - middle


def event_at(
    strain: Strain,
    gps: float,
    *,
    size: tuple[int, int] = (140, 170),
    encoding: Encoding = "clipped",
    plane: str = "loudest",
) -> tuple[Float[np.ndarray, "t h w c"], Scan, tuple[str, ...]]:
    """Return the event at a GPS time as the network sees it, its scan, and what to know of it.

    The block of 16 s around the time is whitened by the noise of up to 64 s around it. Where there is less
    strain the block is shorter, or the time is not in its middle, and a note says so.

    Raises:
      UserError: the time is outside the strain, in a gap, or within 3 s of their ends; the sampling rate
        carries no row of some plane.
    """
    local = around(strain, gps)
    block, config, centre = block_at(whitened(local), gps, **get_picture_options(size, encoding))
    scan, energy = _pictures(block, config, plane, np.float32(centre))
    image = to_float32(encode(np.asarray(energy), encoding))
    return image, scan, _notes(strain, gps, config, centre)


def _notes(strain: Strain, gps: float, config: ScanConfig, centre: float) -> tuple[str, ...]:
    notes = []
    if config.duration < BLOCK:
        notes.append(f"only {config.duration:g} s of strain to scan: the medians of slow rows are noisy")
    if abs(centre) > 2 / config.sample_rate:
        notes.append(f"the time is {centre:+.2f} s from the middle of the block scanned")
    reach = describe_reach(config)
    if "0 above" in reach:
        notes.append(reach.rstrip("."))
    if gaps(strain):
        notes.append(gaps_in_words(strain))
    missed = flags_missed(strain, gps)
    if missed:
        notes.append(f"quality flags not set in this second: {', '.join(missed)}")
    return tuple(notes)


@partial(jax.jit, static_argnames="config")
def loudest(block: jax.Array, centres: jax.Array, config: ScanConfig) -> dict[str, jax.Array]:
    """Find the loudest tile within `config.search` of each time [n] from the block's middle, on all planes.

    The tiles are computed once for all times; pictures nobody looks at are best small (`config.shape`).
    """

    def one(centre: jax.Array) -> dict[str, jax.Array]:
        scan = q_scan(block, config, centre)
        time = centre + scan.peak_time
        return {"energy": scan.peak_energy, "time": time, "frequency": scan.peak_frequency, "q": scan.q}

    return jax.lax.map(one, centres)
