"""A self-contained page of explained examples: what a model said, where it looked, whether to believe it.

Styles and behaviour are the .css and .js files in static/, put inline; nothing is loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from lensjax.event_axes import EventGrid
from lensjax.report import event_windows, pixels
from lensjax.report.entry import Entry, check, verdict
from lensjax.report.figures import film
from lensjax.report.names import LOWER_IS_BETTER, is_baseline, method_label, method_text, score_label
from lensjax.report.page import cards, charts, confusion, controls, exports
from lensjax.report.page import summary as numbers_part
from lensjax.report.page.cards import Page
from lensjax.report.page.filters import esc, safe_json

__all__ = ["Entry", "write_page"]

STYLES = ("page.css", "compare.css")
SCRIPTS = ("page.js", "compare.js", "save.js", "start.js")
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
    events: EventGrid | None = None,
    figures: Sequence[Path] = (),
    dreams: Sequence[tuple[film.Film, bytes]] = (),
    benchmark: str = "",
) -> Path:
    """Write one HTML file and return its path: `out` itself if it ends in .html, else `out`/index.html.

    `pixel_scale` is arcsec a pixel; `events` the axes of the windows where the entries are events, which are
    then drawn as energy, with times and frequencies. `summary` may nest; `x`, `x_low`, `x_high` are one
    number with its interval. A row of `score_table` has `method`, `n`, and a (mean, low, high) for every
    score; rows of trivial maps are known by name or by `baseline=True`. `curves` has rows of `epoch` …
    (history) or of `fpr`, `tpr` (ROC). `figures` are files to link to, as from
    `figures.save_figures`, `dreams` film strips and their PNGs,
    `benchmark` the HTML of `lensjax.report.benchmark.section`.

    Raises:
      UserError: an entry does not fit together (shapes, classes, bands, windows).
    """
    for entry in entries:
        check(entry, bands)
        if events is not None:
            event_windows.check(entry, events)
    out = Path(out)
    path = out if out.suffix == ".html" else out / "index.html"
    files = exports.addresses(figures, path)
    page = cards.shared(entries, bands, pixel_scale, events, files)
    table = score_table or []
    sections = [
        _header(title, entries, command, files),
        _section("The run in numbers", numbers_part.tiles(summary) if summary else "", "run"),
        _section("Which class is taken for which?", confusion.table(summary or {}), "confusion"),
        _section(
            "Training" if events else "Training and detection",
            charts.charts(curves) if curves else "",
            "training",
        ),
        _section("Every method, every score", benchmark, "benchmark"),
        _section("Do the maps point at the truth?", _scores(table, events is not None), "scores"),
        _section("What does the network dream of?", film.section(dreams), "dreams"),
        _examples(entries, page),
    ]
    state = {
        "entries": [cards.state(e, page) for e in entries],
        "methods": {m: _method_state(m, page) for m in page.methods},
        "labels": {m: method_label(m) for e in entries for m in e.scores},
        "scores": {s: score_label(s) for s in page.scores},
        "trivial": [m for m in dict.fromkeys(m for e in entries for m in e.scores) if is_baseline(m)],
        "lower": list(LOWER_IS_BETTER),
        "ramps": {str(int(kind)): colours.ravel().tolist() for kind, colours in page.ramps.items()},
        "pixel_scale": pixel_scale,
        "events": None if events is None else [*events.frequency_range, *events.windows],
        "gap": pixels.layouts(entries[0].image.shape[:-1])[0].gap if entries else 0,
        "windows": controls.window_names(entries, events),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_document(title, "".join(sections), state, page), encoding="utf-8")
    return path


def _document(title: str, body: str, state: Mapping[str, Any], page: Page) -> str:
    css, js = ("".join(_read(name) for name in names) for names in (STYLES, SCRIPTS))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{esc(title)}</title>'
        f"<style>\n{css}{controls.ramp_css(page)}</style></head>\n"
        f"<body{' class=events' if page.events else ''}>{body}\n{_dialog()}\n"
        f'<script type="application/json" id="state">{safe_json(state)}</script>\n'
        f"<script>\n{js}</script></body></html>\n"
    )


def _read(name: str) -> str:
    return resources.files("lensjax.report.page").joinpath("static", name).read_text("utf-8")


def _header(title: str, entries: Sequence[Entry], command: str | None, files: Sequence[str]) -> str:
    versions = " · ".join(f"{name} {version}" for name in PACKAGES if (version := _version(name)))
    made = datetime.now().astimezone().strftime("%-d %B %Y, %H:%M %Z")
    counts = Counter(verdict(e) for e in entries)
    words = ", ".join(f"{n} {_plural(kind, n)}" for kind, n in counts.items())
    code = (
        f'<div class="command"><code>{esc(command)}</code><button type="button" id="copy">Copy</button></div>'
        if command
        else ""
    )
    shown = (
        f"{len(entries)} {'example' if len(entries) == 1 else 'examples'}: {words}."
        if entries
        else "No examples."
    )
    return (
        f'<header class="top"><p class="brand">lensjax report</p><h1>{esc(title)}</h1>'
        f'<p class="lead">{esc(shown)}</p>{code}'
        f'<p class="made">Made {esc(made)} with {esc(versions)}</p>{exports.of_the_run(files)}</header>'
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


def _scores(table: Sequence[Mapping[str, Any]], events: bool) -> str:
    if not table:
        return ""
    return numbers_part.verdict_on_maps(table) + numbers_part.score_table_html(table, events)


def _method_state(method: str, page: Page) -> dict[str, Any]:
    scale = page.scales[method]
    shown = None if scale is None else [scale.low, scale.high, int(scale.diverging)]
    text = method_text(method, page.events is not None)
    return {"label": method_label(method), "text": text, "scale": shown}


def _examples(entries: Sequence[Entry], page: Page) -> str:
    if not entries:
        return _section("Examples", "<p>No example was explained.</p>", "examples")
    body = "".join(cards.card(entry, i, page) for i, entry in enumerate(entries))
    return (
        f'<section id="examples"><h2>Examples</h2>{controls.form(entries, page)}'
        f"{controls.legend(entries, page)}"
        '<p id="none" hidden>No example passes these filters. '
        '<button type="button" id="reset2">Show all</button></p>'
        f'<div id="cards">{body}</div></section>'
    )


def _dialog() -> str:
    return (
        '<dialog id="zoom" aria-labelledby="zoom-title"><div class="zoom-head"><h3 id="zoom-title"></h3>'
        '<button type="button" id="prev" aria-label="Previous map">←</button>'
        '<button type="button" id="next" aria-label="Next map">→</button>'
        '<span class="steps" hidden>'
        '<button type="button" class="earlier" aria-label="Previous window">◀</button>'
        '<span class="window-name"></span>'
        '<button type="button" class="later" aria-label="Next window">▶</button></span>'
        '<button type="button" id="close" aria-label="Close">×</button></div>'
        '<div id="zoom-view"></div><p id="zoom-text"></p></dialog><output id="tip" hidden></output>'
    )
