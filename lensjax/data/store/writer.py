"""TFDS builders in array_record format, without TensorFlow: examples made or read once, then kept.

A new data set is a subclass of `FromRecipe` (its name is the data set's) and a function that gives a `Recipe`
(`lensjax.data.store.dataset_specs`).
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from lensjax.data.store import serialised
from lensjax.data.store.checksums import disk_is_full, exclusive, publish, write_checksums
from lensjax.data.store.shards import write_split
from lensjax.runtime import logs
from lensjax.runtime.errors import UserError
from lensjax.types import Example

SPLITS = ("train", "validation", "test")
GENERATE = Callable[[str, int], Iterator[Example]]


@dataclass(kw_only=True, eq=False)
class Recipe(tfds.core.BuilderConfig):
    """What is in a data set; `name` is its folder, so it holds all that tells it from others."""

    counts: dict[str, int]
    """Examples in each split."""
    shape: tuple[int, ...]
    """[*s c] of the image."""
    classes: tuple[str, ...]
    truth: tuple[str, ...]
    """Names of the float32 scalars in `truth`."""
    generate: GENERATE
    """(split, count) -> examples; the same for the same arguments."""
    seed: int = 0
    dtype: type = np.float16
    """float16, or uint8 for images in [0, 1] times 255."""
    light: bool = False
    """Whether examples have `light`, of the image's shape and type."""
    exact: bool = True
    """Whether `counts` are promised, or the most there can be."""


