"""Views of what a reader sets on the page, and of the legend of the maps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lensjax.event_axes import EventGrid
from lensjax.report import event_windows, pixels
from lensjax.report.entry import Entry, finite_pair, verdict
from lensjax.report.page.cards import Page

MANY = 4
"""Classes: with more, true and predicted ones are chosen apart."""
Pairs = list[tuple[str, str]]  # value and text of the options of a choice


def view_controls(entries: Sequence[Entry], page: Page) -> dict[str, Any]:
    """Return the controls that sort, filter and scale."""
    classes = list(dict.fromkeys(c for e in entries for c in e.classes))
    kinds = sorted({e.kind for e in entries if e.kind})
    return {
        "sorts": _list_sorts(entries, classes, page),
        "scored_methods": list(dict.fromkeys(m for e in entries for m in e.scores)),
        "shows": _list_verdicts(entries),
        "class_filters": _list_class_filters(entries, classes),
        "kinds": [("", "any"), *((kind, kind) for kind in kinds)] if kinds else [],
        "windows": name_windows(entries, page.events),
    }


def name_windows(entries: Sequence[Entry], grid: EventGrid | None) -> list[str]:
    """Return what the windows of an event are called; nothing for images."""
    if grid is not None:
        return [f"{length:g} s" for length in grid.windows]
    most = max((e.image.shape[0] for e in entries if e.image.ndim == 4), default=1)
    return [f"window {number + 1}" for number in range(most)] if most > 1 else []


def _list_sorts(entries: Sequence[Entry], classes: Sequence[str], page: Page) -> Pairs:
    sorts = [("order", "order given"), ("id", "name"), ("confidence", "confidence in its answer")]
    sortable = sorted(set(map(_predicted_class, entries))) if len(classes) > MANY else classes
    sorts += [(f"p:{c}", f"probability of {c}") for c in sortable]
    if any(e.label is not None for e in entries):
        sorts.append(("truth", "probability of the true class"))
    if any(e.position is not None for e in entries):
        apart = [("error", "position error")]
        if page.events:
            apart = [("error", "position error in time"), ("octaves", "position error in frequency")]
        sorts += [*apart, ("sigma", "stated position σ")]
    return sorts


def _list_verdicts(entries: Sequence[Entry]) -> Pairs:
    verdicts = Counter(verdict(e) for e in entries)
    mistakes = sum(n for k, n in verdicts.items() if k not in ("correct", "unknown"))
    shows = [
        ("mistakes", "mistakes", mistakes),
        ("false positive", "false positives", verdicts["false positive"]),
        ("false negative", "false negatives", verdicts["false negative"]),
        ("correct", "correct", verdicts["correct"]),
        ("unknown", "truth unknown", verdicts["unknown"]),
    ]
    some = [(key, f"{text} ({count})") for key, text, count in shows if count or key == "mistakes"]
    return [("all", f"all ({len(entries)})"), *some]


def _list_class_filters(entries: Sequence[Entry], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return one filter for true and predicted class; of many classes two, with those that occur."""
    if len(classes) <= MANY:
        pairs = [("", "any"), *((f"is:{c}", f"is {c}") for c in classes)]
        pairs += [(f"says:{c}", f"said to be {c}") for c in classes]
        return [{"name": "cls", "label": "Class", "pairs": pairs}]
    true = Counter(e.classes[e.label] for e in entries if e.label is not None)
    said = Counter(map(_predicted_class, entries))
    return [
        {
            "name": name,
            "label": label,
            "pairs": [("", "any"), *((c, f"{c} ({found[c]})") for c in sorted(found))],
        }
        for name, label, found in (("is", "True class", true), ("says", "Said to be", said))
        if found
    ]


def _predicted_class(entry: Entry) -> str:
    return entry.classes[entry.predicted]


def list_marks(entries: Sequence[Entry], page: Page) -> Pairs:
    """Return what is drawn over the images: the class in page.css, and what it means."""
    place = "peak" if page.events else "centre"
    drawn = (
        ("arc", "true evidence", any(e.mask is not None and e.mask.any() for e in entries)),
        ("true", f"true {place}", any(finite_pair(e.true_position) for e in entries)),
        ("pred", f"predicted {place}, 1σ", any(finite_pair(e.position) for e in entries)),
    )
    return [(name, text) for name, text, is_there in drawn if is_there]


def view_ramps(page: Page) -> list[dict[str, Any]]:
    """Return the colour bars of maps, and of energy on a page of events, as stops of a CSS gradient."""

    def stop(colour: Sequence[int]) -> str:
        r, g, b, a = colour
        return f"rgba({r},{g},{b},{a / 255:.2f})"

    bars: list[tuple[str, np.ndarray, bool]] = [
        ("d", page.ramps[True][:: pixels.LEVELS // 14], True),
        ("q", page.ramps[False][:: pixels.LEVELS // 14], True),
    ]
    if page.events:
        bars.append(("e", event_windows.palette("viridis")[: event_windows.BETWEEN : 16], False))
    return [
        {"kind": kind, "stops": [stop(colour) for colour in colours.tolist()], "on_white": on_white}
        for kind, colours, on_white in bars
    ]
