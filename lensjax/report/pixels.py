"""Arrays to pixels: colour composites, windows side by side, maps as palette indices on a stated scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np

LEVELS = 127
"""Colours of a map; odd, so that zero has one of its own."""
GAP = 2
"""Pixels between the windows of an event."""
LARGEST = 192
"""Longest side kept on the page; larger images are averaged down by a whole factor."""
COARSE = 96
"""Maps over events with a longer side than this are averaged down once more: there are so many."""
MOST_VALUES = 4_000_000
"""Pixels that the scale of a method's maps is read from."""
SOFTENING = 4.0
"""Added to fluxes before colours are formed, in units of the background noise."""
# Central wavelengths in µm, only to sort bands; unknown names keep the order they were given in.
WAVELENGTHS = {
    "u": 0.37, "g": 0.48, "r": 0.62, "i": 0.77, "z": 0.90, "y": 0.98, "vis": 0.72, "f475w": 0.48,
    "f606w": 0.59, "f814w": 0.81, "f110w": 1.15, "f140w": 1.39, "f160w": 1.54, "j": 1.25, "h": 1.65, "k": 2.2,
}  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """Values that the first and the last colour stand for; diverging scales are symmetric about zero."""

    low: float
    high: float
    diverging: bool


@dataclass(frozen=True)
class PictureLayout:
    """Pixels of an example as it is shown: of one window, and between windows."""

    height: int
    width: int
    windows: int
    gap: int
    factor: int
    """Averaged down by this."""

    @property
    def total(self) -> int:
        return self.windows * self.width + (self.windows - 1) * self.gap


