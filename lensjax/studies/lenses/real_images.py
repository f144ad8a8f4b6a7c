"""Read images for the studies of real lenses: lenses, the same without asymmetric light, galaxies, rings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, shift

from lensjax.config import LensData
from lensjax.data.images.band_layout import BadInput
from lensjax.data.images.noise import sky_and_sigma
from lensjax.data.surveys import galaxies, hst_lenses
from lensjax.inspection.restore import Trained
from lensjax.runtime.errors import UserError
from lensjax.types import Bool, Float

TRIVIAL = ("total flux", "central flux", "flux 0.7–2″")
"""Scores that need no network."""
NEAR = 1.0  # arcsec about the middle within which the galaxy's peak of light is looked for
OFFSET = 0.4  # arcsec, half-width of the offset of a cutout's middle from its lens
SUBTRACT = 2.0  # noise widths by which a pixel must outshine its counterpart to count as asymmetric


@dataclass(frozen=True)
class RealLenses:
    """Real lenses on the model's grid, one row each."""

    id: list[str]
    filter: list[str]
    image: Float[np.ndarray, "n h w 1"]  # lens in the middle
    position: Float[np.ndarray, "n 2"]  # of the coordinate origin, fractions
    moved: Float[np.ndarray, "n h w 1"]  # the same lenses, off the middle
    moved_position: Float[np.ndarray, "n 2"]
    theta_e: Float[np.ndarray, " n"]  # arcsec; NaN where no table has it
    problems: list[str]

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True)
class RealImages:
    """Every image of the studies on the networks' grid."""

    lenses: RealLenses
    without_arcs: Float[np.ndarray, "n h w 1"]
    galaxies: Float[np.ndarray, "m h w 1"]
    galaxy_ids: list[str]
    rings: Float[np.ndarray, "k h w 1"]
    is_ring: Bool[np.ndarray, " k"]
    pixel_scale: float


def read_real_images(
    runs: Sequence[Trained], lenses: Path, galaxies: Path, rings: Path, held_out: bool = False
) -> RealImages:
    """Read the images, on the grid that all runs share.

    Of the galaxies all, or those held out where one of the runs has trained on the others, or as asked.

    Raises:
      UserError: no run, or one of several bands or of another grid than the first; or an input that cannot
        be used.
    """
    if not runs:
        raise UserError("no run was given: name the folders of one or more trained networks.")
    first = runs[0].config.data
    for run in runs:
        data = run.config.data
        if not isinstance(data, LensData) or not isinstance(first, LensData) or len(run.bands) != 1:
            raise UserError(f"'{run.workdir}' is no lens finder of one band, such as configs/lens_hst.py.")
        if (data.size, run.pixel_scale) != (first.size, runs[0].pixel_scale):
            raise UserError(f"'{run.workdir}' and '{runs[0].workdir}' see images of another size or scale.")
    assert isinstance(first, LensData)  # as the loop has seen
    size, scale, band = first.size, runs[0].pixel_scale, runs[0].bands[0]
    assert scale is not None  # images of the sky have one
    found = read_lenses(lenses, band, size, scale)
    held_out = held_out or any(isinstance(d := run.config.data, LensData) and d.negatives for run in runs)
    some, placed = read_galaxies(galaxies, size, scale, held_out)
    ring_images, is_ring = read_rings(rings, size)
    without = remove_lopsided_light(found.image, scale)
    return RealImages(found, without, placed, [galaxy.id for galaxy in some], ring_images, is_ring, scale)


def read_lenses(folder: Path, band: str, size: int, pixel_scale: float, seed: int = 0) -> RealLenses:
    """Read the lenses of a folder, one filter each; those that cannot be used are in `problems`.

    Raises:
      BadInput: none can be used.
    """
    found, problems = hst_lenses.find_lenses(folder)
    rng = np.random.default_rng(seed)
    rows = []
    for lens in found:
        row, column = rng.uniform(-OFFSET, OFFSET, 2)
        try:
            image, at = hst_lenses.cutout(lens, band, size, pixel_scale)
            moved, moved_at = hst_lenses.cutout(lens, band, size, pixel_scale, (row, column))
        except BadInput as error:
            problems.append(str(error))
            continue
        rows.append((lens.id, lens.filter, image, at, moved, moved_at, lens.theta_e))
    if not rows:
        raise BadInput(f"'{folder}' has no usable lens: {problems[0] if problems else 'it is empty'}")
    name, used, *arrays = (list(column) for column in zip(*rows, strict=True))
    image, at, moved, moved_at, theta_e = (np.stack(array) for array in arrays)
    return RealLenses(name, used, image, at, moved, moved_at, theta_e.astype(float), problems)


