"""Simulate glitches and chirps in whitened noise, with their true evidence and signal-to-noise.

The classes are in `glitch_classes`, the scan is in `lensjax.spectrogram`. Example `i` of a seed depends on
(seed, i) and on the settings, not on how many are made or how they are batched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.event_axes import CLASSES, PLANES, EventGrid, channels
from lensjax.runtime.errors import UserError
from lensjax.simulate.events.chirps import load_phenom_d
from lensjax.simulate.events.detector import SAMPLE_RATE, SAMPLES
from lensjax.simulate.events.glitch_classes import NOT_IN_A_MIX, RECIPES, UNIFORM, draw_labels
from lensjax.simulate.events.signals import draw, to_float32
from lensjax.simulate.threads import iterate_chunks, jit_for_threads
from lensjax.spectrogram.pictures import encode, get_picture_options, scan_pictures
from lensjax.spectrogram.q_planes import ScanConfig
from lensjax.spectrogram.qtransform import q_scan, q_scan_all_planes
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
"""Minimum noise-free energy of a pixel with evidence. With noise alone 1 tile in 256 is louder: 2^-8."""
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
    """Simulate the noise-free whitened strain of an event, and its white noise.

    16 s at 8192 Hz, the trigger in the middle.

    Raises:
      ImportError: ripplegw is missing.
    """
    load_phenom_d()
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
    recipes = [lambda u, recipe=recipe: to_float32(recipe(u)) for recipe in RECIPES.values()]

    def part(which: tuple[Array, Array, Array]) -> Array:
        one_key, one_label, shift = which
        numbers_key, noise_key = jax.random.split(one_key)
        parts = jax.lax.switch(one_label, recipes, jax.random.uniform(numbers_key, UNIFORM))
        return jnp.roll(draw(parts, noise_key), jnp.round(shift * SAMPLE_RATE).astype(jnp.int32))

    signal = jax.lax.map(part, (jax.random.split(keys[2]), labels, shifts)).sum(0)
    return signal, jax.random.normal(keys[3], (SAMPLES,))


def examples(
    count: int, seed: int, *, size: tuple[int, int] = (140, 170), encoding: str = "clipped",
    plane: str = "loudest", balance: str = "uniform", chunk: int = CHUNK,
) -> Iterator[Example]:  # fmt: skip
    """Simulate `count` events: image [4 h w c] as `encode` stores it, mask, position, truths of `TRUTH`.

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
    chosen = draw_labels(count, seed, balance)
    load_phenom_d()
    config, name = ScanConfig(**get_picture_options(size, encoding)), f"simulated-{seed}"
    padded = np.concatenate([chosen, np.full(-count % chunk, CLASSES.index("No_Glitch"))]).astype(np.int32)

    def make(start: int) -> dict[str, np.ndarray]:
        rows = np.arange(start, start + chunk, dtype=np.uint32)
        some = padded[start : start + chunk]
        return jax.device_get(_simulate_events(np.uint32(seed), rows, some, config, plane))

    return (
        _to_example(events, row, int(chosen[start + row]), config, encoding, f"{name}-{start + row}")
        for start, events in iterate_chunks(make, count, chunk)
        for row in range(min(chunk, count - start))
    )


def make_evidence_config(config: ScanConfig) -> ScanConfig:
    """Return the scan that masks are made of: a pixel has the energy of its loudest sample."""
    return replace(config, clip=float("inf"), reduce="max")


@jit_for_threads(static_argnums=(3, 4))
def _simulate_events(
    seed: Array, rows: Array, labels: Array, config: ScanConfig, plane: str
) -> dict[str, Array]:
    """Simulate energy, mask and truth of events by row, one by one: faster on a CPU, and less memory."""
    exact = make_evidence_config(config)

    def event(which: tuple[Array, Array]) -> dict[str, Array]:
        row, label = which
        signal, noise = _simulate(jax.random.fold_in(jax.random.key(seed), row), label)
        shown, energy = scan_pictures(signal + noise, config, plane)
        true = q_scan(signal, exact, plane=shown.plane, medians="white")
        of_all = plane == "all"
        loud = q_scan_all_planes(signal, exact, medians="white").max(0) if of_all else true.energy
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


def _to_example(
    events: dict[str, Any], row: int, label: int, config: ScanConfig, encoding: str, name: str
) -> Example:
    """Encode one row of a chunk."""
    event = {key: value[row] for key, value in events.items()}
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
