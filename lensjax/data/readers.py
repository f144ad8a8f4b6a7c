"""A user's own cutouts, ready for the network. A bad file costs one line, never the run.

Row 0 of an image is row 0 of the array in the file. FITS draws that row at the *bottom*; NumPy's order is
kept, so positions are rows and columns of the array.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lensjax.data.arrays import read_hdf5, read_numpy
from lensjax.data.catalogue import Row, read_catalogue
from lensjax.data.channel import network_channel, pixel_scale_of, scale_notes
from lensjax.data.fits import read_fits
from lensjax.data.layers import BadInput, Plane, Raw
from lensjax.data.resample import Grid, model_grid
from lensjax.data.sources import HDF5, NUMPY, Source, ending, find_sources, stem


@dataclass(frozen=True)
class Cutout:
    """One image, ready for the network."""

    id: str  # file stem, or stem[row]
    source: str  # path, as a person would name it
    image: np.ndarray  # float32 [size size c], asinh(flux / sigma_background), on the model's grid
    pixel_scale: float  # arcsec, the model's
    label: int | None = None
    position: np.ndarray | None = None  # fractions (row, column), from a catalogue
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """Why a file was left out, in one line."""

    source: str
    message: str

    def __str__(self) -> str:
        return f"{self.source}: {self.message}"


def read_cutouts(
    inputs: str | Path | Sequence[str | Path],
    *,
    bands: Sequence[str],
    pixel_scale: float,
    size: int,
    source_pixel_scale: float | None = None,
    hdus: Sequence[str] = (),
    centre: tuple[float, float] | None = None,
    catalogue: str | Path | None = None,
    max_nan_fraction: float = 0.05,
    classes: Sequence[str] = ("non-lens", "lens"),
) -> tuple[list[Cutout], list[Problem]]:
    """Images of files and folders on the model's grid, and a line for each that could not be used.

    FITS (one HDU, a cube, an HDU a band, a file a band, stamps), HDF5 and NumPy files, also gzipped FITS.

    Args:
      bands, pixel_scale, size: the model's: names in order, arcseconds, pixels on a side.
      source_pixel_scale: arcseconds a pixel of the files, over what their headers say.
      hdus: names or numbers of the HDUs (HDF5 data sets, arrays of an .npz), one a band.
      centre: (row, column) in the files' pixels, first pixel 0; the middle of each image by default.
      catalogue: CSV with `file` or `id`, optionally `label`, `x`, `y` (pixels of the file, first pixel 0); a
        `catalogue.csv` in a folder is taken by itself.
      max_nan_fraction: share of the model's field that may be missing and is filled from neighbours.
    """
    wrong = _wrong_options(bands, source_pixel_scale, hdus)
    if wrong:
        return [], wrong
    inputs = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    rows, problems = _catalogues(inputs, catalogue, classes)
    sources, faults = find_sources(inputs, bands)
    problems += [Problem(*fault) for fault in faults]
    cutouts: list[Cutout] = []
    met: set[Row] = set()
    for source in sources:
        try:
            raws = _read(source, bands, hdus)
        except Exception as error:  # damaged files make the format libraries raise nearly anything
            problems.append(Problem(source.name, _line(error)))
            met |= {row for row in rows if _is_row_of(row, source, "")}
            continue
        for raw in raws:
            row = next((row for row in rows if _is_row_of(row, source, raw.suffix)), None)
            met |= {row} if row else set()
            try:
                image, grid, notes = _network_image(
                    raw.planes, bands, pixel_scale, size, source_pixel_scale, centre, max_nan_fraction
                )
            except Exception as error:
                problems.append(Problem(source.name + raw.suffix, _line(error)))
                continue
            name, notes = source.id + raw.suffix, (*source.notes, *raw.notes, *notes)
            cutout = Cutout(name, source.name + raw.suffix, image, float(pixel_scale), notes=notes)
            cutouts.append(_with_truth(cutout, row, grid) if rows else cutout)
    unmet = [row for row in rows if row not in met]
    problems += [
        Problem(f"{row.catalogue} line {row.line}", f"names '{row.name}', which is not among the inputs.")
        for row in unmet
    ]
    return cutouts, problems


def _wrong_options(
    bands: Sequence[str], source_pixel_scale: float | None, hdus: Sequence[str]
) -> list[Problem]:
    if source_pixel_scale is not None and not (source_pixel_scale > 0 and math.isfinite(source_pixel_scale)):
        return [Problem("--pixel-scale", f"is {source_pixel_scale}; give arcseconds a pixel, above zero.")]
    if hdus and len(hdus) not in (1, len(bands)):
        return [Problem("--hdus", f"names {len(hdus)}; give one a band, in the order {', '.join(bands)}.")]
    return []


def _catalogues(
    inputs: Sequence[str | Path], catalogue: str | Path | None, classes: Sequence[str]
) -> tuple[list[Row], list[Problem]]:
    """Rows of the given catalogue, or of each folder's catalogue.csv, and what is wrong with them."""
    inside = [Path(entry) / "catalogue.csv" for entry in inputs]
    paths = [Path(catalogue)] if catalogue is not None else [path for path in inside if path.is_file()]
    rows: list[Row] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            more, faults = read_catalogue(path, classes)
            rows += more
            problems += [Problem(*fault) for fault in faults]
        except BadInput as error:
            problems.append(Problem(str(path), str(error)))
    return rows, problems