def read_rings(path: Path, size: int) -> tuple[Float[np.ndarray, "n h w 1"], Bool[np.ndarray, " n"]]:
    """Read DECaLS galaxies as one band in units of their noise, and whether each is a ring galaxy.

    The colours' mean is taken as flux although the pictures are stretched, and a pixel of 0.262″ for one of
    the model's: within this set a ring can be compared with a galaxy without, nothing else.

    Raises:
      BadInput: no such file, or not of this layout.
    """
    path = path if path.suffix == ".npz" else next(iter(sorted(path.glob("*.npz"))), path)
    try:
        with np.load(path, allow_pickle=False) as file:
            pictures, ring = file["images"], file["ring"] == 1
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"'{path}' is no .npz with images and ring ({str(error)[:80]}).") from error
    if pictures.ndim != 4 or pictures.shape[-1] != 3 or len(pictures) != len(ring):
        raise BadInput(
            f"'{path}' has images {pictures.shape}, ring {ring.shape}; [n h w 3] and [n] are needed."
        )
    if min(pictures.shape[1:3]) < size:
        raise BadInput(f"'{path}' has {pictures.shape[1]} pixels a side; the network wants {size}.")
    low = (pictures.shape[1] - size) // 2
    grey = pictures.mean(-1)[:, low : low + size, low : low + size]
    images = []
    for one in grey:
        sky, sigma = sky_and_sigma(one, np.ones(one.shape, bool))
        # Bytes: where the sky shows no scatter its noise is below a step.
        images.append(np.arcsinh((one - sky) / max(sigma, 1 / np.sqrt(12))))
    return np.stack(images)[..., None].astype(np.float32), ring


def read_galaxies(
    folder: Path, size: int, pixel_scale: float, held_out: bool, seed: int = 0
) -> tuple[list[galaxies.Galaxy], Float[np.ndarray, "n h w 1"]]:
    """Read all galaxies or those held out, each in the middle of the model's field."""
    found = [one for one in galaxies.read_galaxies(folder) if one.held_out or not held_out]
    rng = np.random.default_rng(seed)
    return found, np.stack([galaxies.place(one, size, pixel_scale, rng) for one in found])


def find_peak_of_light(image: Float[np.ndarray, "h w c"], pixel_scale: float) -> Float[np.ndarray, "2"]:
    """Return row and column, in fractions, of the brightest pixel near the middle of the first band."""
    smooth = gaussian_filter(np.sinh(image[..., 0]), 0.1 / pixel_scale)
    rows, columns = np.indices(smooth.shape)
    middle = (np.array(smooth.shape) - 1) / 2
    near = np.hypot(rows - middle[0], columns - middle[1]) * pixel_scale < NEAR
    peak = np.unravel_index(np.where(near, smooth, -np.inf).argmax(), smooth.shape)
    return (np.array(peak) + 0.5) / smooth.shape


def remove_lopsided_light(
    images: Float[np.ndarray, "n h w 1"], pixel_scale: float
) -> Float[np.ndarray, "n h w 1"]:
    """Return the same galaxies in the same noise, without most of their arcs: a control within one pipeline.

    What outshines its counterpart, half a turn about the galaxy's peak, by more than two noise widths
    (over a pixel's neighbourhood) is replaced by it. Arcs go, except those that are as bright on both sides.
    """
    return np.stack([symmetrise(image, pixel_scale) for image in images])


def symmetrise(image: Float[np.ndarray, "h w 1"], pixel_scale: float) -> Float[np.ndarray, "h w 1"]:
    """Replace asymmetric light in one image by its counterpart, half a turn about the peak of light."""
    flux = np.sinh(image[..., 0].astype(float))
    peak = find_peak_of_light(image, pixel_scale) * flux.shape - 0.5
    # Half a turn about the middle, then the peak back to where it was: whole pixels, as it is one.
    turned = shift(flux[::-1, ::-1], 2 * peak - (np.array(flux.shape) - 1), order=0, cval=np.nan)
    excess = gaussian_filter(np.nan_to_num(flux - turned), 1.0)
    width = 1 / (2 * np.sqrt(np.pi))  # of white noise of width 1 through that filter
    lopsided = (excess > SUBTRACT * np.sqrt(2) * width) & np.isfinite(turned)
    return np.arcsinh(np.where(lopsided, turned, flux))[..., None].astype(np.float32)


def measure_flux(
    images: Float[np.ndarray, "n h w 1"], pixel_scale: float
) -> dict[str, Float[np.ndarray, " n"]]:
    """Return scores that need no network: flux over noise of all, near the middle, in a ring around it."""
    flux = np.sinh(images[..., 0].astype(float))
    rows, columns = np.indices(flux.shape[1:])
    middle = (np.array(flux.shape[1:]) - 1) / 2
    radius = np.hypot(rows - middle[0], columns - middle[1]) * pixel_scale
    inside = (radius < np.inf, radius < 0.3, (radius > 0.7) & (radius < 2.0))
    return {name: flux[:, where].sum(1) for name, where in zip(TRIVIAL, inside, strict=True)}
