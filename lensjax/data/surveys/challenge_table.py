"""Catalogues of the Lens Finding Challenges: a label and true numbers for every ID."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from lensjax.data.images.band_layout import BadInput

Row = tuple[int | None, dict[str, float]]

COLUMNS = {
    "challenge1": ("is_lens", "Einstein_area", "numb_pix_lensed_image", "flux_lensed_image_in_sigma"),
    "challenge2": (
        "x_crit", "y_crit", "z_source", "z_lens", "mag_source", "ein_area", "n_pix_source", "n_source_im",
        "mag_eff", "sb_contrast", "color_diff",
    ),
}  # fmt: skip
"""What rides along of each catalogue, as it is there."""
RULES = {"challenge1": ("is_lens",), "challenge2": ("n_source_im", "mag_eff", "n_pix_source")}
"""Columns that the label needs."""
LENS_RULE = {
    "challenge1": "is_lens = 1",
    "challenge2": "n_source_im > 0 and mag_eff > 1.6 and n_pix_source > 20",
}


def read_table(path: Path) -> dict[int, Row]:
    """Label and true numbers by ID; label None where a number it needs is missing.

    Comma- or blank-separated, after any lines that begin with #; the header may be such a line.

    Raises:
      BadInput: the file is missing, has no header with ID, or lacks the columns of either challenge's label.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"'{path}' cannot be read ({str(error)[:80]}).") from error
    start = next((i for i, line in enumerate(lines) if "ID" in _cells(line.lstrip("# "))), None)
    if start is None:
        raise BadInput(f"'{path}' has no header with a column ID; is it the challenge's catalogue?")
    header = [name.strip() for name in _cells(lines[start].lstrip("# "))]
    kind = next((name for name, needed in RULES.items() if set(needed) <= set(header)), None)
    if kind is None:
        needs = "; or ".join(", ".join(needed) for needed in RULES.values())
        lacking = sorted(set(RULES["challenge2"]) - set(header))
        raise BadInput(
            f"'{path}' lacks the column(s) is_lens, or {', '.join(lacking)}: the label needs {needs}."
        )
    rows: dict[int, Row] = {}
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if not line.strip() or line.startswith("#"):
            continue
        cells = _cells(line)
        if len(cells) != len(header):
            raise BadInput(f"'{path}' line {number} has {len(cells)} values; its header has {len(header)}.")
        values = dict(zip(header, cells, strict=True))
        truth = {name: _number(values.get(name, "")) for name in COLUMNS[kind]}
        identity = _number(values["ID"])
        if math.isnan(identity):
            raise BadInput(f"'{path}' line {number} has the ID '{values['ID']}'; a number is needed.")
        rows[int(identity)] = (label_of(kind, truth), truth)
    return rows


def label_of(kind: str, truth: Mapping[str, float]) -> int | None:
    """1 for a lens by the challenge's own rule, `LENS_RULE`; None where a number is missing."""
    needed = [truth[name] for name in RULES[kind]]
    if any(map(math.isnan, needed)):
        return None
    if kind == "challenge1":
        return int(truth["is_lens"] == 1)
    return int(truth["n_source_im"] > 0 and truth["mag_eff"] > 1.6 and truth["n_pix_source"] > 20)


def _cells(line: str) -> list[str]:
    return next(csv.reader([line]), []) if "," in line else line.split()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
