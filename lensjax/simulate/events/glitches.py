"""Glitches and chirps in whitened noise, as events with their truth: where the evidence is, and how loud.

The classes are in `recipes`, the time-frequency scan is `qtransform`. Example `i` of a seed depends on
(seed, i) and on the settings, not on how many are made or how they are batched.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.event_axes import CLASSES, CLIP, PLANES, Encoding, EventGrid, channels
from lensjax.runtime.errors import UserError
from lensjax.simulate.events.chirps import phenom_d
from lensjax.simulate.events.class_balance import labels
from lensjax.simulate.events.detector import SAMPLE_RATE, SAMPLES
from lensjax.simulate.events.glitch_classes import NOT_IN_A_MIX, RECIPES, UNIFORM
from lensjax.simulate.events.signals import as_arrays, draw
from lensjax.simulate.one_core import jit_for_threads
from lensjax.spectrogram import colour_map
from lensjax.spectrogram.qtransform import Scan, ScanConfig, q_scan, q_scan_all_planes
from lensjax.types import Array, Example, Float, Int, PRNGKeyArray

TRUTH: dict[str, str] = {
    "snr": "optimal signal-to-noise ratio of the whole signal, sqrt(Σ h²) in whitened strain",
    "q_plane": "number of the Q plane shown; where all are, of the loudest",
    "q": "its Q",
    "peak_time": "seconds from the trigger to the loudest tile without noise; NaN where there is no signal",
    "peak_frequency": "Hz, of the same tile; NaN where there is no signal",
    "peak_energy": "its energy in units of the median of noise; 0 where there is no signal",
}
MASK_ENERGY = 8.0
"""Least energy of a pixel with evidence, without noise. Of noise alone 1 tile in 256 is louder: 2^-8."""
MASK_FRACTION = 0.001
"""The same as a fraction of the peak, so that the mask of a loud event keeps the event's shape."""
SHIFT = 0.03
"""Seconds by which the trigger misses the signal at most."""
APART = 0.6
"""Seconds by which the second signal of a None_of_the_Above is off the first at most."""
ODD_SHARE = 0.3
"""Share of None_of_the_Above that is one odd thing; the others are two other classes at once."""
CHUNK = 8


def simulate(key: PRNGKeyArray, label: int | Int[Array, ""]) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """Noise-free whitened strain of an event and its white noise, 16 s at 8192 Hz, the trigger in the middle.

    Raises:
      ImportError: ripplegw is missing.
    """
    phenom_d()
    return _simulate(key, jnp.asarray(label))


@jax.jit
def _simulate(key: PRNGKeyArray, label: Array) -> tuple[Array, Array]:
    keys = jax.random.split(key, 4)
    u = jax.random.uniform(keys[0], (3,))
    mixed = (label == CLASSES.index("None_of_the_Above")) & (u[0] > ODD_SHARE)
    others = np.array([i for i, name in enumerate(CLASSES) if name not in NOT_IN_A_MIX])
    pair = jax.random.choice(keys[1], others, (2,), replace=False)
    # The second is silent unless the event is a mix.
    labels = jnp.where(mixed, pair, jnp.stack([label, CLASSES.index("No_Glitch")]))
    shifts = SHIFT * (2 * u[2] - 1) + jnp.stack([0.0, APART * (2 * u[1] - 1)])
    recipes = [lambda u, recipe=recipe: as_arrays(recipe(u)) for recipe in RECIPES.values()]

    def part(which: tuple[Array, Array, Array]) -> Array:
        one_key, one_label, shift = which
        numbers_key, noise_key = jax.random.split(one_key)
        parts = jax.lax.switch(one_label, recipes, jax.random.uniform(numbers_key, UNIFORM))
        return jnp.roll(draw(parts, noise_key), jnp.round(shift * SAMPLE_RATE).astype(jnp.int32))

    signal = jax.lax.map(part, (jax.random.split(keys[2]), labels, shifts)).sum(0)
    return signal, jax.random.normal(keys[3], (SAMPLES,))


def pictured(size: tuple[int, int], encoding: str) -> dict[str, Any]:
    """Fields of a ScanConfig for pictures made as the official ones: drawn finely, clipped, averaged.

    420 rows are near the official 479, whose columns of the 4 s window are 7 ms wide, as short as a blip.
    """
    clip = float("inf") if encoding == "log" else CLIP
    return {"shape": size, "oversample": max(1, round(420 / size[0])), "clip": clip}


def encode(energy: Float[np.ndarray, "*s planes"], encoding: str) -> np.ndarray:
    """Normalised energy as it is stored, [*s c]: uint8 of `clipped` or `rgb`, float16 of `log`.

    Raises:
      UserError: unknown encoding.
    """
    if encoding == "log":
        return np.log1p(energy).astype(np.float16)
    fraction = np.clip(energy, 0, CLIP) / CLIP
    if encoding == "clipped":
        return np.round(255 * fraction).astype(np.uint8)
    if encoding == "rgb":
        return colour_map.colour(fraction[..., 0])
    raise UserError(f"encoding '{encoding}' is unknown; choose {', '.join(get_args(Encoding))}.")


