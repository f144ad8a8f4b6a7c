"""One example as a `tf.train.Example`, the record of a TFDS data set, without TensorFlow.

TFDS writes and reads the same by way of its features, ten times slower (`benchmarks/data.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def write(example: Mapping[str, Any]) -> bytes:
    """The record of an encoded example (`builders.encode`): arrays as bytes, scalars of `truth` by name."""
    record = _format().Example()
    feature = record.features.feature
    for name in ("image", "mask", "light"):
        if name in example:
            feature[name].bytes_list.value.append(example[name].tobytes())
    feature["position"].float_list.value.extend(example["position"].tolist())
    feature["label"].int64_list.value.append(example["label"])
    feature["id"].bytes_list.value.append(example["id"].encode())
    for name, value in example["truth"].items():
        feature[f"truth/{name}"].float_list.value.append(value)
    return record.SerializeToString()


def features(record: bytes) -> Any:
    """A record's features by name."""
    return _format().Example.FromString(record).features.feature


def _format() -> Any:
    from tensorflow_datasets.proto import tf_example_pb2  # TFDS is slow to import

    return tf_example_pb2


def pixels(entry: Any, shape: Sequence[int], dtype: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Image [*s c], mask [*s] and, where there is one, light [*s c] of a record's features."""

    def read(name: str, shape: Sequence[int], dtype: Any) -> np.ndarray:
        return np.frombuffer(entry[name].bytes_list.value[0], dtype).reshape(shape)

    light = read("light", shape, dtype) if "light" in entry else None
    return read("image", shape, dtype), read("mask", shape[:-1], bool), light
