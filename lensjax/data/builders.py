"""TFDS builders in array_record format, without TensorFlow: simulated examples, made once.

A new data set is a subclass of `Simulated` (its name is the data set's) and a function that gives a `Recipe`.
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

from lensjax import logs
from lensjax.data.integrity import disk_is_full, exclusive, publish, write_checksums
from lensjax.types import Example

SPLITS = ("train", "validation", "test")
GENERATE = Callable[[int, int], Iterator[Example]]


@dataclass(kw_only=True, eq=False)
class Recipe(tfds.core.BuilderConfig):
    """What is in a data set; `name` is its folder, so it holds all that tells it from others."""

    counts: dict[str, int]
    """Examples in each split."""
    seed: int
    shape: tuple[int, ...]
    """[*s c] of the image."""
    classes: tuple[str, ...]
    truth: tuple[str, ...]
    """Names of the float32 scalars in `truth`."""
    generate: GENERATE
    """(count, seed) -> examples; the same for the same arguments."""


class Simulated(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Examples of a `Recipe`: image float16 in asinh units, mask, position, label, id and true scalars.

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
            "image": features.Tensor(shape=recipe.shape, dtype=np.float16, encoding=raw),
            "mask": features.Tensor(shape=recipe.shape[:-1], dtype=np.bool_, encoding=raw),
            "position": features.Tensor(shape=(2,), dtype=np.float32),
            "label": features.ClassLabel(names=list(recipe.classes)),
            "id": features.Text(),
            "truth": {name: features.Scalar(dtype=np.float32) for name in recipe.truth},
        }
        # Examples are drawn independently and shuffled in training, so they stay in the order of their seed.
        return tfds.core.DatasetInfo(
            builder=self, features=features.FeaturesDict(entries), disable_shuffling=True
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator]:
        recipe = self.builder_config
        # Seeds differ for every pair of seed and split: no scene is in two splits.
        return {
            split: self._generate_examples(recipe.counts[split], 3 * recipe.seed + number, split)
            for number, split in enumerate(SPLITS)
        }

    def _generate_examples(self, count: int, seed: int, split: str) -> Iterator:
        made = 0
        for made, example in enumerate(self.builder_config.generate(count, seed), 1):
            yield made - 1, encode(example, self.builder_config)
            self.bar.update()
        if made != count:
            raise ValueError(f"the simulator gave {made} examples for '{split}' instead of {count}.")


class SimulatedLenses(Simulated):
    """`lensjax.simulate.lenses` for one instrument and size."""


def encode(example: Example, recipe: Recipe) -> dict[str, Any]:
    """An example as it is stored.

    Raises:
      ValueError: the image is not finite in float16, or truth lacks a name.
    """
    image = np.asarray(example["image"]).astype(np.float16)
    if not np.isfinite(image).all():
        raise ValueError(
            f"the image of example '{example['id']}' is not finite or beyond 65504: simulator bug."
        )
    truth = example.get("truth", {})
    return {
        "image": image,
        "mask": np.asarray(example["mask"], bool),
        "position": np.asarray(example["position"], np.float32),
        "label": int(example["label"]),
        "id": example["id"],
        "truth": {name: np.float32(truth[name]) for name in recipe.truth},
    }


def lens_recipe(
    *,
    instrument: str,
    size: int,
    train: int,
    validation: int,
    test: int,
    seed: int,
    lens_fraction: float,
    supersampling: int,
    min_theta_e: float = 0.25,
    min_snr: float = 20.0,
    generate: GENERATE | None = None,
    truth: tuple[str, ...] | None = None,
) -> Recipe:
    """Recipe of `SimulatedLenses`. `generate` and `truth` stand in for the simulator, for tests.

    Raises:
      ValueError: a value outside its range.
    """
    from lensjax.simulate.instruments import INSTRUMENTS

    counts = {"train": train, "validation": validation, "test": test}
    if instrument not in INSTRUMENTS:
        raise ValueError(f"unknown instrument '{instrument}': choose from {', '.join(INSTRUMENTS)}.")
    # The three splits' seeds, 3 · seed + 0, 1, 2, are 32 bit numbers in the simulator.
    limits = {"seed": (seed, 0, 2**30), "size": (size, 16, 4096), "supersampling": (supersampling, 1, 16)}
    limits |= {split: (count, 1, 10**15) for split, count in counts.items()}
    for name, (value, least, most) in limits.items():
        if not least <= value <= most:
            rule = f"at least {least}" if value < least else f"at most {most}"
            raise ValueError(f"data.{name} (={value}) must be {rule}.")
    if not 0 <= lens_fraction <= 1:
        raise ValueError(f"data.lens_fraction (={lens_fraction}) must lie in [0, 1].")

    # Hardly any lens is beyond these: the simulator would draw for ever.
    if not 0 <= min_theta_e <= 1.5 or not 0 <= min_snr <= 200:
        raise ValueError(
            f"data.min_theta_e (={min_theta_e}) must lie in [0, 1.5], data.min_snr (={min_snr}) in [0, 200]."
        )

    def simulate(count: int, seed: int) -> Iterator[Example]:
        from lensjax.simulate import lenses

        yield from lenses.examples(
            instrument,
            size,
            count,
            seed,
            lens_fraction=lens_fraction,
            supersampling=supersampling,
            rule=lenses.Rule(float(min_theta_e), float(min_snr)),
        )

    if truth is None:
        from lensjax.simulate.truth import TRUTH

        truth = tuple(TRUTH)
    numbers = "-".join(f"{split}{count}" for split, count in counts.items())
    return Recipe(
        name=f"{instrument}_{size}-{numbers}-seed{seed}-lens{float(lens_fraction)}-ss{supersampling}"
        f"-theta{float(min_theta_e)}-snr{float(min_snr)}",
        counts=counts,
        seed=seed,
        shape=(size, size, len(INSTRUMENTS[instrument].bands)),
        classes=("non-lens", "lens"),
        truth=truth,
        generate=generate or simulate,
    )


def make(builder: type[Simulated], recipe: Recipe, directory: Path) -> Path:
    """Make a data set, unless it is there, and return its folder.

    It is written beside its place and renamed when it is whole. Several processes may call this at once:
    one works, the others wait.

    Raises:
      ValueError: the directory cannot be written.
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
        raise ValueError(
            f"data directory '{directory}' cannot be written ({error}): choose another."
        ) from None
    return final


def _make_locked(builder: type[Simulated], recipe: Recipe, final: Path) -> None:
    pixels = math.prod(recipe.shape[:-1]) * (2 * recipe.shape[-1] + 1)
    needed, free = pixels * sum(recipe.counts.values()), shutil.disk_usage(final.parent).free
    full = (
        f"the disk of '{final.parent}' is full: {recipe.name} needs about {needed / 1e6:,.0f} MB; "
        "free some space or choose another data directory."
    )
    if free < needed:
        raise OSError(errno.ENOSPC, full)
    title = f"simulating {recipe.name.split('-')[0]}"
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
