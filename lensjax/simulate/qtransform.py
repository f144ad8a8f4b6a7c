"""Multi-Q scan of whitened strain: normalised energy in four nested windows around a trigger.

Chatterji et al. 2004, CQG 21 S1809 (gr-qc/0412119). Each row of tiles is an inverse FFT of a few bins of the
block's spectrum under a window; its energy is divided by the row's median. The plane shown is that of the
loudest tile near the centre, as in the official pictures, or a given one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.shapes import Array, Float, Int
from lensjax.simulate.tiling import Group, Plan, Plane, ScanConfig, carried, plan
from lensjax.simulate.whitening import asd, whiten

__all__ = ["Plan", "Scan", "ScanConfig", "asd", "carried", "plan", "q_scan", "q_scan_all_planes", "whiten"]

Medians = Literal["measured", "white"]
"""measured: over the row, as in the official pictures; white: that of unit-variance white noise, for signals
without noise, whose own median is 0."""
Tiles = list[Float[Array, "rows tiles"]]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Scan:
    """Energy of an event and its loudest tile. The median of noise is 1, its mean 1/ln 2."""

    energy: Float[Array, "windows h w"]  # not clipped, the highest frequency in row 0
    plane: Int[Array, ""]
    q: Float[Array, ""]
    peak_energy: Float[Array, ""]
    peak_time: Float[Array, ""]  # seconds from the centre
    peak_frequency: Float[Array, ""]  # Hz
    plane_peaks: Float[Array, " planes"]  # 0 for planes not looked at


def row_median(energy: Float[Array, "rows n"]) -> Float[Array, " rows"]:
    """Upper median of each row, exactly, by bisection on the bits: floats ≥ 0 sort as their bits do.

    Counting 31 times is several times faster than XLA's sort on a CPU.
    """
    bits = jax.lax.bitcast_convert_type(jax.lax.stop_gradient(energy), jnp.int32)
    rank = energy.shape[-1] // 2

    def refine(step: Array, low: Array) -> Array:
        trial = low | (1 << (30 - step))
        return jnp.where(jnp.sum(bits < trial[:, None], -1) <= rank, trial, low)

    found = jax.lax.fori_loop(0, 31, refine, jnp.zeros(len(energy), jnp.int32))
    return jax.lax.bitcast_convert_type(found, jnp.float32)


def _group_tiles(spectrum: Float[Array, " n"] | Array, group: Group, medians: Medians) -> Array:
    # The window starts at bin 0 instead of around it: that turns phases only, and energy has none.
    cut = jax.vmap(lambda first: jax.lax.dynamic_slice(spectrum, (first,), (group.bins,)))
    pieces = cut(jnp.asarray(group.first))
    offset = (np.arange(group.bins) - group.middle[:, None]) / group.half_width[:, None]
    window = np.where(np.abs(offset) < 1, (1 - offset**2) ** 2, 0).astype(np.float32)
    amplitude = jnp.fft.ifft(pieces * window, group.tiles)
    energy = amplitude.real**2 + amplitude.imag**2
    if medians == "white":
        return energy / group.white_median.astype(np.float32)[:, None]
    median = row_median(energy)
    return energy / jnp.where(median > 0, median, 1.0)[:, None]


def _tiles(spectrum: Array, plane: Plane, medians: Medians) -> Tiles:
    return [_group_tiles(spectrum, group, medians) for group in plane.groups]


def _loudest(tiles: Tiles, plane: Plane, config: ScanConfig, centre: Array) -> Float[Array, "3"]:
    """Energy, seconds from the centre, and Hz of the loudest tile near the centre."""
    candidates = []
    for group, energy in zip(plane.groups, tiles, strict=True):
        spacing = config.duration / group.tiles
        length = min(int(2 * config.search / spacing) + 2, group.tiles)
        middle = config.duration / 2 + centre
        start = jnp.clip(
            jnp.floor((middle - config.search) / spacing).astype(jnp.int32), 0, group.tiles - length
        )
        near = jax.lax.dynamic_slice_in_dim(energy, start, length, axis=1)
        time = (start + jnp.arange(length)) * spacing - middle
        near = jnp.where(jnp.abs(time) < config.search, near, 0.0)
        row, column = jnp.unravel_index(jnp.argmax(near), near.shape)
        candidates.append(
            jnp.stack([near[row, column], time[column], jnp.asarray(group.frequency, jnp.float32)[row]])
        )
    table = jnp.stack(candidates)
    return table[jnp.argmax(table[:, 0])]


def _picture(
    tiles: Tiles, plane: Plane, config: ScanConfig, centre: Array
) -> Float[Array, "windows h w"] | Array:
    """Linear interpolation in time and in log frequency to the middles of the pixels."""
    pixel_time = jnp.asarray(plan(config).pixel_time.ravel()) + (config.duration / 2 + centre)
    rows = []
    for group, energy in zip(plane.groups, tiles, strict=True):
        place = pixel_time * (group.tiles / config.duration)
        before = jnp.floor(place)
        share = place - before
        index = before.astype(jnp.int32)
        rows.append(
            energy[:, index % group.tiles] * (1 - share) + energy[:, (index + 1) % group.tiles] * share
        )
    table = jnp.concatenate(rows)
    weight = plane.weight[:, None]
    image = table[plane.below] * (1 - weight) + table[plane.above] * weight
    image = jnp.where(plane.covered[:, None], image, 0.0)
    return image.reshape(len(image), len(config.windows), -1).swapaxes(0, 1)


def _spectrum(whitened: Array, config: ScanConfig) -> Array:
    if len(whitened) != config.samples:
        raise ValueError(
            f"the whitened block holds {len(whitened)} samples, the scan wants {config.samples} "
            f"({config.duration:g} s at {config.sample_rate:g} Hz); cut it or change ScanConfig."
        )
    spare = max(group.bins for plane in plan(config).planes for group in plane.groups)
    return jnp.pad(jnp.fft.rfft(jnp.asarray(whitened, jnp.float32)), (0, spare))


def _check_options(config: ScanConfig, plane: int | Array | None, medians: str) -> None:
    if medians not in ("measured", "white"):
        raise ValueError(f"medians '{medians}' unknown; choose measured or white.")
    number = len(plan(config).planes)
    if isinstance(plane, int) and not 0 <= plane < number:
        raise ValueError(f"plane {plane} does not exist; choose 0 to {number - 1}.")


def q_scan(
    whitened: Float[Array | np.ndarray, " n"],
    config: ScanConfig,
    centre: float | Float[Array, ""] | None = None,
    plane: int | Int[Array, ""] | None = None,
    medians: Medians = "measured",
) -> Scan:
    """Energy around `centre`, seconds from the middle of the block, on the loudest plane or a given one.

    `whitened` has unit variance a sample. May be jitted (config static) and vmapped; with a given plane its
    rows alone are computed. Over several events use `jax.lax.map` on a CPU: `vmap` draws every plane.

    Raises:
      ValueError: the block has another length than the config says, or a name or plane is unknown.
    """
    _check_options(config, plane, medians)
    planes = plan(config).planes
    spectrum = _spectrum(jnp.asarray(whitened), config)
    middle = jnp.asarray(0.0 if centre is None else centre, jnp.float32)

    if plane is None:
        tiles = [_tiles(spectrum, p, medians) for p in planes]
        loudest = jnp.stack([_loudest(t, p, config, middle) for t, p in zip(tiles, planes, strict=True)])
        shown = jnp.argmax(loudest[:, 0])
        draw = [lambda t, i=i, p=p: _picture(t[i], p, config, middle) for i, p in enumerate(planes)]
        image = jax.lax.switch(shown, draw, tiles)
        peaks, peak = loudest[:, 0], loudest[shown]
    else:

        def one(p: Plane) -> tuple[Array, Array]:
            tiles = _tiles(spectrum, p, medians)
            return _loudest(tiles, p, config, middle), _picture(tiles, p, config, middle)

        shown = jnp.asarray(plane)
        peak, image = jax.lax.switch(shown, [lambda p=p: one(p) for p in planes])
        peaks = jnp.zeros(len(planes)).at[shown].set(peak[0])
    q = jnp.asarray(plan(config).q)[shown]
    return Scan(image, shown.astype(jnp.int32), q, peak[0], peak[1], peak[2], peaks)


def q_scan_all_planes(
    whitened: Float[Array | np.ndarray, " n"],
    config: ScanConfig,
    centre: float | Float[Array, ""] | None = None,
    medians: Medians = "measured",
) -> Float[Array, "planes windows h w"]:
    """Energy around `centre` on every plane: the option no picture has."""
    _check_options(config, None, medians)
    spectrum = _spectrum(jnp.asarray(whitened), config)
    middle = jnp.asarray(0.0 if centre is None else centre, jnp.float32)
    planes = plan(config).planes
    return jnp.stack([_picture(_tiles(spectrum, p, medians), p, config, middle) for p in planes])
