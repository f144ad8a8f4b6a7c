"""A self-contained page of explained examples: what a model said, where it looked, whether to believe it.

Styles and behaviour are `page.css` and `page.js` beside this file, put inline; nothing is loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.report import cards, charts, render, summary as numbers_part
from lensjax.report.cards import Page
from lensjax.report.entry import Entry, check, verdict
from lensjax.report.names import method_label, method_text, score_label, score_text
from lensjax.report.numbers import esc, number, safe_json

__all__ = ["Entry", "write_page"]

PACKAGES = ("lensjax", "jax", "jaxlib", "flax", "numpy")
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def write_page(
    out: Path,
    entries: Sequence[Entry],
    *,
    title: str,
    pixel_scale: float | None,
    bands: Sequence[str],
    summary: Mapping[str, Any] | None = None,
    score_table: Sequence[Mapping[str, Any]] | None = None,
    curves: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    command: str | None = None,
) -> Path:
    """Write one HTML file and return its path: `out` itself if it ends in .html, else `out`/index.html.

    `pixel_scale` is arcsec a pixel. `summary` may nest; `x`, `x_low`, `x_high` are one number with its
    interval. A row of `score_table` has `method`, `n`, and a (mean, low, high) for every score; rows of
    trivial maps are known by name or by `baseline=True`. `curves` has rows of `epoch` … (history) or of
    `fpr`, `tpr` (ROC).

    Raises:
      ValueError: an entry does not fit together (shapes, classes, bands).
    """
    for entry in entries:
        check(entry, bands)
    page = cards.shared(entries, bands, pixel_scale)
    table = score_table or []
    sections = [
        _header(title, entries, command),
        _section("The run in numbers", numbers_part.tiles(summary) if summary else "", "run"),
        _section("Training and detection", charts.charts(curves) if curves else "", "training"),
        _section("Do the maps point at the truth?", _scores(table), "scores"),
        _examples(entries, page),
    ]
    state = {
        "entries": [cards.state(e, page) for e in entries],
        "methods": {m: _method_state(m, page) for m in page.methods},
        "labels": {m: method_label(m) for e in entries for m in e.scores},
        "scores": {s: score_label(s) for s in page.scores},
        "ramps": {str(int(kind)): colours.ravel().tolist() for kind, colours in page.ramps.items()},
        "pixel_scale": pixel_scale,
    }
    out = Path(out)
    path = out if out.suffix == ".html" else out / "index.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_document(title, "".join(sections), state, page), encoding="utf-8")
    return path


def _document(title: str, body: str, state: Mapping[str, Any], page: Page) -> str:
    css, js = (resources.files("lensjax.report").joinpath(n).read_text("utf-8") for n in ("page.css", "page.js"))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{esc(title)}</title>'
        f"<style>\n{css}{_ramp_css(page)}</style></head>\n<body>{body}\n{_dialog()}\n"
        f'<script type="application/json" id="state">{safe_json(state)}</script>\n<script>\n{js}</script></body></html>\n'
    )


def _header(title: str, entries: Sequence[Entry], command: str | None) -> str:
    versions = " · ".join(f"{name} {version}" for name in PACKAGES if (version := _version(name)))
    made = datetime.now().astimezone().strftime("%-d %B %Y, %H:%M %Z")
    counts = Counter(verdict(e) for e in entries)
    words = ", ".join(f"{n} {_plural(kind, n)}" for kind, n in counts.items())
    code = (
        f'<div class="command"><code>{esc(command)}</code><button type="button" id="copy">Copy</button></div>'
        if command
        else ""
    )
    shown = f"{len(entries)} {'example' if len(entries) == 1 else 'examples'}: {words}." if entries else "No examples."
    return (
        f'<header class="top"><p class="brand">lensjax report</p><h1>{esc(title)}</h1>'
        f'<p class="lead">{esc(shown)}</p>{code}<p class="made">Made {esc(made)} with {esc(versions)}</p></header>'
    )


def _plural(kind: str, count: int) -> str:
    if kind == "unknown":
        return "without known truth"
    return kind if kind == "correct" or count == 1 else kind + "s"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _section(heading: str, body: str, name: str) -> str:
    return f'<section id="{name}"><h2>{esc(heading)}</h2>{body}</section>' if body else ""


def _scores(table: Sequence[Mapping[str, Any]]) -> str:
    if not table:
        return ""
    return numbers_part.verdict_on_maps(table) + numbers_part.score_table_html(table)


def _method_state(method: str, page: Page) -> dict[str, Any]:
    scale = page.scales[method]
    shown = None if scale is None else [scale.low, scale.high, int(scale.diverging)]
    return {"label": method_label(method), "text": method_text(method), "scale": shown}


def _examples(entries: Sequence[Entry], page: Page) -> str:
    if not entries:
        return _section("Examples", "<p>No example was explained.</p>", "examples")
    body = "".join(cards.card(entry, i, page) for i, entry in enumerate(entries))
    return (
        f'<section id="examples"><h2>Examples</h2>{_controls(entries, page)}{_legend(page)}'
        f'<p id="none" hidden>No example passes these filters. <button type="button" id="reset2">Show all</button></p>'
        f'<div id="cards">{body}</div></section>'
    )


def _controls(entries: Sequence[Entry], page: Page) -> str:
    classes = list(dict.fromkeys(c for e in entries for c in e.classes))
    kinds = sorted({e.kind for e in entries if e.kind})
    verdicts = Counter(verdict(e) for e in entries)
    sorts = [("order", "order given"), ("id", "name"), ("confidence", "confidence in its answer")]
    sorts += [(f"p:{c}", f"probability of {c}") for c in classes[:8]]
    if any(e.label is not None for e in entries):
        sorts.append(("truth", "probability of the true class"))
    if any(e.position is not None for e in entries):
        sorts += [("error", "position error"), ("sigma", "stated position σ")]
    scored = list(dict.fromkeys(m for e in entries for m in e.scores))
    groups = "".join(
        f'<optgroup label="{esc(score_label(s))}">'
        + _options([(f"score:{m}:{s}", f"{score_label(s)}: {method_label(m)}") for m in scored])
        + "</optgroup>"
        for s in page.scores
    )
    mistakes = sum(n for k, n in verdicts.items() if k not in ("correct", "unknown"))
    shows = [("all", f"all ({len(entries)})")] + [
        (key, f"{text} ({count})")
        for key, text, count in (
            ("mistakes", "mistakes", mistakes),
            ("false positive", "false positives", verdicts["false positive"]),
            ("false negative", "false negatives", verdicts["false negative"]),
            ("correct", "correct", verdicts["correct"]),
            ("unknown", "truth unknown", verdicts["unknown"]),
        )
        if count or key == "mistakes"
    ]
    fields = [
        _field("Sort by", f'<select id="sort">{_options(sorts)}{groups}</select>'
               '<button type="button" id="dir" aria-pressed="false" title="Turn the order round">↓</button>'),
        _field("Show", f'<select id="show">{_options(shows)}</select>'),
        _field("Class", f'<select id="cls">{_options([("", "any")] + [(f"is:{c}", f"is {c}") for c in classes] + [(f"says:{c}", f"said to be {c}") for c in classes])}</select>'),
        _field("Kind", f'<select id="kind">{_options([("", "any")] + [(k, k) for k in kinds])}</select>') if kinds else "",
        _field("Find", '<input id="q" type="search" placeholder="name, source or note">'),
        _field("Scale of maps", '<select id="scale"><option value="shared">one for a method</option>'
               '<option value="own">each map its own</option></select>'),
        _field("Score shown", f'<select id="score">{_options([(s, score_label(s)) for s in page.scores])}</select>') if page.scores else "",
        _field("Image under maps", '<input id="under" type="range" min="0" max="100" value="100">'),
        '<label class="check"><input id="marks" type="checkbox" checked> Truth and position</label>',
        '<button type="button" id="reset">Reset</button>',
    ]  # fmt: skip
    return (
        f'<form id="controls" onsubmit="return false">{"".join(fields)}'
        f'<output id="count" aria-live="polite">{len(entries)} of {len(entries)} shown</output></form>'
    )


def _field(label: str, control: str) -> str:
    name = control.split('id="', 1)[1].split('"', 1)[0]
    return f'<div class="field"><label for="{name}">{label}</label><span>{control}</span></div>'


def _options(pairs: Sequence[tuple[str, str]]) -> str:
    return "".join(f'<option value="{esc(value)}">{esc(text)}</option>' for value, text in pairs)


def _legend(page: Page) -> str:
    diverging = any(s and s.diverging for s in page.scales.values())
    sequential = any(s and not s.diverging for s in page.scales.values())
    bars = ""
    if diverging:
        bars += '<span class="bar"><i class="ramp d"></i>against the score · clear is zero · for the score</span>'
    if sequential:
        bars += '<span class="bar"><i class="ramp q"></i>low is clear · high</span>'
    rows = "".join(
        f'<tr><th scope="row">{esc(method_label(m))}</th><td>{esc(method_text(m)) or "–"}</td>'
        f"<td>{_scale_text(page.scales[m])}</td></tr>"
        for m in page.methods
    )
    words = "".join(f"<li><b>{esc(score_label(s))}</b>: {esc(score_text(s))}</li>" for s in page.scores if score_text(s))
    return (
        '<div class="legend"><span><i class="g arc"></i>true arc</span><span><i class="g true"></i>true centre</span>'
        f'<span><i class="g pred"></i>predicted centre, 1σ</span>{bars}<span id="scale-note"></span></div>'
        '<details class="how"><summary>How to read the maps</summary><p>Maps are raw: a positive value supports the '
        "score that was explained, a negative one speaks against it. A map shows what the network used, which "
        "is not always the lens. Believe a method where it beats the trivial maps, not where it looks plausible. "
        "▲ beside a score: higher than that of every trivial map on the same example.</p>"
        f'<ul>{words}</ul><div class="scroll"><table class="plain"><thead><tr><th scope="col">Map</th>'
        f'<th scope="col">What it is</th><th scope="col">Scale for all examples</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _scale_text(scale: render.Scale | None) -> str:
    return "not available" if scale is None else f"{esc(number(scale.low))} to {esc(number(scale.high))}"


def _ramp_css(page: Page) -> str:
    def gradient(colours: np.ndarray) -> str:
        stops = (f"rgba({r},{g},{b},{a / 255:.2f})" for r, g, b, a in colours[:: render.LEVELS // 14].tolist())
        return f"linear-gradient(90deg,{','.join(stops)}),#fff"

    return f".ramp.d{{background:{gradient(page.ramps[True])}}}.ramp.q{{background:{gradient(page.ramps[False])}}}"


def _dialog() -> str:
    return (
        '<dialog id="zoom" aria-labelledby="zoom-title"><div class="zoom-head"><h3 id="zoom-title"></h3>'
        '<button type="button" id="prev" aria-label="Previous map">←</button>'
        '<button type="button" id="next" aria-label="Next map">→</button>'
        '<button type="button" id="close" aria-label="Close">×</button></div>'
        '<div id="zoom-view"></div><p id="zoom-text"></p></dialog>'
    )
