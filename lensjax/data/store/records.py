"""Read the folder of a data set with array_record alone: its description, its splits, its records.

TFDS writes the folders (`lensjax.data.store.writer`) and reads them too, but it is slow to import. Its record
is a `tf.train.Example`: numbers and bytes by name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

# From tensorflow/core/example/{example,feature}.proto, field numbers included.
_EXAMPLE_PROTO = """
name: "lensjax_example.proto" package: "tensorflow" syntax: "proto3"
message_type { name: "BytesList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "FloatList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT } }
message_type { name: "Int64List" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
message_type {
  name: "Feature"
  field { name: "bytes_list" number: 1 type: TYPE_MESSAGE type_name: ".tensorflow.BytesList" oneof_index: 0 }
  field { name: "float_list" number: 2 type: TYPE_MESSAGE type_name: ".tensorflow.FloatList" oneof_index: 0 }
  field { name: "int64_list" number: 3 type: TYPE_MESSAGE type_name: ".tensorflow.Int64List" oneof_index: 0 }
  oneof_decl { name: "kind" }
}
message_type {
  name: "Features"
  nested_type {
    name: "FeatureEntry"
    field { name: "key" number: 1 type: TYPE_STRING }
    field { name: "value" number: 2 type: TYPE_MESSAGE type_name: ".tensorflow.Feature" }
    options { map_entry: true }
  }
  field {
    name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE
    type_name: ".tensorflow.Features.FeatureEntry"
  }
}
message_type {
  name: "Example" field { name: "features" number: 1 type: TYPE_MESSAGE type_name: ".tensorflow.Features" }
}
"""


@dataclass(frozen=True)
class Description:
    """The description of the records in the folder of a data set."""

    splits: tuple[str, ...]
    shape: tuple[int, ...]
    """[*s c] of the image."""
    dtype: np.dtype
    truth: tuple[str, ...]
    """Names of the true numbers, sorted."""
    classes: tuple[str, ...]
    light: bool


def read_description(folder: Path) -> Description:
    """Read `dataset_info.json`, `features.json` and `label.labels.txt`, as TFDS writes them."""
    info = json.loads((folder / "dataset_info.json").read_text())
    features = json.loads((folder / "features.json").read_text())["featuresDict"]["features"]
    image = features["image"]["tensor"]
    return Description(
        splits=tuple(split["name"] for split in info["splits"]),
        shape=tuple(int(side) for side in image["shape"]["dimensions"]),
        dtype=np.dtype(image["dtype"]),
        truth=tuple(sorted(features["truth"]["featuresDict"].get("features", {}))),
        classes=tuple((folder / "label.labels.txt").read_text().splitlines()),
        light="light" in features,
    )


def open_split(folder: Path, split: str) -> Any:
    """Return a split's serialised records, by index, in the order in which they were written."""
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    return ArrayRecordDataSource([str(path) for path in sorted(folder.glob(f"*-{split}.array_record*"))])


def parse_record(record: bytes) -> Any:
    """Return a record's features by name."""
    return _example_class().FromString(record).features.feature


@cache
def _example_class() -> Any:
    pool = descriptor_pool.DescriptorPool()  # of its own: TFDS registers the same names in the common one
    pool.Add(text_format.Parse(_EXAMPLE_PROTO, descriptor_pb2.FileDescriptorProto()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


def read_pixels(
    features: Any, shape: Sequence[int], dtype: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Image [*s c], mask [*s] and, where there is one, light [*s c] of a record's features."""

    def read(name: str, shape: Sequence[int], dtype: Any) -> np.ndarray:
        return np.frombuffer(features[name].bytes_list.value[0], dtype).reshape(shape)

    light = read("light", shape, dtype) if "light" in features else None
    return read("image", shape, dtype), read("mask", shape[:-1], bool), light
