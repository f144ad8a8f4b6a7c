"""Events a second through the Q scan, against gwpy, for the same whitened blocks of 16 s at 8192 Hz.

    python benchmarks/qscan.py [--size 140 170 --events 6]

An event is four planes, their medians, the loudest one and its pictures of 0.5, 1, 2 and 4 s. CPU seconds of
one process are counted, so neither other programs nor the number of cores decide. gwpy in two ways:
`as lensjax`, every window interpolated to as many pixels, and `as the pictures`, 4 s at 2 ms and 0.5 Hz once,
out of which the official windows are cut.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np

from lensjax.runtime.command_line import run_command
from lensjax.runtime.errors import UserError
from lensjax.spectrogram.q_planes import ScanConfig, plan
from lensjax.spectrogram.qtransform import q_scan

warnings.simplefilter("ignore")  # gwpy is told of deprecations


@dataclass(frozen=True)
class QScanBenchmarkOptions:
    size: tuple[int, int] = (140, 170)
    """Pixels of a window."""
    events: int = 6


def make_blocks(config: ScanConfig, events: int) -> np.ndarray:
    """Return white noise with a sine-Gaussian of SNR 15 in the middle, at any frequency and Q."""
    rng = np.random.default_rng(0)
    t = np.arange(config.samples) / config.sample_rate - config.duration / 2
    made = rng.standard_normal((events, config.samples))
    for block in made:
        frequency, q = np.exp(rng.uniform(np.log([30, 4]), np.log([800, 50])))
        wave = np.exp(-((2 * np.pi * frequency / q * t) ** 2)) * np.cos(2 * np.pi * frequency * t)
        block += 15 * wave / np.linalg.norm(wave)
    return made.astype(np.float32)


def scan_by_gwpy(block: np.ndarray, config: ScanConfig, grids: list[dict]) -> list:
    """Return the loudest plane on each grid, [time frequency]; without a span, of the longest window."""
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


def make_grids(config: ScanConfig, rows: int) -> list[dict]:
    """Return grids through the middles of the pixels in time, with `rows` in log frequency."""
    step = [window / config.shape[1] for window in config.windows]
    return [
        {"tres": s, "fres": rows, "logf": True, "span": ((s - w) / 2, (s + w) / 2)}
        for w, s in zip(config.windows, step, strict=True)
    ]


def measure_likeness(energy: np.ndarray, block: np.ndarray, config: ScanConfig) -> float:
    """Return the least correlation of a window with gwpy's, whose grid is fine enough to read pixels from."""
    found, at = [], np.log(plan(config).pixel_frequency)
    for mine, grid in zip(energy, scan_by_gwpy(block, config, make_grids(config, 2000)), strict=True):
        frequency = np.log(grid.frequencies.value)
        theirs = [np.interp(at, frequency, column) for column in grid.value[: config.shape[1]]]
        found.append(np.corrcoef(mine.ravel(), np.stack(theirs, 1).ravel())[0, 1])
    return min(found)


def measure_cpu_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the least CPU seconds of `repeats` calls."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def main(options: QScanBenchmarkOptions) -> None:
    """Print one line a method."""
    config = ScanConfig(shape=options.size)
    data = make_blocks(config, options.events)
    several = jax.jit(lambda x: jax.lax.map(lambda block: q_scan(block, config).energy, x))
    for energy, block in zip(np.asarray(several(data)), data, strict=True):  # before any timing
        if (alike := measure_likeness(energy, block, config)) < 0.99:
            raise UserError(f"pictures correlate by {alike:.3f} only: nothing to compare")

    ours = measure_cpu_seconds(lambda: jax.block_until_ready(several(data))) / len(data)
    height, width = config.shape
    print(f"{height} x {width} pixels, {config.duration:g} s at {config.sample_rate:g} Hz, CPU")
    print(f"lensjax                {1 / ours:6.2f} events a CPU second")
    ways = {
        "as lensjax": make_grids(config, config.shape[0]),
        "as the pictures": [{"tres": 0.002, "fres": 0.5}],
    }
    for name, grids in ways.items():
        theirs = measure_cpu_seconds(
            lambda g=grids: [scan_by_gwpy(block, config, g) for block in data]
        ) / len(data)
        print(f"gwpy, {name:16s} {1 / theirs:6.2f} events a CPU second: lensjax is {theirs / ours:.0f} x")


if __name__ == "__main__":
    run_command(main, QScanBenchmarkOptions, prog="python benchmarks/qscan.py", description=__doc__)
