"""Read real galaxies that are no lenses (GalSim's RealGalaxyCatalog) and fit them to the network's field.

A catalogue names for each galaxy the FITS file and HDU of its stamp, the pixel scale, and its place on the
sky. Most stamps are smaller than the field: what they lack is noise like their own.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy.ndimage import gaussian_filter

from lensjax.config import Config, LensData
from lensjax.data.images.band_layout import BadInput
from lensjax.data.images.noise import sky_and_sigma
from lensjax.data.images.resample import model_grid, resample
from lensjax.data.store.datasets import Source, Stored
from lensjax.runtime.errors import UserError
from lensjax.simulate.lenses.instruments import get_instrument
from lensjax.types import Float

COLUMNS = (
    "IDENT",
    "RA",
    "DEC",
    "MAG",
    "GAL_FILENAME",
    "GAL_HDU",
    "PIXEL_SCALE",
    "NOISE_MEAN",
    "NOISE_VARIANCE",
)
TAPER = 4  # pixels over which a stamp's rim fades into noise
ZOOM = (1.0, 3.0)  # of training: as if up to three times nearer, at the same surface brightness
LEAST = 12  # pixels across a stamp that can be used


@dataclass(frozen=True)
class Galaxy:
    """A stamp, as its file has it."""

    id: str  # catalogue folder and IDENT
    image: Float[np.ndarray, "h w"]
    pixel_scale: float  # arcsec
    magnitude: float
    noise: tuple[float, float]  # mean and standard deviation of a pixel of the sky, as the catalogue says
    sky: tuple[float, float]  # right ascension and declination, degrees

    @property
    def held_out(self) -> bool:
        """Half of the galaxies, for ever: by their place on the sky, as one may be in several catalogues."""
        return zlib.crc32(f"{self.sky[0]:.4f} {self.sky[1]:.4f}".encode()) % 2 == 1


def read_galaxies(folder: str | Path) -> list[Galaxy]:
    """Read the galaxies of every catalogue below a folder, by path and row; each place on the sky once.

    Raises:
      BadInput: no such folder, no catalogue in it, or a stamp that is missing or damaged, which is named.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInput(f"'{folder}' is no folder; give one with real-galaxy catalogues and their stamps.")
    found: dict[tuple[float, float], Galaxy] = {}
    catalogues = 0
    for path in sorted(folder.rglob("*.fits")):
        rows = _catalogue(path)
        if rows is not None:
            catalogues += 1
            for galaxy in _stamps(path, rows):
                found.setdefault(galaxy.sky, galaxy)
    if not catalogues:
        raise BadInput(f"'{folder}' holds no FITS table with the columns {', '.join(COLUMNS)}.")
    return list(found.values())


def _catalogue(path: Path) -> np.ndarray | None:
    """Read the rows of a real-galaxy catalogue; None for any other FITS file."""
    try:
        with fits.open(path, memmap=False) as hdus:
            table = hdus[1] if len(hdus) > 1 else None
            if isinstance(table, fits.BinTableHDU) and set(COLUMNS) <= set(table.columns.names):
                return np.asarray(table.data)
    except OSError as error:
        raise BadInput(f"'{path}' cannot be read ({str(error)[:80]}); copy it again.") from error
    return None


def _stamps(catalogue: Path, rows: np.ndarray) -> list[Galaxy]:
    galaxies = []
    for name in dict.fromkeys(rows["GAL_FILENAME"].tolist()):
        text = name.decode() if isinstance(name, bytes) else str(name)
        path = catalogue.parent / text.strip()
        if not path.is_file():
            raise BadInput(f"'{catalogue}' names '{path.name}', which is not beside it; copy it there.")
        try:
            with fits.open(path, memmap=False) as hdus:
                for row in rows[rows["GAL_FILENAME"] == name]:
                    galaxies.append(_galaxy(catalogue, row, hdus[int(row["GAL_HDU"])].data))
        except (OSError, IndexError, TypeError, ValueError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"'{path}' is damaged ({str(error)[:80]}); copy it again.") from error
    return galaxies


def _galaxy(catalogue: Path, row: np.void, image: np.ndarray | None) -> Galaxy:
    name = f"{catalogue.parent.name}-{int(row['IDENT'])}"
    if image is None or image.ndim != 2 or min(image.shape) < LEAST or not np.isfinite(image).all():
        raise BadInput(
            f"'{catalogue}' galaxy {name}: its stamp is no finite image of {LEAST} pixels or more."
        )
    sky = (round(float(row["RA"]), 4), round(float(row["DEC"]), 4))
    pixels = np.asarray(image, np.float64)
    noise = float(row["NOISE_MEAN"]), float(np.sqrt(row["NOISE_VARIANCE"]))
    return Galaxy(name, pixels, float(row["PIXEL_SCALE"]), float(row["MAG"]), noise, sky)


