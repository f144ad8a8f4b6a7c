"""Measure the sky level and background noise of a cutout in its darkest part."""

from __future__ import annotations

import numpy as np

from lensjax.types import Bool, Float

TILE = 8  # pixels; wide enough for a median, narrow enough to fit between galaxies


def sky_and_sigma(
    image: Float[np.ndarray, "h w"], good: Bool[np.ndarray, "h w"], border: float = 0.15
) -> tuple[float, float]:
    """Measure sigma-clipped median and 1.4826 · MAD of the border's dark tiles.

    The border, `border` of a side wide, is cut into tiles; those whose median stands less than one noise
    width above the darkest tenth count. In an empty field that is nearly all of them: the level is unbiased;
    where a galaxy fills the cutout only the corners remain. Pixels that are not `good` do not count.
    The noise is that of single pixels, as correlated as resampling left it.
    """
    tiles = _border_tiles(image, good, border)
    level, width = np.asarray([_median_mad(tile) for tile in tiles]).reshape(-1, 2).T
    lively = width > 0  # blank edges are flat
    if not lively.any():
        return _clipped(image[good]) if good.any() else (0.0, 0.0)
    tiles, level, width = [t for t, ok in zip(tiles, lively, strict=True) if ok], level[lively], width[lively]
    darkest = np.argsort(level)[: max(len(level) // 4, 1)]
    limit = np.quantile(level, 0.1) + np.median(width[darkest])
    return _clipped(
        np.concatenate([tile for tile, height in zip(tiles, level, strict=True) if height <= limit])
    )


def _border_tiles(image: np.ndarray, good: np.ndarray, border: float) -> list[np.ndarray]:
    """Return the good pixels of each tile of the border, without those that are mostly bad."""
    rows, columns = np.flatnonzero(good.any(1)), np.flatnonzero(good.any(0))
    if not len(rows):
        return []
    field = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    image, good = image[field], good[field]
    height, width = image.shape
    rim = max(TILE, round(border * min(height, width)))
    tiles = []
    for row in range(0, height - TILE + 1, TILE):
        for column in range(0, width - TILE + 1, TILE):
            in_rim = min(row, column, height - row - TILE, width - column - TILE) < rim - TILE / 2
            window = slice(row, row + TILE), slice(column, column + TILE)
            if in_rim and good[window].mean() > 0.5:
                tiles.append(image[window][good[window]])
    return tiles


def _clipped(values: np.ndarray) -> tuple[float, float]:
    """Return median and noise width after clipping at three noise widths, five times at most."""
    from astropy.stats import mad_std, sigma_clip  # slow to import

    kept = sigma_clip(values, sigma=3, maxiters=5, cenfunc="median", stdfunc="mad_std", masked=False)
    return float(np.median(kept)), float(mad_std(kept))


def _median_mad(values: np.ndarray) -> tuple[float, float]:
    middle = float(np.median(values))
    return middle, 1.4826 * float(np.median(np.abs(values - middle)))
