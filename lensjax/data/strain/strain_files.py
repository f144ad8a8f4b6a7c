"""Strain of a detector from GWOSC HDF5 files, its gaps and its quality flags.

Layout of a file (https://gwosc.org): `strain/Strain` float64 with the attributes Xstart (GPS), Xspacing (s);
`meta/Detector`, `meta/GPSstart`; in `quality/simple` and `quality/injections` a bit mask a second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from lensjax.runtime.errors import UserError


@dataclass(frozen=True)
class Strain:
    """A stretch of strain; NaN where there are no data."""

    values: np.ndarray  # float64 [n]
    sample_rate: float  # Hz
    gps_start: float
    detector: str
    quality: np.ndarray | None = None  # bool [seconds flags], True: passed
    flags: tuple[str, ...] = ()
    source: str = ""

    @property
    def gps_end(self) -> float:
        return self.gps_start + len(self.values) / self.sample_rate

    @property
    def range(self) -> str:
        return f"GPS {self.gps_start:.3f} to {self.gps_end:.3f}"


def read_strain(path: str | Path, span: tuple[float, float] | None = None) -> Strain:
    """Read the strain of a GWOSC HDF5 file, or what of it lies in a span of GPS times.

    Raises:
      UserError: the file is missing, truncated, no HDF5 file, holds no strain or none in the span, nothing
        but NaN, or attributes that contradict each other.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; give a GWOSC HDF5 file.")
    try:
        with h5py.File(path, "r") as file:
            return _read(file, path, span)
    except (OSError, RuntimeError) as error:
        reason = "truncated or damaged" if h5py.is_hdf5(path) else "no HDF5 file"
        detail = str(error).splitlines()[0]
        raise UserError(f"{path.name}: {reason} ({detail}); download it again.") from None


def is_strain(path: Path) -> bool:
    """Tell whether it is an HDF5 file with the strain of a detector."""
    try:
        with h5py.File(path, "r") as file:
            return "strain/Strain" in file
    except (OSError, RuntimeError):
        return False


def _read(file: h5py.File, path: Path, span: tuple[float, float] | None) -> Strain:
    data = file.get("strain/Strain")
    if not isinstance(data, h5py.Dataset):
        found = ", ".join(sorted(file)) or "nothing"
        raise UserError(f"{path.name}: has no data set strain/Strain (top level: {found}); GWOSC files have.")
    if data.ndim != 1 or not np.issubdtype(data.dtype, np.floating) or not len(data):
        raise UserError(
            f"{path.name}: strain/Strain is {data.dtype} {list(data.shape)}; it must be a row of floats."
        )
    start, rate = _axis(file, data, path)
    first, last = 0, len(data)
    if span is not None:
        first = max(0, round((span[0] - start) * rate))
        last = min(len(data), round((span[1] - start) * rate))
        if first >= last:
            raise UserError(
                f"{path.name}: GPS {span[0]:g} to {span[1]:g} lies outside its "
                f"{start:.3f} to {start + len(data) / rate:.3f}."
            )
    values = data[first:last].astype(np.float64)
    if not np.isfinite(values).any():
        raise UserError(f"{path.name}: all {len(values)} samples are NaN: the detector took no data here.")
    begin = start + first / rate
    quality, flags = _quality(file, begin, len(values) / rate)
    return Strain(values, rate, begin, _detector(file, path), quality, flags, str(path))


def _axis(file: h5py.File, data: h5py.Dataset, path: Path) -> tuple[float, float]:
    """Return GPS of the first sample and samples a second, agreed by all that speak of them."""
    known = {name: np.ravel(data.attrs[name]) for name in ("Xstart", "Xspacing") if name in data.attrs}
    if len(known) < 2 or any(value.size != 1 for value in known.values()):
        raise UserError(f"{path.name}: strain/Strain needs one number each for Xstart and Xspacing.")
    start, spacing = (float(known[name][0]) for name in ("Xstart", "Xspacing"))
    if not (np.isfinite(start) and np.isfinite(spacing) and 0 < spacing < 1):
        raise UserError(f"{path.name}: Xstart {start:g} and Xspacing {spacing:g} s are no time axis.")
    rate = 1 / spacing
    if abs(rate - round(rate)) < 1e-6 * rate:
        rate = float(round(rate))
    seconds = len(data) / rate
    for name, said, measured in (
        ("Npoints", data.attrs.get("Npoints"), len(data)),
        ("meta/GPSstart", _scalar(file, "meta/GPSstart"), start),
        ("meta/Duration", _scalar(file, "meta/Duration"), seconds),
    ):
        if said is not None and abs(float(said) - measured) > 0.5 * spacing:
            raise UserError(f"{path.name}: {name} says {said}, its data say {measured:g}; not used.")
    return start, rate


