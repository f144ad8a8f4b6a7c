"""Data sets by configuration: make one (`prepare`), read a split into memory with random access (`load`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np

from lensjax.config import Data, EventData, GravitySpyData, LensChallengeData
from lensjax.data.store import dataset_specs, records, writer
from lensjax.data.store.checksums import verify
from lensjax.data.store.dataset_specs import DatasetSpec
from lensjax.runtime.errors import UserError
from lensjax.types import Example, Int

MEMORY = 8 * 2**30


@dataclass(frozen=True)
class Stored:
    """Images and masks that stay on disk because they exceed the memory budget."""

    records: Any
    """Serialised tf.train.Example by index."""
    shape: tuple[int, ...]
    """[n *s c] of the images."""
    dtype: Any

    def read(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return image, mask and light of a row."""
        return records.read_pixels(records.parse_record(self.records[row]), self.shape[1:], self.dtype)


@dataclass(frozen=True)
class Source:
    """The examples of a split, row by row; everything but the pixels is always in memory."""

    image: np.ndarray | Stored
    """[n *s c], float16, or uint8 for images in [0, 1]: `to_float32` gives what a network sees."""
    mask: np.ndarray
    """bool [n *s]; empty where `image` is on disk, which then has them."""
    label: np.ndarray
    """int32 [n]"""
    position: np.ndarray
    """float32 [n 2], fractions (row, column), NaN where there is none."""
    id: np.ndarray
    """str [n]"""
    truth: dict[str, np.ndarray] = field(default_factory=dict)
    """float32 [n] each."""
    classes: tuple[str, ...] = ()
    light: np.ndarray | None = None
    """As `image`, the lensed source without noise; empty where `image` is on disk; None: there is none."""

    def __len__(self) -> int:
        return len(self.label)

    def __getitem__(self, row: SupportsIndex) -> Example:
        """One example, its image as stored."""
        row = range(len(self))[row]
        if isinstance(self.image, Stored):
            image, mask, light = self.image.read(row)
        else:
            image, mask = self.image[row], self.mask[row]
            light = None if self.light is None else self.light[row]
        example: Example = {
            "image": image,
            "label": int(self.label[row]),
            "position": self.position[row],
            "mask": mask,
            "id": str(self.id[row]),
            "truth": {name: float(values[row]) for name, values in self.truth.items()},
        }
        return example if light is None else {**example, "light": light}

    def examples(self, rows: Int[np.ndarray, "b"]) -> Iterator[Example]:
        """Yield some examples, without the truth."""
        light = replace(self, truth={})
        return (light[row] for row in rows)


def prepare(config: Data) -> Path:
    """Return the folder of a configuration's data set, which is made if it is not there.

    One with transformed inputs is made from the plain one and lies beside it.

    Raises:
      UserError: a value of the configuration is out of range, or the directory cannot be written.
      OSError: the disk is full.
    """
    if config.inputs:
        prepare(replace(config, inputs=()))
    return writer.make(spec_of(config), Path(config.directory))


def spec_of(config: Data) -> DatasetSpec:
    """Specify what is in a configuration's data set.

    Raises:
      UserError: a value of the configuration is out of range.
    """
    if config.inputs:
        plain = replace(config, inputs=())

        def examples(split: str) -> Iterator[Example]:
            source = load(prepare(plain), split)
            return (source[row] for row in range(len(source)))

        return dataset_specs.transformed_spec(spec_of(plain), config.inputs, examples)
    if isinstance(config, EventData):
        return dataset_specs.event_spec(config)
    if isinstance(config, GravitySpyData):
        return dataset_specs.gravity_spy_spec(config)
    if isinstance(config, LensChallengeData):
        return dataset_specs.challenge_spec(config)
    return dataset_specs.lens_spec(
        instrument=config.instrument,
        size=config.size,
        train=config.train,
        validation=config.validation,
        test=config.test,
        seed=config.seed,
        lens_fraction=config.lens_fraction,
        supersampling=config.supersampling,
        min_theta_e=config.min_theta_e,
        min_snr=config.min_snr,
        kinds=config.kinds,
        light=config.light,
        artefacts=config.artefacts,
    )


