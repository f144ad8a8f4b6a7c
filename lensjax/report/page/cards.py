"""One card an example: image, truth, prediction, and every map over the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lensjax.event_axes import EventGrid
from lensjax.report import event_windows as windows
from lensjax.report import pixels as render
from lensjax.report.entry import Entry, finite_pair, position_error, verdict
from lensjax.report.names import CHANCE, is_baseline, method_label, method_text, score_label
from lensjax.report.page import event_cards, exports, png, svg_marks
from lensjax.report.page.filters import esc, fraction, number
from lensjax.report.pixels import Layout, Scale


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
    files: tuple[str, ...] = ()
    """Figures beside the page, as addresses relative to it."""


def shared(
    entries: Sequence[Entry],
    bands: Sequence[str],
    pixel_scale: float | None,
    events: EventGrid | None = None,
    files: Sequence[str] = (),
) -> Page:
    """Methods (trivial ones last), scores, and one scale a method over all entries."""
    found = list(dict.fromkeys(m for e in entries for m in e.maps))
    methods = sorted(found, key=is_baseline)
    scores = tuple(
        dict.fromkeys(s for e in entries for values in e.scores.values() for s in values if s != CHANCE)
    )
    scales = render.shared_scales([e.maps for e in entries])
    ramps = {kind: render.ramp(kind) for kind in (False, True)}
    log = events is not None and windows.is_log(e.image for e in entries)
    return Page(tuple(methods), scores, scales, ramps, tuple(bands), pixel_scale, events, log, tuple(files))


def card(entry: Entry, index: int, page: Page) -> str:
    """An `<article>` with its own pixels inside."""
    judged = verdict(entry)
    layout, grid = render.layouts(entry.image.shape[:-1])[0], page.events
    wide = " wide" if layout.total > 1.6 * layout.height else ""
    kind = f'<span class="chip">{esc(entry.kind)}</span>' if entry.kind else ""
    under = png.data_uri(event_cards.under(entry, page.log) if grid else _under(entry))
    image = event_cards.image_tile(entry, index, grid, page.log) if grid else _image_tile(entry, index, page)
    where = event_cards.position(entry, grid) if grid else _position(entry, page.pixel_scale)
    tiles = "".join(_map_tile(entry, index, method, page) for method in page.methods)
    notes = "".join(f"<li>{esc(n)}</li>" for n in entry.notes)
    symbol = svg_marks.symbol(entry, f"s{index}", page.pixel_scale, grid)
    return (
        f'<article class="card{wide}" id="e{index}" data-i="{index}" aria-labelledby="h{index}" '
        f'style="--ratio:{layout.total}/{layout.height}{exports.window_css(layout)}"><style>.u{index}{{background-image:url({under})}}</style>'
        f'<svg class="defs" aria-hidden="true">{symbol}</svg>'
        f'<header><h3 id="h{index}">{esc(entry.id)}</h3>'
        f'<span class="verdict {judged.replace(" ", "-")}">{_verdict_text(entry, judged)}</span>{kind}'
        f'<span class="source">{esc(entry.source)}</span>{exports.links(index, page.files)}</header>'
        f'<div class="body"><div class="left">{image}{_probabilities(entry)}{where}'
        f"{f'<ul class=notes>{notes}</ul>' if notes else ''}</div>"
        f'<div class="maps">{tiles}</div></div>{_score_details(entry, page)}</article>'
    )


def state(entry: Entry, page: Page) -> dict:
    """What page.js sorts and filters by."""
    truth = None if entry.label is None else float(entry.probabilities[entry.label])
    sigma = finite_pair(entry.position_sigma)
    apart = windows.errors(entry, page.events) if page.events else None
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


def _under(entry: Entry) -> bytes:
    return png.encode(_shown(entry, render.luminance, render.layouts(entry.image.shape[:-1])[1]))


def _shown(entry: Entry, paint: Callable[[np.ndarray], np.ndarray], layout: Layout) -> np.ndarray:
    spatial = entry.image.ndim - 1
    small = render.shrink(entry.image, layout.factor, (spatial - 2, spatial - 1))
    # Windows are painted on one stretch, then set apart by black.
    if spatial == 2:
        return paint(small)
    flat = paint(small.reshape(-1, *small.shape[2:]))
    return render.side_by_side(flat.reshape(*small.shape[:3], *flat.shape[2:]), 3, 0, layout.gap)


def _image_tile(entry: Entry, index: int, page: Page) -> str:
    text = ""

    def paint(image: np.ndarray) -> np.ndarray:
        nonlocal text
        pixels, text = render.composite(image, page.bands)
        return pixels

    uri = png.data_uri(png.encode(_shown(entry, paint, render.layouts(entry.image.shape[:-1])[0])))
    missing = int(np.sum(~np.isfinite(entry.image)))
    gone = f" {number(missing)} missing values are shown as sky." if missing else ""
    windows = f", {entry.image.shape[0]} windows side by side" if entry.image.ndim == 4 else ""
    caption = f"Image{windows} ({esc(text)}).{gone}"
    return (
        f'<figure class="tile image"><button class="zoom" aria-label="Enlarge the image of {esc(entry.id)}">'
        f'<span class="stack"><img class="photo" src="{uri}" alt="{_alt(entry)}"/>'
        f"{svg_marks.use(index)}</span>"
        f"</button><figcaption>{caption}</figcaption></figure>"
    )


def _map_tile(entry: Entry, index: int, method: str, page: Page) -> str:
    tag = ' <span class="tag">trivial</span>' if is_baseline(method) else ""
    text = method_text(method, page.events is not None)
    title = f' title="{esc(text)}"' if text else ""
    label = f'<span class="name"{title}>{esc(method_label(method))}{tag}</span>'
    values, scale = entry.maps.get(method), page.scales[method]
    kind = "tile map lesser" if is_baseline(method) else "tile map"
    start = f'<figure class="{kind}" data-m="{esc(method)}">'
    caption = f'<figcaption>{label}<span class="score"></span></figcaption></figure>'
    if values is None or scale is None or not np.all(np.isfinite(values)):
        return f'{start}<div class="absent">{_absence(values)}</div>{caption}'
    spatial, layout = values.ndim, render.layouts(values.shape)[1]
    small = render.shrink(values.astype(np.float64), layout.factor, (spatial - 2, spatial - 1))
    indices, own = render.quantise(small, scale.diverging)
    clear = render.LEVELS // 2 if scale.diverging else 0
    indices = render.side_by_side(indices, spatial, clear, layout.gap)
    palette = render.rescaled(page.ramps[scale.diverging], own, scale)
    uri = png.data_uri(png.encode(indices, palette))
    what = f"{method_label(method)} map of {entry.id}"
    alt = f"{what}, values {number(values.min())} to {number(values.max())}"
    return (
        f'{start}<button class="zoom" aria-label="Enlarge: {esc(what)}">'
        f'<span class="stack"><span class="under u{index}"></span>'
        f'<img class="map" src="{uri}" alt="{esc(alt)}" data-lo="{own.low:.6g}" data-hi="{own.high:.6g}"/>'
        f"{svg_marks.use(index)}</span></button>{caption}"
    )


def _absence(values: np.ndarray | None) -> str:
    if values is None:
        return "Not available: this method was not run on this example."
    bad = int(np.sum(~np.isfinite(values)))
    return f"Not available: {number(bad)} of {number(int(values.size))} values are not finite."


def _alt(entry: Entry) -> str:
    """The picture in words: what it is, where the truth lies, where the prediction lies."""
    parts = [f"Image of {entry.id}"]
    if entry.mask is not None and entry.mask.any():
        parts.append(f"true evidence covers {fraction(float(entry.mask.mean()))} of it, outlined")
    for name, pair in (("true centre", entry.true_position), ("predicted centre", entry.position)):
        if (at := finite_pair(pair)) is not None:
            parts.append(f"{name} at row {fraction(at[0])}, column {fraction(at[1])} of the image")
    return esc("; ".join(parts))


def _verdict_text(entry: Entry, judged: str) -> str:
    said = esc(entry.classes[entry.predicted])
    if judged == "unknown":
        return f"says {said}, truth unknown"
    truth = esc(entry.classes[entry.label or 0])
    return f"correct: {said}" if judged == "correct" else f"{judged}: says {said}, is {truth}"


def _probabilities(entry: Entry) -> str:
    order = np.argsort(-np.nan_to_num(entry.probabilities, nan=-1.0), kind="stable")
    # Two classes keep their order, so that cards compare at a glance; of many the true one is always told.
    shown = [1, 0] if len(order) == 2 else [int(k) for k in order[:3]]
    shown += [] if entry.label is None or entry.label in shown else [entry.label]
    rows = []
    for k in shown:
        p = float(entry.probabilities[k])
        width = 100 * p if math.isfinite(p) else 0.0
        said = " said" if k == entry.predicted else ""
        true = ' <abbr title="true class">✓</abbr>' if entry.label == k else ""
        rows.append(
            f'<div class="prob{said}"><span>{esc(entry.classes[k])}{true}</span>'
            f'<span class="track"><i style="width:{width:.1f}%"></i></span><b>{esc(fraction(p))}</b></div>'
        )
    return f'<div class="probs" aria-label="Probabilities">{"".join(rows)}</div>'


def _position(entry: Entry, pixel_scale: float | None) -> str:
    """Where the model puts the centre, and how far off that is, in pixels and in arcseconds."""
    if (at := finite_pair(entry.position)) is None:
        return ""
    height, width = entry.image.shape[-3:-1]
    lines = [("Predicted centre", f"row {at[0] * height - 0.5:.1f}, col {at[1] * width - 0.5:.1f}")]
    sigma, error = finite_pair(entry.position_sigma), position_error(entry)
    if sigma is not None:
        pixels = math.hypot(sigma[0] * height, sigma[1] * width) / math.sqrt(2)
        lines.append(("Stated 1σ", _length(pixels, pixel_scale)))
    if error is not None:
        lines.append(("Position error", f"<b>{_length(error, pixel_scale)}</b>"))
    rows = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in lines)
    return f'<dl class="where">{rows}</dl>'


def _chance(entry: Entry) -> str:
    if entry.mask is None or not entry.mask.any():
        return ""
    share = esc(fraction(float(entry.mask.mean())))
    return f"<p><small>The evidence covers {share} of the image: the chance level.</small></p>"


def _length(pixels: float, pixel_scale: float | None) -> str:
    if pixel_scale is None:
        return f"{pixels:.2f} px"
    return f"{pixels * pixel_scale:.3f}″ ({pixels:.2f} px)"


def _score_details(entry: Entry, page: Page) -> str:
    known: Mapping[str, Mapping[str, float]] = {
        m: entry.scores[m] for m in sorted(entry.scores, key=is_baseline)
    }
    if not known or not page.scores:
        return ""
    heads = "".join(f'<th scope="col">{esc(score_label(s))}</th>' for s in page.scores)
    body = "".join(
        f'<tr{" class=trivial" if is_baseline(m) else ""}><th scope="row">{esc(method_label(m))}</th>'
        + "".join(f"<td>{esc(fraction(values.get(s)))}</td>" for s in page.scores)
        + "</tr>"
        for m, values in known.items()
    )
    return (
        '<details class="all"><summary>All scores of this example</summary><div class="scroll">'
        f'<table class="plain"><thead><tr><th scope="col">Map</th>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{_chance(entry)}</details>"
    )