def examples(
    count: int, seed: int, *, size: tuple[int, int] = (140, 170), encoding: str = "clipped",
    plane: str = "loudest", balance: str = "uniform", chunk: int = CHUNK,
) -> Iterator[Example]:  # fmt: skip
    """`count` events: image [4 h w c] as `encode` stores it, mask, position, and the truths named in `TRUTH`.

    Raises:
      UserError: unknown encoding, plane or balance, a negative count or seed, a size below 16.
      ImportError: ripplegw is missing.
    """
    if plane not in PLANES:
        raise UserError(f"plane '{plane}' is unknown; choose {', '.join(PLANES)}.")
    if min(size) < 16 or len(size) != 2:
        raise UserError(f"size {size} is no pair of at least 16 rows and columns; use 140 170.")
    if count < 0 or not 0 <= seed < 2**32 or chunk < 1:
        raise UserError(f"count {count}, seed {seed}, chunk {chunk}: use ≥ 0, 0 to 2³² - 1, and ≥ 1.")
    encode(np.zeros((1, 1), np.float32), encoding)
    channels(encoding, plane)  # type: ignore[arg-type]
    chosen = labels(count, seed, balance)
    phenom_d()
    return _in_order(chosen, seed, ScanConfig(**pictured(size, encoding)), encoding, plane, chunk)


def evidence(config: ScanConfig) -> ScanConfig:
    """The scan that masks are made of: a pixel has what the loudest of its samples has."""
    return replace(config, clip=float("inf"), reduce="max")


def pictures(
    whitened: Float[Array, "n"], config: ScanConfig, plane: str, centre: Array | float = 0.0
) -> tuple[Scan, Float[Array, "t h w planes"]]:
    """The scan of a block, and the energy shown of it: of one plane, or of `all`."""
    scan = q_scan(whitened, config, centre, None if plane in ("loudest", "all") else int(plane))
    if plane != "all":
        return scan, scan.energy[..., None]
    return scan, jnp.moveaxis(q_scan_all_planes(whitened, config, centre), 0, -1)


def true_pictures(
    signal: Float[Array, "n"], config: ScanConfig, plane: str, shown: Scan
) -> tuple[Scan, Float[Array, "t h w"]]:
    """The same without noise, on the same planes: the largest energy of those shown."""
    true = q_scan(signal, evidence(config), plane=shown.plane, medians="white")
    if plane != "all":
        return true, true.energy
    return true, q_scan_all_planes(signal, evidence(config), medians="white").max(0)


@jit_for_threads(static_argnums=(3, 4))
def _events(seed: Array, rows: Array, labels: Array, config: ScanConfig, plane: str) -> dict[str, Array]:
    """Energy, mask and truth of events by row; one by one, which is faster on a CPU and kind to memory."""

    def event(which: tuple[Array, Array]) -> dict[str, Array]:
        row, label = which
        signal, noise = _simulate(jax.random.fold_in(jax.random.key(seed), row), label)
        shown, energy = pictures(signal + noise, config, plane)
        true, loud = true_pictures(signal, config, plane, shown)
        return {
            "energy": energy,
            "mask": loud > jnp.maximum(MASK_ENERGY, MASK_FRACTION * true.peak_energy),
            "snr": jnp.sqrt((signal**2).sum()),
            "q_plane": shown.plane,
            "q": shown.q,
            "peak_time": true.peak_time,
            "peak_frequency": true.peak_frequency,
            "peak_energy": true.peak_energy,
        }

    return jax.lax.map(event, (rows, labels))


def _in_order(
    chosen: np.ndarray, seed: int, config: ScanConfig, encoding: str, plane: str, chunk: int
) -> Iterator[Example]:
    """Chunks run ahead in one thread a core, examples come in order."""
    padded = np.concatenate([chosen, np.full(-len(chosen) % chunk, CLASSES.index("No_Glitch"))])

    def make(start: int) -> dict[str, np.ndarray]:
        rows = np.arange(start, start + chunk, dtype=np.uint32)
        some = padded[start : start + chunk].astype(np.int32)
        return jax.device_get(_events(np.uint32(seed), rows, some, config, plane))

    workers = os.cpu_count() or 1
    starts = iter(range(0, len(padded), chunk))
    running: deque[tuple[int, Future[dict[str, np.ndarray]]]] = deque()
    if len(padded):
        make(0)  # Compiles once; threads that start together would each compile.
    with ThreadPoolExecutor(workers) as pool:
        while True:
            while len(running) < workers + 1 and (start := next(starts, None)) is not None:
                running.append((start, pool.submit(make, start)))
            if not running:
                return
            start, future = running.popleft()
            events = future.result()
            for row in range(start, min(start + chunk, len(chosen))):
                event = {name: value[row - start] for name, value in events.items()}
                yield _example(event, int(chosen[row]), config, encoding, f"simulated-{seed}-{row}")


def _example(event: dict[str, Any], label: int, config: ScanConfig, encoding: str, name: str) -> Example:
    truth = {key: np.float32(event[key]) for key in TRUTH}
    if not event["snr"] > 0:
        truth |= dict.fromkeys(("peak_time", "peak_frequency"), np.float32(np.nan))
    position = EventGrid(config.shape, config.frequency_range, config.windows).position(
        float(truth["peak_frequency"]), float(truth["peak_time"])
    )
    return Example(
        image=encode(event["energy"], encoding), label=label, position=position, mask=np.array(event["mask"]),
        id=name, truth=truth,
    )  # fmt: skip
