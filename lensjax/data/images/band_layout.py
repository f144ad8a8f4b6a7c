"""Find the array of each band in a file, by one rule for FITS HDUs, HDF5 data sets and .npz arrays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lensjax.runtime.errors import UserError

MAX_PIXELS = 64_000_000  # a header that claims more is a survey tile or damaged, and must not fill the memory
NOISE = {"RMS", "NOISE", "NOISEMAP", "ERR", "ERROR", "SIGMA"}
AUXILIARY = NOISE | {
    "PSF",
    "KERNEL",
    "MASK",
    "DQ",
    "FLAG",
    "FLAGS",
    "WHT",
    "WEIGHT",
    "VAR",
    "VARIANCE",
    "IVAR",
}
AUXILIARY |= {"CTX", "SEG", "SEGM", "EXP", "EXPOSURE", "CATALOG", "CATALOGUE"}
USUAL = ("image_data", "image", "images", "data", "sci", "arr_0", "x")


class BadInput(UserError):
    """A file cannot be used; the message is the one line that the user reads."""


@dataclass(frozen=True)
class FileArray:
    """One array of a file, before it is read."""

    key: int | str
    name: str
    shape: tuple[int, ...]
    alias: str = ""  # what a FITS header calls the filter


@dataclass(frozen=True)
class BandImage:
    """One band of one image, as the file has it."""

    image: np.ndarray  # [h w], any real dtype
    pixel_scale: float | None  # arcsec
    scale_hint: str = ""  # why the file gives no scale, or where it comes from
    rms: np.ndarray | None = None  # [h w] or a scalar
    subtracted: bool = False  # the sky is known to be subtracted already


@dataclass(frozen=True)
class RawImage:
    """One image of a file, as the file has it."""

    planes: tuple[BandImage, ...]  # one a band, in the model's order
    suffix: str = ""  # tells several images of one file apart: "[3]"
    notes: tuple[str, ...] = ()


def tokens(name: str) -> list[str]:
    """Return the words of a name in capitals: "NIR_Y_BGSUB" → NIR, Y, BGSUB."""
    return re.findall(r"[A-Z0-9]+", name.upper())


def names_band(name: str, band: str) -> bool:
    """Tell whether `name` contains the words of `band`, whole and in order."""
    words, wanted = tokens(name), tokens(band)
    starts = range(len(words) - len(wanted) + 1)
    return bool(wanted) and any(words[i : i + len(wanted)] == wanted for i in starts)


def is_auxiliary(name: str) -> bool:
    """Tell whether a name announces a PSF, a noise map, a mask … instead of an image."""
    return not AUXILIARY.isdisjoint(tokens(name))


def choose(
    layers: Sequence[FileArray], bands: Sequence[str], hdus: Sequence[str]
) -> tuple[list[list[FileArray]], list[str]]:
    """Choose the layers of each image in the file, with notes.

    An image is one layer a band, or a single layer that holds all bands (a cube). Several images come only
    from a file of stamps: a single-band model and several layers without different names.

    Raises:
      BadInput: a band is missing or ambiguous, or the file holds no image.
    """
    if hdus:
        return [[_named(layers, hdu) for hdu in hdus]], []
    images = [layer for layer in layers if not is_auxiliary(layer.name) and min(layer.shape, default=0) > 0]
    if not images:
        raise BadInput(
            f"holds no image (found: {_list(layers) or 'nothing'}); give a file with pixels in 2D."
        )
    found = {band: _matching(images, band) for band in bands}
    if all(found.values()):
        return [[layer for band in bands if (layer := found[band]) is not None]], []
    usual = [image for name in USUAL for image in images if image.name.split("/")[-1].lower() == name]
    alike = len(images) > 1 and len({image.name.upper() for image in images}) == 1
    if len(bands) == 1 and alike:
        return [[image] for image in images], []
    if len(images) == 1 or (usual and not any(found.values())):
        image = (usual or images)[0]
        called = ", ".join(
            dict.fromkeys(n for n in (image.name, image.alias) if n and n.lower() not in USUAL)
        )
        note = f"taken as band {bands[0]}; the file calls it {called}"
        return [[image]], [note] if called and len(bands) == 1 and image.name != "PRIMARY" else []
    missing = ", ".join(band for band in bands if not found[band])
    raise BadInput(f"has no band {missing}: it holds {_list(images)}; name one a band with --hdus.")


def _matching(images: Sequence[FileArray], band: str) -> FileArray | None:
    """Find the layer of a band by its exact name, the words in its name, or the filter of its header."""
    rules = (
        [i for i in images if i.name.upper() == band.upper()],
        [i for i in images if names_band(i.name, band)],
        [i for i in images if names_band(i.alias, band)],
    )
    hits = next((rule for rule in rules if rule), [])
    if len(hits) > 1 and len({hit.name for hit in hits}) > 1:
        raise BadInput(f"has {len(hits)} layers for band {band}: {_list(hits)}; name one with --hdus.")
    return hits[0] if len(hits) == 1 else None  # equal names are stamps


def noise_layer(layers: Sequence[FileArray], band: str, shape: tuple[int, ...]) -> FileArray | None:
    """Find the noise map of a band and shape; for a single-band file also one that names no band."""
    maps = [layer for layer in layers if set(tokens(layer.name)) & NOISE and layer.shape == shape]
    named = [layer for layer in maps if names_band(layer.name, band)]
    plain = [layer for layer in maps if set(tokens(layer.name)) <= NOISE | {"MAP"}]
    return next(iter(named or plain), None)


def _named(layers: Sequence[FileArray], wanted: str) -> FileArray:
    for layer in layers:
        if layer.name.upper() == wanted.upper() or str(layer.key) == wanted:
            return layer
    raise BadInput(f"has no HDU or data set '{wanted}'; it holds {_list(layers) or 'none with pixels'}.")


def _list(layers: Sequence[FileArray], most: int = 8) -> str:
    names = [f"{layer.name or layer.key} {'×'.join(map(str, layer.shape))}" for layer in layers]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def check_size(shape: tuple[int, ...]) -> None:
    """Raise BadInput for an array too large to be a cutout, before it is read."""
    if np.prod([float(n) for n in shape]) > MAX_PIXELS:
        size = "×".join(map(str, shape))
        raise BadInput(
            f"has {size} pixels; at most {MAX_PIXELS // 10**6} million are read: cut out the object."
        )


def split_bands(array: np.ndarray, bands: Sequence[str], axis: int) -> list[list[np.ndarray]]:
    """Split into the bands of each image: [h w], bands along `axis` (0 or -1), or a leading axis of images.

    Raises:
      BadInput: dtype or shape cannot be an image of these bands.
    """
    kind, count = array.dtype.kind, len(bands)
    if kind not in "fiu":
        raise BadInput(f"has values of type {array.dtype}; give real numbers (float or integer).")
    shape = "×".join(map(str, array.shape)) or "a single number"
    if array.ndim == 2 and count == 1:
        stacks = array[None, None]
    elif array.ndim == 3 and array.shape[axis] == count and count < 8 <= min(np.delete(array.shape, axis)):
        stacks = np.moveaxis(array, axis, 0)[None]
    elif array.ndim == 3 and count == 1 and axis == -1 and min(array.shape[1:]) >= 8:
        stacks = array[:, None]
    elif array.ndim == 4 and axis == -1 and array.shape[-1] == count:
        stacks = np.moveaxis(array, -1, 1)
    elif array.ndim == 2:
        give = "a cube, an HDU a band, or files named alike but for the band"
        raise BadInput(f"has one band ({shape}); the model needs {', '.join(bands)}: give {give}.")
    else:
        layout = "[band y x]" if axis == 0 else "[h w c] or [n h w c]"
        wanted = "[h w]" if count == 1 else layout
        raise BadInput(
            f"has shape {shape}; the model needs {wanted} with {count} band(s): {', '.join(bands)}."
        )
    if stacks.size == 0 or min(stacks.shape[2:]) < 8:
        raise BadInput(f"has shape {shape}; an image needs at least 8×8 pixels.")
    return [list(stack) for stack in stacks]
