"""Data sets by configuration: made once (`prepare`), then read into memory with random access (`load`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np

from lensjax.config import Data, EventData, GravitySpyData, LensData
from lensjax.data.store import serialised
from lensjax.data.store.checksums import verify
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
        """Image, mask and light of a row."""
        return serialised.pixels(serialised.features(self.records[row]), self.shape[1:], self.dtype)


@dataclass(frozen=True)
class Source:
    """The examples of a split, row by row; everything but the pixels is always in memory."""

    image: np.ndarray | Stored
    """[n *s c], float16, or uint8 for images in [0, 1]: `transforms.as_float` gives what a network sees."""
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
        """Some examples, without the truth."""
        light = replace(self, truth={})
        return (light[row] for row in rows)


def prepare(config: Data) -> Path:
    """The folder of a configuration's data set, which is made if it is not there.

    One with transformed inputs is made from the plain one and lies beside it.

    Raises:
      UserError: a value of the configuration is out of range, or the directory cannot be written.
      OSError: the disk is full.
    """
    from lensjax.data.store import writer

    if config.inputs:
        prepare(replace(config, inputs=()))
    kinds = {
        LensData: writer.SimulatedLenses,
        EventData: writer.SimulatedEvents,
        GravitySpyData: writer.GravitySpy,
    }
    return writer.make(kinds[type(config)], recipe_of(config), Path(config.directory))


def recipe_of(config: Data) -> Any:
    """What is in a configuration's data set, a `builders.Recipe` (whose TFDS is slow to import).

    Raises:
      UserError: a value of the configuration is out of range.
    """
    from lensjax.data.store import dataset_specs

    if config.inputs:
        plain = replace(config, inputs=())

        def examples(split: str) -> Iterator[Example]:
            source = load(prepare(plain), split)
            return (source[row] for row in range(len(source)))

        return dataset_specs.transformed(recipe_of(plain), config.inputs, examples)
    if isinstance(config, EventData):
        return dataset_specs.event_recipe(config)
    if isinstance(config, GravitySpyData):
        return dataset_specs.gravity_spy_recipe(config)
    return dataset_specs.lens_recipe(
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
    """[*s c] of the images of a configuration, which is checked.

    Raises:
      UserError: a value of the configuration is out of range.
    """
    return recipe_of(config).shape


def load(folder: str | Path, split: str, memory: int = MEMORY) -> Source:
    """Read a split after verifying its checksums; pixels beyond `memory` bytes stay on disk.

    Raises:
      UserError: no such folder or split, or a damaged file, which is named.
    """
    import tensorflow_datasets as tfds

    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(
            f"data set '{folder}' does not exist: make it with lensjax.data.store.datasets.prepare."
        )
    verify(folder, split)
    builder = tfds.builder_from_directory(folder)
    if split not in builder.info.splits:
        raise UserError(f"unknown split '{split}': choose from {', '.join(builder.info.splits)}.")
    records = builder.as_data_source(split).data_source  # as bytes
    features = builder.info.features
    return _read(
        records,
        features["image"].shape,
        features["image"].np_dtype,
        tuple(sorted(features["truth"])),
        tuple(features["label"].names),
        "light" in features,
        memory,
    )


def _read(
    records: Any,
    shape: tuple[int, ...],
    dtype: Any,
    truth: tuple[str, ...],
    classes: tuple[str, ...],
    has_light: bool,
    memory: int,
) -> Source:
    count = len(records)
    bytes_a_pixel = np.dtype(dtype).itemsize * shape[-1] * (1 + has_light) + 1
    held = count if count * math.prod(shape[:-1]) * bytes_a_pixel <= memory else 0
    image, mask = np.empty((held, *shape), dtype), np.empty((held, *shape[:-1]), bool)
    light = np.empty((held, *shape), dtype) if has_light else None
    label, position = np.empty(count, np.int32), np.empty((count, 2), np.float32)
    columns, ids = np.empty((count, len(truth)), np.float32), []
    for start in range(0, count, 256):
        block = range(start, min(start + 256, count))
        for row, record in zip(block, records.__getitems__(list(block)), strict=True):
            entry = serialised.features(record)
            if held:
                image[row], mask[row], one = serialised.pixels(entry, shape, dtype)
                if light is not None:
                    light[row] = one
            label[row] = entry["label"].int64_list.value[0]
            position[row] = entry["position"].float_list.value
            columns[row] = [entry[f"truth/{name}"].float_list.value[0] for name in truth]
            ids.append(entry["id"].bytes_list.value[0].decode())
    return Source(
        image=image if held else Stored(records, (count, *shape), dtype),
        mask=mask,
        label=label,
        position=position,
        id=np.array(ids),
        truth=dict(zip(truth, columns.T.copy(), strict=True)),
        classes=classes,
        light=light,
    )


def with_shuffled_labels(source: Source, seed: int) -> Source:
    """The same images, each with the label and the position of another, drawn by `seed`.

    Nothing can be learned from them but by heart (Adebayo et al. 2018, the data randomisation test). Masks
    stay: no loss reads them.
    """
    other = np.random.default_rng((seed, 1)).permutation(len(source))
    return replace(source, label=source.label[other], position=source.position[other])


def stack(examples: Iterable[Example]) -> Source:
    """A source of examples at hand: a user's own images, or a test's."""
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
