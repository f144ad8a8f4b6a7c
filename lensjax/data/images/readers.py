"""Read a user's own cutouts for the network. A bad file gives one message and does not end the run.

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

from lensjax.data.images.band_layout import BadInput, BandImage, RawImage
from lensjax.data.images.catalogue import CatalogueRow, read_catalogue
from lensjax.data.images.find_files import HDF5, NUMPY, ImageFiles, ending, find_sources, stem
from lensjax.data.images.fits import read_fits
from lensjax.data.images.hdf5_numpy import read_hdf5, read_numpy
from lensjax.data.images.normalise_band import Units, network_channel, pixel_scale_of, ready, scale_notes
from lensjax.data.images.resample import PixelGrid, model_grid


@dataclass(frozen=True)
class Cutout:
    """One image, ready for the network."""

    id: str  # file stem, or stem[row]
    source: str  # path, as a person would name it
    image: np.ndarray  # float32 [size size c] on the model's grid: asinh(flux / sigma_background), or [0, 1]
    pixel_scale: float  # arcsec, the model's
    label: int | None = None
    position: np.ndarray | None = None  # fractions (row, column), from a catalogue
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Problem:
    """The reason why a file was left out, in one line."""

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
    units: Units = "sigma",
) -> tuple[list[Cutout], list[Problem]]:
    """Read images of files and folders on the model's grid, and a line for each that could not be used.

    FITS (one HDU, a cube, an HDU a band, a file a band, stamps), HDF5 and NumPy files, also gzipped FITS.

    Args:
      bands, pixel_scale, size: the model's: names in order, arcseconds, pixels on a side.
      source_pixel_scale: arcseconds a pixel of the files, over what their headers say.
      hdus: names or numbers of the HDUs (HDF5 data sets, arrays of an .npz), one a band.
      centre: (row, column) in the files' pixels, first pixel 0; the middle of each image by default.
      catalogue: CSV with `file` or `id`, optionally `label`, `x`, `y` (pixels of the file, first pixel 0); a
        `catalogue.csv` in a folder is taken by itself.
      max_nan_fraction: share of the model's field that may be missing and is filled from neighbours.
      units: of the images; of "min_max", images of `size` in [0, 1] without a pixel scale stay as they are.
    """
    wanted = Wanted(
        tuple(bands), pixel_scale, size, source_pixel_scale, tuple(hdus), centre, max_nan_fraction, units
    )
    problems = _wrong_options(wanted)
    if problems:
        return [], problems
    inputs = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    rows, problems = _catalogues(inputs, catalogue, classes)
    sources, faults = find_sources(inputs, bands)
    problems += [Problem(*fault) for fault in faults]
    cutouts: list[Cutout] = []
    met: set[CatalogueRow] = set()
    for source in sources:
        made, faults, used = _cutouts_of(source, wanted, rows)
        cutouts += made
        problems += [Problem(*fault) for fault in faults]
        met |= used
    for row in rows.values():
        if row not in met:
            where = f"{row.catalogue} line {row.line}"
            problems.append(Problem(where, f"names '{row.name}', which is not among the inputs."))
    return cutouts, problems


@dataclass(frozen=True)
class Wanted:
    """The arguments of `read_cutouts` that hold for every image."""

    bands: tuple[str, ...]
    pixel_scale: float
    size: int
    source_pixel_scale: float | None
    hdus: tuple[str, ...]
    centre: tuple[float, float] | None
    max_nan_fraction: float
    units: Units


def _cutouts_of(
    source: ImageFiles, wanted: Wanted, rows: dict[str, CatalogueRow]
) -> tuple[list[Cutout], list[tuple[str, str]], set[CatalogueRow]]:
    """Return an image's cutouts, (where, what) of those that cannot be made, and the catalogue rows used."""
    try:
        raws = _read(source, wanted.bands, wanted.hdus)
    except Exception as error:  # damaged files make the format libraries raise nearly anything
        return [], [(source.name, _line(error))], {row for row in [_row_of(source, "", rows)] if row}
    cutouts, faults, used = [], [], set()
    for raw in raws:
        row = _row_of(source, raw.suffix, rows)
        if row:
            used.add(row)
        where = source.name + raw.suffix
        try:
            image, grid, notes = _network_image(raw.planes, wanted)
        except (BadInput, MemoryError) as error:
            faults.append((where, _line(error)))
            continue
        said = (*source.notes, *raw.notes, *notes)
        cutout = Cutout(source.id + raw.suffix, where, image, float(wanted.pixel_scale), notes=said)
        cutouts.append(_with_truth(cutout, row, grid) if rows else cutout)
    return cutouts, faults, used


def _wrong_options(wanted: Wanted) -> list[Problem]:
    scale, hdus, bands = wanted.source_pixel_scale, wanted.hdus, wanted.bands
    if scale is not None and not (scale > 0 and math.isfinite(scale)):
        return [Problem("--pixel-scale", f"is {scale}; give arcseconds a pixel, above zero.")]
    if hdus and len(hdus) not in (1, len(bands)):
        return [Problem("--hdus", f"names {len(hdus)}; give one a band, in the order {', '.join(bands)}.")]
    return []


