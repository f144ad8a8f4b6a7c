"""Write a self-contained page of explained examples: predictions, maps and the scores of the maps.

Markup is in templates/, styles and behaviour in static/, put inline; nothing is loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from lensjax.event_axes import EventGrid
from lensjax.report import event_windows, pixels
from lensjax.report.entry import Entry, check_entry, verdict
from lensjax.report.figures import film
from lensjax.report.figures.curves import LineChart, chart_svg, describe_chart, make_charts
from lensjax.report.names import LOWER_IS_BETTER, is_baseline, method_label, method_text, score_label
from lensjax.report.page import cards, controls, figure_links, numbers, png, scores
from lensjax.report.page.cards import Page
from lensjax.report.page.render import render_page

__all__ = ["Entry", "write_page"]

PACKAGES = ("lensjax", "jax", "jaxlib", "flax", "numpy")
BENCHMARK_FIGURES = {
    "benchmark": "Methods and scores, coloured by the place in each column",
    "cascade": "Similarity of maps as parameters are randomised, stage after stage",
}


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
    benchmark: Path | None = None,
) -> Path:
    """Write one HTML file and return its path: `out` itself if it ends in .html, else `out`/index.html.

    `pixel_scale` is arcsec a pixel; `events` the axes of the windows where the entries are events, which are
    then drawn as energy, with times and frequencies. `summary` may nest; `x`, `x_low`, `x_high` are one
    number with its interval. `score_table` is as in `lensjax.report.score_table`. `curves` has rows of
    `epoch` … (history) or of `fpr`, `tpr` (ROC). `figures` are files to link to, as from
    `figures.save_figures`, `dreams` film strips and their PNGs, `benchmark` the folder that
    `lensjax.report.benchmark.write` wrote, beside the page.

    Raises:
      UserError: an entry does not fit together (shapes, classes, bands, windows).
    """
    for entry in entries:
        check_entry(entry, bands)
        if events is not None:
            event_windows.check_event(entry, events)
    out = Path(out)
    path = out if out.suffix == ".html" else out / "index.html"
    files = figure_links.link_files(figures, path)
    page = cards.make_page(entries, bands, pixel_scale, events, files)
    is_events = events is not None
    view = {
        "title": title,
        "is_events": is_events,
        "page": page,
        "lead": _describe_entries(entries),
        "command": command,
        "made": datetime.now().astimezone().strftime("%-d %B %Y, %H:%M %Z"),
        "versions": [f"{name} {version}" for name in PACKAGES if (version := _find_version(name))],
        "figures": figure_links.group_run_figures(files),
        "ramps": controls.list_ramps(page),
        "numbers": numbers.view_numbers(summary) if summary else None,
        "confusion": numbers.view_confusion(summary) if summary else None,
        "charts": view_charts(curves or {}),
        "benchmark": None if benchmark is None else view_benchmark(benchmark),
        "scores": scores.view_scores(score_table) if score_table else None,
        "dreams": [{"uri": png.data_uri(data), "words": film.describe_film(strip)} for strip, data in dreams],
        "cards": [cards.view_card(entry, i, page) for i, entry in enumerate(entries)],
        "controls": controls.view_controls(entries, page),
        "legend": controls.view_legend(entries),
        "state": _make_state(entries, page),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_page(view), encoding="utf-8")
    return path


def view_charts(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[tuple[LineChart, str, str]]:
    """Return training history and ROC: each chart with its description and its drawing."""
    charts = make_charts(curves)
    return [(chart, describe_chart(chart), chart_svg(chart, salt=str(i))) for i, chart in enumerate(charts)]


def view_benchmark(folder: Path) -> dict[str, Any]:
    """Return the figures of a benchmark, inline, and the files beside the page."""
    pictures = [
        {"uri": png.data_uri((folder / f"{name}.png").read_bytes()), "text": text}
        for name, text in BENCHMARK_FIGURES.items()
        if (folder / f"{name}.png").exists()
    ]
    return {"pictures": pictures, "files": [f"benchmark.{kind}" for kind in ("csv", "md", "json", "pdf")]}


def _make_state(entries: Sequence[Entry], page: Page) -> dict[str, Any]:
    """Return what the scripts of the page know."""
    events, scored = page.events, list(dict.fromkeys(m for e in entries for m in e.scores))
    return {
        "entries": [cards.make_state(e, page) for e in entries],
        "methods": {m: _describe_method(m, page) for m in page.methods},
        "labels": {m: method_label(m) for m in scored},
        "scores": {s: score_label(s) for s in page.scores},
        "trivial": [m for m in scored if is_baseline(m)],
        "lower": list(LOWER_IS_BETTER),
        "ramps": {str(int(kind)): colours.ravel().tolist() for kind, colours in page.ramps.items()},
        "pixel_scale": page.pixel_scale,
        "events": None if events is None else [*events.frequency_range, *events.windows],
        "gap": pixels.layouts(entries[0].image.shape[:-1])[0].gap if entries else 0,
        "windows": controls.name_windows(entries, events),
    }


def _describe_method(method: str, page: Page) -> dict[str, Any]:
    scale = page.scales[method]
    shown = None if scale is None else [scale.low, scale.high, int(scale.diverging)]
    text = method_text(method, page.events is not None)
    return {"label": method_label(method), "text": text, "scale": shown}


def _describe_entries(entries: Sequence[Entry]) -> str:
    """Return how many examples there are, and how many of them the network got right."""
    if not entries:
        return "No examples."
    counts = Counter(verdict(e) for e in entries)
    words = ", ".join(f"{n} {_plural(kind, n)}" for kind, n in counts.items())
    return f"{len(entries)} {'example' if len(entries) == 1 else 'examples'}: {words}."


def _plural(kind: str, count: int) -> str:
    if kind == "unknown":
        return "without known truth"
    return kind if kind == "correct" or count == 1 else kind + "s"


def _find_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
