"""Views of what a reader sets on the page, and of the legend of the maps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lensjax.event_axes import EventGrid
from lensjax.report import event_windows, pixels
from lensjax.report.entry import Entry, finite_pair, verdict
from lensjax.report.page.cards import Page

MANY = 4
"""Classes: with more, true and predicted ones are chosen apart."""


def view_controls(entries: Sequence[Entry], page: Page) -> dict[str, Any]:
    """Return what controls.html.j2 needs: what occurs in the examples, and how often."""
    classes = list(dict.fromkeys(c for e in entries for c in e.classes))
    said = Counter(e.classes[e.predicted] for e in entries)
    true = Counter(e.classes[e.label] for e in entries if e.label is not None)
    verdicts = Counter(verdict(e) for e in entries)
    many = len(classes) > MANY
    return {
        "classes": [] if many else classes,
        "class_counts": {"is": sorted(true.items()), "says": sorted(said.items())} if many else {},
        "sortable_classes": sorted(said) if many else classes,
        "verdicts": verdicts,
        "mistakes": sum(n for kind, n in verdicts.items() if kind not in ("correct", "unknown")),
        "has_position": any(e.position is not None for e in entries),
        "kinds": sorted({e.kind for e in entries if e.kind}),
        "scored_methods": list(dict.fromkeys(m for e in entries for m in e.scores)),
        "windows": name_windows(entries, page.events),
    }


def name_windows(entries: Sequence[Entry], grid: EventGrid | None) -> list[str]:
    """Return what the windows of an event are called; nothing for images."""
    if grid is not None:
        return [f"{length:g} s" for length in grid.windows]
    most = max((e.image.shape[0] for e in entries if e.image.ndim == 4), default=1)
    return [f"window {number + 1}" for number in range(most)] if most > 1 else []


def view_legend(entries: Sequence[Entry]) -> dict[str, bool]:
    """Return which marks are drawn over any image."""
    return {
        "has_mask": any(e.mask is not None and e.mask.any() for e in entries),
        "has_truth": any(finite_pair(e.true_position) for e in entries),
        "has_prediction": any(finite_pair(e.position) for e in entries),
    }


def list_ramps(page: Page) -> list[tuple[str, list[list[int]]]]:
    """Return the colour bars of maps, and of energy on a page of events: a name and some of its colours."""
    ramps = [(kind, page.ramps[kind == "d"][:: pixels.LEVELS // 14]) for kind in "dq"]
    if page.events:
        ramps.append(("e", event_windows.palette("viridis")[: event_windows.BETWEEN : 16]))
    return [(kind, colours.tolist()) for kind, colours in ramps]