def _is_row_of(row: Row, source: Source, suffix: str) -> bool:
    """Whether a row names this image: by id, by file name with or without ending, or by path."""
    path = source.paths[0]
    names = {source.id} | {name for p in source.paths for name in (p.name, stem(p), str(p))}
    if suffix:
        return row.name in {name + suffix for name in names}
    return row.name in names or (len(Path(row.name).parts) > 1 and path.as_posix().endswith("/" + row.name))


def _read(source: Source, bands: Sequence[str], hdus: Sequence[str]) -> list[Raw]:
    """Images of a source; a source of one file a band gives one image."""
    if not source.bands:
        return _read_file(source.paths[0], bands, hdus)
    missing = [band for band in bands if band not in source.bands]
    if missing:
        raise BadInput(f"has no file for band {', '.join(missing)}; the model needs {', '.join(bands)}.")
    planes, notes = [], []
    for i, (band, path) in enumerate(zip(bands, source.paths, strict=True)):
        raws = _read_file(path, [band], hdus if len(hdus) < 2 else [hdus[i]])
        if len(raws) > 1:
            raise BadInput(f"has {len(raws)} images in {path.name}; name one with --hdus.")
        planes.append(raws[0].planes[0])
        notes += raws[0].notes
    return [Raw(tuple(planes), notes=tuple(notes))]


def _read_file(path: Path, bands: Sequence[str], hdus: Sequence[str]) -> list[Raw]:
    if path.stat().st_size == 0:
        raise BadInput("is empty (0 bytes); copy it again.")
    kind = ending(path)
    read = read_hdf5 if kind in HDF5 else read_numpy if kind in NUMPY else read_fits
    return read(path, bands, hdus)


def _network_image(
    planes: Sequence[Plane],
    bands: Sequence[str],
    pixel_scale: float,
    size: int,
    source_pixel_scale: float | None,
    centre: tuple[float, float] | None,
    max_nan_fraction: float,
) -> tuple[np.ndarray, Grid, list[str]]:
    """float32 [size size c], the first band's grid, and notes."""
    first = planes[0].image.shape
    if source_pixel_scale is not None and any(max(p.image.shape) != max(first) for p in planes):
        pairs = zip(bands, (plane.image.shape for plane in planes), strict=True)
        sizes = ", ".join(f"{band} {h}×{w}" for band, (h, w) in pairs)
        raise BadInput(
            f"has bands of several sizes ({sizes}); put PIXSCALE in each header instead of one flag."
        )
    channels, grids, notes = [], [], []
    for plane, band in zip(planes, bands, strict=True):
        scale = pixel_scale_of(plane, source_pixel_scale)
        centre_here = _same_place(centre, first, plane.image.shape)
        grid = model_grid(plane.image.shape, scale, pixel_scale, size, centre_here)
        channel, remarks = network_channel(plane, grid, band, max_nan_fraction)
        channels.append(channel)
        grids.append(grid)
        notes += remarks + scale_notes(plane, scale, source_pixel_scale, pixel_scale)
    return np.stack(channels, axis=-1).astype(np.float32), grids[0], list(dict.fromkeys(notes))


def _same_place(
    centre: tuple[float, float] | None, first: tuple[int, ...], shape: tuple[int, ...]
) -> tuple[float, float] | None:
    """Pixel of a band of `shape` that lies where `centre` is in the first band; both show the same field."""
    if centre is None:
        return None
    row, column = ((c + 0.5) * n / m - 0.5 for c, n, m in zip(centre, shape, first, strict=True))
    return row, column


def _with_truth(cutout: Cutout, row: Row | None, grid: Grid) -> Cutout:
    """Label and position of the catalogue's row."""
    if row is None:
        return replace(cutout, notes=(*cutout.notes, "not in the catalogue"))
    if row.xy is None:
        return replace(cutout, label=row.label)
    position = grid.fraction(row.xy[1], row.xy[0])
    if np.any((position < 0) | (position > 1)):
        note = f"the catalogue's position ({row.xy[0]:g}, {row.xy[1]:g}) is outside the field"
        return replace(cutout, label=row.label, notes=(*cutout.notes, note))
    return replace(cutout, label=row.label, position=position)


def _line(error: Exception) -> str:
    """One line for the user, from whatever was raised."""
    if isinstance(error, BadInput):
        return str(error)
    if isinstance(error, PermissionError):
        return "may not be read (permission denied); change its permissions."
    if isinstance(error, MemoryError):
        return "does not fit in memory; cut out the object."
    if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
        return f"is a damaged gzip file ({_first(error)}); copy it again."
    return f"cannot be read ({_first(error)}); the file is damaged, or not what its name says."


def _first(error: Exception) -> str:
    return (str(error).strip().split("\n")[0] or type(error).__name__)[:120]
