"""Make the table of scores: mean and interval of each method beside those of the trivial maps.

A row has `method`, `n`, and a (mean, low, high) for every score, at its top or under `scores`; rows of
trivial maps are known by name or by `baseline=True`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from lensjax.report.names import CHANCE, LOWER_IS_BETTER, NEUTRAL, NO_CHANCE, is_baseline, score_label
from lensjax.report.page.filters import interval as read_interval
from lensjax.report.page.filters import number

COSTS = {"passes": "forward passes", "seconds": "seconds a map", "megabytes": "MB (estimate)"}

SKIPPED_COLUMNS = ("method", "n", "baseline", "scores", "cost", "spread", CHANCE)


def score_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the scores in the rows, in order of appearance."""
    names = [k for row in rows for k in (*row, *(row.get("scores") or ()))]
    return [
        n for n in dict.fromkeys(names) if n not in SKIPPED_COLUMNS and any(read_triple(r, n) for r in rows)
    ]


def is_row_baseline(row: Mapping[str, Any]) -> bool:
    """Return whether a row is that of a trivial map."""
    return bool(row.get("baseline", is_baseline(row["method"])))


def read_triple(row: Mapping[str, Any], name: str) -> tuple[float, float, float] | None:
    """Return (mean, low, high) of a score in a row, or None."""
    value = row.get(name, (row.get("scores") or {}).get(name))
    return None if value is None else read_interval(value)


def find_best(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[str, tuple] | None:
    """Return method and triple of the row with the best finite mean."""
    found = [(r["method"], v) for r in rows if (v := read_triple(r, name)) and math.isfinite(v[0])]
    return max(found, key=lambda pair: better_sign(name) * pair[1][0]) if found else None


def best_baseline(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[str, tuple] | None:
    """Return method and triple of the best trivial map."""
    return find_best([r for r in rows if is_row_baseline(r)], name)


def chance_level(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """Return the score of a random guess: the row or column "chance" where given, else the random map."""
    if name in LOWER_IS_BETTER:
        return None
    found = [read_triple(row, name) for row in rows if row["method"] == CHANCE]
    found += [read_triple(row, CHANCE) for row in rows if name not in NO_CHANCE]
    found += [read_triple(row, name) for row in rows if row["method"] == "random"]
    return next((value[0] for value in found if value and math.isfinite(value[0])), None)


def compare_intervals(value: tuple, baseline: tuple, name: str = "") -> str:
    """Return above (better), below or close: whether two intervals are apart; without intervals the means."""
    if better_sign(name) < 0:
        value, baseline = ((-v[0], -v[2], -v[1]) for v in (value, baseline))
    low, high = (v if math.isfinite(v) else value[0] for v in value[1:])
    base_low, base_high = (v if math.isfinite(v) else baseline[0] for v in baseline[1:])
    return "above" if low > base_high else "below" if high < base_low else "close"


def better_sign(name: str) -> int:
    """Return 1 for a score of which more is better, else −1."""
    return -1 if name in LOWER_IS_BETTER else 1


def rank_rows(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """Return the place of each row in a score from 0, the best, to 1; NaN where it has none."""
    values = np.array([(read_triple(row, name) or (np.nan,))[0] for row in rows], float)
    worth = -np.abs(values) if name in LOWER_IS_BETTER else values
    place = np.array([(worth > one).sum() for one in worth], float) / max(1, len(rows) - 1)
    return np.where(np.isfinite(values), place, np.nan)


def find_winner(rows: Sequence[Mapping[str, Any]], name: str) -> int | None:
    """Return the row of the best method in a score, trivial maps aside."""
    places = np.where([is_row_baseline(row) for row in rows], np.nan, rank_rows(rows, name))
    return int(np.nanargmin(places)) if np.isfinite(places).any() and name not in NEUTRAL else None


def heading(name: str) -> str:
    """Return the label of a score with an arrow to where it is better."""
    arrow = "" if name in NEUTRAL else " ↓" if name in LOWER_IS_BETTER else " ↑"
    return score_label(name) + arrow


def format_score(row: Mapping[str, Any], name: str, interval: bool = False) -> str:
    """Return the mean with the standard deviation over seeds, or else, if asked for, with its interval."""
    value = read_triple(row, name)
    if value is None or not np.isfinite(value[0]):
        return "–"
    digits = 0 if abs(value[0]) >= 10 else 3 if name.endswith("_s") else 2
    mean, low, high = (f"{v:.{digits}f}".replace("-", "−") for v in value)
    if name in row.get("spread", {}):
        return f"{mean} ± {row['spread'][name]:.{digits}f}"
    return f"{mean} ({low} to {high})" if interval and np.isfinite(value[1]) else mean


def format_cost(row: Mapping[str, Any], name: str) -> str:
    """Return a cost of a method, as in `COSTS`."""
    return number(row.get("cost", {}).get(name, np.nan), 2)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(cells)} |" for cells in rows),
    ]
