"""Read planes from HDF5 and NumPy files: [h w], [h w c], [n h w] (single-band networks) or [n h w c]."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from lensjax.data.images.band_layout import (
    BadInput,
    BandImage,
    FileArray,
    RawImage,
    check_size,
    choose,
    noise_layer,
    split_bands,
)

SCALES = ("pixel_scale", "pixscale")


def read_hdf5(path: Path, bands: Sequence[str], hdus: Sequence[str]) -> list[RawImage]:
    """Read the images of an HDF5 file.

    The pixel scale is the root of the determinant of `transform_pix2angle` (lenstronomy's form), or a number
    or attribute `pixel_scale`; a number `background_rms` is the noise of a background-subtracted image.

    Raises:
      BadInput: the file is no HDF5 file, or does not hold the bands.
    """
    if not h5py.is_hdf5(path):
        raise BadInput("is not an HDF5 file, or its beginning is damaged; copy it again.")
    with h5py.File(path, "r") as file:
        datasets: dict[str, h5py.Dataset] = {}
        file.visititems(
            lambda name, item: datasets.update({name: item}) if isinstance(item, h5py.Dataset) else None
        )
        layers = [FileArray(name, name, item.shape) for name, item in datasets.items() if item.shape]
        images = [layer for layer in layers if len(layer.shape) >= 2 and min(layer.shape[:2]) >= 8]
        chosen, notes = choose(images or layers, bands, hdus)
        arrays = {layer.name: _read(datasets[layer.name]) for layer in chosen[0]}
        arrays |= {
            n.name: _read(datasets[n.name])
            for b in bands
            if (n := noise_layer(layers, b, chosen[0][0].shape))
        }
        scale = _hdf5_scale(file)
        rms = file.get("background_rms")
        constant = np.asarray(rms[()]) if isinstance(rms, h5py.Dataset) and rms.shape == () else None
    return _raws(arrays, layers, chosen[0], bands, scale, constant, notes)


def read_numpy(path: Path, bands: Sequence[str], hdus: Sequence[str]) -> list[RawImage]:
    """Read the images of a .npy or .npz file, which may hold `pixel_scale` and an array a band.

    Pickles are refused.

    Raises:
      BadInput: the file is damaged, needs pickle, or does not hold the bands.
    """
    with path.open("rb") as file:
        if not file.read(6).startswith((b"\x93NUMPY", b"PK")):
            raise BadInput("is not a NumPy file; save plain numbers with np.save(path, array).")
    try:
        if path.suffix.lower() == ".npy":
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
            check_size(mapped.shape)
            arrays = {"image": np.array(mapped)}
        else:
            with zipfile.ZipFile(path) as archive_file:  # sizes are known before anything is unpacked
                check_size((max((i.file_size for i in archive_file.infolist()), default=0) // 8,))
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
    except (ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, BadInput):
            raise
        why = "holds Python objects" if "bject" in str(error) else "is damaged"
        raise BadInput(f"{why}; save plain numbers with np.save(path, array).") from error
    scales = [arrays[name] for name in SCALES if name in arrays and arrays[name].size == 1]
    scale = float(scales[0].reshape(())) if scales and scales[0].dtype.kind in "fiu" else None
    layers = [
        FileArray(name, name, array.shape)
        for name, array in arrays.items()
        if array.ndim > 0 and name not in SCALES
    ]
    images = [layer for layer in layers if len(layer.shape) >= 2] or layers
    chosen, notes = choose(images, bands, hdus)
    return _raws(arrays, layers, chosen[0], bands, scale, None, notes)


def _raws(
    arrays: dict[str, np.ndarray],
    layers: Sequence[FileArray],
    chosen: Sequence[FileArray],
    bands: Sequence[str],
    scale: float | None,
    constant: np.ndarray | None,
    notes: Sequence[str],
) -> list[RawImage]:
    """Return the planes of every image, each with its noise map where one of the same shape is there."""
    if len(chosen) == 1:
        stacks = split_bands(arrays[chosen[0].name], bands, axis=-1)
    else:
        pairs = zip(chosen, bands, strict=True)
        columns = [split_bands(arrays[layer.name], [band], axis=-1) for layer, band in pairs]
        stacks = [[column[0] for column in images] for images in zip(*columns, strict=True)]
    hint = "" if scale is None else f'pixel scale {scale:.4g}" from the file'
    raws = []
    for i, stack in enumerate(stacks):
        noise = [noise_layer(layers, band, image.shape) for band, image in zip(bands, stack, strict=True)]
        rms = [constant if n is None or n.name not in arrays else arrays[n.name] for n in noise]
        planes = [BandImage(x, scale, hint, r, constant is not None) for x, r in zip(stack, rms, strict=True)]
        raws.append(RawImage(tuple(planes), f"[{i}]" if len(stacks) > 1 else "", tuple(notes)))
    return raws


def _read(dataset: h5py.Dataset) -> np.ndarray:
    check_size(dataset.shape)
    return np.asarray(dataset[()])


def _hdf5_scale(file: h5py.File) -> float | None:
    transform = file.get("transform_pix2angle")
    if isinstance(transform, h5py.Dataset) and transform.shape == (2, 2):
        return math.sqrt(abs(float(np.linalg.det(transform[()]))))
    for name in SCALES:
        value = file[name][()] if isinstance(file.get(name), h5py.Dataset) else file.attrs.get(name)
        if value is not None and np.size(value) == 1 and np.asarray(value).dtype.kind in "fiu":
            return float(np.reshape(value, ()))
    return None
