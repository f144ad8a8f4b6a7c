"""Events a second through the Q scan, against gwpy, for the same whitened blocks of 16 s at 8192 Hz.

    python benchmarks/qscan.py [--size 140 170 --events 6]

An event is four planes, their medians, the loudest one and its pictures of 0.5, 1, 2 and 4 s. CPU seconds of
one process are counted, so neither other programs nor the number of cores decide. gwpy in two ways:
`as lensjax`, every window interpolated to as many pixels, and `as the pictures`, 4 s at 2 ms and 0.5 Hz once,
out of which the official windows are cut.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import jax
import numpy as np

from lensjax.spectrogram.qtransform import ScanConfig, plan, q_scan

warnings.simplefilter("ignore")  # gwpy is told of deprecations


def blocks(config: ScanConfig, events: int) -> np.ndarray:
    """White noise with a sine-Gaussian of SNR 15 in the middle, at any frequency and Q."""
    rng = np.random.default_rng(0)
    t = np.arange(config.samples) / config.sample_rate - config.duration / 2
    made = rng.standard_normal((events, config.samples))
    for block in made:
        frequency, q = np.exp(rng.uniform(np.log([30, 4]), np.log([800, 50])))
        wave = np.exp(-((2 * np.pi * frequency / q * t) ** 2)) * np.cos(2 * np.pi * frequency * t)
        block += 15 * wave / np.linalg.norm(wave)
    return made.astype(np.float32)


def by_gwpy(block: np.ndarray, config: ScanConfig, grids: list[dict]) -> list:
    """The loudest plane on each grid, [time frequency]; a grid without a span covers the longest window."""
    from gwpy.segments import Segment
    from gwpy.signal.qtransform import q_scan as scan
    from gwpy.timeseries import TimeSeries

    middle, half = config.duration / 2, max(config.windows) / 2
    series = TimeSeries(block, sample_rate=config.sample_rate, t0=0)
    near = Segment(middle - config.search, middle + config.search)
    gram, _ = scan(series, qrange=config.q_range, frange=config.frequency_range, search=near)
    spans = [middle + np.array(grid.get("span", (-half, half))) for grid in grids]
    grids = [{k: v for k, v in grid.items() if k != "span"} for grid in grids]
    return [gram.interpolate(outseg=Segment(*s), **g) for s, g in zip(spans, grids, strict=True)]


def pixels(config: ScanConfig, rows: int) -> list[dict]:
    """Grids through the middles of the pixels in time, with `rows` in log frequency."""
    step = [window / config.shape[1] for window in config.windows]
    return [
        {"tres": s, "fres": rows, "logf": True, "span": ((s - w) / 2, (s + w) / 2)}
        for w, s in zip(config.windows, step, strict=True)
    ]


def likeness(energy: np.ndarray, block: np.ndarray, config: ScanConfig) -> float:
    """Least correlation of a window with gwpy's, this one on a grid fine enough to read the pixels from."""
    found, at = [], np.log(plan(config).pixel_frequency)
    for mine, grid in zip(energy, by_gwpy(block, config, pixels(config, 2000)), strict=True):
        frequency = np.log(grid.frequencies.value)
        theirs = [np.interp(at, frequency, column) for column in grid.value[: config.shape[1]]]
        found.append(np.corrcoef(mine.ravel(), np.stack(theirs, 1).ravel())[0, 1])
    return min(found)


def best(work: Callable[[], object], repeats: int = 3) -> float:
    """Least CPU seconds of `repeats` calls."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def main() -> None:
    """Prints one line a method."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--size", type=int, nargs=2, default=(140, 170))
    parser.add_argument("--events", type=int, default=6)
    options = parser.parse_args()
    config = ScanConfig(shape=tuple(options.size))
    data = blocks(config, options.events)
    several = jax.jit(lambda x: jax.lax.map(lambda block: q_scan(block, config).energy, x))
    for energy, block in zip(np.asarray(several(data)), data, strict=True):  # before any timing
        if (alike := likeness(energy, block, config)) < 0.99:
            raise SystemExit(f"pictures correlate by {alike:.3f} only: nothing to compare")

    ours = best(lambda: jax.block_until_ready(several(data))) / len(data)
    height, width = config.shape
    print(f"{height} x {width} pixels, {config.duration:g} s at {config.sample_rate:g} Hz, CPU")
    print(f"lensjax                {1 / ours:6.2f} events a CPU second")
    ways = {"as lensjax": pixels(config, config.shape[0]), "as the pictures": [{"tres": 0.002, "fres": 0.5}]}
    for name, grids in ways.items():
        theirs = best(lambda g=grids: [by_gwpy(block, config, g) for block in data]) / len(data)
        print(f"gwpy, {name:16s} {1 / theirs:6.2f} events a CPU second: lensjax is {theirs / ours:.0f} x")


if __name__ == "__main__":
    main()