def layouts(shape: Sequence[int]) -> tuple[PictureLayout, PictureLayout]:
    """Return the layouts of the picture and of the maps of an example [*s], of the same proportions."""
    *windows, height, width = shape
    factor = shrink_factor((height, width))
    coarse = 2 if windows and max(height, width) / factor > COARSE else 1

    def layout(by: int, gap: int) -> PictureLayout:
        return PictureLayout(-(-height // by), -(-width // by), (windows or [1])[0], gap, by)

    return layout(factor, GAP * coarse), layout(factor * coarse, GAP)


def composite(image: np.ndarray, bands: Sequence[str]) -> tuple[np.ndarray, str]:
    """Return uint8 [h w 3] from [h w c] in asinh units, and a few words on how it was made.

    Colours keep the ratios of the fluxes, brightness is asinh of their mean (Lupton et al. 2004,
    PASP 116, 133); every band is first balanced to the same total, so that colours can be told apart.
    """
    values = np.nan_to_num(np.asarray(image, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    if values.shape[-1] == 1:
        grey = stretch(values[..., 0])
        return np.repeat(grey[..., None], 3, axis=-1), f"{_band(bands, 0)}, grey"
    order = _by_wavelength(bands, values.shape[-1])
    blue, red, middle = order[:1], order[-1:], order[1:-1] or order
    flux = np.sinh(np.clip(values, -3, 30))
    bright = flux.mean(-1) >= np.quantile(flux.mean(-1), 0.9)
    total = np.maximum(flux[bright].mean(0), 1e-3)
    # A faint band is raised only so far: beyond that it would show its noise as colour.
    flux = flux * np.clip(total.mean() / total, 0.2, 4.0)
    channels = np.stack([flux[..., group].mean(-1) for group in (red, middle, blue)], axis=-1)
    mean = np.maximum(channels.mean(-1, keepdims=True), 0)
    brightness = stretch(np.arcsinh(channels.mean(-1)))[..., None] / 255.0
    # Some sigma of white in every pixel: the sky's noise stays grey, whatever shines has its colour.
    colours = brightness * np.maximum(channels + SOFTENING, 0) / (mean + SOFTENING)
    # Where a channel would exceed full scale all three are lowered, which keeps the colour.
    colours /= np.maximum(colours.max(-1, keepdims=True), 1.0)
    text = ", ".join(
        f"{name} {'+'.join(_band(bands, i) for i in group)}"
        for name, group in (("red", red), ("green", middle), ("blue", blue))
    )
    return np.round(colours * 255).astype(np.uint8), text


def stretch(values: np.ndarray) -> np.ndarray:
    """Return uint8 grey from just below the sky, at most two sigma, to the 99.8th percentile."""
    low = max(float(np.quantile(values, 0.02)), -1.5)
    high = max(float(np.quantile(values, 0.998)), low + 3.0)
    return np.round(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def count_missing(values: np.ndarray) -> int:
    """Return how many values are not finite."""
    return int(np.sum(~np.isfinite(values)))


def luminance(image: np.ndarray) -> np.ndarray:
    """Return uint8 [h w]: the mean over bands, which lies under the maps."""
    return stretch(np.nan_to_num(np.asarray(image, np.float64), nan=0.0, posinf=0.0, neginf=0.0).mean(-1))


def join_windows(values: np.ndarray, spatial: int, fill: int | float, width: int = GAP) -> np.ndarray:
    """Return the windows of an event [t h w …] beside each other, `width` apart; a 2D image as it is."""
    if spatial == 2:
        return values
    gap = np.full((values.shape[1], width, *values.shape[3:]), fill, values.dtype)
    pieces = [piece for window in values for piece in (gap, window)]
    return np.concatenate(pieces[1:], axis=1)


def shrink_factor(shape: Sequence[int]) -> int:
    """Return the whole number by which (h, w) is averaged down for the page."""
    return max(1, -(-max(shape) // LARGEST))


def shrink(values: np.ndarray, factor: int, axes: tuple[int, int]) -> np.ndarray:
    """Average over blocks of `factor` on two axes; a ragged edge repeats its last row or column."""
    if factor == 1:
        return values
    for axis in axes:
        short = -values.shape[axis] % factor
        pad = [(0, 0)] * values.ndim
        pad[axis] = (0, short)
        values = np.pad(values, pad, mode="edge")
        shape = values.shape
        values = values.reshape(*shape[:axis], shape[axis] // factor, factor, *shape[axis + 1 :])
        values = values.mean(axis + 1)
    return values


def map_scale(maps: Iterable[np.ndarray]) -> Scale | None:
    """Return one scale for maps of one method: symmetric if any value is clearly negative, else low to high.

    The ends are the 0.5th and 99.5th percentiles of all pixels, so that one hot pixel does not hide the
    rest; of more than `MOST_VALUES` pixels a regular sample is read. None where no map is finite.
    """
    finite = [np.ravel(m) for m in maps if np.all(np.isfinite(m))]
    if not finite:
        return None
    step = -(-sum(m.size for m in finite) // MOST_VALUES)
    values = np.concatenate([m[::step] for m in finite]).astype(np.float64)
    top = float(np.max(np.abs(values)))
    if values.min() < -1e-6 * top:
        reach = float(np.quantile(np.abs(values), 0.995)) or top
        return Scale(-reach, reach, True)
    low, high = (float(q) for q in np.quantile(values, [0.005, 0.995]))
    if not high > low:  # flat, or nearly all zero
        return Scale(0.0, top or 1.0, False)
    return Scale(0.0 if low < 0.05 * high else low, high, False)


def shared_scales(maps: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Scale | None]:
    """Return one scale a method over the maps of all examples, so that colours compare between them."""
    names = dict.fromkeys(name for each in maps for name in each)
    return {name: map_scale(each[name] for each in maps if name in each) for name in names}


def quantise(values: np.ndarray, diverging: bool) -> tuple[np.ndarray, Scale]:
    """Return uint8 indices 0 … LEVELS − 1 over the map's own range, and that range."""
    low, high = float(values.min()), float(values.max())
    if diverging:
        reach = max(abs(low), abs(high)) or 1.0  # of a map that is zero: zero stays in the middle
        low, high = -reach, reach
    span = high - low or 1.0
    index = np.round((values - low) / span * (LEVELS - 1)) if high > low else np.full(values.shape, 0)
    return index.astype(np.uint8), Scale(low, low + span if high == low else high, diverging)


def ramp(diverging: bool) -> np.ndarray:
    """Return uint8 [LEVELS 4]: blue – clear – red about zero, or clear – yellow – dark red upwards."""
    at = np.linspace(0, 1, LEVELS)
    name = "RdBu_r" if diverging else "YlOrRd"
    # The palest ends of both maps are left out: over a bright galaxy they would read as nothing.
    strength = np.abs(2 * at - 1) if diverging else at
    where = 0.5 + np.sign(at - 0.5) * (0.16 + 0.34 * strength) if diverging else 0.12 + 0.88 * at
    colours = matplotlib.colormaps[name](where)
    colours[:, 3] = np.clip(1.25 * strength**0.8, 0, 0.95)
    return np.round(colours * 255).astype(np.uint8)


def rescale_palette(colours: np.ndarray, own: Scale, shown: Scale) -> np.ndarray:
    """Return the palette that shows indices over the range `own` with `colours` over the range `shown`."""
    values = own.low + np.arange(LEVELS) / (LEVELS - 1) * (own.high - own.low)
    at = np.clip((values - shown.low) / (shown.high - shown.low), 0, 1)
    return colours[np.round(at * (LEVELS - 1)).astype(int)]


def _by_wavelength(bands: Sequence[str], count: int) -> list[int]:
    names = [b.lower().split(":")[-1].split()[-1] if b.strip() else "" for b in bands]
    if len(names) == count and all(n in WAVELENGTHS for n in names):
        return sorted(range(count), key=lambda i: WAVELENGTHS[names[i]])
    return list(range(count))


def _band(bands: Sequence[str], index: int) -> str:
    return bands[index] if index < len(bands) else f"band {index + 1}"
