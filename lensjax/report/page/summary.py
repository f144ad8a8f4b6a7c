"""The upper part of the page: the run in numbers, and the table of maps beside their baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lensjax.report.names import (
    CHANCE,
    LOWER_IS_BETTER,
    NO_CHANCE,
    is_baseline,
    method_label,
    method_text,
    score_label,
    score_text,
)
from lensjax.report.page import confusion
from lensjax.report.page.filters import esc, fraction, interval, number

# Tiles, in this order where a summary has them: name → (label, unit, what it means).
HEADLINES = {
    "auroc": ("AUROC", "", "chance that a positive outranks a negative; 0.5 is guessing"),
    "tpr0": ("TPR0", "", "positives found before the first false positive"),
    "tpr10": ("TPR10", "", "positives found before the tenth false positive"),
    "average_precision": ("Average precision", "", "precision averaged over recall"),
    "macro_f1": ("Macro F1", "", "F1 averaged over classes"),
    "position_error_median_arcsec": ("Median position error", "″", "predicted against true centre"),
    "position_error_median_pixels": ("Median position error", " px", "predicted against true centre"),
    "calibration_error": ("Calibration error", "", "gap between confidence and accuracy"),
    "n_negative": (
        "Negatives tested",
        "",
        "a rate of false positives below one in this many is not measured",
    ),
    "parameters": ("Parameters", "", "trained numbers in the network"),
    "epochs": ("Epochs", "", "passes over the training set"),
    "seconds_per_epoch": ("Seconds an epoch", "", "wall clock"),
}
MANY = {
    "accuracy": ("Accuracy", "", "share of held-out examples whose class is right"),
    "macro_f1": HEADLINES["macro_f1"],
    "peak_time_error_median_ms": ("Median error of the peak time", " ms", "half of all events are closer"),
    "peak_frequency_error_median_octaves": (
        "Median error of the peak frequency",
        " oct.",
        "half of all events are closer",
    ),
} | {name: HEADLINES[name] for name in ("calibration_error", "parameters", "epochs", "seconds_per_epoch")}
"""The tiles where there are more than two classes."""
IN_THE_TABLE = ("confusion", "classes", "n_per_class", "f1_per_class")
SKIPPED_COLUMNS = ("method", "n", "baseline", "scores", "cost", "spread", CHANCE)


def tiles(summary: Mapping[str, Any]) -> str:
    """Headline numbers as tiles, everything else in a table that unfolds."""
    flat = flatten(summary)
    # With arcseconds given, pixels go to the table.
    hidden = {"position_error_median_pixels"} if "position_error_median_arcsec" in _leaves(flat) else set()
    many = confusion.is_many(summary)
    chosen, rest = [], {k: v for k, v in flat.items() if not (many and k.split(".")[-1] in IN_THE_TABLE)}
    for name, (label, unit, text) in (MANY if many else HEADLINES).items():
        key = next((k for k in flat if k.split(".")[-1] == name), None)
        if key is not None and name not in hidden and isinstance(flat[key], (int, float, tuple)):
            rest.pop(key)
            chosen.append(_tile(label, unit, _beside(flat, key, unit) or text, flat[key]))
    if (chirps := _chirps(flat)) and many:
        chosen.insert(2, chirps)
    grid = f'<div class="tiles">{"".join(chosen)}</div>' if chosen else ""
    rows = "".join(f'<tr><th scope="row">{esc(k)}</th><td>{_cell(v)}</td></tr>' for k, v in rest.items())
    table = f'<div class="scroll"><table class="plain"><tbody>{rows}</tbody></table></div>'
    opened = "" if chosen else " open"
    more = f"<details{opened}><summary>All {len(rest)} other numbers of the run</summary>{table}</details>"
    return grid + (more if rest else "")


def flatten(summary: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested names joined by dots; `x`, `x_low`, `x_high` and {mean, low, high} become triples."""
    flat: dict[str, Any] = {}
    for name, value in summary.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            triple = interval(value) if {"low", "high"} <= set(value) else None
            flat |= {key: triple} if triple else flatten(value, f"{key}.")
        elif str(name).endswith(("_low", "_high")) and str(name).rpartition("_")[0] in summary:
            continue
        elif f"{name}_low" in summary and f"{name}_high" in summary:
            ends = tuple(
                math.nan if v is None else v for v in (value, summary[f"{name}_low"], summary[f"{name}_high"])
            )
            flat[key] = ends
        else:
            flat[key] = value
    return flat


