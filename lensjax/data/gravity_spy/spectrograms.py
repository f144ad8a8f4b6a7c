"""Turn pictures of spectrograms into network inputs: crop, recover energy from colours, resize, encode.

The official picture is 800×600, viridis from 0 to 25.5. Its crop lies within the axes by up to 1.7 % a side
(8 pixels at the bottom), so frequencies and times read off it by `EventGrid` are wrong by as much.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError

from lensjax.data.images.band_layout import BadInput
from lensjax.event_axes import CLIP, Encoding
from lensjax.runtime.errors import UserError
from lensjax.spectrogram.colour_map import VIRIDIS, ColourInverter, colour
from lensjax.types import Float, Shaped, UInt8

FIGURE = (600, 800)
CROP = (slice(66, 532), slice(105, 671))
"""Official crop: without the axes, the colour bar and the title, which names the detector."""
CROPPED = ((466, 566), (140, 170))
"""Sizes that are taken as cropped already."""
MAX_BYTES = 20_000_000
_WEIGHTS = np.array([0.2125, 0.7154, 0.0721])  # of red, green and blue in the official grey (ITU-R BT.709)
# Rounding to 8 bits makes one of the 256 steps fall, by 0.0008.
_GREY = np.maximum.accumulate(VIRIDIS @ _WEIGHTS / 255)


def read_png(data: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """Read the colours within the axes of a PNG: 466×566 cut from an 800×600 figure, or as it is if cropped.

    Raises:
      BadInput: the file is damaged, cut short, without colours, or of another size.
    """
    if len(data) > MAX_BYTES:
        raise BadInput(f"has {len(data)} bytes; at most {MAX_BYTES} are read: it is no official picture.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
                _check(picture)  # by its header, before anything is unpacked
                picture.load()
                pixels = np.asarray(picture.convert("RGB"))
    except BadInput:
        raise
    except UnidentifiedImageError:
        raise BadInput("is no PNG, or its beginning is damaged; copy it again.") from None
    except Exception as error:  # damaged files make Pillow raise nearly anything
        reason = str(error).split("\n")[0][:80] or type(error).__name__
        raise BadInput(f"is damaged or cut short ({reason}); copy it again.") from None
    return pixels[CROP] if pixels.shape[:2] == FIGURE else pixels


def _check(picture: Image.Image) -> None:
    size = picture.size[::-1]
    if size not in (FIGURE, *CROPPED):
        raise BadInput(
            f"is {size[1]}×{size[0]}; known are the figure, 800×600, and its crop, 566×466 or 170×140: "
            "give the official picture."
        )
    if picture.mode not in ("RGB", "RGBA", "P"):
        raise BadInput(f"has no colours (mode {picture.mode}); give the official picture, in viridis.")


def energy_of_grey(grey: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """Return fractions of the colour scale from viridis turned grey, in [0, 1], as the Zenodo HDF5 holds it.

    Raises:
      BadInput: values outside [0, 1].
    """
    if not (grey.min() >= 0 and grey.max() <= 1):  # false for NaN as well
        raise BadInput(f"has grey values from {grey.min():.3g} to {grey.max():.3g}; they must be in [0, 1].")
    return np.interp(grey, _GREY, np.linspace(0, 1, len(_GREY))).astype(np.float32)


def encode_rgb(
    rgb: UInt8[np.ndarray, "h w 3"], size: tuple[int, int], encoding: Encoding, inverter: ColourInverter
) -> Shaped[np.ndarray, "rows columns c"]:
    """Encode a window from its colours at `size`. Colours stay colours, energies are averaged."""
    if encoding != "rgb":
        return encode_energy(inverter.invert(rgb), size, encoding)
    if rgb.shape[:2] == size:
        return rgb
    return np.asarray(Image.fromarray(rgb).resize(size[::-1], _filter(rgb.shape, size)))


def encode_energy(
    fraction: Float[np.ndarray, "h w"], size: tuple[int, int], encoding: Encoding
) -> Shaped[np.ndarray, "rows columns c"]:
    """Encode a window from fractions of the colour scale, at `size`, as it is stored.

    uint8 for clipped and rgb; float16 log(1 + E) for log, where E is at most 25.5, all that a picture tells.

    Raises:
      UserError: unknown encoding.
    """
    if fraction.shape != size:
        resized = Image.fromarray(fraction).resize(size[::-1], _filter(fraction.shape, size))
        fraction = np.clip(np.asarray(resized), 0, 1)
    if encoding == "clipped":
        return np.round(fraction * 255).astype(np.uint8)[..., None]
    if encoding == "log":
        return np.log1p(CLIP * fraction).astype(np.float16)[..., None]
    if encoding == "rgb":
        return colour(fraction)
    raise UserError(f"unknown encoding '{encoding}': choose from clipped, log, rgb.")


def _filter(shape: tuple[int, ...], size: tuple[int, int]) -> Image.Resampling:
    """Choose the mean over the area of a pixel to make it smaller, linear interpolation to make it larger."""
    smaller = size[0] <= shape[0] and size[1] <= shape[1]
    return Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
