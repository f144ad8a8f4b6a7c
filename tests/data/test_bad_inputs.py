"""Bad input files: each gives one clear line, and the good file beside it is still read."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits

from lensjax.data.images.readers import read_cutouts

Writer = Callable[[Path], object]


def sky(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(10, 2, shape or (64, 64)).astype(np.float32)


def spoiled(value: float, count: int) -> np.ndarray:
    image = sky()
    image.flat[1000 : 1000 + count] = value
    return image


def save_fits(*images: np.ndarray, names: tuple[str, ...] = (), **header: object) -> Writer:
    def write(path: Path) -> None:
        hdus = [
            fits.ImageHDU(x, name=name) for x, name in zip(images, names or ("",) * len(images), strict=True)
        ]
        for hdu in hdus:
            hdu.header.update({"PIXSCALE": 0.1} | header)
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)

    return write


def save_array(array: np.ndarray) -> Writer:
    return lambda path: np.save(path, array, allow_pickle=array.dtype == object)


def cut_short(write: Writer, keep: float = 0.6) -> Writer:
    def cut(path: Path) -> None:
        write(path)
        path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])

    return cut


def gzip_damaged(path: Path) -> None:
    packed = bytearray(gzip.compress(sky().tobytes()))
    packed[200:260] = b"x" * 60
    path.write_bytes(packed)


def fits_claiming_huge(path: Path) -> None:
    save_fits(sky())(path)
    path.write_bytes(
        path.read_bytes().replace(b"NAXIS1  =                   64", b"NAXIS1  =            900000000")
    )


def hdf5_without_image(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["psf"] = sky(21, 21)


def hdf5_huge(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("image", (10**6, 10**6), dtype="f8", chunks=(64, 64))


def fits_table(path: Path) -> None:
    fits.BinTableHDU.from_columns([fits.Column("x", "E", array=np.ones(3))]).writeto(path)


# file name, what writes it, options of the reader, the message
TABLE: dict[str, tuple[str, Writer, dict, str]] = {
    # not there, or not what it seems
    "missing": ("a.fits", lambda path: None, {}, r"does not exist; check the path"),
    "zero bytes": ("a.fits", lambda path: path.touch(), {}, r"is empty \(0 bytes\)"),
    "empty folder": ("folder", lambda path: path.mkdir(), {}, r"the folder holds no image \(\.fits, "),
    "unknown ending": (
        "a.tif",
        lambda path: path.write_bytes(b"II*"),
        {},
        r"not of a known kind \(\.tif\); give one",
    ),
    "text as FITS": ("a.fits", lambda path: path.write_text("hello" * 99), {}, r"is not a FITS file"),
    "text as HDF5": ("a.h5", lambda path: path.write_text("hello" * 99), {}, r"is not an HDF5 file"),
    "text as npy": (
        "a.npy",
        lambda path: path.write_text("hello" * 99),
        {},
        r"is not a NumPy file",
    ),
    "text as npz": (
        "a.npz",
        lambda path: path.write_text("hello" * 99),
        {},
        r"is not a NumPy file",
    ),
    "table only": ("a.fits", fits_table, {}, r"holds no image"),
    "PSF only": ("a.h5", hdf5_without_image, {}, r"holds no image \(found: psf 21×21\)"),
    # damaged
    "FITS cut short": ("a.fits", cut_short(save_fits(sky())), {}, r"is truncated|cannot be read"),
    "gzip cut short": ("a.fits.gz", cut_short(save_fits(sky())), {}, r"damaged gzip file|truncated"),
    "gzip damaged": ("a.fits.gz", gzip_damaged, {}, r"damaged gzip file|is not a FITS file"),
    "npy cut short": ("a.npy", cut_short(save_array(sky())), {}, r"is damaged"),
    "HDF5 cut short": ("a.h5", cut_short(hdf5_without_image), {}, r"cannot be read|not an HDF5 file"),
    "header claims 58 Gpx": ("a.fits", fits_claiming_huge, {}, r"at most 64 million are read|truncated"),
    "data set of 1 Tpx": ("a.h5", hdf5_huge, {}, r"1000000×1000000 pixels; at most 64 million"),
    # shapes and types
    "1D": ("a.npy", save_array(sky(64)), {}, r"has shape 64; the model needs \[h w\]"),
    "5D": ("a.npy", save_array(sky(2, 2, 2, 9, 9)), {}, r"has shape 2×2×2×9×9; the model needs"),
    "no pixels": ("a.npy", save_array(sky(0, 64)), {}, r"holds no image"),
    "4 × 4": ("a.npy", save_array(sky(4, 4)), {}, r"needs at least 8×8 pixels"),
    "channels first": (
        "a.npy",
        save_array(sky(2, 64, 64)),
        {"bands": ["g", "r"]},
        r"has shape 2×64×64; .*\[h w c\]",
    ),
    "complex": ("a.npy", save_array(sky().astype(complex)), {}, r"type complex128; give real numbers"),
    "strings": ("a.npy", save_array(np.full((64, 64), "flux")), {}, r"type <U4; give real numbers"),
    "Python objects": ("a.npy", save_array(np.full((64, 64), None)), {}, r"holds Python objects"),
    "too small a field": ("a.fits", save_fits(sky(30, 30)), {}, r"lacks 18 of the 48 pixels .* larger field"),
    # values
    "mostly NaN": ("a.fits", save_fits(spoiled(np.nan, 900)), {}, r"has \d+ NaN pixels in band VIS, \d+% of"),
    "all NaN": ("a.fits", save_fits(np.full((64, 64), np.nan)), {}, r"nothing but NaN"),
    "infinite": (
        "a.fits",
        save_fits(spoiled(np.inf, 3)),
        {},
        r"has 3 infinite pixels in band VIS; set them to NaN",
    ),
    "constant": ("a.fits", save_fits(np.full((64, 64), 7.0)), {}, r"is constant \(7\) in band VIS"),
    "noise-free": ("a.npy", save_array(np.eye(64)), {}, r"shows no noise in band VIS"),
    # pixel scale
    "no scale": (
        "a.npy",
        save_array(sky()),
        {"source_pixel_scale": None},
        r"no pixel scale; pass --pixel-scale",
    ),
    "WCS of one degree": (
        "a.fits",
        save_fits(sky(), PIXSCALE=0.0, CDELT1=1.0, CDELT2=1.0),
        {"source_pixel_scale": None},
        r'no pixel scale \(CDELT gives 3600"/px, which cannot be\); pass --pixel-scale',
    ),
    "negative scale": (
        "a.fits",
        save_fits(sky(), PIXSCALE=-0.1),
        {"source_pixel_scale": None},
        r'PIXSCALE gives -0\.1"/px, which cannot be',
    ),
    # bands
    "one band of two": ("a.fits", save_fits(sky()), {"bands": ["VIS", "Y"]}, r"has one band .* needs VIS, Y"),
    "a band missing": (
        "a.fits",
        save_fits(sky(), sky(), names=("VIS_BGSUB", "NIR_Y_BGSUB")),
        {"bands": ["VIS", "Y", "H"]},
        r"has no band H: it holds VIS_BGSUB 64×64, NIR_Y_BGSUB 64×64",
    ),
    "a band twice": (
        "a.fits",
        save_fits(sky(), sky(), names=("DES_G", "HSC_G")),
        {"bands": ["g"]},
        r"2 layers for band g: DES_G 64×64, HSC_G 64×64; name one with --hdus",
    ),
    "unknown HDU": (
        "a.fits",
        save_fits(sky(), names=("SCI",)),
        {"hdus": ["VIS"]},
        r"no HDU or data set 'VIS'; .* SCI",
    ),
    "centre outside": ("a.fits", save_fits(sky()), {"centre": (500.0, 500.0)}, r"does not reach .* --centre"),
}


@pytest.mark.parametrize("case", TABLE)
def test_a_bad_file_gives_one_line_and_the_good_one_is_read(case, tmp_path):
    name, write, options, message = TABLE[case]
    write(tmp_path / name)
    options = {"bands": ["VIS"], "source_pixel_scale": 0.1} | options
    good = tmp_path / "good.fits"
    side = 1200 if "centre" in options else 64
    save_fits(*[sky(side, side)] * len(options["bands"]), names=tuple(options["bands"]))(good)
    cutouts, problems = read_cutouts([tmp_path / name, good], pixel_scale=0.1, size=48, **options)
    assert [problem.source for problem in problems] == [str(tmp_path / name)]
    assert re.search(message, problems[0].message), problems[0].message
    assert "\n" not in str(problems[0]) and len(problems[0].message) < 300
    assert [cutout.id for cutout in cutouts] == ["good"] and np.isfinite(cutouts[0].image).all()


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    for name in ("a.fits", "good.fits"):
        save_fits(sky())(tmp_path / name)
    real_open = Path.open

    def refuse(self: Path, *args: object, **kwargs: object) -> object:  # root may read everything
        if self.name == "a.fits":
            raise PermissionError(13, "Permission denied")
        return real_open(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    cutouts, problems = read_cutouts(tmp_path, bands=["VIS"], pixel_scale=0.1, size=48)
    assert len(cutouts) == 1
    assert problems[0].message == "may not be read (permission denied); change its permissions."


def test_a_missing_file_of_a_group_is_named(tmp_path):
    for name in ("p_VIS", "p_Y", "q_VIS", "q_Y", "q_H"):
        save_fits(sky())(tmp_path / f"{name}.fits")
    cutouts, problems = read_cutouts(tmp_path, bands=["VIS", "Y", "H"], pixel_scale=0.1, size=48)
    assert [cutout.id for cutout in cutouts] == ["q"]
    assert [problem.message for problem in problems] == ["has no file for band H; the model needs VIS, Y, H."]


def test_one_flag_cannot_scale_bands_of_several_sizes(tmp_path):
    for name, side in (("x_VIS", 90), ("x_Y", 30)):
        save_fits(sky(side, side))(tmp_path / f"{name}.fits")
    _, problems = read_cutouts(tmp_path, bands=["VIS", "Y"], pixel_scale=0.1, size=48, source_pixel_scale=0.1)
    assert "bands of several sizes (VIS 90×90, Y 30×30)" in problems[0].message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source_pixel_scale": 0.0}, r"--pixel-scale: is 0\.0; give arcseconds a pixel, above zero"),
        ({"source_pixel_scale": -0.05}, r"--pixel-scale: is -0\.05"),
        ({"source_pixel_scale": float("nan")}, r"--pixel-scale: is nan"),
        ({"hdus": ["A", "B"], "bands": ["VIS", "Y", "H"]}, r"--hdus: names 2; give one a band, .* VIS, Y, H"),
    ],
)
def test_wrong_options_give_one_line(tmp_path, options, message):
    cutouts, problems = read_cutouts(tmp_path, **{"bands": ["VIS"], "pixel_scale": 0.1, "size": 48} | options)
    assert not cutouts and len(problems) == 1 and re.search(message, str(problems[0]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"cat\.csv: is no readable CSV file"),
        ("", r"cat\.csv: has no rows"),
        ("picture,label\na.fits,1\n", r"has no column file or id; its columns are picture, label"),
        ("file,x\na.fits,1\n", r"has only one of the columns x and y"),
        (
            "file,label\na.fits,galaxy\n",
            r"line 2 \(a\.fits\): label 'galaxy' is no class; use non-lens, lens or 0 to 1",
        ),
        ("file,x,y\na.fits,left,3\n", r"position x = 'left', y = '3' is not two numbers"),
        ("file,label\na.fits,1\nb.fits,0\n", r"line 3: names 'b\.fits', which is not among the inputs"),
        (b"file,label\n\xff\xfe\x00,1\n", r"is no readable CSV file"),
    ],
)
def test_a_bad_catalogue_costs_its_rows_and_not_the_images(tmp_path, text, message):
    save_fits(sky())(tmp_path / "a.fits")
    if text is not None:
        (tmp_path / "cat.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    cutouts, problems = read_cutouts(
        tmp_path / "a.fits", bands=["VIS"], pixel_scale=0.1, size=48, catalogue=tmp_path / "cat.csv"
    )
    assert [cutout.id for cutout in cutouts] == ["a"]
    assert len(problems) == 1 and re.search(message, str(problems[0])), problems
