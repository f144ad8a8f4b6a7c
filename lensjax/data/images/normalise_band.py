"""Put one band of a user's image on the network's pixels, in units of its noise or of its own range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from lensjax.data.images.band_layout import BadInput, BandImage
from lensjax.data.images.noise import sky_and_sigma
from lensjax.data.images.resample import SAME_SCALE, PixelGrid, crop, fill_missing, resample
from lensjax.types import Bool, Example, Float, Num

MAX_PADDING = 0.2  # of a side that a cutout may lack of the model's field
Units = Literal["sigma", "min_max"]
"""asinh(flux / noise), or [0, 1] from a band's minimum to its maximum, as the published networks take it.

The latter erases flux and the ratio of bands, and one hot pixel sets the scale.
"""


def pixel_scale_of(plane: BandImage, given: float | None) -> float:
    """Return arcseconds a pixel: as given, or as the file says; BadInput where neither does."""
    if given is not None:
        return float(given)
    if plane.pixel_scale is None:
        why = f" ({plane.scale_hint})" if plane.scale_hint else ""
        raise BadInput(f"gives no pixel scale{why}; pass --pixel-scale ARCSEC.")
    if not (plane.pixel_scale > 0 and math.isfinite(plane.pixel_scale)):
        raise BadInput(f"gives the pixel scale {plane.pixel_scale}; it must be positive: pass --pixel-scale.")
    return plane.pixel_scale


def scale_notes(plane: BandImage, scale: float, given: float | None, model: float) -> list[str]:
    """Say which pixel scale was used, and whether the image was resampled."""
    notes = [f'pixel scale {scale:.4g}" as given' if given is not None else plane.scale_hint]
    if given is not None and plane.pixel_scale and abs(plane.pixel_scale / given - 1) > SAME_SCALE:
        notes[0] += f', although the file says {plane.pixel_scale:.4g}"'
    if abs(model / scale - 1) >= SAME_SCALE:
        notes.append(f'resampled from {scale:.4g}" to {model:.4g}" a pixel')
    return notes


def network_channel(
    plane: BandImage, grid: PixelGrid, band: str, max_nan_fraction: float, units: Units = "sigma"
) -> tuple[Float[np.ndarray, "n n"], list[str]]:
    """Put one band on the model's grid in `units`, and notes; the level of the sky where the cutout ends.

    Of units "min_max" any padding is allowed, and a constant band, which becomes 0.

    Raises:
      BadInput: the band is too small, empty, infinite, has too many missing pixels, or no noise.
    """
    notes = _check_pixels(plane, grid, band, max_nan_fraction, constant=units == "min_max")
    # The noise is measured up to one field further out: the model's own may be full of galaxy.
    room = min(n / grid.factor for n in plane.image.shape) - grid.size
    margin = int(np.clip(room // 2, 0, grid.size // 2))
    image, wide = crop(plane.image, grid.widened(margin), rim=8)
    missing = ~np.isfinite(image) | _rejected(plane, grid.widened(margin), rim=8)
    values, covered = resample(fill_missing(image, missing), wide)
    holes = resample(missing.astype(float), wide)[0] if missing.any() else np.zeros_like(values)
    sky, sigma = sky_and_sigma(values, covered & (holes < 0.25))
    inner = slice(margin, margin + grid.size)
    values, covered = values[inner, inner], covered[inner, inner]
    if units == "min_max":
        return min_max(np.where(covered, values, sky)), notes + _padding(covered, band, most=1.0)
    sigma, remark = _with_noise_map(sigma, plane, grid)
    if not sigma > 0:
        raise BadInput(f"shows no noise in band {band}, the unit of the image; give data with its noise.")
    values = (values - (0.0 if plane.subtracted else sky)) / sigma
    notes += _padding(covered, band) + [f"{band}: {remark}"] * bool(remark)
    return np.where(covered, np.arcsinh(values), 0.0), notes


def _check_pixels(
    plane: BandImage, grid: PixelGrid, band: str, max_nan_fraction: float, constant: bool
) -> list[str]:
    """Return notes on missing pixels of the model's field; `constant`: a band may be that.

    Raises:
      BadInput: the band is infinite, empty, constant, or lacks too much.
    """
    field, _ = crop(plane.image, grid)
    infinite, nan = int(np.isinf(field).sum()), int(np.isnan(field).sum())
    if infinite:
        raise BadInput(f"has {infinite} infinite pixels in band {band}; set them to NaN and they are filled.")
    if nan == field.size:
        raise BadInput(f"has nothing but NaN in band {band}; the band is empty here: leave the object out.")
    flat = np.nanmin(field) == np.nanmax(field)
    if flat and not constant:
        value = f"{np.nanmin(field):.4g}"
        raise BadInput(f"is constant ({value}) in band {band}; the band is empty here: leave the object out.")
    bad = int((_rejected(plane, grid) & ~np.isnan(field)).sum())
    if nan + bad > max_nan_fraction * field.size:
        what = f"{nan} NaN pixels" + f" and {bad} marked in the noise map" * bool(bad)
        share = f"{(nan + bad) / field.size:.0%} of the model's field"
        raise BadInput(f"has {what} in band {band}, {share}; at most {max_nan_fraction:.0%} are filled.")
    notes = [f"{band}: constant, so 0 in all of it"] * bool(flat)
    notes += [f"{band}: {nan} NaN pixels filled from neighbours"] * bool(nan)
    return notes + [f"{band}: {bad} pixels marked in the noise map filled from neighbours"] * bool(bad)


def _rejected(plane: BandImage, grid: PixelGrid, rim: int = 0) -> Bool[np.ndarray, "h w"]:
    """Return the pixels that a noise map marks as bad, by an enormous noise or none."""
    if plane.rms is None or plane.rms.ndim == 0:
        return np.zeros(crop(plane.image, grid, rim)[0].shape, bool)
    usable = np.isfinite(plane.rms) & (plane.rms > 0)
    typical = np.median(plane.rms[usable]) if usable.any() else np.inf
    return crop(plane.rms > 1e3 * typical, grid, rim)[0] | ~crop(usable, grid, rim)[0]


def _with_noise_map(sigma: float, plane: BandImage, grid: PixelGrid) -> tuple[float, str]:
    """Return the smaller of the measured noise and the file's, with a remark where they differ much.

    Galaxies can only widen what is measured; maps of drizzled images give the noise that the pixels would
    have if they were independent, above the scatter that is seen.
    """
    if plane.rms is None:
        return sigma, ""
    usable = plane.rms[np.isfinite(plane.rms) & (plane.rms > 0)]
    if not usable.size:
        return sigma, ""
    stated = float(np.median(usable)) / max(grid.factor, 1.0)
    if 0 < sigma <= stated:
        return (
            sigma,
            f"noise {sigma:.3g} as measured; the file says {stated:.3g}" if stated > 1.3 * sigma else "",
        )
    return (
        stated,
        f"noise {stated:.3g} as the file says; {sigma:.3g} was measured" if sigma > 1.3 * stated else "",
    )


def _padding(covered: Bool[np.ndarray, "n n"], band: str, most: float = MAX_PADDING) -> list[str]:
    """Return a note on padding, or BadInput where more than `most` of a side is lacking."""
    size = len(covered)
    lacking = size - min(int(covered.any(axis).sum()) for axis in (0, 1))
    if lacking > most * size:
        raise BadInput(
            f"is too small in band {band}: it lacks {lacking} of the {size} pixels of the model's field, "
            f"and at most {most:.0%} of a side are padded; cut out a larger field."
        )
    return [f"{band}: {lacking} of {size} pixels on a side padded with sky"] * bool(lacking)


def min_max(band: Num[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """Scale to [0, 1]; a constant band to 0, where the published code divides by zero."""
    return (band - float(band.min())) / span(band)


def span(band: Num[np.ndarray, "*s"]) -> float:
    """Return maximum − minimum; infinite of a constant band, so that it comes to 0."""
    low, high = float(band.min()), float(band.max())
    return high - low if high > low else np.inf


def ready(bands: Sequence[np.ndarray], size: int) -> bool:
    """Tell whether images are already on a grid of `size` and in [0, 1]."""
    return all(band.shape == (size, size) and band.min() >= 0 and band.max() <= 1 for band in bands)


def picture(image: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "h w c"]:
    """Return the same sky as a page shows it, asinh(flux / noise); a band without noise as it is."""
    shown = np.array(image, np.float32)
    for band in range(image.shape[-1]):
        values = image[..., band].astype(np.float64)
        level, count = np.unique(values, return_counts=True)
        # Padding is one number many times, and no noise is seen in it.
        good = values != level[count.argmax()] if count.max() > 0.05 * values.size else values >= 0
        sky, sigma = sky_and_sigma(values, good)
        if sigma > 0:
            shown[..., band] = np.arcsinh((values - sky) / sigma)
    return shown


def from_simulation(example: Example, channels: Sequence[int], shrink: int) -> Example:
    """Convert a simulated example in units of its noise to what a published network takes.

    Args:
      channels: those of its bands that the network wants, in order.
      shrink: pixels of the simulation along one of the network's, which averages them.
    """
    flux = np.sinh(example["image"][..., list(channels)].astype(np.float64))
    size = len(flux) // shrink
    blocks = flux.reshape(size, shrink, size, shrink, -1).mean((1, 3))
    mask = np.asarray(example["mask"].reshape(size, shrink, size, shrink).any((1, 3)))
    image = np.stack([min_max(blocks[..., band]) for band in range(blocks.shape[-1])], axis=-1)
    return {**example, "image": image.astype(np.float32), "mask": mask}
