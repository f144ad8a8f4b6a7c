"""Resample an image at constant surface brightness; fill missing pixels from their neighbours."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from lensjax.data.images.band_layout import BadInput
from lensjax.types import Bool, Float, Shaped

SAME_SCALE = (
    0.01  # scales this close are taken as equal: no pixel of a 64-pixel image moves by more than 0.32
)


@dataclass(frozen=True)
class PixelGrid:
    """Square output grid in pixel coordinates of the input, whose pixel centres are the integers."""

    factor: float  # input pixels along one output pixel
    start: tuple[float, float]  # input (row, column) of the centre of output pixel (0, 0)
    size: int

    def widened(self, margin: int) -> PixelGrid:
        """Return the same pixels with `margin` more on every side."""
        row, column = (s - margin * self.factor for s in self.start)
        return PixelGrid(self.factor, (row, column), self.size + 2 * margin)

    def fraction(self, row: float, column: float) -> np.ndarray:
        """Return the position of an input pixel coordinate as fractions of this grid."""
        pixel = [(x - s) / self.factor for x, s in zip((row, column), self.start, strict=True)]
        return ((np.asarray(pixel) + 0.5) / self.size).astype(np.float32)


def model_grid(
    shape: tuple[int, int],
    scale: float,
    pixel_scale: float,
    size: int,
    centre: tuple[float, float] | None = None,
) -> PixelGrid:
    """Return the model's grid about `centre` (row, column), or about the middle of an image of `shape`.

    At equal scales the grid is put on the input's own pixels, at most half a pixel off, so that nothing is
    interpolated and the noise stays as it is.
    """
    factor = pixel_scale / scale
    same = abs(factor - 1) < SAME_SCALE
    factor = 1.0 if same else factor
    middle = centre if centre is not None else ((shape[0] - 1) / 2, (shape[1] - 1) / 2)
    row, column = (float(m) - factor * (size - 1) / 2 for m in middle)
    start = (math.floor(row + 0.5), math.floor(column + 0.5)) if same else (row, column)
    return PixelGrid(factor, (float(start[0]), float(start[1])), size)


def resample(
    image: Float[np.ndarray, "h w"], grid: PixelGrid
) -> tuple[Float[np.ndarray, "n n"], Bool[np.ndarray, "n n"]]:
    """Return values on the grid, and which of its pixels the image covers by half; 0 elsewhere.

    Shrinking is the exact area average, enlarging a cubic spline.
    """
    if grid.factor >= 1:
        rows = area_weights(image.shape[0], grid.start[0], grid.factor, grid.size)
        columns = area_weights(image.shape[1], grid.start[1], grid.factor, grid.size)
        weight = np.outer(rows.sum(1), columns.sum(1))
        values = rows @ image @ columns.T / np.maximum(weight, 1e-12)
    else:
        axes = [s + grid.factor * np.arange(grid.size) for s in grid.start]
        inside = [(x > -0.5) & (x < n - 0.5) for x, n in zip(axes, image.shape, strict=True)]
        weight = np.outer(*inside).astype(float)
        values = ndimage.map_coordinates(image, np.meshgrid(*axes, indexing="ij"), order=3, mode="nearest")
    covered = weight >= 0.5
    return np.where(covered, values, 0.0), covered


def area_weights(n: int, start: float, factor: float, size: int) -> Float[np.ndarray, "size n"]:
    """Return the share of every output pixel that each of `n` input pixels fills, along one axis."""
    low = start + factor * (np.arange(size)[:, None] - 0.5)
    pixels = np.arange(n)[None, :]
    overlap = np.minimum(low + factor, pixels + 0.5) - np.maximum(low, pixels - 0.5)
    return np.maximum(overlap, 0.0) / factor


def crop(
    image: Shaped[np.ndarray, "h w"], grid: PixelGrid, rim: int = 0
) -> tuple[Shaped[np.ndarray, "p q"], PixelGrid]:
    """Return the part of the image under the grid and `rim` input pixels more, and the grid seen from there.

    Numbers become float64, as the noise of a bright field needs; a mask stays a mask.
    """
    half = 0.5 * grid.factor  # from the centre of an output pixel to its edge
    low = [max(round(s - half) - rim, 0) for s in grid.start]
    high = [
        min(round(s + grid.factor * grid.size - half) + rim, n)
        for s, n in zip(grid.start, image.shape, strict=True)
    ]
    if any(b <= a for a, b in zip(low, high, strict=True)):
        raise BadInput("does not reach the model's field about the given centre; check --centre ROW COLUMN.")
    start = (grid.start[0] - low[0], grid.start[1] - low[1])
    part = image[low[0] : high[0], low[1] : high[1]]
    return part if part.dtype == bool else part.astype(np.float64), PixelGrid(grid.factor, start, grid.size)


def fill_missing(
    image: Float[np.ndarray, "h w"], missing: Bool[np.ndarray, "h w"]
) -> Float[np.ndarray, "h w"]:
    """Set missing pixels to the mean of their valid neighbours, from the rim of each hole inwards."""
    from astropy.convolution import interpolate_replace_nans  # slow to import
    from astropy.utils.exceptions import AstropyUserWarning

    if missing.all():
        return np.zeros_like(image)
    filled = np.where(missing, np.nan, image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # the middle of a hole needs further turns
        while np.isnan(filled).any():
            filled = interpolate_replace_nans(filled, np.ones((3, 3)), boundary="fill", fill_value=np.nan)
    return filled
