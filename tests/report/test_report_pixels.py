"""Pictures as they are encoded: palettes, scales, colours, outlines."""

from __future__ import annotations

import re
import zlib

import numpy as np
import pytest

from lensjax.report import pixels as render
from lensjax.report.page import marks, png


def decode(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Indices and RGBA palette of a paletted PNG, read back by hand."""
    chunks, at = {}, 8
    while at < len(data):
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8].decode()
        body = data[at + 8 : at + 8 + length]
        assert zlib.crc32(name.encode() + body) == int.from_bytes(
            data[at + 8 + length : at + 12 + length], "big"
        )
        chunks[name], at = body, at + 12 + length
    width, height = (int.from_bytes(chunks["IHDR"][i : i + 4], "big") for i in (0, 4))
    rows = np.frombuffer(zlib.decompress(chunks["IDAT"]), np.uint8).reshape(height, -1)
    assert np.all(rows[:, 0] == 0) and rows.shape[1] == width + 1
    rgb = np.frombuffer(chunks["PLTE"], np.uint8).reshape(-1, 3)
    return rows[:, 1:], np.column_stack([rgb, np.frombuffer(chunks["tRNS"], np.uint8)])


def test_png_reads_back() -> None:
    indices = np.arange(100, dtype=np.uint8).reshape(5, 20)
    palette = render.ramp(True)
    got, colours = decode(png.encode(indices, palette))
    np.testing.assert_array_equal(got, indices)
    np.testing.assert_array_equal(colours, palette)
    data = png.encode(indices, palette)
    assert data[37:41] == b"PLTE" and data[33 + 12 + 3 * render.LEVELS + 4 :][:4] == b"tRNS"


def test_zero_is_clear_and_signs_have_their_colours() -> None:
    scale = render.map_scale([np.array([[-1.0, 0.0, 3.0]])])
    assert scale is not None and scale.diverging and scale.low == -scale.high
    indices, own = render.quantise(np.array([[-3.0, 0.0, 3.0]]), True)
    low, zero, high = render.rescale_palette(render.ramp(True), own, scale)[indices[0]].astype(int)
    assert zero[3] == 0 and low[2] > low[0] and high[0] > high[2]


def test_scale_is_shared_between_examples_of_a_method() -> None:
    weak, strong = np.linspace(0, 1, 100).reshape(10, 10), np.linspace(0, 10, 100).reshape(10, 10)
    scale = render.map_scale([weak, strong])
    assert scale is not None and not scale.diverging and scale.low == 0 and 9 < scale.high <= 10
    tops = []
    for values in (weak, strong):
        indices, own = render.quantise(values, False)
        tops.append(render.rescale_palette(render.ramp(False), own, scale)[indices.max()][3])
    assert tops[0] < 0.3 * tops[1]


def test_scale_of_what_is_not_finite_or_flat() -> None:
    assert render.map_scale([np.full((2, 2), np.nan)]) is None
    for value in (0.0, 0.7, -1.0):
        flat = np.full((3, 3), value)
        scale = render.map_scale([flat])
        assert scale is not None and scale.high > scale.low
        indices, own = render.quantise(flat, scale.diverging)
        colours = render.rescale_palette(render.ramp(scale.diverging), own, scale)[indices]
        assert (colours[..., 3] == 0).all() == (value == 0)


def test_composite_puts_the_reddest_band_in_red() -> None:
    image = np.random.default_rng(0).normal(0, 0.5, (32, 32, 3))
    image[4:8, 4:8] += np.array([5.0, 2.0, 0.0])  # i bright
    image[20:24, 20:24] += np.array([0.0, 2.0, 5.0])  # g bright
    pixels, text = render.composite(image, ("i", "r", "g"))
    assert text == "red i, green r, blue g"
    assert pixels[6, 6, 0] > pixels[6, 6, 2] and pixels[22, 22, 2] > pixels[22, 22, 0]
    grey, text = render.composite(image[..., :1], ("F814W",))
    assert np.all(grey == grey[..., :1]) and text == "F814W, grey"


def test_large_images_are_averaged_down() -> None:
    values = np.random.default_rng(0).normal(size=(401, 300))
    factor = render.shrink_factor(values.shape)
    small = render.shrink(values, factor, (0, 1))
    assert factor == 3 and small.shape == (134, 100)
    assert small[0, 0] == pytest.approx(values[:3, :3].mean())


def test_outline_encloses_the_mask() -> None:
    mask = np.zeros((5, 6), bool)
    mask[1:3, 2:5] = True
    assert sorted(re.findall(r"M\d+ \d+[HV]\d+", marks.outline(mask))) == [
        "M2 1H5",
        "M2 1V3",
        "M2 3H5",
        "M5 1V3",
    ]
    assert marks.outline(np.zeros((3, 3), bool)) == ""
