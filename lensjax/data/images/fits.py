"""Read bands of images from FITS files.

Row 0 of an array is the first row of the file, the *bottom* one where FITS images are drawn: NumPy's order is
kept everywhere, so rows and columns of a result are those of the array.
"""

from __future__ import annotations

import gzip
import io
import math
import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from lensjax.data.images.band_layout import (
    MAX_PIXELS,
    BadInput,
    BandImage,
    FileArray,
    RawImage,
    check_size,
    choose,
    noise_layer,
    split_bands,
    tokens,
)

USABLE = (1e-3, 10.0)  # arcsec a pixel; a header without a real WCS says 1 degree
KEYWORDS = ("PIXSCALE", "PIXSCAL1", "PIXELSCL", "SECPIX", "SECPIX1", "PIXSIZE")
ARCSEC = {
    "deg": 3600.0,
    "degree": 3600.0,
    "degrees": 3600.0,
    "arcmin": 60.0,
    "arcsec": 1.0,
    "rad": 206264.806,
}


def read_fits(path: Path, bands: Sequence[str], hdus: Sequence[str]) -> list[RawImage]:
    """Read the images of a FITS file: one HDU, a cube [band y x], an HDU a band, or an HDU an object.

    Raises:
      BadInput: the file is damaged, or does not hold the bands.
    """
    with path.open("rb") as file, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stream = _unzipped(file)
        if stream.read(6) != b"SIMPLE":
            raise BadInput("is not a FITS file (it does not begin with SIMPLE).")
        stream.seek(0)
        try:
            with fits.open(stream, memmap=False) as hdulist:
                raws = _images(hdulist, bands, hdus)
        except Exception as error:  # astropy raises nearly anything, after warning that bytes are missing
            if isinstance(error, BadInput) or not any("truncated" in str(w.message) for w in caught):
                raise
            raise BadInput("is truncated (its header promises more bytes); copy it again.") from error
    said = dict.fromkeys(str(warning.message).split("\n")[0][:100] for warning in caught)
    return [
        RawImage(raw.planes, raw.suffix, (*raw.notes, *(f"header: {line}" for line in said))) for raw in raws
    ]


def _unzipped(file: io.BufferedIOBase) -> io.BufferedIOBase:
    """Return the stream itself, or all of a gzip file: astropy would not notice that its end is missing."""
    zipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if not zipped:
        return file
    with gzip.GzipFile(fileobj=file) as unpacked:
        content = unpacked.read(8 * MAX_PIXELS + 1)
    if len(content) > 8 * MAX_PIXELS:
        raise BadInput(f"unpacks to more than {8 * MAX_PIXELS // 10**6} MB; cut out the object.")
    return io.BytesIO(content)


def _images(hdulist: Any, bands: Sequence[str], hdus: Sequence[str]) -> list[RawImage]:
    layers = [
        _layer(i, hdu) for i, hdu in enumerate(hdulist) if hdu.is_image and hdu.header.get("NAXIS", 0) > 0
    ]
    chosen, notes = choose(layers, bands, hdus)
    raws = []
    for group in chosen:
        if len(group) == 1:
            stacks = split_bands(_data(hdulist, group[0]), bands, axis=0)[0]
            keys = group * len(bands)
        else:
            stacks = [
                split_bands(_data(hdulist, layer), [band], 0)[0][0]
                for layer, band in zip(group, bands, strict=True)
            ]
            keys = group
        if len(group) < len(bands):
            notes = [*notes, f"planes of the cube taken as {', '.join(bands)}"]
        planes = [_plane(hdulist, layers, *item) for item in zip(keys, bands, stacks, strict=True)]
        raws.append(RawImage(tuple(planes), f"[{group[0].key}]" if len(chosen) > 1 else "", tuple(notes)))
    return raws


def _layer(index: int, hdu: Any) -> FileArray:
    name = "" if hdu.name == "PRIMARY" else hdu.name
    return FileArray(index, name, tuple(hdu.shape), _text(hdu.header, "FILTER"))


def _data(hdulist: Any, layer: FileArray) -> np.ndarray:
    check_size(layer.shape)
    data = hdulist[layer.key].data
    if data is None:
        raise BadInput(f"has no pixels in HDU {layer.key}; name another with --hdus.")
    return np.squeeze(data, axis=tuple(i for i in range(data.ndim - 3) if data.shape[i] == 1))


def _plane(
    hdulist: Any, layers: Sequence[FileArray], layer: FileArray, band: str, image: np.ndarray
) -> BandImage:
    scale, hint = header_scale(hdulist[layer.key].header)
    if scale is None:
        scale, other = header_scale(hdulist[0].header)
        hint = other if scale else hint
    noise = noise_layer(layers, band, image.shape)
    rms = None if noise is None else _data(hdulist, noise)
    return BandImage(image, scale, hint, rms, subtracted="BGSUB" in tokens(layer.name))


def header_scale(header: Any) -> tuple[float | None, str]:
    """Return arcseconds a pixel and where they were found, or None and why nothing was usable.

    They are taken from the CD or PC matrix, CDELT, or a keyword such as PIXSCALE.
    """
    refused = ""
    for where, scale in _candidates(header):
        if USABLE[0] <= scale <= USABLE[1]:
            return scale, f'pixel scale {scale:.4g}" from {where}'
        refused = refused or f'{where} gives {scale:.4g}"/px, which cannot be'
    return None, refused


def _candidates(header: Any) -> Iterable[tuple[str, float]]:
    unit = ARCSEC.get((_text(header, "CUNIT1") or "deg").lower(), 3600.0)
    corners = ("1_1", "1_2", "2_1", "2_2")
    cd = {f"CD{corner}": _number(header, f"CD{corner}", 0.0) for corner in corners}
    if any(cd.values()):
        yield "CD", unit * _matrix_scale(cd)
    elif "CDELT1" in header:
        pc = {
            f"PC{corner}": _number(header, f"PC{corner}", float(corner in ("1_1", "2_2")))
            for corner in corners
        }
        first = _number(header, "CDELT1")
        yield (
            "CDELT",
            unit * _matrix_scale(pc | {"CDELT1": first, "CDELT2": _number(header, "CDELT2", first)}),
        )
    for keyword in KEYWORDS:
        if keyword in header:
            yield keyword, _number(header, keyword)


def _matrix_scale(keywords: dict[str, float]) -> float:
    """Return a pixel's side in the header's unit, the geometric mean of the two; NaN if there is none."""
    from astropy.wcs import WCS  # slow to import
    from astropy.wcs.utils import proj_plane_pixel_scales

    try:
        sides = proj_plane_pixel_scales(WCS(fits.Header(keywords), naxis=2))
    except ValueError:  # a number that is none, or a singular matrix
        return math.nan
    return math.sqrt(float(np.prod(sides)))


def _text(header: Any, keyword: str) -> str:
    """Return a header's value as text; empty where it is missing or cannot be parsed."""
    try:
        return str(header.get(keyword, "")).strip()
    except fits.VerifyError:
        return ""


def _number(header: Any, keyword: str, default: float = math.nan) -> float:
    """Return a header's number, also where it was written as text."""
    match = re.match(r"\s*[-+.\deE]+", _text(header, keyword))
    try:
        return float(match.group()) if match else default
    except ValueError:
        return default
