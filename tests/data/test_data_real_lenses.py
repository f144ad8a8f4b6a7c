"""Real lenses and real galaxies: where they lie, what noise surrounds them, and which are held out."""

import dataclasses

import numpy as np
import pytest
from astropy.io import fits
from real_lens_files import SCALE, write_galaxies, write_lens, write_radii

from lensjax.config import Config, LensData
from lensjax.data.images.band_layout import BadInput
from lensjax.data.store.datasets import Source
from lensjax.data.surveys import galaxies, hst_lenses


def test_the_lens_is_where_the_cutout_says(tmp_path):
    at = write_lens(tmp_path, "SDSSJ1", theta_e=0.9)
    write_radii(tmp_path, {"SDSSJ1": 0.9, "SDSSJ9": 1.0})
    (lens,), problems = hst_lenses.find_lenses(tmp_path)
    assert not problems and (lens.filter, lens.theta_e) == ("F814W", 0.9)
    np.testing.assert_allclose(lens.centre, at, atol=1e-9)
    assert lens.pixel_scale == pytest.approx(SCALE)
    for offset in ((0.0, 0.0), (0.21, -0.33)):
        image, position = hst_lenses.cutout(lens, "F814W", 32, SCALE, offset)
        assert image.shape == (32, 32, 1)
        peak = np.unravel_index(image[..., 0].argmax(), (32, 32))
        np.testing.assert_allclose(position * 32 - 0.5, peak, atol=1.5)
        moved = (0.5 - position) * 32 * SCALE
        np.testing.assert_allclose(moved, offset, atol=SCALE)


def test_one_filter_a_lens_the_nearest_to_training(tmp_path):
    for band in ("F435W", "F606W", "F814W"):
        write_lens(tmp_path, "SDSSJ1", band=band)
    write_lens(tmp_path, "SDSSJ2", band="F606W")
    found, problems = hst_lenses.find_lenses(tmp_path)
    assert [(lens.id, lens.filter) for lens in found] == [("SDSSJ1", "F814W"), ("SDSSJ2", "F606W")]
    assert not problems and all(np.isnan(lens.theta_e) for lens in found)


