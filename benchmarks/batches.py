"""Images a second that the input pipeline makes, without a network: what it can feed a device at most.

    python benchmarks/batches.py [--threads 1 2 4] [--seconds 2]

Stored halves in memory, as simulated lenses and events are; the fastest of three turns counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import grain
import numpy as np

from lensjax.data import pipeline
from lensjax.data.datasets import Source

CASES: tuple[tuple[tuple[int, ...], tuple[str, ...], int], ...] = (
    ((66, 66, 4), (), 500),
    ((64, 64, 4), ("dihedral", "shift"), 32),
    ((64, 64, 4), ("dihedral", "shift", "brightness", "noise"), 32),
    ((200, 200, 4), ("dihedral", "shift"), 100),
    ((4, 140, 170, 1), (), 32),
    ((4, 140, 170, 1), ("band_limit",), 32),
)
MEMORY = 400_000_000


def source(shape: tuple[int, ...]) -> Source:
    """Noise, as many images as `MEMORY` bytes hold."""
    count = MEMORY // (2 * int(np.prod(shape)))
    return Source(
        image=np.random.default_rng(0).standard_normal((count, *shape), np.float32).astype(np.float16),
        mask=np.zeros((count, *shape[:-1]), bool),
        label=np.zeros(count, np.int32),
        position=np.full((count, 2), 0.5, np.float32),
        id=np.arange(count).astype(str),
    )


def rate(data: Source, augment: Sequence[str], batch: int, seconds: float) -> float:
    """Images a second."""
    batches = pipeline.train_iterator(data, batch, 0, augment)
    next(batches)
    best = 0.0
    for _ in range(3):
        start, made = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            made += len(next(batches)["index"])
        best = max(best, made / (time.perf_counter() - start))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = pipeline.READ.num_threads
    parser.add_argument(
        "--threads", nargs="+", type=int, default=[default], help=f"lensjax has {default} here"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    arguments = parser.parse_args()
    print(f"| images | augmentation | batch |{''.join(f' {n} thread(s) |' for n in arguments.threads)}")
    print("|---|---|---|" + "---|" * len(arguments.threads))
    for shape, augment, batch in CASES:
        data, rates = source(shape), []
        for threads in arguments.threads:
            pipeline.READ = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=4)
            rates.append(rate(data, augment, batch, arguments.seconds))
        size = " × ".join(map(str, shape))
        print(f"| {size} | {', '.join(augment) or '–'} | {batch} |{''.join(f' {x:,.0f} |' for x in rates)}")


if __name__ == "__main__":
    main()
