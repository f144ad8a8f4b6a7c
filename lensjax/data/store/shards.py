"""Records of a split as they come, in array_record files of bounded size, as TFDS reads them.

TFDS's own writer holds a whole split in memory, and beyond 1 GB asks for TensorFlow.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import tensorflow_datasets as tfds
from array_record.python import array_record_module

SIZE = 512 * 2**20
"""Bytes after which the next file begins."""


def write_split(
    records: Iterator[bytes], name: str, template: tfds.core.ShardedFileTemplate, size: int = SIZE
) -> tfds.core.SplitInfo:
    """Write every record, in order, and say how many are in which file.

    Args:
      name: of the split.
      template: gives the files their names, which say how many there are: so they are named at the end.
      size: bytes after which the next file begins.

    Raises:
      OSError, RuntimeError: what `integrity.disk_is_full` recognises, for one.
    """
    parts: list[Path] = []
    written: list[tuple[int, int]] = []
    for first in records:  # what `write_shard` leaves begins the next file
        parts.append(Path(template.data_dir) / f"{name}.part{len(parts)}")
        written.append(write_shard(parts[-1], itertools.chain([first], records), size))
    for shard, part in enumerate(parts):
        part.rename(template.sharded_filepath(shard_index=shard, num_shards=len(parts)))
    return tfds.core.SplitInfo(
        name=name,
        shard_lengths=[count for count, _ in written],
        num_bytes=sum(taken for _, taken in written),
        filename_template=template,
    )


def write_shard(path: Path, records: Iterable[bytes], size: int) -> tuple[int, int]:
    """Write records until the file has `size` bytes; how many they are, and their bytes."""
    # In groups of one record, since rows are read at random.
    writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
    count = taken = 0
    try:
        for record in records:
            writer.write(record)
            count += 1
            taken += len(record)
            if taken >= size:
                break
    finally:
        writer.close()
    return count, taken