def image_shape(config: Data) -> tuple[int, ...]:
    """Return [*s c] of the images of a configuration, which is checked.

    Raises:
      UserError: a value of the configuration is out of range.
    """
    return spec_of(config).shape


def load(folder: str | Path, split: str, memory: int = MEMORY) -> Source:
    """Read a split after verifying its checksums; pixels beyond `memory` bytes stay on disk.

    Raises:
      UserError: no such folder or split, or a damaged file, which is named.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f"data set '{folder}' does not exist: make it with lensjax.data.store.datasets.prepare."
        )
    verify(folder, split)
    description = records.read_description(folder)
    if split not in description.splits:
        raise UserError(f"unknown split '{split}': choose from {', '.join(description.splits)}.")
    return _read(records.open_split(folder, split), description, memory)


def _read(rows: Any, description: records.Description, memory: int) -> Source:
    shape, dtype, truth = description.shape, description.dtype, description.truth
    count = len(rows)
    bytes_a_pixel = dtype.itemsize * shape[-1] * (1 + description.light) + 1
    held = count if count * math.prod(shape[:-1]) * bytes_a_pixel <= memory else 0
    image, mask = np.empty((held, *shape), dtype), np.empty((held, *shape[:-1]), bool)
    light = np.empty((held, *shape), dtype) if description.light else None
    label, position = np.empty(count, np.int32), np.empty((count, 2), np.float32)
    columns, ids = np.empty((count, len(truth)), np.float32), []
    for start in range(0, count, 256):
        block = range(start, min(start + 256, count))
        for row, record in zip(block, rows.__getitems__(list(block)), strict=True):
            entry = records.parse_record(record)
            if held:
                image[row], mask[row], one = records.read_pixels(entry, shape, dtype)
                if light is not None:
                    light[row] = one
            label[row] = entry["label"].int64_list.value[0]
            position[row] = entry["position"].float_list.value
            columns[row] = [entry[f"truth/{name}"].float_list.value[0] for name in truth]
            ids.append(entry["id"].bytes_list.value[0].decode())
    return Source(
        image=image if held else Stored(rows, (count, *shape), dtype),
        mask=mask,
        label=label,
        position=position,
        id=np.array(ids),
        truth=dict(zip(truth, columns.T.copy(), strict=True)),
        classes=description.classes,
        light=light,
    )


def shuffle_labels(source: Source, seed: int) -> Source:
    """Return the same images, each with the label and the position of another, drawn by `seed`.

    Shuffled labels can only be memorised (Adebayo et al. 2018, the data randomisation test). Masks stay: no
    loss reads them.
    """
    other = np.random.default_rng((seed, 1)).permutation(len(source))
    return replace(source, label=source.label[other], position=source.position[other])


def stack(examples: Iterable[Example]) -> Source:
    """Make a source from examples in memory: a user's own images, or a test's."""
    rows = list(examples)
    if not rows:
        raise UserError("no examples given: a source needs at least one.")
    names = rows[0].get("truth", {})
    return Source(
        _storable(np.stack([row["image"] for row in rows])),
        np.stack([row["mask"] for row in rows]),
        np.array([row["label"] for row in rows], np.int32),
        np.stack([row["position"] for row in rows]).astype(np.float32),
        np.array([row["id"] for row in rows]),
        {name: np.array([row["truth"][name] for row in rows], np.float32) for name in names},
        light=_storable(np.stack([row["light"] for row in rows])) if "light" in rows[0] else None,
    )


def _storable(images: np.ndarray) -> np.ndarray:
    return images if images.dtype == np.uint8 else images.astype(np.float16)
