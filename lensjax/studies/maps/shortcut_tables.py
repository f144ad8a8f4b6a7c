"""The tables of the study of shortcuts, in Markdown, and the lines of its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lensjax.config import Data
from lensjax.data.store.datasets import Source
from lensjax.evaluation import intervals
from lensjax.studies.events.ablation_tables import spread

Row = dict[str, Any]
Rows = dict[str, list[Row]]


def table_lines(found: Mapping[str, Any], test: Source, data: Data) -> list[str]:
    """Markdown: what each shortcut alone buys, what swaps cost, pairs, and maps."""
    lines = [f"{len(test):,} held-out examples; mean ± s.d. over networks, Wilson interval of the mean.", ""]
    left = "where no evidence is left in it"
    lines += [f"| from this alone | accuracy | 95 % | {left} |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {row['accuracy']:.3f} | {_interval([row])} | |" for name, row in found["alone"].items()
    ]
    lines += [
        f"| {name}, trained | {_cells(rows)} | {_blank(rows)} |" for name, rows in found["trained"].items()
    ]
    if "detector" not in found["alone"] and getattr(data, "name", "") == "simulated_events":
        lines += ["| detector | not in simulated data | | |"]
    named = "names the background's class"
    lines += ["", f"| trained on whole inputs, tested on | accuracy | 95 % | {left} | {named} |"]
    lines += ["|---|---|---|---|---|"]
    for name, rows in found["swapped"].items():
        taken = [row["named background"] for row in rows if "named background" in row]
        lines.append(f"| {name} | {_cells(rows)} | {_blank(rows)} | {spread(taken, 3)} |")
    if "evidence removed" not in found["swapped"]:
        lines.append("| evidence and background apart | no true masks in these data | | | |")
    lines += ["", "| pairs of two classes | told apart | 95 % |", "|---|---|---|"]
    lines += [f"| {name} | {_cells(rows)} |" for name, rows in found["pairs"].items()]
    if found["mass"]:
        lines += ["", "| map | share on the background |", "|---|---|"]
        lines += [
            f"| {name} | {spread([row['background'] for row in rows], 3)} |"
            for name, rows in found["mass"].items()
        ]
    return lines


def _cells(rows: Sequence[Row]) -> str:
    return f"{spread([row['accuracy'] for row in rows], 3)} | {_interval(rows)}"


def _blank(rows: Sequence[Row]) -> str:
    """The accuracy on examples that lost all their evidence, its interval, and how many they are."""
    blank = [row["blank"] for row in rows if "blank" in row]
    if not blank:
        return ""
    return f"{spread([row['accuracy'] for row in blank], 3)} ({_interval(blank)}; {blank[0]['n']})"


def _interval(rows: Sequence[Row]) -> str:
    """Wilson interval of the mean accuracy on one test set: seeds share its examples."""
    n = rows[0]["n"]
    low, high = intervals.wilson(float(np.mean([row["accuracy"] for row in rows])) * n, n)
    return f"{low:.3f}–{high:.3f}"


def drawn(found: Mapping[str, Any]) -> Rows:
    """One line a row of the picture."""
    rows: Rows = {
        f"{name} alone" if name != "chance" else name: [row] for name, row in found["alone"].items()
    }
    rows |= {f"{name}, trained on that": each for name, each in found["trained"].items()}
    return rows | {f"tested on: {name}": each for name, each in found["swapped"].items()}
