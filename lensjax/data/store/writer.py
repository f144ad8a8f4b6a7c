"""Write a data set once with TFDS's own writer, in array_record format, without TensorFlow.

`tfds.core.SequentialWriter` writes each example as it comes, so a split may be larger than the memory. TFDS
is imported when there is something to write; reading needs array_record alone (`lensjax.data.store.records`).
"""

from __future__ import annotations

import errno
import math
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from lensjax.data.store.checksums import disk_is_full, hold_lock, publish, write_checksums
from lensjax.data.store.dataset_specs import SPLITS, DatasetSpec
from lensjax.runtime import logs
from lensjax.runtime.errors import UserError
from lensjax.types import Example

SHARD_BYTES = 512 * 2**20
"""About as large as a file becomes before the next one begins."""


def make(spec: DatasetSpec, directory: Path) -> Path:
    """Make a data set, unless it is there, and return its folder.

    It is written beside its place and renamed when it is whole. Several processes may call this at once:
    one works, the others wait.

    Raises:
      UserError: the directory cannot be written.
      OSError: the disk is full; nothing half-made is left.
    """
    final = Path(directory).absolute() / spec.dataset / spec.name / spec.version
    if final.exists():
        return final
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        waiting = f"another process is making {spec.name}; waiting for it."
        with hold_lock(final.parent / ".lock", waiting):
            _delete_unfinished(final.parent)
            if not final.exists():
                _make_locked(spec, final)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise
        raise UserError(
            f"data directory '{directory}' cannot be written ({error}): choose another."
        ) from None
    return final


def _make_locked(spec: DatasetSpec, final: Path) -> None:
    needed = _example_bytes(spec) * sum(spec.counts.values())
    full = (
        f"the disk of '{final.parent}' is full: {spec.name} needs about {needed / 1e6:,.0f} MB; "
        "free some space or choose another data directory."
    )
    if shutil.disk_usage(final.parent).free < needed:
        raise OSError(errno.ENOSPC, full)
    title = f"{'simulating' if spec.exact else 'reading'} {spec.name.split('-')[0]}"
    work = Path(tempfile.mkdtemp(prefix=".making-", dir=final.parent))
    made = work / final.name
    made.mkdir()
    try:
        with logs.progress(desc=title, total=sum(spec.counts.values()), unit=" images") as bar:
            write_folder(spec, made, bar)
        write_checksums(made, {"name": spec.name, "counts": spec.counts, "seed": spec.seed})
        publish(made, final)
    except Exception as error:
        if disk_is_full(error):
            raise OSError(errno.ENOSPC, full) from None
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _example_bytes(spec: DatasetSpec) -> int:
    channels = spec.shape[-1] * (1 + spec.light)
    return math.prod(spec.shape[:-1]) * (np.dtype(spec.dtype).itemsize * channels + 1)


def write_folder(spec: DatasetSpec, folder: Path, bar: tqdm) -> None:
    """Write every split and the description of the data set, all as TFDS does."""
    import tensorflow_datasets as tfds

    name, version = spec.dataset, tfds.core.Version(spec.version)
    identity = tfds.core.DatasetIdentity(name, version, str(folder), __name__, config_name=spec.name)
    # Examples are drawn independently and shuffled in training, so they stay in the order of their seed.
    info = tfds.core.DatasetInfo(builder=identity, features=tfds_features(spec), disable_shuffling=True)
    examples_a_shard = max(1, SHARD_BYTES // _example_bytes(spec))
    writer = tfds.core.SequentialWriter(info, examples_a_shard, file_format="array_record")
    try:
        for split in SPLITS:
            writer.initialize_splits([split])
            writer.add_examples({split: _encode_split(spec, split, bar)})
    finally:
        writer.close_all()


def tfds_features(spec: DatasetSpec) -> Any:
    """Return the `tfds.features.FeaturesDict` of a data set's examples."""
    from tensorflow_datasets import features

    def pixels(shape: tuple[int, ...], dtype: type) -> Any:  # as bytes: ten times faster than as numbers
        return features.Tensor(shape=shape, dtype=dtype, encoding=features.Encoding.BYTES)

    entries = {
        "image": pixels(spec.shape, spec.dtype),
        "mask": pixels(spec.shape[:-1], np.bool_),
        "position": features.Tensor(shape=(2,), dtype=np.float32),
        "label": features.ClassLabel(names=list(spec.classes)),
        "id": features.Text(),
        "truth": {name: features.Scalar(dtype=np.float32) for name in spec.truth},
    }
    return features.FeaturesDict(entries | ({"light": entries["image"]} if spec.light else {}))


def _encode_split(spec: DatasetSpec, split: str, bar: tqdm) -> Iterator[dict[str, Any]]:
    made, count = 0, spec.counts[split]
    for example in spec.generate(split, count):
        yield encode(example, spec)
        made += 1
        bar.update()
    if made != count and spec.exact:
        raise RuntimeError(f"the simulator gave {made} examples for '{split}' instead of {count}.")
    if made == 0:
        raise UserError(f"split '{split}' of '{spec.name}' has no usable example.")


def encode(example: Example, spec: DatasetSpec) -> dict[str, Any]:
    """Return an example as it is stored.

    Raises:
      RuntimeError: the image is not finite in float16, or has not the type or the shape it is stored in; a
        simulator or a reader is wrong.
    """
    image = np.asarray(example["image"])
    if spec.dtype == np.uint8 and image.dtype != np.uint8:
        raise RuntimeError(f"the image of example '{example['id']}' is {image.dtype}, not uint8.")
    if image.shape != spec.shape:
        raise RuntimeError(f"the image of '{example['id']}' has shape {image.shape}, not {spec.shape}.")
    image = image.astype(spec.dtype)
    if not np.isfinite(image).all():
        raise RuntimeError(f"the image of example '{example['id']}' is not finite or beyond 65504.")
    truth = example.get("truth", {})
    light: dict[str, Any] = {"light": np.asarray(example["light"], spec.dtype)} if spec.light else {}
    return light | {
        "image": image,
        "mask": np.asarray(example["mask"], bool),
        "position": np.asarray(example["position"], np.float32),
        "label": int(example["label"]),
        "id": example["id"],
        "truth": {name: np.float32(truth[name]) for name in spec.truth},
    }


def _delete_unfinished(folder: Path) -> None:
    """Delete what a killed process left; only the holder of the lock may."""
    for left in folder.glob(".making-*"):
        print(f"'{left}' is an unfinished data set of a run that was stopped: starting anew.", flush=True)
        shutil.rmtree(left, ignore_errors=True)