def _catalogues(
    inputs: Sequence[str | Path], catalogue: str | Path | None, classes: Sequence[str]
) -> tuple[dict[str, CatalogueRow], list[Problem]]:
    """Return rows by name, of the given catalogue or of each folder's, and what is wrong with them."""
    inside = [Path(entry) / "catalogue.csv" for entry in inputs]
    paths = [Path(catalogue)] if catalogue is not None else [path for path in inside if path.is_file()]
    rows: dict[str, CatalogueRow] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            more, faults = read_catalogue(path, classes)
            rows |= {row.name: row for row in more}
            problems += [Problem(*fault) for fault in faults]
        except BadInput as error:
            problems.append(Problem(str(path), str(error)))
    return rows, problems


def _row_of(source: ImageFiles, suffix: str, rows: dict[str, CatalogueRow]) -> CatalogueRow | None:
    """Find the row of an image: by id, or by a file's name or the end of its path, with or without ending."""
    names = [source.id]
    for path in source.paths:
        ends = ["/".join(path.parts[-n:]) for n in range(1, len(path.parts) + 1)] + [str(path)]
        names += ends + [end.removesuffix(path.name) + stem(path) for end in ends]
    of_image = next((rows[name + suffix] for name in names if name + suffix in rows), None)
    of_file = next((rows[name] for name in names if name in rows), None)
    return of_image or (replace(of_file, xy=None) if of_file and suffix else of_file)


def _read(source: ImageFiles, bands: Sequence[str], hdus: Sequence[str]) -> list[RawImage]:
    """Read the images of a source; a source of one file a band gives one image."""
    if not source.bands:
        return _read_file(source.paths[0], bands, hdus)
    missing = [band for band in bands if band not in source.bands]
    if missing:
        raise BadInput(f"has no file for band {', '.join(missing)}; the model needs {', '.join(bands)}.")
    planes: list[BandImage] = []
    notes: list[str] = []
    for i, (band, path) in enumerate(zip(bands, source.paths, strict=True)):
        raws = _read_file(path, [band], hdus if len(hdus) < 2 else [hdus[i]])
        if len(raws) > 1:
            raise BadInput(f"has {len(raws)} images in {path.name}; name one with --hdus.")
        planes.append(raws[0].planes[0])
        notes += raws[0].notes
    return [RawImage(tuple(planes), notes=tuple(notes))]


def _read_file(path: Path, bands: Sequence[str], hdus: Sequence[str]) -> list[RawImage]:
    if path.stat().st_size == 0:
        raise BadInput("is empty (0 bytes); copy it again.")
    kind = ending(path)
    read = read_hdf5 if kind in HDF5 else read_numpy if kind in NUMPY else read_fits
    return read(path, bands, hdus)


def _network_image(planes: Sequence[BandImage], wanted: Wanted) -> tuple[np.ndarray, PixelGrid, list[str]]:
    """Return float32 [size size c], the first band's grid, and notes."""
    given, bands = wanted.source_pixel_scale, wanted.bands
    first = planes[0].image.shape
    if given is not None and any(max(p.image.shape) != max(first) for p in planes):
        pairs = zip(bands, (plane.image.shape for plane in planes), strict=True)
        sizes = ", ".join(f"{band} {h}×{w}" for band, (h, w) in pairs)
        raise BadInput(
            f"has bands of several sizes ({sizes}); put PIXSCALE in each header instead of one flag."
        )
    if wanted.units == "min_max" and given is None and all(plane.pixel_scale is None for plane in planes):
        images = [plane.image for plane in planes]
        if ready(images, wanted.size):
            whole = PixelGrid(1.0, (0.0, 0.0), wanted.size)
            return np.stack(images, axis=-1).astype(np.float32), whole, ["in [0, 1]: taken as it is"]
    channels, grids, notes = [], [], []
    for plane, band in zip(planes, bands, strict=True):
        scale = pixel_scale_of(plane, given)
        centre_here = _same_place(wanted.centre, first, plane.image.shape)
        grid = model_grid(plane.image.shape, scale, wanted.pixel_scale, wanted.size, centre_here)
        channel, remarks = network_channel(plane, grid, band, wanted.max_nan_fraction, wanted.units)
        channels.append(channel)
        grids.append(grid)
        notes += remarks + scale_notes(plane, scale, given, wanted.pixel_scale)
    return np.stack(channels, axis=-1).astype(np.float32), grids[0], list(dict.fromkeys(notes))


def _same_place(
    centre: tuple[float, float] | None, first: tuple[int, ...], shape: tuple[int, ...]
) -> tuple[float, float] | None:
    """Return the pixel of a band of `shape` that lies where `centre` is in the first band."""
    if centre is None:
        return None
    row, column = ((c + 0.5) * n / m - 0.5 for c, n, m in zip(centre, shape, first, strict=True))
    return row, column


def _with_truth(cutout: Cutout, row: CatalogueRow | None, grid: PixelGrid) -> Cutout:
    """Add label and position of the catalogue's row."""
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
    """Say in one line for the user what was raised."""
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
