"""Views of the cards: for each example its image, truth, prediction, and every map over the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lensjax.event_axes import EventGrid
from lensjax.report import event_windows, pixels
from lensjax.report.entry import Entry, finite_pair, position_error, verdict
from lensjax.report.names import CHANCE, is_baseline, method_label
from lensjax.report.page import event_cards, marks, png
from lensjax.report.page.figure_links import FigureFile, is_of_example
from lensjax.report.page.filters import fraction, number
from lensjax.report.pixels import PictureLayout, Scale


@dataclass(frozen=True)
class Page:
    """What all cards of a page share. `scales` has None for a method without any finite map."""

    methods: tuple[str, ...]
    scores: tuple[str, ...]
    scales: dict[str, Scale | None]
    ramps: dict[bool, np.ndarray]
    bands: tuple[str, ...]
    pixel_scale: float | None
    events: EventGrid | None = None
    log: bool = False
    """Events are log(1 + energy)."""
    figures: tuple[FigureFile, ...] = ()
    """Figures beside the page."""


def make_page(
    entries: Sequence[Entry],
    bands: Sequence[str],
    pixel_scale: float | None,
    events: EventGrid | None = None,
    figures: Sequence[FigureFile] = (),
) -> Page:
    """Return methods (trivial ones last), scores, and one scale a method over all entries."""
    found = list(dict.fromkeys(m for e in entries for m in e.maps))
    methods = tuple(sorted(found, key=is_baseline))
    scores = tuple(
        dict.fromkeys(s for e in entries for values in e.scores.values() for s in values if s != CHANCE)
    )
    scales = pixels.shared_scales([e.maps for e in entries])
    ramps = {kind: pixels.ramp(kind) for kind in (False, True)}
    log = events is not None and event_windows.is_log(e.image for e in entries)
    return Page(methods, scores, scales, ramps, tuple(bands), pixel_scale, events, log, tuple(figures))


def view_card(entry: Entry, index: int, page: Page) -> dict[str, Any]:
    """Return what card.html.j2 needs of one example."""
    grid = page.events
    layout = pixels.layouts(entry.image.shape[:-1])[0]
    if grid is None:
        under = png.encode(_paint(entry, pixels.luminance, pixels.layouts(entry.image.shape[:-1])[1]))
        picture, position = _view_picture(entry, page.bands), _view_position(entry, page.pixel_scale)
    else:
        under = event_cards.encode_grey(entry, page.log)
        picture = event_cards.view_picture(entry, grid, page.log)
        position = event_cards.view_position(entry, grid)
    return {
        "index": index,
        "entry": entry,
        "layout": layout,
        "verdict": verdict(entry),
        "figures": [file for file in page.figures if is_of_example(file, index)],
        "under": png.data_uri(under),
        "marks": marks.view_marks(entry, f"s{index}", page.pixel_scale, grid),
        "picture": picture,
        "position": position,
        "classes": _choose_classes(entry),
        "tiles": [_view_tile(entry, method, page) for method in page.methods],
        "chance": float(entry.mask.mean()) if entry.mask is not None else 0.0,
    }


def make_state(entry: Entry, page: Page) -> dict[str, Any]:
    """Return what page.js sorts and filters by."""
    truth = None if entry.label is None else float(entry.probabilities[entry.label])
    sigma = finite_pair(entry.position_sigma)
    apart = event_windows.errors(entry, page.events) if page.events else None
    error = {"error": position_error(entry)} if apart is None else {"error": abs(apart[0])}
    error |= {} if apart is None else {"octaves": abs(apart[1])}
    return {
        "id": entry.id, "source": entry.source, "kind": entry.kind, "verdict": verdict(entry),
        "label": None if entry.label is None else entry.classes[entry.label],
        "predicted": entry.classes[entry.predicted],
        "p": dict(zip(entry.classes, map(float, entry.probabilities), strict=True)),
        "confidence": float(entry.probabilities[entry.predicted]), "truth": truth,
        **error, "sigma": None if sigma is None else math.hypot(*sigma),
        "scores": entry.scores, "notes": " ".join(entry.notes),
    }  # fmt: skip


def _paint(entry: Entry, paint: Callable[[np.ndarray], np.ndarray], layout: PictureLayout) -> np.ndarray:
    spatial = entry.image.ndim - 1
    small = pixels.shrink(entry.image, layout.factor, (spatial - 2, spatial - 1))
    # Windows are painted on one stretch, then set apart by black.
    if spatial == 2:
        return paint(small)
    flat = paint(small.reshape(-1, *small.shape[2:]))
    return pixels.join_windows(flat.reshape(*small.shape[:3], *flat.shape[2:]), 3, 0, layout.gap)


def _view_picture(entry: Entry, bands: Sequence[str]) -> dict[str, str]:
    text = ""

    def paint(image: np.ndarray) -> np.ndarray:
        nonlocal text
        colours, text = pixels.composite(image, bands)
        return colours

    uri = png.data_uri(png.encode(_paint(entry, paint, pixels.layouts(entry.image.shape[:-1])[0])))
    missing = pixels.count_missing(entry.image)
    gone = f" {number(missing)} missing values are shown as sky." if missing else ""
    windows = f", {entry.image.shape[0]} windows side by side" if entry.image.ndim == 4 else ""
    return {"uri": uri, "words": _describe(entry), "caption": f"Image{windows} ({text}).{gone}"}


def _view_tile(entry: Entry, method: str, page: Page) -> dict[str, Any]:
    values, scale = entry.maps.get(method), page.scales[method]
    if values is None or scale is None or not np.all(np.isfinite(values)):
        return {"method": method, "map": values, "uri": ""}
    spatial, layout = values.ndim, pixels.layouts(values.shape)[1]
    small = pixels.shrink(values.astype(np.float64), layout.factor, (spatial - 2, spatial - 1))
    indices, own = pixels.quantise(small, scale.diverging)
    clear = pixels.LEVELS // 2 if scale.diverging else 0
    indices = pixels.join_windows(indices, spatial, clear, layout.gap)
    palette = pixels.rescale_palette(page.ramps[scale.diverging], own, scale)
    title = f"{method_label(method)} map of {entry.id}"
    return {
        "method": method,
        "title": title,
        "words": f"{title}, values {number(values.min())} to {number(values.max())}",
        "uri": png.data_uri(png.encode(indices, palette)),
        "low": own.low,
        "high": own.high,
    }


def _describe(entry: Entry) -> str:
    """Return the picture in words: what it is, where the truth lies, where the prediction lies."""
    parts = [f"Image of {entry.id}"]
    if entry.mask is not None and entry.mask.any():
        parts.append(f"true evidence covers {fraction(float(entry.mask.mean()))} of it, outlined")
    for name, pair in (("true centre", entry.true_position), ("predicted centre", entry.position)):
        if (at := finite_pair(pair)) is not None:
            parts.append(f"{name} at row {fraction(at[0])}, column {fraction(at[1])} of the image")
    return "; ".join(parts)


def _choose_classes(entry: Entry) -> list[int]:
    """Return both of two classes, the second first; of many the three most probable and the true one."""
    if len(entry.classes) == 2:  # in one order, so that cards compare at a glance
        return [1, 0]
    order = np.argsort(-np.nan_to_num(entry.probabilities, nan=-1.0), kind="stable")
    shown = [int(k) for k in order[:3]]
    return shown if entry.label is None or entry.label in shown else [*shown, entry.label]


def _view_position(entry: Entry, pixel_scale: float | None) -> list[tuple[str, str, bool]]:
    """Return where the model puts the centre, and how far off that is, in pixels and in arcseconds."""
    if (at := finite_pair(entry.position)) is None:
        return []
    height, width = entry.image.shape[-3:-1]
    place = f"row {at[0] * height - 0.5:.1f}, col {at[1] * width - 0.5:.1f}"
    lines = [("Predicted centre", place, False)]
    if (sigma := finite_pair(entry.position_sigma)) is not None:
        spread = math.hypot(sigma[0] * height, sigma[1] * width) / math.sqrt(2)
        lines.append(("Stated 1σ", _length(spread, pixel_scale), False))
    if (error := position_error(entry)) is not None:
        lines.append(("Position error", _length(error, pixel_scale), True))
    return lines


def _length(length: float, pixel_scale: float | None) -> str:
    if pixel_scale is None:
        return f"{length:.2f} px"
    return f"{length * pixel_scale:.3f}″ ({length:.2f} px)"
