"""Read the metadata CSV of the Gravity Spy training set: the trigger generator's values by gravityspy_id."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from lensjax.runtime.errors import UserError


@dataclass(frozen=True)
class TriggerRow:
    """One row; missing values are empty or NaN."""

    ifo: str = ""
    label: str = ""
    split: str = ""
    snr: float = math.nan
    peak_frequency: float = math.nan
    """Hz."""
    duration: float = math.nan
    """Seconds."""


def read_triggers(metadata: str | Path, beside: Path) -> dict[str, TriggerRow]:
    """Read rows by id of `metadata`, or of the one `*metadata*.csv` in the folder (beside the file) `beside`.

    Raises:
      UserError: the file is no such table, a number in it is none, or several files could be meant.
    """
    folder = beside if beside.is_dir() else beside.parent
    found = [Path(metadata)] if metadata else sorted(folder.glob("*metadata*.csv"))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UserError(f"'{folder}' has {len(found)} metadata files ({names}): name one as the metadata.")
    return _read(found[0]) if found else {}


def _read(path: Path) -> dict[str, TriggerRow]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if "gravityspy_id" not in (reader.fieldnames or ()):
                columns = ", ".join(map(str, reader.fieldnames or ())) or "none"
                raise UserError(
                    f"metadata '{path}' has no column gravityspy_id (columns: {columns[:200]}): "
                    "give the CSV of the training set."
                )
            return {
                (row["gravityspy_id"] or "").strip(): _trigger(row, f"metadata '{path}' line {line}")
                for line, row in enumerate(reader, start=2)
            }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = str(error).split("\n")[0][:120]
        raise UserError(f"metadata '{path}' is no readable CSV file ({reason}).") from None


def _trigger(row: dict[str, str | None], where: str) -> TriggerRow:
    def text(column: str) -> str:
        return (row.get(column) or "").strip()

    def number(column: str) -> float:
        try:
            return float(text(column) or "nan")
        except ValueError:
            raise UserError(f"{where}: {column} is '{text(column)}'; give a number or nothing.") from None

    return TriggerRow(
        ifo=text("ifo").upper(),
        label=text("label"),
        split=text("sample_type").lower(),
        snr=number("snr"),
        peak_frequency=number("peak_frequency"),
        duration=number("duration"),
    )
