"""Real lenses of SLACS, BELLS and SL2S as Project Dinos publishes them: one folder a lens, an HDF5 a filter.

The lens lies at the origin of the file's coordinates; `tables/*_mass_params.csv` hold the Einstein radii.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from lensjax.data.images.band_layout import BadInput
from lensjax.data.images.readers import read_cutouts
from lensjax.data.images.resample import model_grid
from lensjax.types import Float

FILTERS = ("F814W", "F600LP", "F606W", "F555W", "F475X", "F435W", "F390W")
"""The one taken of a lens is the first of these that it has: nearest to what the network was trained on."""
RADIUS = ("R_Ein", "theta_E")
NAME = ("Lens_name", "name", "lens_name")


@dataclass(frozen=True)
class Lens:
    """One lens in one filter."""

    id: str
    filter: str
    path: Path
    centre: tuple[float, float]  # row and column of the coordinate origin, first pixel 0
    shape: tuple[int, int]
    pixel_scale: float  # arcsec
    theta_e: float  # arcsec; NaN where no table has it


def find_lenses(folder: str | Path, filters: Sequence[str] = FILTERS) -> tuple[list[Lens], list[str]]:
    """Find one lens a folder, sorted by name, and a line for each that cannot be used.

    Raises:
      BadInput: no such folder, or none of its folders has a filter's HDF5.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInput(f"'{folder}' is no folder; give one with a folder a lens and FILTER.h5 in each.")
    radii = einstein_radii(folder / "tables") if (folder / "tables").is_dir() else {}
    lenses, problems = [], []
    for inside in sorted(path for path in folder.iterdir() if path.is_dir() and path.name != "tables"):
        path = next((inside / f"{name}.h5" for name in filters if (inside / f"{name}.h5").is_file()), None)
        if path is None:
            if any(inside.glob("F*.h5")):
                problems.append(f"{inside}: has none of the filters {', '.join(filters)}.")
            continue
        try:
            lenses.append(_lens(path, radii.get(inside.name, math.nan)))
        except (OSError, KeyError, ValueError, np.linalg.LinAlgError) as error:
            problems.append(f"{path}: {str(error)[:120]}")
    if not lenses and not problems:
        raise BadInput(f"'{folder}' has no folder with {' or '.join(f'{name}.h5' for name in filters[:2])} …")
    return lenses, problems


def _lens(path: Path, theta_e: float) -> Lens:
    with h5py.File(path, "r") as file:
        missing = [
            k for k in ("image_data", "transform_pix2angle", "ra_at_xy_0", "dec_at_xy_0") if k not in file
        ]
        if missing:
            raise BadInput(f"lacks the data set {', '.join(missing)}; is it a file of Project Dinos?")
        transform = np.asarray(file["transform_pix2angle"][()], float)
        origin = np.array([file["ra_at_xy_0"][()], file["dec_at_xy_0"][()]], float)
        shape = file["image_data"].shape
    column, row = np.linalg.solve(transform, -origin)
    scale = math.sqrt(abs(float(np.linalg.det(transform))))
    return Lens(path.parent.name, path.stem, path, (float(row), float(column)), shape, scale, theta_e)


def einstein_radii(folder: str | Path) -> dict[str, float]:
    """Read arcseconds by the lens's name, from a folder's CSV tables with a column R_Ein or theta_E.

    Models of the same study (R_Ein) go before compilations (theta_E).

    Raises:
      BadInput: no table has such a column.
    """
    found: dict[str, float] = {}
    tables = 0
    for column in RADIUS:
        for path in sorted(Path(folder).glob("*.csv")):
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows = list(csv.DictReader(file))
            name = next((n for n in NAME if rows and n in rows[0]), None)
            if name is None or column not in rows[0]:
                continue
            tables += 1
            for row in rows:
                if row[column].strip() and float(row[column]) > 0:
                    found.setdefault(row[name].strip(), float(row[column]))
    if not tables:
        raise BadInput(f"'{folder}' has no CSV with the columns {NAME[0]} and {' or '.join(RADIUS)}.")
    return found


def cutout(
    lens: Lens, band: str, size: int, pixel_scale: float, offset: tuple[float, float] = (0.0, 0.0)
) -> tuple[Float[np.ndarray, "size size 1"], Float[np.ndarray, "2"]]:
    """Return the image on the model's grid, and where the lens is in it, as fractions (row, column).

    Args:
      offset: of the cutout's middle from the lens, arcseconds (row, column): so that the middle is no answer.

    Raises:
      BadInput: the file cannot be used, or is too small; names it.
    """
    row, column = (c + o / lens.pixel_scale for c, o in zip(lens.centre, offset, strict=True))
    found, problems = read_cutouts(
        lens.path, bands=[band], pixel_scale=pixel_scale, size=size, centre=(row, column), hdus=["image_data"]
    )
    if not found:
        raise BadInput(str(problems[0]))
    grid = model_grid(lens.shape, lens.pixel_scale, pixel_scale, size, (row, column))
    return found[0].image, grid.fraction(*lens.centre)