def place(
    galaxy: Galaxy,
    size: int,
    pixel_scale: float,
    rng: np.random.Generator,
    *,
    zoom: float = 1.0,
    correlation: float = 0.48,
) -> Float[np.ndarray, "size size 1"]:
    """Place a galaxy in the middle of the model's field, asinh(flux / σ) with σ the noise of its own stamp.

    Args:
      zoom: how many times nearer it is drawn; surface brightness stays.
      correlation: width (standard deviation, pixels) of the Gaussian that correlates the noise around it.
    """
    grid = model_grid(galaxy.image.shape, galaxy.pixel_scale * zoom, pixel_scale, size)
    values, covered = resample(galaxy.image, grid)
    # Light fills the rim of a small stamp: it can only widen what is measured there.
    level, stated = galaxy.noise
    sigma = min(sky_and_sigma(values, covered)[1] or stated, stated)
    white = gaussian_filter(rng.standard_normal((size, size)), correlation)
    noise = white / white.std()
    # A weight that falls to 0 at the stamp's rim; variances add up to the same noise everywhere.
    weight = np.minimum(_depth(covered) / TAPER, 1.0)
    image = weight * (values - level) / max(sigma, 1e-30) + np.sqrt(1 - weight**2) * noise
    return np.arcsinh(image)[..., None].astype(np.float32)


def _depth(covered: np.ndarray) -> np.ndarray:
    """Return pixels from the rim of a covered rectangle, 0 outside; a rim beyond the field is at infinity."""
    depth = np.full(covered.shape, np.inf)
    for axis in (0, 1):
        at = np.flatnonzero(covered.any(1 - axis))
        place, last = np.arange(covered.shape[axis]), covered.shape[axis] - 1
        below = place - at[0] if at[0] > 0 else np.inf
        above = at[-1] - place if at[-1] < last else np.inf
        along = np.broadcast_to(np.minimum(below, above), place.shape)
        depth = np.minimum(depth, np.expand_dims(along, 1 - axis))
    return np.where(covered, depth, 0.0)


def with_negatives(source: Source, config: Config) -> Source:
    """Replace a share of the training split's non-lenses by real galaxies where the data ask for it.

    Raises:
      UserError: as `mixed`.
    """
    data = config.data
    if not isinstance(data, LensData) or not data.negatives:
        return source
    scale = get_instrument(data.instrument).pixel_scale
    return mixed(source, data.negatives, data.negative_share, scale, config.seed)


def check_negatives(config: Config) -> None:
    """Refuse real galaxies that cannot be mixed in, before anything costs time.

    Raises:
      UserError: as `mixed`.
    """
    if isinstance(config.data, LensData) and config.data.negatives:
        for_training(config.data.negatives, config.data.negative_share)


def for_training(folder: str, share: float) -> list[Galaxy]:
    """Read the galaxies of a folder that are not held out."""
    if not 0 < share <= 1:
        raise UserError(f"data.negative_share (={share}) must lie in (0, 1].")
    galaxies = [galaxy for galaxy in read_galaxies(folder) if not galaxy.held_out]
    if not galaxies:
        raise BadInput(f"'{folder}' has no galaxy for training: all of them are held out.")
    return galaxies


def mixed(source: Source, folder: str, share: float, pixel_scale: float, seed: int) -> Source:
    """Return a split with a share of its non-lenses replaced by real galaxies that are not held out.

    Each at a zoom of its own and in noise of its own; label non-lens, no position, no evidence, no truth.

    Raises:
      UserError: a share outside (0, 1], or a split that is too large for memory or has several bands.
      BadInput: no galaxies there.
    """
    galaxies = for_training(folder, share)
    if isinstance(source.image, Stored) or source.image.shape[-1] != 1:
        raise UserError("data.negatives is for one band and a training split that fits into memory.")
    rng, size = np.random.default_rng((seed, 2)), source.image.shape[1]
    others = np.flatnonzero(source.label == 0)
    rows = np.sort(rng.choice(others, round(share * len(others)), replace=False))
    image, mask, position = (values.copy() for values in (source.image, source.mask, source.position))
    names = source.id.astype(object)
    for number, row in enumerate(rows):
        galaxy = galaxies[number % len(galaxies)]
        image[row] = place(galaxy, size, pixel_scale, rng, zoom=rng.uniform(*ZOOM))
        names[row] = f"{galaxy.id}-{number}"
    mask[rows], position[rows] = False, np.nan
    truth = {name: values.copy() for name, values in source.truth.items()}
    for values in truth.values():
        values[rows] = np.nan
    light = None if source.light is None else source.light.copy()
    if light is not None:
        light[rows] = 0
    pixels = replace(source, image=image, mask=mask, light=light)
    return replace(pixels, position=position, id=names.astype(str), truth=truth)
