"""Images as the published networks take them: each band of each image from its minimum to its maximum.

This erases flux and the ratio of bands, and one hot pixel sets the scale.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lensjax.data.images.noise import sky_and_sigma
from lensjax.types import Example, Float, Num


def min_max(band: Num[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """To [0, 1]; a constant band to 0, where the published code divides by zero."""
    return (band - float(band.min())) / span(band)


def span(band: Num[np.ndarray, "*s"]) -> float:
    """From the minimum to the maximum; infinite of a constant band, so that it comes to 0."""
    low, high = float(band.min()), float(band.max())
    return high - low if high > low else np.inf


def ready(bands: Sequence[np.ndarray], size: int) -> bool:
    """Whether images are already on a grid of `size` and in [0, 1]."""
    return all(band.shape == (size, size) and band.min() >= 0 and band.max() <= 1 for band in bands)


def picture(image: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "h w c"]:
    """The same sky as a page shows it, asinh(flux / noise); a band without noise as it is."""
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
    """A simulated example in units of its noise as a published network takes it.

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
