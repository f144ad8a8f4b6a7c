"""View of the table of maps beside their trivial ones, and of the sentences above it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lensjax.report import score_table as table
from lensjax.report.names import LOWER_IS_BETTER

SIGNS = {"above": ("▲", "better than"), "below": ("▼", "worse than"), "close": ("≈", "not told apart from")}


def view_scores(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return methods × scores: mean, interval, a 0–1 axis, and how it compares to the best trivial map."""
    names = table.score_names(rows)
    ordered = sorted(rows, key=table.is_row_baseline)
    cells = [[_view_cell(row, rows, name) for name in names] for row in ordered]
    return {
        "verdicts": view_verdicts(rows),
        "names": names,
        "rows": [(row, table.is_row_baseline(row), line) for row, line in zip(ordered, cells, strict=True)],
    }


def view_verdicts(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return for each score which methods do better than every trivial map, and the best of them."""
    explained = [r for r in rows if not table.is_row_baseline(r)]
    verdicts = []
    for name in table.score_names(rows):
        trivial, best = table.best_baseline(rows, name), table.find_best(explained, name)
        if trivial is None or best is None:
            continue
        known = [v for r in explained if (v := table.read_triple(r, name)) and math.isfinite(v[0])]
        verdicts.append(
            {
                "score": name,
                "above": sum(table.compare_intervals(v, trivial[1], name) == "above" for v in known),
                "known": len(known),
                "best": best,
                "trivial": trivial,
            }
        )
    return verdicts


def view_bar(mean: float, low: float, high: float, chance: float | None = None) -> dict[str, float | None]:
    """Return an interval and its mean in per cent of a 0–1 axis; without ends the mean alone."""
    left, right, point = (max(0.0, min(v if math.isfinite(v) else mean, 1.0)) for v in (low, high, mean))
    share = None if chance is None else 100 * chance
    return {"left": 100 * left, "width": 100 * (right - left), "point": 100 * point, "chance": share}


def _view_cell(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any] | None:
    value = table.read_triple(row, name)
    if value is None or not math.isfinite(value[0]):
        return None
    best, how = table.best_baseline(rows, name), ""
    if best and not table.is_row_baseline(row):
        how = table.compare_intervals(value, best[1], name)
    sign, words = SIGNS.get(how, ("", ""))
    bar = None if name in LOWER_IS_BETTER else view_bar(*value, table.chance_level(rows, name))
    return {"triple": value, "stands": how, "sign": sign, "words": words, "bar": bar}
