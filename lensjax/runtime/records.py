"""Write JSON that survives a killed run: `metrics.jsonl`, one object per line, and files replaced as a whole.

NaN and infinity become null. An OSError (a full disk, a missing permission) names the file. In a run of
several processes only process 0 may write.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from lensjax.runtime.errors import UserError


def plain(value: Any) -> Any:
    """Convert to what JSON can hold: dataclasses and arrays opened up, NaN and infinity None.

    Raises:
      TypeError: for anything else, with its type.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # NumPy and JAX, scalars and arrays
        return plain(value.tolist())
    raise TypeError(
        f"a {type(value).__name__} cannot be written as JSON; give numbers, text, lists or dicts."
    )


def write_json(path: str | Path, value: Any) -> None:
    """Replace a file by `value` as JSON: after a kill the old or the new one is there, never half of one."""
    path = Path(path)
    text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    _replace(path, text.encode())


def append(path: str | Path, record: Mapping[str, Any]) -> None:
    """Add one line to a `.jsonl` file, on disk when this returns.

    If the disk is full, the partial line is removed.
    """
    line = json.dumps(plain(record), ensure_ascii=False, allow_nan=False) + "\n"
    with _naming(path), open(path, "ab", buffering=0) as file:
        size = file.tell()
        try:
            _write(file.fileno(), line.encode())
        except OSError:
            with suppress(OSError):
                file.truncate(size)
            raise


def read(path: str | Path) -> list[dict[str, Any]]:
    """Read the records of a `.jsonl` file, without a last line torn by a kill.

    Raises:
      UserError: another line is no JSON object, with its number.
    """
    return [record for _, record in _lines(Path(path))]


def rewind(path: str | Path, step: int) -> None:
    """Drop the records after `step` and a torn last line, so that a resumed run writes what it would have."""
    path = Path(path)
    if not path.exists():
        return
    kept = b"".join(line + b"\n" for line, record in _lines(path) if record.get("step", step) <= step)
    if kept != path.read_bytes():
        _replace(path, kept)


def _lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if isinstance(record, dict):
            yield line, record
        elif number < len(lines):  # what follows the last newline is empty or torn
            raise UserError(f"line {number} of {path} is not a JSON object; delete that line, or the file.")


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with _naming(path):
            with open(temporary, "wb", buffering=0) as file:
                _write(file.fileno(), content)
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _write(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]
    os.fsync(file)


@contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = f"{error.strerror}; make room or choose another place, then run again"
        raise OSError(error.errno, why, str(path)) from error
