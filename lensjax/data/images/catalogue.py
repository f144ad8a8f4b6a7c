"""Read the CSV catalogue beside a folder of cutouts: label and position of each file."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lensjax.data.images.band_layout import BadInput

NAMES = ("file", "filename", "id", "name")
LABELS = ("label", "class")


@dataclass(frozen=True)
class CatalogueRow:
    """The catalogue's entry for one image."""

    catalogue: str  # path
    line: int  # of the file, the header being 1
    name: str
    label: int | None = None
    # Column and row in the file's pixels, the first pixel's centre being 0.
    xy: tuple[float, float] | None = field(default=None, compare=False)


def read_catalogue(path: Path, classes: Sequence[str]) -> tuple[list[CatalogueRow], list[tuple[str, str]]]:
    """Return rows, and (where, what) of each value that could not be understood.

    Columns: `file` or `id` (name with or without ending); optional `label` (a class or its number), `x`, `y`.

    Raises:
      BadInput: the file cannot be read or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"is no readable CSV file ({_first_line(error)}).") from error
    if not table:
        raise BadInput("has no rows; write a header such as file,label,x,y and one line an image.")
    columns = {str(column).strip().lower(): column for column in table[0]}
    key = next((columns[name] for name in NAMES if name in columns), None)
    if key is None:
        raise BadInput(f"has no column file or id; its columns are {', '.join(columns)}.")
    if ("x" in columns) != ("y" in columns):
        raise BadInput("has only one of the columns x and y; give both, in pixels.")
    label = next((columns[name] for name in LABELS if name in columns), None)
    rows, faults = [], []
    for number, line in enumerate(table, start=2):
        name = (line[key] or "").strip()
        label_number = xy = None
        try:
            label_number = _label(line[label] or "", classes) if label else None
            xy = _xy(line[columns["x"]] or "", line[columns["y"]] or "") if "x" in columns else None
        except BadInput as error:
            faults.append((f"{path} line {number} ({name})", str(error)))
        rows.append(CatalogueRow(str(path), number, name, label_number, xy))
    return rows, faults


def _label(text: str, classes: Sequence[str]) -> int | None:
    """Return the number of a class; None for an empty field. "Non lens", "nonlens" and "non-lens" are one."""
    plain = [_plain(name) for name in classes]
    if not text.strip():
        return None
    if text.strip() in map(str, range(len(classes))):
        return int(text)
    if _plain(text) not in plain:
        raise BadInput(
            f"label '{text.strip()}' is no class; use {', '.join(classes)} or 0 to {len(classes) - 1}."
        )
    return plain.index(_plain(text))


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _xy(x: str, y: str) -> tuple[float, float] | None:
    if not x.strip() and not y.strip():
        return None
    try:
        numbers = float(x), float(y)
    except ValueError:
        raise BadInput(
            f"position x = '{x}', y = '{y}' is not two numbers; give pixels, or leave both empty."
        ) from None
    return numbers if all(map(math.isfinite, numbers)) else None


def _first_line(error: Exception) -> str:
    return (str(error).split("\n")[0] or type(error).__name__)[:120]
