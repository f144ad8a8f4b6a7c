"""Images of the study of real lenses: lenses, the same without their lopsided light, galaxies, rings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, shift

from lensjax.data.images.band_layout import BadInput
from lensjax.data.images.noise import sky_and_sigma
from lensjax.data.surveys import galaxies, hst_lenses
from lensjax.types import Bool, Float

NEAR = 1.0  # arcsec about the middle within which the galaxy's peak of light is looked for
OFFSET = 0.4  # arcsec, half-width of the offset of a cutout's middle from its lens
SUBTRACT = 2.0  # noise widths by which a pixel must outshine its counterpart to count as lopsided


@dataclass(frozen=True)
class Lenses:
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


def read_lenses(folder: Path, band: str, size: int, pixel_scale: float, seed: int = 0) -> Lenses:
    """Lenses of a folder, one filter each; those that cannot be used are in `problems`.

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
    return Lenses(name, used, image, at, moved, moved_at, theta_e.astype(float), problems)


def read_rings(path: Path, size: int) -> tuple[Float[np.ndarray, "n h w 1"], Bool[np.ndarray, " n"]]:
    """DECaLS galaxies as one band in units of their noise, and whether each is a ring galaxy.

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
    """All galaxies or those held out, each in the middle of the model's field."""
    found = [one for one in galaxies.read_galaxies(folder) if one.held_out or not held_out]
    rng = np.random.default_rng(seed)
    return found, np.stack([galaxies.place(one, size, pixel_scale, rng) for one in found])


def peak_of_light(image: Float[np.ndarray, "h w c"], pixel_scale: float) -> Float[np.ndarray, "2"]:
    """Row and column, in fractions, of the brightest pixel near the middle of the first band."""
    smooth = gaussian_filter(np.sinh(image[..., 0]), 0.1 / pixel_scale)
    rows, columns = np.indices(smooth.shape)
    middle = (np.array(smooth.shape) - 1) / 2
    near = np.hypot(rows - middle[0], columns - middle[1]) * pixel_scale < NEAR
    peak = np.unravel_index(np.where(near, smooth, -np.inf).argmax(), smooth.shape)
    return (np.array(peak) + 0.5) / smooth.shape


def without_lopsided(
    images: Float[np.ndarray, "n h w 1"], pixel_scale: float
) -> Float[np.ndarray, "n h w 1"]:
    """The same galaxies in the same noise, without most of their arcs: a control within one pipeline.

    What outshines its counterpart, half a turn about the galaxy's peak, by more than two noise widths
    (over a pixel's neighbourhood) is replaced by it. Arcs go, except those that are as bright on both sides.
    """
    return np.stack([_symmetric(image, pixel_scale) for image in images])


def _symmetric(image: np.ndarray, pixel_scale: float) -> np.ndarray:
    flux = np.sinh(image[..., 0].astype(float))
    peak = peak_of_light(image, pixel_scale) * flux.shape - 0.5
    # Half a turn about the middle, then the peak back to where it was: whole pixels, as it is one.
    turned = shift(flux[::-1, ::-1], 2 * peak - (np.array(flux.shape) - 1), order=0, cval=np.nan)
    excess = gaussian_filter(np.nan_to_num(flux - turned), 1.0)
    width = 1 / (2 * np.sqrt(np.pi))  # of white noise of width 1 through that filter
    lopsided = (excess > SUBTRACT * np.sqrt(2) * width) & np.isfinite(turned)
    return np.arcsinh(np.where(lopsided, turned, flux))[..., None].astype(np.float32)


TRIVIAL = ("total flux", "central flux", "flux 0.7–2″")


def trivial_scores(
    images: Float[np.ndarray, "n h w 1"], pixel_scale: float
) -> dict[str, Float[np.ndarray, " n"]]:
    """What needs no network: flux over noise of all, within 0.3″ of the middle, and in a ring around it."""
    flux = np.sinh(images[..., 0].astype(float))
    rows, columns = np.indices(flux.shape[1:])
    middle = (np.array(flux.shape[1:]) - 1) / 2
    radius = np.hypot(rows - middle[0], columns - middle[1]) * pixel_scale
    inside = (radius < np.inf, radius < 0.3, (radius > 0.7) & (radius < 2.0))
    return {name: flux[:, where].sum(1) for name, where in zip(TRIVIAL, inside, strict=True)}
