"""Pictures of events: colours back to energy, crops, the golden set, a user's own files."""

import zlib

import h5py
import numpy as np
import pytest
from spectrogram_files import png

from lensjax.data.gravity_spy.event_index import class_named
from lensjax.data.gravity_spy.spectrograms import encode_energy, encode_rgb, energy_of_grey, read_png
from lensjax.data.gravity_spy.training_set import read_golden
from lensjax.event_axes import CLASSES
from lensjax.spectrogram.colour_map import VIRIDIS, ColourInverter, colour

SPLITS = ("train", "validation", "test")


def test_viridis_is_matplotlibs_both_ways():
    import matplotlib

    fraction = np.linspace(0, 1, 1001, dtype=np.float32)
    assert (colour(fraction) == matplotlib.colormaps["viridis"](fraction, bytes=True)[:, :3]).all()
    assert (colour(ColourInverter().invert(VIRIDIS)) == VIRIDIS).all()
    assert np.abs(ColourInverter().invert(colour(fraction)) - fraction).max() < 2 / 255


def test_inversion_takes_the_nearest_entry():
    rgb = np.random.default_rng(0).integers(0, 256, (40, 5, 3), np.uint8)
    distance = ((rgb[:, :, None].astype(int) - VIRIDIS.astype(int)) ** 2).sum(-1)
    chosen = np.rint(ColourInverter().invert(rgb) * 255).astype(int)
    assert (np.take_along_axis(distance, chosen[..., None], -1)[..., 0] == distance.min(-1)).all()


def test_grey_gives_the_energy_back():
    fraction = np.arange(256, dtype=np.float32) / 255
    grey = (VIRIDIS / 255 @ [0.2125, 0.7154, 0.0721]).astype(np.float32)
    assert np.abs(energy_of_grey(grey) - fraction).max() < 2 / 255
    for bad in (np.array([0.2, 1.1]), np.array([0.2, np.nan])):
        with pytest.raises(ValueError, match="grey values"):
            energy_of_grey(bad)


def test_crop_leaves_out_the_title_and_the_axes():
    pixels = np.full((600, 800, 4), 255, np.uint8)
    pixels[61:540, 101:674, :3] = VIRIDIS[0]
    rgb = read_png(png(pixels))
    assert rgb.shape == (466, 566, 3)
    assert (rgb == VIRIDIS[0]).all()


@pytest.mark.parametrize("shape", [(466, 566), (140, 170)])
def test_a_cropped_picture_is_taken_as_it_is(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert (read_png(png(pixels)) == pixels).all()
    assert (encode_rgb(pixels, shape, "rgb", ColourInverter()) == pixels).all()


def test_energies_are_averaged_and_colours_are_not_inverted():
    fraction = np.zeros((8, 8), np.float32)
    fraction[::2] = 1
    assert (encode_energy(fraction, (4, 4), "clipped") == 128).all()
    assert np.allclose(encode_energy(fraction, (4, 4), "log"), np.log1p(12.75), rtol=1e-3)
    assert (encode_energy(fraction, (4, 4), "rgb") == VIRIDIS[128]).all()
    stripes = colour(fraction)
    assert np.allclose(
        encode_rgb(stripes, (4, 4), "rgb", ColourInverter()), VIRIDIS[[0, 255]].mean(0), atol=1
    )
    assert (encode_rgb(stripes, (4, 4), "clipped", ColourInverter()) == 128).all()
    assert encode_energy(fraction, (31, 17), "clipped").shape == (31, 17, 1)


def test_a_picture_of_many_pixels_is_refused_by_its_header():
    data = bytearray(png(np.zeros((10, 10, 3), np.uint8)))
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(ValueError, match="exceeds limit"):
        read_png(bytes(data))
    with pytest.raises(ValueError, match="at most 20000000 are read"):
        read_png(bytes(20_000_001))


def test_golden_pictures(real_data):
    found = read_golden(real_data / "gravity_spy_golden" / "golden_rgb_140x170.npz")
    assert sorted(CLASSES[example["label"]] for example in found) == sorted(CLASSES)
    assert len({example["id"] for example in found}) == 22
    energy = {CLASSES[example["label"]]: example["image"].mean() for example in found}
    assert max(energy, key=energy.get) == "Extremely_Loud"
    with pytest.raises(ValueError, match="is no .npz with images"):
        read_golden(real_data / "README.md")


def test_names_of_classes():
    assert all(class_named(name) == name for name in CLASSES)
    assert class_named("NOA") == "None_of_the_Above"
    assert class_named("KoiFish") == "Koi_Fish"
    assert class_named("Crown") is None


def test_what_holds_no_pictures_is_told(tmp_path):
    from lensjax.data.gravity_spy.event_files import read_events

    (tmp_path / "empty").mkdir()
    with h5py.File(tmp_path / "strain.hdf5", "w") as file:
        file["strain/Strain"] = np.zeros(8)
    found, problems = read_events([tmp_path / "empty", tmp_path / "strain.hdf5"], (35, 42), "clipped")
    told = [problem.what for problem in problems]
    assert not found and len(told) == 2
    assert "a folder without pictures; those of an event are named <H1|L1|V1>_<id>_spectro" in told[0]
    assert told[1] == "this is strain: give --gps T or --scan."


def test_a_users_pictures_are_grouped_and_told_apart(real_data, tmp_path):
    from lensjax.data.gravity_spy.event_files import read_events

    layout = real_data / "gravity_spy_kaggle_layout"
    found, problems = read_events([layout / "test"], (35, 42), "clipped")
    assert not problems and {event.label_name for event in found} == {"Blip", "Whistle", "Scratchy"}
    assert all(event.image.shape == (4, 35, 42, 1) for event in found)
    pictures = sorted((layout / "test").rglob("Blip/*.png"))
    for picture in pictures[:3]:
        (tmp_path / picture.name).write_bytes(picture.read_bytes())
    (tmp_path / "notes.png").write_bytes(b"no picture")
    (tmp_path / "set.h5").write_bytes(b"no archive")
    found, problems = read_events([tmp_path, tmp_path / "set.h5"], (35, 42), "clipped")
    assert not found
    assert {p.kind for p in problems} == {"missing window", "wrong file name", "unreadable"}
