"""Edit a given region of one image: remove it, blur it, fill it with background, or reduce its weight.

`region` [*s] says which pixels, all channels of one together; `blame` [*s] is a map, of which the `share` of
largest values is meant. Rows and columns are the last two axes of space: events work as images do. What goes
is no evidence any more: `without` edits an example, its mask and its light.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from lensjax.data.batches.augment import with_light
from lensjax.explain.engine.baselines import BLUR
from lensjax.runtime.errors import UserError
from lensjax.spectrogram.colour_map import colour
from lensjax.types import Bool, Example, Float

FAINT = 3.0
"""Pixels further than this many robust standard deviations from the median are not background."""
Image = Float[np.ndarray, "*s c"]
Region = Bool[np.ndarray, "*s"]
Fill = Callable[[Image, Region, np.random.Generator], Image]


def background(image: Image, region: Region, rng: np.random.Generator) -> Image:
    """Return nothing: the sky, no energy; of an event in colours, the colour of no energy."""
    if image.ndim == 4 and image.shape[-1] == 3:
        return np.broadcast_to(colour(np.zeros((), np.float32)) / np.float32(255), image.shape)
    return np.zeros_like(image)


def median(image: Image, region: Region, rng: np.random.Generator) -> Image:
    """Return each channel's median outside the region; that of the whole where nothing is outside."""
    outside = image[~region] if not region.all() else image.reshape(-1, image.shape[-1])
    return np.broadcast_to(np.median(outside, axis=0).astype(image.dtype), image.shape)


def blurred(image: Image, region: Region, rng: np.random.Generator, sigma: float = BLUR) -> Image:
    """Blur rows and columns by a Gaussian `sigma` pixels wide, the border repeated."""
    widths = (0.0,) * (image.ndim - 3) + (sigma, sigma, 0.0)
    return ndimage.gaussian_filter(image, widths, mode="nearest")


def noise(image: Image, region: Region, rng: np.random.Generator) -> Image:
    """Draw pixels from the faint ones outside the region; of an event, from those of the same frequency.

    All channels of a pixel are drawn together. They have the background's values, not its texture.
    """
    light = image.sum(-1)
    centre = np.median(light)
    width = 1.4826 * np.median(np.abs(light - centre))
    usable = ~region & (np.abs(light - centre) <= FAINT * max(float(width), 1e-6))
    filled = background(image, region, rng).copy()
    if not usable.any():
        return filled
    rows = [...] if image.ndim == 3 else [(slice(None), row) for row in range(image.shape[1])]
    for row in rows:
        of_row = image[row][usable[row]] if usable[row].any() else image[usable]
        filled[row] = of_row[rng.integers(len(of_row), size=region[row].shape)]
    return filled


FILLS: dict[str, Fill] = {"background": background, "median": median, "blur": blurred, "noise": noise}


def fill(image: Image, region: Region, kind: str, rng: np.random.Generator) -> Image:
    """Return the image with what a name of `FILLS` means in the region.

    Raises:
      UserError: unknown name, with the choices.
    """
    if kind not in FILLS:
        raise UserError(f"unknown fill '{kind}': choose from {', '.join(FILLS)}.")
    return np.where(region[..., None], FILLS[kind](image, region, rng), image)


def largest(blame: Float[np.ndarray, "*s"], share: float) -> Region:
    """Return the region of the `share` of the pixels with the largest values; ties in the order of the image.

    Raises:
      UserError: the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise UserError(f"share (={share}) must lie between 0 and 1: of all pixels, those blamed most.")
    region = np.zeros(blame.size, bool)
    region[np.argsort(-blame, axis=None, kind="stable")[: round(share * blame.size)]] = True
    return region.reshape(blame.shape)


def downweighted(image: Image, blame: Float[np.ndarray, "*s"], share: float) -> Image:
    """Fade towards the background in proportion to the blame: nothing is left of the `share` blamed most."""
    least = np.where(largest(blame, share), blame, np.inf).min()
    if not least > 0:
        return image
    weight = np.clip(blame / least, 0, 1)[..., None].astype(image.dtype)
    nothing = background(image, blame > 0, np.random.default_rng(0))
    return image + weight * (nothing - image)


Edit = Callable[[Image, Float[np.ndarray, "*s"], float, np.random.Generator], Image]
EDITS: dict[str, Edit] = {
    "remove": lambda image, blame, share, rng: fill(image, largest(blame, share), "background", rng),
    "blur": lambda image, blame, share, rng: fill(image, largest(blame, share), "blur", rng),
    "noise": lambda image, blame, share, rng: fill(image, largest(blame, share), "noise", rng),
    "downweight": lambda image, blame, share, rng: downweighted(image, blame, share),
}
"""edit(image, blame, share, rng) -> image."""


def blamed(image: Image, blame: np.ndarray, edit: str, share: float, rng: np.random.Generator) -> Image:
    """Apply an edit of `EDITS` to what a map [*s] blames.

    Raises:
      UserError: unknown edit, or a map that is not of the image's shape.
    """
    if edit not in EDITS:
        raise UserError(f"unknown edit '{edit}': choose from {', '.join(EDITS)}.")
    if blame.shape != image.shape[:-1]:
        raise UserError(f"a map of shape {blame.shape} has not one value a pixel of an image {image.shape}.")
    return EDITS[edit](image, blame, share, rng)


def without(example: Example, region: Region, kind: str, rng: np.random.Generator) -> Example:
    """Fill the region of an example: there is no evidence in it, and no light of a source."""
    dark = with_light(example, lambda light: np.where(region[..., None], light.dtype.type(0), light))
    image = fill(example["image"], region, kind, rng)
    return {**dark, "image": image, "mask": example["mask"] & ~region}
