"""Data sets by configuration: made once (`prepare`), then read into memory with random access (`load`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.config import DataConfig
from lensjax.data.integrity import verify
from lensjax.types import Example

MEMORY = 8 * 2**30


@dataclass(frozen=True)
class Source:
    """The examples of a split, row by row; `columns` of everything but pixels are always in memory."""

    image: np.ndarray | Stored  # float16 [n *s c]
    mask: np.ndarray | Stored  # bool [n *s]
    label: np.ndarray  # int32 [n]
    position: np.ndarray  # float32 [n 2]
    id: np.ndarray  # str [n]
    truth: dict[str, np.ndarray] = field(default_factory=dict)  # float32 [n] each
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.label)

    def pixels(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image [b *s c] and mask [b *s] of some rows."""
        if isinstance(self.image, Stored) or isinstance(self.mask, Stored):
            return self.image.read(rows)  # type: ignore[union-attr]
        return self.image[rows], self.mask[rows]

    def __getitem__(self, row: int) -> Example:
        image, mask = self.pixels(np.array([range(len(self))[row]]))
        return {
            "image": image[0].astype(np.float32),
            "label": int(self.label[row]),
            "position": self.position[row],
            "mask": mask[0],
            "id": str(self.id[row]),
            "truth": {name: float(values[row]) for name, values in self.truth.items()},
        }


@dataclass(frozen=True)
class Stored:
    """Pixels that stay on disk because they exceed the memory budget."""

    records: Any  # serialised tf.train.Example by index
    shape: tuple[int, ...]
    dtype: np.dtype
    image_shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parsed = [_pixels(_features(r), self.image_shape) for r in self.records.__getitems__(rows.tolist())]
        return np.stack([image for image, _ in parsed]), np.stack([mask for _, mask in parsed])

    def __getitem__(self, rows: Any) -> np.ndarray:
        image, mask = self.read(np.atleast_1d(np.arange(len(self))[rows]))
        values = image if self.dtype == np.float16 else mask
        return values[0] if np.ndim(rows) == 0 and not isinstance(rows, slice) else values


def prepare(config: DataConfig) -> Path:
    """The folder of a configuration's data set, which is made if it is not there.

    Raises:
      ValueError: a value of the configuration is out of range, or the directory cannot be written.
      OSError: the disk is full.
    """
    from lensjax.data.builders import SimulatedLenses, lens_recipe, make

    recipe = lens_recipe(
        instrument=config.instrument,
        size=config.size,
        train=config.train,
        validation=config.validation,
        test=config.test,
        seed=config.seed,
        lens_fraction=config.lens_fraction,
        supersampling=config.supersampling,
    )
    return make(SimulatedLenses, recipe, Path(config.directory))


def pixel_scale(config: DataConfig) -> float:
    """Arcseconds a pixel."""
    from lensjax.simulate.instruments import INSTRUMENTS

    return INSTRUMENTS[config.instrument].pixel_scale


def load(folder: str | Path, split: str, memory: int = MEMORY) -> Source:
    """Read a split after verifying its checksums; pixels beyond `memory` bytes stay on disk.

    Raises:
      ValueError: no such folder or split, or a damaged file, which is named.
    """
    import tensorflow_datasets as tfds

    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"data set '{folder}' does not exist: make it with lensjax.data.datasets.prepare.")
    verify(folder, split)
    builder = tfds.builder_from_directory(folder)
    if split not in builder.info.splits:
        raise ValueError(f"unknown split '{split}': choose from {', '.join(builder.info.splits)}.")
    records = builder.as_data_source(split).data_source  # serialised: TFDS's own parser is ten times slower
    features = builder.info.features
    return _read(
        records,
        features["image"].shape,
        tuple(sorted(features["truth"])),
        tuple(features["label"].names),
        memory,
    )


def _read(
    records: Any, shape: tuple[int, ...], truth: tuple[str, ...], classes: tuple[str, ...], memory: int
) -> Source:
    count = len(records)
    in_memory = count * int(np.prod(shape[:-1])) * (2 * shape[-1] + 1) <= memory
    if in_memory:
        image, mask = np.empty((count, *shape), np.float16), np.empty((count, *shape[:-1]), bool)
    else:
        image = Stored(records, (count, *shape), np.dtype(np.float16), shape)
        mask = Stored(records, (count, *shape[:-1]), np.dtype(bool), shape)
    label, position = np.empty(count, np.int32), np.empty((count, 2), np.float32)
    columns, ids = np.empty((count, len(truth)), np.float32), []
    for start in range(0, count, 256):
        block = range(start, min(start + 256, count))
        for row, record in zip(block, records.__getitems__(list(block)), strict=True):
            entry = _features(record)
            if in_memory:
                image[row], mask[row] = _pixels(entry, shape)
            label[row] = entry["label"].int64_list.value[0]
            position[row] = entry["position"].float_list.value
            columns[row] = [entry[f"truth/{name}"].float_list.value[0] for name in truth]
            ids.append(entry["id"].bytes_list.value[0].decode())
    return Source(
        image, mask, label, position, np.array(ids), dict(zip(truth, columns.T.copy(), strict=True)), classes
    )


def _features(record: bytes) -> Any:
    from tensorflow_datasets.proto import tf_example_pb2

    return tf_example_pb2.Example.FromString(record).features.feature


def _pixels(entry: Any, shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    image = np.frombuffer(entry["image"].bytes_list.value[0], np.float16).reshape(shape)
    return image, np.frombuffer(entry["mask"].bytes_list.value[0], bool).reshape(shape[:-1])


def stack(examples: Iterable[Example]) -> Source:
    """A source of examples at hand: a user's own images, or a test's."""
    rows = list(examples)
    if not rows:
        raise ValueError("no examples given: a source needs at least one.")
    names = rows[0].get("truth", {})
    return Source(
        np.stack([row["image"] for row in rows]).astype(np.float16),
        np.stack([row["mask"] for row in rows]),
        np.array([row["label"] for row in rows], np.int32),
        np.stack([row["position"] for row in rows]).astype(np.float32),
        np.array([row["id"] for row in rows]),
        {name: np.array([row["truth"][name] for row in rows], np.float32) for name in names},
    )
