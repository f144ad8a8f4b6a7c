"""Readers of users' cutouts: every layout gives the same image, and the image is what the pixels say."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from astropy.io import fits

from lensjax.data.images.noise import sky_and_sigma
from lensjax.data.images.readers import Cutout, read_cutouts
from lensjax.data.images.resample import PixelGrid, fill_missing, model_grid, resample

BANDS = ["VIS", "Y"]


def scene(
    size: int = 80, seed: int = 0, at: tuple[float, float] | None = None, width: float = 3.0
) -> np.ndarray:
    """A round galaxy on a sky of 10 with a noise of 2."""
    row, column = at or ((size - 1) / 2, (size - 1) / 2)
    y, x = np.mgrid[:size, :size]
    galaxy = 200 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * width**2))
    return 10 + galaxy + 2 * np.random.default_rng(seed).normal(size=(size, size))


def hdu(image: np.ndarray, name: str = "", **header: object) -> fits.ImageHDU:
    made = fits.ImageHDU(image.astype(np.float32), name=name or None)
    made.header.update(header)
    return made


def write_fits(path: Path, *hdus: fits.ImageHDU) -> Path:
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    return path


def one(inputs: object, **options: object) -> Cutout:
    options = {"bands": ["VIS"], "pixel_scale": 0.1, "size": 48} | options
    cutouts, problems = read_cutouts(inputs, **options)
    assert not problems, [str(problem) for problem in problems]
    assert len(cutouts) == 1
    return cutouts[0]


def test_every_layout_of_two_bands_gives_the_same_image(tmp_path):
    a, b = scene(seed=1).astype(np.float32), scene(seed=2).astype(np.float32)
    scale = {"PIXSCALE": 0.1}
    psf = hdu(np.ones((9, 9)), "VIS_PSF")
    layouts = {
        "hdus": write_fits(tmp_path / "hdus.fits", hdu(b, "NIR_Y_BG", **scale), psf, hdu(a, "VIS", **scale)),
        "filter": write_fits(
            tmp_path / "f.fits", *(hdu(i, FILTER=f, **scale) for i, f in ((b, "Y"), (a, "VIS")))
        ),
        "cube": write_fits(tmp_path / "cube.fits", hdu(np.stack([a, b]), "SCI", **scale)),
        "gzip": write_fits(tmp_path / "cube.fits.gz", hdu(np.stack([a, b]), "SCI", **scale)),
        "npy": tmp_path / "stack.npy",
        "npz": tmp_path / "bands.npz",
        "hdf5": tmp_path / "image.h5",
    }
    np.save(layouts["npy"], np.stack([a, b], axis=-1))
    np.savez(layouts["npz"], VIS=a, Y=b, pixel_scale=0.1)
    with h5py.File(layouts["hdf5"], "w") as file:
        file["image_data"] = np.stack([a, b], axis=-1)
        file["transform_pix2angle"] = [[0.0, 0.1], [-0.1, 0.0]]
    write_fits(tmp_path / "cut_VIS.fits", hdu(a, **scale))
    write_fits(tmp_path / "cut_Y.fits", hdu(b, **scale))
    images = {
        name: one(path, bands=BANDS, source_pixel_scale=0.1 if name == "npy" else None).image
        for name, path in layouts.items()
    }
    grouped = one([tmp_path / "cut_Y.fits", tmp_path / "cut_VIS.fits"], bands=BANDS)
    assert grouped.id == "cut"
    for name, image in (images | {"files": grouped.image}).items():
        assert image.shape == (48, 48, 2) and image.dtype == np.float32
        np.testing.assert_array_equal(image, images["hdus"], err_msg=name)


def test_bands_in_folders_of_their_own_belong_together(tmp_path):
    for band, side, scale in (("VIS", 90, 0.1), ("Y", 30, 0.3)):
        (tmp_path / f"EUC_{band}").mkdir()
        for number in (1, 2):
            image = scene(side, seed=number, width=6.0 * 0.1 / scale)
            write_fits(tmp_path / f"EUC_{band}" / f"image_{band}-{number}.fits", hdu(image, PIXSCALE=scale))
    cutouts, problems = read_cutouts([tmp_path], bands=BANDS, pixel_scale=0.1, size=64)
    assert not problems and [cutout.id for cutout in cutouts] == ["image_1", "image_2"]
    for cutout in cutouts:  # the coarser band lands on the same pixels
        weight = np.clip(np.sinh(cutout.image) - 20, 0, None)
        centres = np.einsum("hwc,h->c", weight, np.arange(64)) / weight.sum((0, 1))
        np.testing.assert_allclose(centres, 31.5, atol=0.6)


def test_the_image_is_flux_over_noise_and_ignores_unit_and_sky(tmp_path):
    image = scene(80)
    np.save(tmp_path / "a.npy", image)
    np.save(tmp_path / "b.npy", 1e-17 * image + 3e-15)
    a, b = (one(tmp_path / f"{n}.npy", source_pixel_scale=0.1).image[..., 0] for n in "ab")
    np.testing.assert_allclose(a, b, atol=2e-4)
    np.testing.assert_allclose(np.sinh(a), (image[16:64, 16:64] - 10) / 2, atol=0.3, rtol=0.1)


@pytest.mark.parametrize("scale", [0.05, 0.07, 0.1, 0.13, 0.2])
def test_position_and_light_agree_at_every_scale(tmp_path, scale):
    side, row, column = round(8 / scale), 4.9 / scale, 3.3 / scale
    np.save(tmp_path / "star.npy", scene(side, at=(row, column), width=0.3 / scale))
    (tmp_path / "cat.csv").write_text(f"file,label,x,y\nstar.npy,lens,{column},{row}\n")
    cutout = one(tmp_path / "star.npy", size=64, source_pixel_scale=scale, catalogue=tmp_path / "cat.csv")
    assert cutout.label == 1 and cutout.position is not None
    weight = np.clip(np.sinh(cutout.image[..., 0]) - 15, 0, None)
    where = [(np.arange(64) * weight.sum(1 - axis)).sum() / weight.sum() for axis in (0, 1)]
    np.testing.assert_allclose(64 * cutout.position - 0.5, where, atol=0.1)


def test_centre_moves_the_field(tmp_path):
    np.save(tmp_path / "off.npy", scene(120, at=(40.0, 70.0)))
    image = one(tmp_path / "off.npy", source_pixel_scale=0.1, centre=(40.5, 70.5)).image[..., 0]
    assert np.all(np.abs(np.argwhere(image == image.max())[0] - 23) <= 2)


@pytest.mark.parametrize("factor", [0.3, 0.77, 1.0, 1.6, 4.0])
def test_resampling_keeps_surface_brightness_and_shrinking_keeps_flux(factor):
    y, x = np.mgrid[:97, :97]
    ramp = 3.0 + 0.1 * y - 0.2 * x
    grid = model_grid(ramp.shape, 1.0, factor, 16)
    values, covered = resample(ramp, grid)
    rows, columns = (s + grid.factor * np.arange(16) for s in grid.start)
    assert covered.all()
    np.testing.assert_allclose(
        values, 3.0 + 0.1 * rows[:, None] - 0.2 * columns, atol=0.04 if factor > 1 else 1e-6
    )
    blob = np.exp(-((y - 48) ** 2 + (x - 48) ** 2) / 8.0)
    if factor >= 1:
        np.testing.assert_allclose(resample(blob, grid)[0].sum() * factor**2, blob.sum(), rtol=2e-3)


def test_equal_scales_copy_pixels():
    image = np.random.default_rng(0).normal(size=(81, 80))
    values, covered = resample(image, model_grid(image.shape, 0.0998, 0.1, 32))
    assert covered.all()
    np.testing.assert_allclose(values, image[25:57, 24:56], atol=1e-12)


def test_noise_is_unbiased_in_an_empty_field_and_robust_to_a_galaxy():
    good = np.ones((96, 96), bool)
    empty = [sky_and_sigma(scene(96, seed) * 1.0, good) for seed in range(8)]
    np.testing.assert_allclose(np.mean(empty, 0), (10, 2), atol=0.06)
    y, x = np.mgrid[:96, :96] - 47.5
    halo = 400 * np.exp(-np.hypot(x, y) / 14)
    sky, sigma = sky_and_sigma(scene(96) + halo, good)
    assert abs(sigma - 2) < 1 and 10 < sky < 10 + halo[0].mean() + halo[-1].mean()


def test_fill_missing_continues_the_neighbourhood():
    y, x = np.mgrid[:30, :30].astype(float)
    missing = np.zeros((30, 30), bool)
    missing[10:13, 8:10] = True
    filled = fill_missing(np.where(missing, np.nan, x + y), missing)
    np.testing.assert_allclose(filled, x + y, atol=1.6)
    assert np.array_equal(filled[~missing], (x + y)[~missing])


def test_missing_pixels_and_padding_are_filled_and_noted(tmp_path):
    image = scene(80)
    image[30:33, 40:44] = np.nan
    np.save(tmp_path / "a.npy", image)
    cutout = one(tmp_path / "a.npy", source_pixel_scale=0.1)
    assert "VIS: 12 NaN pixels filled from neighbours" in cutout.notes
    assert np.isfinite(cutout.image).all()
    padded = one(tmp_path / "a.npy", source_pixel_scale=0.1, size=90)
    assert "VIS: 10 of 90 pixels on a side padded with sky" in padded.notes
    assert np.all(padded.image[:5] == 0) and padded.image[10:80, 10:80].std() > 0.5


def test_a_noise_map_bounds_the_noise_and_marks_bad_pixels(tmp_path):
    image, rms = scene(80), np.full((80, 80), 0.5)
    image[40, 40], rms[40, 40] = 1e6, 1e16
    path = write_fits(tmp_path / "a.fits", hdu(image, "VIS_BGSUB", PIXSCALE=0.1), hdu(rms, "VIS_RMS"))
    cutout = one(path)
    assert any("noise 0.5 as the file says" in note for note in cutout.notes)
    assert any("1 pixels marked in the noise map" in note for note in cutout.notes)
    assert cutout.image.max() < np.arcsinh(300 / 0.5)
    np.testing.assert_allclose(np.median(np.sinh(cutout.image[:6])), 10 / 0.5, rtol=0.1)  # BGSUB: sky kept


@pytest.mark.parametrize(
    ("header", "scale"),
    [
        ({"CD1_1": -0.1 / 3600, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.1 / 3600, "CDELT1": 1.0}, 0.1),
        ({"CD1_1": 6e-2 / 3600, "CD1_2": 8e-2 / 3600, "CD2_1": -8e-2 / 3600, "CD2_2": 6e-2 / 3600}, 0.1),
        ({"CDELT1": -0.2, "CDELT2": 0.2, "CUNIT1": "arcsec"}, 0.2),
        ({"CDELT1": 1.0, "CDELT2": 1.0, "PIXSCALE": 0.05}, 0.05),  # a WCS of one degree is no WCS
        ({"PIXSCALE": "0.15 arcsec"}, 0.15),
    ],
)
def test_pixel_scale_of_a_header(tmp_path, header, scale):
    path = write_fits(tmp_path / "a.fits", hdu(scene(120), **header))
    notes = " ".join(one(path, size=30).notes)
    assert f'pixel scale {scale:.4g}" from' in notes
    assert ("resampled" in notes) == (scale != 0.1)
    assert "although the file says" in " ".join(one(path, size=30, source_pixel_scale=0.12).notes)


def test_stamps_give_one_cutout_an_hdu_and_hdus_pick_one(tmp_path):
    path = write_fits(tmp_path / "stamps.fits", *(hdu(scene(60 + n, n), PIXSCALE=0.1) for n in range(3)))
    cutouts, problems = read_cutouts(path, bands=["F814W"], pixel_scale=0.1, size=48)
    assert not problems and [cutout.id for cutout in cutouts] == ["stamps[1]", "stamps[2]", "stamps[3]"]
    np.testing.assert_array_equal(one(path, hdus=["2"]).image, cutouts[1].image)
    batch = np.stack([scene(60, n) for n in range(4)])
    np.save(tmp_path / "batch.npy", batch)
    many, _ = read_cutouts(
        tmp_path / "batch.npy", bands=["V"], pixel_scale=0.1, size=48, source_pixel_scale=0.1
    )
    assert [cutout.id for cutout in many] == [f"batch[{n}]" for n in range(4)]


def test_single_band_models_take_any_filter_and_say_so(tmp_path):
    path = write_fits(
        tmp_path / "a.fits", hdu(scene(), "SCI", FILTER="F606W", PIXSCALE=0.1), hdu(scene(), "ERR")
    )
    assert "taken as band F814W; the file calls it F606W" in one(path, bands=["F814W"]).notes


def test_a_folder_is_read_with_its_catalogue(tmp_path):
    for place in ("a/x.npy", "a/psf.npy", "b/x.npy", "b/y.npy"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        np.save(tmp_path / place, scene(60))
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "catalogue.csv").write_text(
        "id,label,x,y\na/x,Non Lens,,\nb/x.npy,1,29.5,29.5\ngone,lens,1,1\n"
    )
    cutouts, problems = read_cutouts(
        [tmp_path], bands=["V"], pixel_scale=0.1, size=48, source_pixel_scale=0.1
    )
    assert [cutout.id for cutout in cutouts] == ["a/x", "b/x", "y"]
    assert [cutout.label for cutout in cutouts] == [0, 1, None]
    np.testing.assert_allclose(cutouts[1].position, 0.5, atol=0.011)
    assert "not in the catalogue" in cutouts[2].notes
    assert all("skipped in the folder, not images: psf.npy" in cutout.notes for cutout in cutouts)
    assert [str(p) for p in problems] == [
        f"{tmp_path / 'catalogue.csv'} line 4: names 'gone', which is not among the inputs."
    ]


def test_what_astropy_warns_of_becomes_a_note(tmp_path):
    path = write_fits(tmp_path / "odd.fits", hdu(scene(), PIXSCALE=0.1, FILTER="VIS"))
    whole = path.read_bytes()
    last = 2880 * 2 + 80 * 80 * 4  # two headers of one block, then the pixels
    path.write_bytes(whole[:last])  # written without the padding that FITS asks for
    assert any("header: File may have been truncated" in note for note in one(path).notes)
    path.write_bytes(whole.replace(b"FILTER  = 'VIS", b"FILTER  = \xffVIS"))
    assert one(path).image.shape == (48, 48, 1)


def test_grid_fractions_follow_the_convention_of_positions():
    grid = PixelGrid(2.0, (0.5, 0.5), 10)  # twenty pixels onto ten
    np.testing.assert_allclose(grid.fraction(9.5, 9.5), 0.5)
    np.testing.assert_allclose(grid.fraction(-0.5, 19.5), (0, 1))


def test_real_jackpot_lies_in_the_middle(real_data):
    folder = real_data / "lens_jackpot" / "slacs0946+1006"
    options = {"bands": ["F814W"], "pixel_scale": 0.05, "size": 96, "source_pixel_scale": 0.05}
    for inputs in (folder, folder / "data.fits.gz"):
        image = one(inputs, **options).image[..., 0]
        assert np.all(np.abs(np.argwhere(image == image.max())[0] - 47.5) <= 2)
    cutouts, problems = read_cutouts(
        real_data / "lens_hst" / "raw_jackpot", bands=["F814W"], pixel_scale=0.05, size=96
    )
    assert not problems and len(cutouts) == 2
    for cutout in cutouts:
        peak = np.argwhere(cutout.image[..., 0] == cutout.image.max())[0]
        assert np.all(np.abs(peak - 47.5) <= 6)  # 0.3", as its catalogue has it


def test_real_euclid_lens_has_its_bands_in_order(real_data):
    folder = real_data / "lens_euclid_q1"
    four = one(folder, bands=["VIS", "Y", "J", "H"], size=64)
    assert four.image.shape == (64, 64, 4)
    swapped = one(folder, bands=["H", "VIS"], size=64).image
    np.testing.assert_array_equal(swapped, four.image[..., [3, 0]])
    border = np.concatenate([four.image[:8], four.image[-8:]])
    np.testing.assert_allclose(
        1.4826 * np.median(np.abs(border - np.median(border, (0, 1))), (0, 1)), 1, atol=0.3
    )


def test_real_stamps_and_challenge_files_are_read(real_data):
    stamps, problems = read_cutouts(
        real_data / "galaxies_hst_cosmos" / "btk",
        bands=["F814W"],
        pixel_scale=0.03,
        size=32,
        source_pixel_scale=0.03,
    )
    assert len(stamps) == 95 and all("too small" in problem.message for problem in problems)
    challenge, problems = read_cutouts(
        real_data / "lens_challenge" / "space_based", bands=["VIS"], pixel_scale=0.1, size=64
    )
    assert len(challenge) == 9 and not problems


def test_a_catalogue_names_stamps_or_their_file(tmp_path):
    path = write_fits(tmp_path / "s.fits", *(hdu(scene(60, n), PIXSCALE=0.1) for n in range(2)))
    (tmp_path / "cat.csv").write_text("id,label,x,y\ns.fits,0,5,5\ns[2],1,29.5,29.5\n")
    options = {"bands": ["V"], "pixel_scale": 0.1, "size": 48, "catalogue": tmp_path / "cat.csv"}
    cutouts, problems = read_cutouts(path, **options)
    assert not problems and [cutout.label for cutout in cutouts] == [0, 1]
    assert cutouts[0].position is None and cutouts[1].position is not None


@pytest.mark.parametrize("kind", ["a.fits", "a.fits.gz", "a.npy", "a.npz"])
def test_damaged_bytes_never_raise(tmp_path, kind):
    path, rng = tmp_path / kind, np.random.default_rng(0)
    if "fits" in kind:
        write_fits(path, hdu(scene(20), "VIS", PIXSCALE=0.1), hdu(scene(20), "VIS_RMS"))
    else:
        (np.save if kind == "a.npy" else np.savez)(path, scene(20))
    whole = path.read_bytes()
    for trial in range(25):
        damaged = bytearray(whole[: rng.integers(1, len(whole))] if trial % 3 == 0 else whole)
        for place in rng.integers(0, min(len(damaged), 6000), 3):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        cutouts, problems = read_cutouts(path, bands=["VIS"], pixel_scale=0.1, size=16)
        assert len(cutouts) + len(problems) == 1 and not any("\n" in str(problem) for problem in problems)
