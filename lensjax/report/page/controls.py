"""What a reader sets on the page, and the legend of the maps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from lensjax.event_axes import EventGrid
from lensjax.report import event_windows, pixels
from lensjax.report.entry import Entry, finite_pair, verdict
from lensjax.report.names import method_label, method_text, score_label, score_text
from lensjax.report.page.cards import Page
from lensjax.report.page.filters import esc, number

MANY = 4
"""Classes: with more, true and predicted ones are chosen apart."""
READING = (
    "Maps are raw: a positive value supports the score that was explained, a negative one speaks against it. "
    "A map shows what the network used, which is not always the object. Believe a method where it beats the "
    "trivial maps, not where it looks plausible. ▲ beside a score: better than that of every trivial map on "
    "the same example. "
)
ROWS = "Row 0 of an image is drawn at the top."
AXES = (
    "The windows show the same event on different scales of time: the highest frequency is at the top, the "
    "trigger in the middle. Energy is drawn as in the official pictures; move the pointer over a window to "
    "read time and frequency."
)


def form(entries: Sequence[Entry], page: Page) -> str:
    """The controls that sort, filter and scale; page.js reads them."""
    classes = list(dict.fromkeys(c for e in entries for c in e.classes))
    kinds = sorted({e.kind for e in entries if e.kind})
    verdicts = Counter(verdict(e) for e in entries)
    sorts = [("order", "order given"), ("id", "name"), ("confidence", "confidence in its answer")]
    many = len(classes) > MANY
    sorts += [
        (f"p:{c}", f"probability of {c}") for c in (sorted({_said(e) for e in entries}) if many else classes)
    ]
    if any(e.label is not None for e in entries):
        sorts.append(("truth", "probability of the true class"))
    if any(e.position is not None for e in entries):
        apart = [("error", "position error")]
        if page.events:
            apart = [("error", "position error in time"), ("octaves", "position error in frequency")]
        sorts += [*apart, ("sigma", "stated position σ")]
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
    shown = [(s, score_label(s)) for s in page.scores]
    scales = [("shared", "one for a method"), ("own", "each map its own")]
    turn = '<button type="button" id="dir" aria-pressed="false" title="Turn the order round">↓</button>'
    fields = [
        _field("Sort by", f'<select id="sort">{_options(sorts)}{groups}</select>{turn}'),
        _field("Show", _select("show", shows)),
        *_class_fields(entries, classes),
        _field("Kind", _select("kind", [("", "any")] + [(k, k) for k in kinds])) if kinds else "",
        _field("Find", '<input id="q" type="search" placeholder="name, source or note">'),
        _field("Scale of maps", _select("scale", scales)),
        _field("Score shown", _select("score", shown)) if page.scores else "",
        _pick(page),
        _windows(window_names(entries, page.events)),
        _field("Image under maps", '<input id="under" type="range" min="0" max="100" value="100">'),
        _field("Strength of maps", '<input id="over" type="range" min="0" max="100" value="100">'),
        '<label class="check"><input id="marks" type="checkbox" checked> Truth and position</label>',
        '<button type="button" id="reset">Reset</button>',
    ]
    return (
        f'<form id="controls" onsubmit="return false">{"".join(fields)}'
        f'<output id="count" aria-live="polite">{len(entries)} of {len(entries)} shown</output></form>'
    )


def window_names(entries: Sequence[Entry], grid: EventGrid | None) -> list[str]:
    """What the windows of an event are called; none for images."""
    if grid is not None:
        return [f"{length:g} s" for length in grid.windows]
    most = max((e.image.shape[0] for e in entries if e.image.ndim == 4), default=1)
    return [f"window {number + 1}" for number in range(most)] if most > 1 else []


def _pick(page: Page) -> str:
    """Which maps are shown: two or more of them beside each other, for every example."""
    boxes = "".join(
        f'<label class="check"><input type="checkbox" name="m" value="{esc(m)}" checked> '
        f"{esc(method_label(m))}</label>"
        for m in page.methods
    )
    return (
        '<div class="field"><small>Maps compared</small><details id="pick"><summary id="picked">all</summary>'
        f'<div><button type="button" id="all">All</button>{boxes}</div></details></div>'
        if len(page.methods) > 1
        else ""
    )


def _windows(names: Sequence[str]) -> str:
    if not names:
        return ""
    choices = _select("window", [("", "side by side"), *((str(i), name) for i, name in enumerate(names))])
    before, after = (
        f'<button type="button" class="{kind}" title="{text}, key {key}" aria-label="{text}">{sign}</button>'
        for kind, text, key, sign in (
            ("earlier", "Previous window", "[", "◀"),
            ("later", "Next window", "]", "▶"),
        )
    )
    return _field("Windows", before + choices + after)


def _class_fields(entries: Sequence[Entry], classes: Sequence[str]) -> list[str]:
    """One filter for what an example is and is said to be; of many classes two, with those that occur."""
    if len(classes) <= MANY:
        pairs = [("", "any")] + [(f"is:{c}", f"is {c}") for c in classes]
        return [_field("Class", _select("cls", pairs + [(f"says:{c}", f"said to be {c}") for c in classes]))]
    true = Counter(e.classes[e.label] for e in entries if e.label is not None)
    fields = []
    for name, label, found in (
        ("is", "True class", true),
        ("says", "Said to be", Counter(map(_said, entries))),
    ):
        pairs = [("", "any")] + [(c, f"{c} ({found[c]})") for c in sorted(found)]
        fields += [_field(label, _select(name, pairs))] if found else []
    return fields


def _said(entry: Entry) -> str:
    return entry.classes[entry.predicted]


def _field(label: str, control: str) -> str:
    name = control.split('id="', 1)[1].split('"', 1)[0]
    return f'<div class="field"><label for="{name}">{label}</label><span>{control}</span></div>'


def _select(name: str, pairs: Sequence[tuple[str, str]]) -> str:
    return f'<select id="{name}">{_options(pairs)}</select>'


def _options(pairs: Sequence[tuple[str, str]]) -> str:
    return "".join(f'<option value="{esc(value)}">{esc(text)}</option>' for value, text in pairs)


def legend(entries: Sequence[Entry], page: Page) -> str:
    """What is drawn over the images, what the colours mean, and every method in a sentence."""
    place = "peak" if page.events else "centre"
    drawn = (
        ("arc", "true evidence", any(e.mask is not None and e.mask.any() for e in entries)),
        ("true", f"true {place}", any(finite_pair(e.true_position) for e in entries)),
        ("pred", f"predicted {place}, 1σ", any(finite_pair(e.position) for e in entries)),
    )
    keys = "".join(f'<span><i class="g {name}"></i>{text}</span>' for name, text, there in drawn if there)
    diverging = any(s and s.diverging for s in page.scales.values())
    sequential = any(s and not s.diverging for s in page.scales.values())
    bars = ""
    if diverging:
        bars += (
            '<span class="bar"><i class="ramp d"></i>against the score · zero is white, '
            "clear over an image · for the score</span>"
        )
    if sequential:
        bars += '<span class="bar"><i class="ramp q"></i>low is white, clear over an image · high</span>'
    rows = "".join(
        f'<tr><th scope="row">{esc(method_label(m))}</th>'
        f"<td>{esc(method_text(m, page.events is not None)) or '–'}</td>"
        f"<td>{_scale_text(page.scales[m])}</td></tr>"
        for m in page.methods
    )
    words = "".join(
        f"<li><b>{esc(score_label(s))}</b>: {esc(score_text(s))}</li>" for s in page.scores if score_text(s)
    )
    return (
        f'<div class="legend">{keys}{bars}</div>{_scales(page)}'
        f'<details class="how"><summary>How to read the maps</summary>'
        f"<p>{READING}{AXES if page.events else ROWS}</p>"
        f'<ul>{words}</ul><div class="scroll"><table class="plain"><thead><tr><th scope="col">Map</th>'
        f'<th scope="col">What it is</th><th scope="col">Scale for all examples</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _scales(page: Page) -> str:
    """The scale of every method, that of all examples: its ends beside its colours."""
    bars = "".join(
        f'<span class="bar" data-m="{esc(m)}"><b>{esc(method_label(m))}</b> {esc(number(scale.low, 2))}'
        f'<i class="ramp {"d" if scale.diverging else "q"}"></i>{esc(number(scale.high, 2))}</span>'
        for m in page.methods
        if (scale := page.scales[m]) is not None
    )
    return f'<div class="legend scales"><span id="scale-note"></span>{bars}</div>'


def _scale_text(scale: pixels.Scale | None) -> str:
    return "not available" if scale is None else f"{esc(number(scale.low))} to {esc(number(scale.high))}"


def ramp_css(page: Page) -> str:
    """The colour bars, as CSS."""

    def gradient(colours: np.ndarray) -> str:
        stops = (
            f"rgba({r},{g},{b},{a / 255:.2f})" for r, g, b, a in colours[:: pixels.LEVELS // 14].tolist()
        )
        return f"linear-gradient(90deg,{','.join(stops)}),#fff"

    bars = (("d", page.ramps[True]), ("q", page.ramps[False]))
    css = "".join(f".ramp.{name}{{background:{gradient(colours)}}}" for name, colours in bars)
    return css + (event_windows.ramp_css() if page.events else "")