def verdict_on_maps(rows: Sequence[Mapping[str, Any]]) -> str:
    """A sentence a score: which methods do better than every trivial map, with the best of them."""
    explained = [r for r in rows if not is_row_baseline(r)]
    if not explained or len(explained) == len(rows):
        return ""
    items = []
    for name in score_names(rows):
        best = best_baseline(rows, name)
        values = [(r, triple_of(r, name)) for r in explained]
        known = [(r, v) for r, v in values if v and math.isfinite(v[0])]
        if best is None or not known:
            continue
        above = [r for r, v in known if stands(v, best[1], name) == "above"]
        top, value = max(known, key=lambda pair: _better(name) * pair[1][0])
        items.append(
            f"<li><b>{esc(score_label(name))}</b>: {len(above)} of {len(known)} methods do better than every "
            f"trivial map. Best: {esc(method_label(top['method']))}, {_range(value)}, against "
            f"{_range(best[1])} of the best trivial map, {esc(method_label(best[0]))}.</li>"
        )
    return f'<ul class="verdicts">{"".join(items)}</ul>' if items else ""


def score_table_html(rows: Sequence[Mapping[str, Any]], events: bool = False) -> str:
    """Methods × scores: mean, interval, a mark on a 0–1 axis, and how it stands to the best baseline."""
    names = score_names(rows)
    ordered = [r for r in rows if not is_row_baseline(r)] + [r for r in rows if is_row_baseline(r)]
    heads = "".join(
        f'<th scope="col"><span>{esc(score_label(n))}</span><small>{esc(score_text(n))}</small></th>'
        for n in names
    )
    body = "".join(_score_row(row, rows, names, events) for row in ordered)
    return (
        '<p class="caption">Mean over examples with a true mask, 95 % interval '
        "in brackets. <b>▲</b> better than the best trivial map, intervals apart; <b>≈</b> not told apart; "
        "<b>▼</b> worse. The dotted line is chance: what a random map scores.</p>"
        '<div class="scroll"><table class="scores"><thead><tr><th scope="col">Method</th>'
        f'{heads}<th scope="col" class="n">n</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def score_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the scores in the rows, in order of appearance; a nested `scores` counts too."""
    names = [k for row in rows for k in (*row, *(row.get("scores") or ()))]
    return [
        n for n in dict.fromkeys(names) if n not in SKIPPED_COLUMNS and any(triple_of(r, n) for r in rows)
    ]


def is_row_baseline(row: Mapping[str, Any]) -> bool:
    return bool(row.get("baseline", is_baseline(row["method"])))


def best_baseline(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[str, tuple] | None:
    """(method, triple) of the best trivial map."""
    found = [(r["method"], v) for r in rows if is_row_baseline(r) and (v := triple_of(r, name))]
    found = [(m, v) for m, v in found if math.isfinite(v[0])]
    return max(found, key=lambda pair: _better(name) * pair[1][0]) if found else None


def chance_level(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """What knows nothing scores: the row or the column "chance" where given, else the random map."""
    if name in LOWER_IS_BETTER:
        return None
    found = [triple_of(row, name) for row in rows if row["method"] == CHANCE]
    found += [triple_of(row, CHANCE) for row in rows if name not in NO_CHANCE]
    found += [triple_of(row, name) for row in rows if row["method"] == "random"]
    return next((value[0] for value in found if value and math.isfinite(value[0])), None)


def stands(value: tuple, baseline: tuple, name: str = "") -> str:
    """above (better), below or close: whether two intervals are apart. Without intervals the means decide."""
    if _better(name) < 0:
        value, baseline = ((-v[0], -v[2], -v[1]) for v in (value, baseline))
    low, high = (v if math.isfinite(v) else value[0] for v in value[1:])
    base_low, base_high = (v if math.isfinite(v) else baseline[0] for v in baseline[1:])
    return "above" if low > base_high else "below" if high < base_low else "close"


def triple_of(row: Mapping[str, Any], name: str) -> tuple[float, float, float] | None:
    """(mean, low, high) of a score in a row, or None."""
    value = row.get(name, (row.get("scores") or {}).get(name))
    return None if value is None else interval(value)


def _score_row(
    row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], names: Sequence[str], events: bool
) -> str:
    trivial = is_row_baseline(row)
    tag = ' <span class="tag">trivial</span>' if trivial else ""
    cells = "".join(_score_cell(row, rows, name, trivial) for name in names)
    method = row["method"]
    return (
        f'<tr{" class=trivial" if trivial else ""}><th scope="row">{esc(method_label(method))}{tag}'
        f"<small>{esc(method_text(method, events))}</small></th>{cells}"
        f'<td class="n">{esc(number(row["n"])) if "n" in row else "–"}</td></tr>'
    )


def _score_cell(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], name: str, trivial: bool) -> str:
    value = triple_of(row, name)
    if value is None or not math.isfinite(value[0]):
        return '<td class="none">not defined</td>'
    best, chance = best_baseline(rows, name), chance_level(rows, name)
    mark = ""
    if best and not trivial:
        how = stands(value, best[1], name)
        sign = {"above": "▲", "below": "▼", "close": "≈"}[how]
        words = {"above": "better than", "below": "worse than", "close": "not told apart from"}[how]
        mark = f'<b class="{how}" title="{words} the best trivial map">{sign}</b>'
    low, high = (v if math.isfinite(v) else value[0] for v in value[1:])
    left, right = max(0.0, min(low, 1.0)), max(0.0, min(high, 1.0))
    dotted = f'<i class="chance" style="left:{100 * chance:.1f}%"></i>' if chance is not None else ""
    bar = (
        f'<span class="axis" aria-hidden="true">{dotted}'
        f'<i class="span" style="left:{100 * left:.1f}%;width:{100 * (right - left):.1f}%"></i>'
        f'<i class="point" style="left:{100 * max(0.0, min(value[0], 1.0)):.1f}%"></i></span>'
    )
    bar = "" if name in LOWER_IS_BETTER else bar
    return f"<td><span class=v>{value[0]:.2f}</span> {mark}{_ends(value)}{bar}</td>"


def _better(name: str) -> int:
    return -1 if name in LOWER_IS_BETTER else 1


def _ends(value: tuple) -> str:
    return f" <small>({value[1]:.2f}–{value[2]:.2f})</small>" if math.isfinite(value[1] + value[2]) else ""


def _range(value: tuple) -> str:
    return f"{value[0]:.2f}" + _ends(value)


def _tile(label: str, unit: str, text: str, value: Any) -> str:
    triple = value if isinstance(value, tuple) else (value, math.nan, math.nan)
    known = triple[0] is not None and math.isfinite(triple[0])
    ends = ""
    if math.isfinite(triple[1]) and math.isfinite(triple[2]):
        ends = f'<span class="ends">{esc(number(triple[1]))} – {esc(number(triple[2]))}{unit}</span>'
    shown = f"{esc(number(triple[0]))}{unit}" if known else "not defined"
    return (
        f'<div class="num"><span class="lab">{esc(label)}</span><span class="big">{shown}</span>'
        f"{ends}<small>{esc(text)}</small></div>"
    )


def _beside(flat: Mapping[str, Any], key: str, unit: str) -> str:
    """What naming the trigger's place always would give, under the error of a peak."""
    value = interval(flat.get(key.replace("peak_", "centre_"))) if "peak_" in key else None
    if value is None or not math.isfinite(value[0]):
        return ""
    return f"against {number(value[0])}{unit} of always naming the middle"


def _chirps(flat: Mapping[str, Any]) -> str:
    """A tile of the chirps that are missed: how many of how many, the rate's interval, and for what."""
    found = {k.split(".")[-1]: v for k, v in flat.items() if k.split(".")[-1].startswith("chirp_")}
    errors, n = found.get("chirp_errors"), found.get("chirp_n")
    if not isinstance(errors, int) or not isinstance(n, int) or n == 0:
        return ""
    rate = interval(found.get("chirp_error_rate")) or (errors / n, math.nan, math.nan)
    low, high = (found.get(f"chirp_error_rate_{end}", v) for end, v in (("low", rate[1]), ("high", rate[2])))
    span = f'<span class="ends">rate {esc(fraction(low))} – {esc(fraction(high))}</span>'
    ends = span if math.isfinite(low + high) else ""
    taken = ", ".join(map(str, found.get("chirp_taken_for") or ()))
    text = f"taken for: {taken}" if taken else "chirps said to be something else"
    return (
        f'<div class="num"><span class="lab">Chirps missed</span><span class="big">{number(errors)} of '
        f"{number(n)}</span>{ends}<small>{esc(text)}</small></div>"
    )


def _cell(value: Any) -> str:
    if isinstance(value, tuple) and len(value) == 3 and interval(value):
        return f"{esc(number(value[0]))} <small>({esc(number(value[1]))} – {esc(number(value[2]))})</small>"
    if isinstance(value, (list, tuple)):
        rows = (
            "[" + ", ".join(map(number, v)) + "]" if isinstance(v, (list, tuple)) else number(v)
            for v in value
        )
        return esc(", ".join(rows))
    return esc(number(value)) if value is not None else "–"


def _leaves(flat: Mapping[str, Any]) -> set[str]:
    return {k.split(".")[-1] for k in flat}
