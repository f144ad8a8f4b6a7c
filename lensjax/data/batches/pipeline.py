"""Batches by grain. A training batch is a pure function of its number, so resuming at a number is exact.

Row `r` of the global batch `k` is place `k · batch_size + r` of an endless stream: epoch after epoch, each a
new permutation. A process makes its block of each batch, and a place's augmentation draws from a generator
of its own, so any number of processes sees the same global batches.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import grain
import jax
import numpy as np

from lensjax.data.batches import augment as transforms
from lensjax.data.batches import batch_augment
from lensjax.data.batches.augment import Augmentation, as_pixels
from lensjax.data.store.datasets import Source, Stored
from lensjax.ops.stored_images import to_float32
from lensjax.runtime.errors import UserError
from lensjax.types import Batch, Example, Int, Num

# Threads keep ahead of a step; the elements are whole batches, so few are buffered. They are half as many as
# cores: moving small images is mostly Python, where two threads on two cores hinder each other (19,000 images
# of 64 × 64 a second, one thread 25,000). Noise is mostly NumPy, and 1.3 to 1.7 times as fast with two
# (benchmarks/data.py).
READ = grain.ReadOptions(num_threads=max(1, min(4, (os.cpu_count() or 1) // 2)), prefetch_buffer_size=4)


def train_iterator(
    source: Source,
    batch_size: int,
    seed: int,
    augment: Sequence[str | Augmentation] = (),
    shuffle: bool = True,
    process: tuple[int, int] | None = None,
) -> grain.DatasetIterator:
    """Iterate over this process's part of endless, shuffled, augmented batches; orbax saves its place.

    Args:
      batch_size: over all processes.
      augment: names of `lensjax.data.batches.augment.AUGMENTATIONS`, or functions like them, in order.
      process: (index, count); by default those of jax.

    Raises:
      UserError: the batch size or an augmentation does not suit the data.
    """
    return endless(batch_maker(source, batch_size, seed, augment, shuffle, process), batch_size)


def stacked_iterator(
    source: Source, batch_size: int, seeds: Sequence[int], augment: Sequence[str | Augmentation] = ()
) -> grain.DatasetIterator:
    """Iterate over the batches that `train_iterator` gives each of several seeds, stacked: [s b …].

    Raises:
      UserError: as `train_iterator`.
    """
    makers = [batch_maker(source, batch_size, seed, augment) for seed in seeds]

    def stacked(number: int) -> Batch:
        return jax.tree.map(lambda *rows: np.stack(rows), *(make(number) for make in makers))

    return endless(stacked, batch_size)


def endless(make: Callable[[int], Batch], batch_size: int) -> grain.DatasetIterator:
    """Iterate over batches by their number, which alone is the iterator's place."""
    return iter(grain.MapDataset.range(2**62 // batch_size).map(make).to_iter_dataset(READ))


def batch_maker(
    source: Source,
    batch_size: int,
    seed: int,
    augment: Sequence[str | Augmentation] = (),
    shuffle: bool = True,
    process: tuple[int, int] | None = None,
) -> Callable[[int], Batch]:
    """Return `make(number) -> Batch` of one seed, checked and tried."""
    rank, world = check_batch(batch_size, process)
    if batch_size > len(source):
        raise UserError(
            f"batch_size (={batch_size}) exceeds the {len(source)} examples: lower it or make a larger set."
        )
    if not 0 <= seed < 2**32:
        raise UserError(f"seed (={seed}) must not be negative, nor 2³² or more.")
    steps = transforms.augmentations(augment)
    make = partial(
        train_batch, source, process_part(batch_size, rank, world), batch_size, seed, steps, shuffle
    )
    make(0)  # an augmentation that does not suit the images fails here, not in a thread
    return make


def check_batch(batch_size: int, process: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return (index, count) of this process.

    Raises:
      UserError: the batch size is not a positive multiple of the number of processes.
    """
    rank, world = process or (jax.process_index(), jax.process_count())
    if batch_size < 1 or batch_size % world:
        raise UserError(f"batch_size (={batch_size}) must be a positive multiple of the {world} process(es).")
    return rank, world


def process_part(batch_size: int, rank: int, world: int) -> range:
    """Return the rows of a global batch that a process makes: a block, as its devices stand in the mesh."""
    return range(rank * batch_size // world, (rank + 1) * batch_size // world)


def train_batch(
    source: Source,
    part: Sequence[int],
    batch_size: int,
    seed: int,
    steps: tuple[Augmentation, ...],
    shuffle: bool,
    number: int,
) -> Batch:
    """Make rows `part` of the global batch `number`."""
    places = number * batch_size + np.asarray(part)
    epochs, rows = np.divmod(places, len(source))
    if shuffle:
        for epoch in np.unique(epochs):
            rows[epochs == epoch] = _permutation(len(source), seed, int(epoch))[rows[epochs == epoch]]
    if not steps:
        return plain_batch(source, rows)
    generators = _generators(seed, places)
    if batch_augment.can_move(source, steps):
        return batch_augment.move_batch(source, rows, generators, steps)
    draws = zip(source.examples(rows), generators, strict=True)
    examples = (transforms.augment(example, rng, steps) for example, rng in draws)
    return collate(examples, rows, source, as_stored=all(step in transforms.KEEP_TYPE for step in steps))


@lru_cache(maxsize=16)  # several seeds may train at once, each with two epochs in one batch
def _permutation(count: int, seed: int, epoch: int) -> Int[np.ndarray, "n"]:
    return np.random.default_rng((seed, epoch)).permutation(count)


def _generators(seed: int, places: Int[np.ndarray, "b"]) -> Iterator[np.random.Generator]:
    """Yield for each place of the stream one generator with random numbers of its own."""
    bits = np.random.Philox(key=[seed, 0])
    rng, state = np.random.Generator(bits), bits.state
    for place in places:
        state["state"]["counter"][3] = place  # a tenth of the price of a new generator
        bits.state = state
        yield rng


def plain_batch(source: Source, rows: Int[np.ndarray, "b"]) -> Batch:
    """Make the batch of some rows as they are stored; a row of -1, which comes last, is padding.

    In memory a batch is a few large copies: they leave Python to other threads, and halves take half the way
    to a device.
    """
    valid, stored = rows >= 0, np.maximum(rows, 0)
    if isinstance(source.image, Stored):
        return collate(source.examples(rows[valid]), rows, source, as_stored=True)
    batch = Batch(
        image=source.image[stored],
        label=source.label[stored].astype(np.int32),
        position=source.position[stored],
        mask=source.mask[stored],
        valid=valid,
        index=rows.astype(np.int32),
    )
    if source.light is not None:
        batch["light"] = source.light[stored]
    for empty in (batch["image"], batch["label"], batch["mask"], batch.get("light", batch["label"])):
        empty[~valid] = 0
    batch["position"][~valid] = np.nan
    return batch


def collate(
    examples: Iterator[Example], rows: Int[np.ndarray, "b"], source: Source, as_stored: bool
) -> Batch:
    """Stack examples of a source, one for each of `rows` that is not -1; those come last.

    Args:
      as_stored: in the type that the source has; else float32.

    One example at a time: reusing memory avoids page faults.
    """
    size, count, shape = len(rows), int((rows >= 0).sum()), source.image.shape[1:]
    kind = source.image.dtype if as_stored else np.dtype(np.float32)
    image, mask = np.empty((size, *shape), kind), np.empty((size, *shape[:-1]), bool)
    label, position = np.zeros(size, np.int32), np.full((size, 2), np.nan, np.float32)
    image[count:], mask[count:] = 0, False
    light = None if source.light is None else np.zeros((size, *shape), kind)
    for row, example in enumerate(examples):
        copy_into(image[row], example["image"])
        mask[row], label[row], position[row] = example["mask"], example["label"], example["position"]
        if light is not None:
            copy_into(light[row], example["light"])
    batch = Batch(
        image=image, label=label, position=position, mask=mask, valid=rows >= 0, index=rows.astype(np.int32)
    )
    if light is not None:
        batch["light"] = light
    return batch


def copy_into(out: Num[np.ndarray, "*s c"], image: Num[np.ndarray, "*s c"]) -> None:
    """Set `out` to an image as it is stored, or as a network sees it where `out` is float32."""
    if out.dtype == image.dtype:
        as_pixels(out)[...] = as_pixels(image)
    else:
        out[...] = to_float32(image)


@dataclass(frozen=True)
class EvalBatches:
    """Every example once, in order; the last batch is padded."""

    source: Source
    batch_size: int
    process: tuple[int, int]

    def __len__(self) -> int:
        return math.ceil(len(self.source) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        return iter(grain.MapDataset.range(len(self)).map(self.batch).to_iter_dataset(READ))

    def batch(self, number: int) -> Batch:
        rank, world = self.process
        rows = np.asarray(process_part(self.batch_size, rank, world)) + number * self.batch_size
        rows = np.where(rows < len(self.source), rows, -1)
        return plain_batch(self.source, rows)


def eval_batches(source: Source, batch_size: int, process: tuple[int, int] | None = None) -> EvalBatches:
    """Return this process's part of the batches of a split, as many in every process; iterate, or ask `len`.

    Padding has `valid` False, `index` -1, no position, and an image of 0.

    Raises:
      UserError: the batch size is not a positive multiple of the number of processes.
    """
    return EvalBatches(source, batch_size, check_batch(batch_size, process))
