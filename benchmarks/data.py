"""Images a second that a data set takes, and that the input pipeline then makes of it, without a network.

    python benchmarks/data.py [--threads 1 2 4] [--seconds 2]

The first bounds how fast any simulator fills a data set (by TFDS's writer), the second how fast any device is
fed. Stored halves of noise in memory; the fastest of three turns counts.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grain
import numpy as np
from tqdm import tqdm

from lensjax.data.batches import pipeline
from lensjax.data.store import writer
from lensjax.data.store.dataset_specs import lens_spec
from lensjax.data.store.datasets import Source
from lensjax.runtime.command_line import run_command
from lensjax.simulate.lenses.evidence import TRUTH

CASES: tuple[tuple[tuple[int, ...], tuple[str, ...], int], ...] = (
    ((66, 66, 4), (), 500),
    ((64, 64, 4), ("dihedral", "shift"), 32),
    ((64, 64, 4), ("dihedral", "shift", "brightness", "noise"), 32),
    ((200, 200, 4), ("dihedral", "shift"), 100),
    ((4, 140, 170, 1), (), 32),
    ((4, 140, 170, 1), ("band_limit",), 32),
)
MEMORY = 400_000_000


@dataclass(frozen=True)
class DataBenchmarkOptions:
    threads: tuple[int, ...] = (pipeline.READ.num_threads,)
    """Threads that read; lensjax's own number by default."""
    seconds: float = 2.0
    """Of a turn."""


def measure_rate(turn: Callable[[], int], seconds: float) -> float:
    """Return what `turn` makes a second."""
    turn()
    best = 0.0
    for _ in range(3):
        start, made = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            made += turn()
        best = max(best, made / (time.perf_counter() - start))
    return best


def measure_writing(count: int = 3000) -> float:
    """Return images a second into a data set of `count` images."""
    size, rng = 66, np.random.default_rng(0)
    images = rng.standard_normal((64, size, size, 4), np.float32)

    def examples(count: int, seed: int) -> Iterator[Any]:
        for number in range(count):
            yield {
                "image": images[number % 64],
                "mask": images[number % 64, ..., 0] > 2,
                "position": np.full(2, 0.5, np.float32),
                "label": number % 2,
                "id": f"euclid-66-s{seed}-{number:06d}",
                "truth": {name: np.float32(number) for name in TRUTH},
            }

    settings: dict[str, Any] = {"train": count, "validation": 1, "test": 1, "seed": 0, "lens_fraction": 0.5}
    spec = lens_spec(instrument="euclid", size=size, supersampling=2, **settings, generate=examples)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        writer.write_folder(spec, Path(folder), tqdm(disable=True))
        return (count + 2) / (time.perf_counter() - start)


def make_source(shape: tuple[int, ...]) -> Source:
    """Return noise, as many images as `MEMORY` bytes hold."""
    count = MEMORY // (2 * int(np.prod(shape)))
    return Source(
        image=np.random.default_rng(0).standard_normal((count, *shape), np.float32).astype(np.float16),
        mask=np.zeros((count, *shape[:-1]), bool),
        label=np.zeros(count, np.int32),
        position=np.full((count, 2), 0.5, np.float32),
        id=np.arange(count).astype(str),
    )


def measure_feeding(data: Source, augment: Sequence[str], batch: int, seconds: float) -> float:
    """Return images a second of training batches."""
    batches = pipeline.train_iterator(data, batch, 0, augment)
    return measure_rate(lambda: len(next(batches)["index"]), seconds)


def main(options: DataBenchmarkOptions) -> None:
    """Print the rates of writing and of feeding."""
    print(f"written, 66 × 66 × 4 and {len(TRUTH)} true numbers: {measure_writing():,.0f} a second\n")
    print(f"| images | augmentation | batch |{''.join(f' {n} thread(s) |' for n in options.threads)}")
    print("|---|---|---|" + "---|" * len(options.threads))
    for shape, augment, batch in CASES:
        data, found = make_source(shape), []
        for threads in options.threads:
            pipeline.READ = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=4)
            found.append(measure_feeding(data, augment, batch, options.seconds))
        size = " × ".join(map(str, shape))
        print(f"| {size} | {', '.join(augment) or '–'} | {batch} |{''.join(f' {x:,.0f} |' for x in found)}")


if __name__ == "__main__":
    run_command(main, DataBenchmarkOptions, prog="python benchmarks/data.py", description=__doc__)