def test_bad_lenses_cost_a_line(tmp_path):
    with pytest.raises(BadInput, match="is no folder"):
        hst_lenses.find_lenses(tmp_path / "gone")
    with pytest.raises(BadInput, match="no folder with F814W.h5"):
        hst_lenses.find_lenses(tmp_path)
    write_lens(tmp_path, "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "F814W.h5").write_bytes(b"no hdf5")
    write_lens(tmp_path, "odd", band="F999X")
    found, problems = hst_lenses.find_lenses(tmp_path)
    assert [lens.id for lens in found] == ["good"] and len(problems) == 2
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a.csv").write_text("name,colour\nx,red\n")
    with pytest.raises(BadInput, match="no CSV with the columns"):
        hst_lenses.find_lenses(tmp_path)


def test_a_galaxy_lies_in_noise_like_its_own(tmp_path):
    write_galaxies(tmp_path, sky=7.0)
    galaxy = galaxies.read_galaxies(tmp_path)[3]
    images = [galaxies.place(galaxy, 48, 0.05, np.random.default_rng(seed)) for seed in range(20)]
    image = np.sinh(np.stack(images)[..., 0])
    assert image.shape == (20, 48, 48) and images[0].dtype == np.float32
    assert np.std(image[:, :10]) == pytest.approx(1, rel=0.1)  # what was added
    assert np.abs(image[:, :10].mean()) < 0.1
    peak = np.unravel_index(image.mean(0).argmax(), (48, 48))
    assert np.abs(np.array(peak) - 23.5).max() <= 1.5
    # A pixel here averages (5/3)² of the stamp's, so its noise is that much less.
    assert image.max() == pytest.approx(45 * 5 / 3, rel=0.3)
    near = np.sinh(galaxies.place(galaxy, 48, 0.05, np.random.default_rng(0), zoom=2.0))
    assert (near > 5).sum() > 2 * (image[0] > 5).sum()
    whole = [galaxies.place(galaxy, 16, 0.05, np.random.default_rng(seed)) for seed in (0, 1)]
    np.testing.assert_array_equal(*whole)  # a stamp larger than the field fills it: nothing is added


def source(n=40, side=32):
    return Source(
        image=np.zeros((n, side, side, 1), np.float16),
        mask=np.ones((n, side, side), bool),
        label=(np.arange(n) % 2).astype(np.int32),
        position=np.full((n, 2), 0.5, np.float32),
        id=np.array([f"s{i}" for i in range(n)]),
        truth={"theta_e": np.ones(n, np.float32)},
        light=np.ones((n, side, side, 1), np.float16),
    )


def test_galaxies_that_are_held_out_are_never_trained_on(tmp_path):
    write_galaxies(tmp_path / "a", 12)
    write_galaxies(tmp_path / "b", 12)  # the same places on the sky
    found = galaxies.read_galaxies(tmp_path)
    assert len(found) == 12
    out = {galaxy.id for galaxy in found if galaxy.held_out}
    assert 0 < len(out) < 12 and out == {g.id for g in galaxies.read_galaxies(tmp_path) if g.held_out}
    mixed = galaxies.mixed(source(), str(tmp_path), 0.5, 0.05, seed=3)
    new = np.flatnonzero([name.startswith("a-") for name in mixed.id])
    assert len(new) == 10 and (mixed.label[new] == 0).all() and (mixed.label == source().label).all()
    assert not {"-".join(mixed.id[i].split("-")[:2]) for i in new} & out
    assert not mixed.mask[new].any() and np.isnan(mixed.position[new]).all()
    assert np.isnan(mixed.truth["theta_e"][new]).all() and (mixed.image[new].std((1, 2, 3)) > 0.5).all()
    old = np.setdiff1d(np.arange(40), new)
    assert mixed.light is not None and not mixed.light[new].any() and mixed.light[old].all()
    assert not mixed.image[old].any() and mixed.mask[old].all()
    again = galaxies.mixed(source(), str(tmp_path), 0.5, 0.05, seed=3)
    np.testing.assert_array_equal(mixed.image, again.image)


def test_negatives_are_mixed_in_where_the_data_ask(tmp_path):
    write_galaxies(tmp_path)
    config = Config(data=LensData(instrument="hst_f814w", size=32))
    plain = source()
    assert galaxies.with_negatives(plain, config) is plain
    asked = dataclasses.replace(config.data, negatives=str(tmp_path), negative_share=1.0)
    mixed = galaxies.with_negatives(plain, dataclasses.replace(config, data=asked))
    assert (mixed.image[mixed.label == 0].std((1, 2, 3)) > 0.5).all()
    galaxies.check_negatives(config)
    with pytest.raises(ValueError, match="'gone' is no folder"):
        galaxies.check_negatives(Config(data=LensData(negatives="gone")))


def test_bad_galaxies_are_named(tmp_path):
    with pytest.raises(BadInput, match="is no folder"):
        galaxies.read_galaxies(tmp_path / "gone")
    with pytest.raises(BadInput, match="no FITS table with the columns"):
        galaxies.read_galaxies(tmp_path)
    write_galaxies(tmp_path)
    with pytest.raises(ValueError, match=r"negative_share \(=0.0\)"):
        galaxies.mixed(source(), str(tmp_path), 0.0, 0.05, 0)
    stamps = tmp_path / "stamps.fits"
    whole = stamps.read_bytes()
    stamps.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="stamps.fits' is damaged"):
        galaxies.read_galaxies(tmp_path)
    stamps.unlink()
    with pytest.raises(BadInput, match="names 'stamps.fits', which is not beside it"):
        galaxies.read_galaxies(tmp_path)
    fits.writeto(stamps, np.full((24, 24), np.nan))
    with pytest.raises(BadInput, match="galaxy .*-0: its stamp"):
        galaxies.read_galaxies(tmp_path)


def test_real_galaxies_and_lenses(real_data):
    found = galaxies.read_galaxies(real_data / "galaxies_hst_cosmos")
    assert len(found) == 110 and 40 < sum(galaxy.held_out for galaxy in found) < 70
    lenses, problems = hst_lenses.find_lenses(real_data / "lens_hst")
    assert len(lenses) == 78 and not problems
    assert np.nanmin([lens.theta_e for lens in lenses]) > 0.6