def _scalar(file: h5py.File, name: str) -> Any:
    item = file.get(name)
    return item[()] if isinstance(item, h5py.Dataset) and item.shape == () else None


def _detector(file: h5py.File, path: Path) -> str:
    said = _scalar(file, "meta/Detector")
    name = said.decode() if isinstance(said, bytes) else str(said or "")
    return name or path.name.split("-")[1][:2] if "-" in path.name else name or "??"


def _quality(file: h5py.File, start: float, seconds: float) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Read flags [seconds flags] of checks and of injections, where the file has them."""
    tables, names = [], []
    for mask, short in (
        ("quality/simple/DQmask", "quality/simple/DQShortnames"),
        ("quality/injections/Injmask", "quality/injections/InjShortnames"),
    ):
        bits, words = file.get(mask), file.get(short)
        if not isinstance(bits, h5py.Dataset) or not isinstance(words, h5py.Dataset) or bits.ndim != 1:
            continue
        origin = int(bits.attrs.get("Xstart", start))
        chosen = bits[int(start) - origin : int(np.ceil(start + seconds)) - origin].astype(np.int64)
        tables.append((chosen[:, None] >> np.arange(len(words))) & 1 == 1)
        names += [word.decode() if isinstance(word, bytes) else str(word) for word in words[()]]
    if not tables or len({len(table) for table in tables}) > 1:
        return None, ()
    return np.concatenate(tables, axis=1), tuple(names)


def flags_missed(strain: Strain, gps: float) -> tuple[str, ...]:
    """Return the names of the flags not set in this second, without continuous injections: they never end."""
    if strain.quality is None:
        return ()
    second = int(gps) - int(strain.gps_start)
    if not 0 <= second < len(strain.quality):
        return ()
    missed = [name for name, passed in zip(strain.flags, strain.quality[second], strict=True) if not passed]
    return tuple(name for name in missed if "CW" not in name.split("_"))


def gaps(strain: Strain) -> list[tuple[int, int]]:
    """Return first sample and the one after the last of each run of NaN (or infinite) samples."""
    bad = np.concatenate([[False], ~np.isfinite(strain.values), [False]])
    edges = np.flatnonzero(bad[1:] != bad[:-1])
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def gaps_in_words(strain: Strain) -> str:
    """Say how many samples are missing and where the first ones are; empty for none."""
    found = gaps(strain)
    if not found:
        return ""
    number = sum(last - first for first, last in found)
    places = [
        f"{strain.gps_start + first / strain.sample_rate:.3f} ({(last - first) / strain.sample_rate:.3g} s)"
        for first, last in found[:3]
    ]
    return f"{number} samples are NaN: from GPS {', '.join(places)}{' …' if len(found) > 3 else ''}"


def cut(strain: Strain, first: int, last: int) -> Strain:
    """Return samples first to last (excluded); flags are kept by the second."""
    start = strain.gps_start + first / strain.sample_rate
    end = strain.gps_start + last / strain.sample_rate
    quality = strain.quality
    if quality is not None:
        origin = int(strain.gps_start)
        quality = quality[int(start) - origin : int(np.ceil(end)) - origin]
    return replace(strain, values=strain.values[first:last], gps_start=start, quality=quality)


def whole_stretches(strain: Strain) -> list[Strain]:
    """Return the stretches between the gaps."""
    edges = [0, *(edge for gap in gaps(strain) for edge in gap), len(strain.values)]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [cut(strain, first, last) for first, last in pairs if last > first]


def whole_stretch(strain: Strain, gps: float) -> Strain:
    """Return the stretch without gaps that holds a time.

    Raises:
      UserError: the time is outside the strain or in a gap.
    """
    if not strain.gps_start <= gps < strain.gps_end:
        raise UserError(f"GPS {gps:.3f} is outside the {strain.detector} strain, {strain.range}.")
    for stretch in whole_stretches(strain):
        if stretch.gps_start <= gps < stretch.gps_end:
            return stretch
    raise UserError(f"GPS {gps:.3f} is in a gap of the {strain.detector} strain: {gaps_in_words(strain)}.")
