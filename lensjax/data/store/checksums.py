"""Keep data sets whole: checksums, one maker at a time, publication by rename."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lensjax.runtime.errors import UserError

CHECKSUMS = "checksums.json"


def checksum(path: Path) -> dict[str, Any]:
    """Return the size in bytes and the SHA-256 of a file."""
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def write_checksums(folder: Path, spec: dict[str, Any]) -> None:
    """Seal a finished folder: `checksums.json` lists every file, and `spec` says how they were made."""
    files = {path.name: checksum(path) for path in sorted(folder.iterdir()) if path.is_file()}
    (folder / CHECKSUMS).write_text(json.dumps({"recipe": spec, "files": files}, indent=1))


def verify(folder: Path, split: str | None = None) -> None:
    """Compare the files of a split (or all) with the checksums of when they were made.

    Raises:
      UserError: a file is missing, or its size or content differs; the message names it.
    """
    fix = f"delete the folder '{folder}' and run again to make it anew."
    try:
        files: dict[str, Any] = json.loads((folder / CHECKSUMS).read_text())["files"]
    except (OSError, ValueError, KeyError) as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise UserError(f"'{folder / CHECKSUMS}' {reason}, so the data set is not whole: {fix}") from None
    for name, expected in files.items():
        path = folder / name
        if split is not None and ".array_record" in name and f"-{split}.array_record" not in name:
            continue
        if not path.is_file():
            raise UserError(f"'{path}' is missing: {fix}")
        size = path.stat().st_size
        if size != expected["size"]:
            raise UserError(f"'{path}' has {size} bytes instead of {expected['size']}: {fix}")
        if checksum(path) != expected:
            raise UserError(f"'{path}' is damaged, its checksum differs: {fix}")


@contextlib.contextmanager
def hold_lock(path: Path, waiting: str) -> Iterator[None]:
    """Hold the lock file at `path`, printing `waiting` once if another process has it.

    The system frees the lock when its holder dies, so none goes stale.
    """
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        print(waiting, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def publish(made: Path, final: Path) -> None:
    """Move a sealed folder to its final name in one step; if another process was first, its result stays."""
    for path in made.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())  # else a power cut could leave the name without the content
    try:
        made.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not (final / CHECKSUMS).exists():
            raise


def disk_is_full(error: BaseException | None) -> bool:
    """Tell whether a full disk is behind an exception; TFDS and array_record wrap it in their own."""
    while error is not None:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if full or "No space left" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