class FromRecipe(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Examples of a `Recipe`: image (float16 or uint8), mask, position, label, id and true scalars.

    Raise `VERSION` whenever the generator's examples change: the old sets then stay apart from the new.
    """

    VERSION = tfds.core.Version("1.0.0")
    # Nothing is downloaded; without this, TFDS 4.9.10 looks for checksums by a package it does not depend on.
    url_infos = None
    bar: tqdm

    def _info(self) -> tfds.core.DatasetInfo:
        recipe, features = self.builder_config, tfds.features
        raw = tfds.features.Encoding.BYTES  # ten times faster than lists of numbers
        entries = {
            "image": features.Tensor(shape=recipe.shape, dtype=recipe.dtype, encoding=raw),
            "mask": features.Tensor(shape=recipe.shape[:-1], dtype=np.bool_, encoding=raw),
            "position": features.Tensor(shape=(2,), dtype=np.float32),
            "label": features.ClassLabel(names=list(recipe.classes)),
            "id": features.Text(),
            "truth": {name: features.Scalar(dtype=np.float32) for name in recipe.truth},
        }
        if recipe.light:
            entries["light"] = features.Tensor(shape=recipe.shape, dtype=recipe.dtype, encoding=raw)
        # Examples are drawn independently and shuffled in training, so they stay in the order of their seed.
        return tfds.core.DatasetInfo(
            builder=self, features=features.FeaturesDict(entries), disable_shuffling=True
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        return {split: self._generate_examples(split) for split in SPLITS}

    def _generate_splits(self, dl_manager: Any, download_config: Any) -> list[tfds.core.SplitInfo]:
        """In place of TFDS's writer, whose limits `shards` tells, and of its slow encoding (`serialised`)."""
        found = []
        for split, examples in self._split_generators(dl_manager).items():
            records = (serialised.write(example) for _, example in examples)
            template = self._get_filename_template(split_name=split)
            found.append(write_split(records, split, template))
        return found

    def _generate_examples(self, split: str) -> Iterator:
        recipe, made = self.builder_config, 0
        count = recipe.counts[split]
        for made, example in enumerate(recipe.generate(split, count), 1):
            yield made - 1, encode(example, recipe)
            self.bar.update()
        if made != count and recipe.exact:
            raise UserError(f"the simulator gave {made} examples for '{split}' instead of {count}.")
        if made == 0:
            raise UserError(f"split '{split}' of '{recipe.name}' has no usable example.")


class SimulatedLenses(FromRecipe):
    """`lensjax.simulate.lenses.lenses` for one instrument and size."""


class SimulatedEvents(FromRecipe):
    """`lensjax.simulate.events.glitches` for one size and encoding."""

    VERSION = tfds.core.Version("1.2.0")


class GravitySpy(FromRecipe):
    """The real Gravity Spy set, read by `lensjax.data.gravity_spy.gravity_spy`."""


class LensChallenge(FromRecipe):
    """A Lens Finding Challenge, read by `lensjax.data.surveys.challenge`."""


def encode(example: Example, recipe: Recipe) -> dict[str, Any]:
    """An example as it is stored.

    Raises:
      UserError: the image is not finite in float16, or has not the type or the shape it is stored in.
    """
    image = np.asarray(example["image"])
    if recipe.dtype == np.uint8 and image.dtype != np.uint8:
        raise UserError(f"the image of example '{example['id']}' is {image.dtype}, not uint8: a bug.")
    if image.shape != recipe.shape:
        raise UserError(f"the image of '{example['id']}' has shape {image.shape}, not {recipe.shape}: a bug.")
    image = image.astype(recipe.dtype)
    if not np.isfinite(image).all():
        raise UserError(
            f"the image of example '{example['id']}' is not finite or beyond 65504: simulator bug."
        )
    truth = example.get("truth", {})
    light: dict[str, Any] = {"light": np.asarray(example["light"], recipe.dtype)} if recipe.light else {}
    return light | {
        "image": image,
        "mask": np.asarray(example["mask"], bool),
        "position": np.asarray(example["position"], np.float32),
        "label": int(example["label"]),
        "id": example["id"],
        "truth": {name: np.float32(truth[name]) for name in recipe.truth},
    }


def make(builder: type[FromRecipe], recipe: Recipe, directory: Path) -> Path:
    """Make a data set, unless it is there, and return its folder.

    It is written beside its place and renamed when it is whole. Several processes may call this at once:
    one works, the others wait.

    Raises:
      UserError: the directory cannot be written.
      OSError: the disk is full; nothing half-made is left.
    """
    final = Path(directory).absolute() / builder.name / recipe.name / str(builder.VERSION)
    if final.exists():
        return final
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        lock = exclusive(final.parent / ".lock", f"another process is making {recipe.name}; waiting for it.")
        with lock as held:
            if held:
                _sweep(final.parent)
            if not final.exists():
                _make_locked(builder, recipe, final)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise
        raise UserError(
            f"data directory '{directory}' cannot be written ({error}): choose another."
        ) from None
    return final


def _make_locked(builder: type[FromRecipe], recipe: Recipe, final: Path) -> None:
    channels = recipe.shape[-1] * (1 + recipe.light)
    pixels = math.prod(recipe.shape[:-1]) * (np.dtype(recipe.dtype).itemsize * channels + 1)
    needed, free = pixels * sum(recipe.counts.values()), shutil.disk_usage(final.parent).free
    full = (
        f"the disk of '{final.parent}' is full: {recipe.name} needs about {needed / 1e6:,.0f} MB; "
        "free some space or choose another data directory."
    )
    if free < needed:
        raise OSError(errno.ENOSPC, full)
    title = f"{'simulating' if recipe.exact else 'reading'} {recipe.name.split('-')[0]}"
    work = Path(tempfile.mkdtemp(prefix=".making-", dir=final.parent))
    try:
        with _quiet(), logs.progress(desc=title, total=sum(recipe.counts.values()), unit=" images") as bar:
            maker = builder(config=recipe, data_dir=work, file_format="array_record")
            maker.bar = bar
            maker.download_and_prepare()
        made = Path(maker.data_dir)
        write_checksums(made, {"name": recipe.name, "counts": recipe.counts, "seed": recipe.seed})
        publish(made, final)
    except Exception as error:
        if disk_is_full(error):
            raise OSError(errno.ENOSPC, full) from None
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Delete what a killed process left; only the holder of the lock may."""
    for left in folder.glob(".making-*"):
        print(f"'{left}' is an unfinished data set of a run that was stopped: starting anew.", flush=True)
        shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without TFDS's own bars, prints and its warning about custom configurations."""
    tfds.disable_progress_bar()
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
