"""The page and the figures: nothing breaks them, nothing leaks into them, and they show what they claim."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from jinja2 import StrictUndefined, UndefinedError

from lensjax.event_axes import EventGrid
from lensjax.report import pixels
from lensjax.report.entry import position_error, verdict
from lensjax.report.figures import curves, save_figures
from lensjax.report.figures.film import Film
from lensjax.report.names import make_readable
from lensjax.report.page import render
from lensjax.report.page.filters import to_safe_json
from lensjax.report.page.page import Entry, write_page
from tests.report.test_report_pixels import decode

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = "<script>alert(1)</script>\"&' onload=x\u2028\x07{{ 7 * 7 }}{% x %}"


def entry(
    name: str = "a", *, label: int | None = 1, predicted: int = 1, energy: float = 0.5, n: int = 16
) -> Entry:
    rng = np.random.default_rng(len(name))
    mask = np.zeros((n, n), bool)
    mask[2:5, 3:7] = True
    p = 0.9 if predicted == 1 else 0.1
    return Entry(
        id=name,
        source="simulated",
        image=rng.normal(size=(n, n, 3)).astype(np.float32),
        classes=("non-lens", "lens"),
        probabilities=np.array([1 - p, p]),
        predicted=predicted,
        label=label,
        mask=mask,
        position=np.array([0.5, 0.5]),
        true_position=np.array([0.5, 0.75]),
        position_sigma=np.array([0.05, 0.1]),
        maps={
            "gradient": rng.normal(size=(n, n)),
            "grad_cam": rng.random((n, n)),
            "random": rng.random((n, n)),
        },
        scores={m: {"energy": v, "pointing": 1.0} for m, v in (("gradient", energy), ("random", 0.2))},
        kind="ring",
    )


def event() -> Entry:
    rng = np.random.default_rng(0)
    shape = (4, 10, 12)
    return Entry(
        id="e", source="strain", image=rng.normal(size=(*shape, 1)), classes=("Blip", "Chirp", "Koi Fish"),
        probabilities=np.array([0.2, 0.5, 0.3]), predicted=1, label=2, mask=rng.random(shape) > 0.8,
        maps={"occlusion": rng.normal(size=shape)},
    )  # fmt: skip


def page(tmp_path: Path, *entries: Entry, **options: object) -> str:
    settings: dict = {"title": "Lenses", "pixel_scale": 0.1, "bands": ("g", "r", "i")} | options
    return write_page(tmp_path, entries, **settings).read_text("utf-8")


def state(text: str) -> dict:
    found = re.search(r'<script type="application/json" id="state">(.*?)</script>', text, re.S)
    assert found
    return json.loads(found[1])


class Reader(HTMLParser):
    """Texts by the element that holds them, and values by attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, list[str]] = defaultdict(list)
        self.attributes: dict[str, list[str]] = defaultdict(list)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tag = tag
        for name, value in attrs:
            self.attributes[name].append(value or "")

    def handle_data(self, data: str) -> None:
        if hasattr(self, "tag"):
            self.texts[self.tag].append(data)


# ---- the page --------------------------------------------------


def test_page_is_self_contained(tmp_path: Path) -> None:
    text = page(
        tmp_path, entry(), event_like := replace(entry("b"), notes=("blended",)), command="python explain.py"
    )
    assert event_like.notes[0] in text and "python explain.py" in text
    assert "default-src 'none'" in text
    for loaded in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert loaded.startswith(("data:image/png;base64,", "#"))
    assert not re.search(r"url\((?!data:)", text) and "http://" not in text and "https://" not in text


def hostile_page(tmp_path: Path) -> str:
    bad = replace(
        entry(HOSTILE), source=HOSTILE, kind=HOSTILE, notes=(HOSTILE,), classes=("a" + HOSTILE, HOSTILE),
        maps={HOSTILE: np.ones((16, 16))}, scores={HOSTILE: {HOSTILE: 0.5}},
    )  # fmt: skip
    strip = Film(HOSTILE, np.zeros((2, 4, 4, 1)), np.zeros(2), np.arange(2), np.zeros(2))
    many = {"confusion": np.eye(3, dtype=int), "classes": [HOSTILE, "b", "c"]}
    return page(
        tmp_path, bad, title=HOSTILE, command=HOSTILE, bands=(HOSTILE,) * 3,
        summary={HOSTILE: HOSTILE, "accuracy": 0.5, "test": many, "chirp_n": 2, "chirp_errors": 1,
                 "chirp_taken_for": [HOSTILE]},
        score_table=[{"method": HOSTILE, HOSTILE: (0.1, 0.0, 0.2), "n": 3},
                     {"method": "b" + HOSTILE, "baseline": True, HOSTILE: (0.2, 0.1, 0.3), "n": 3}],
        curves={HOSTILE: [{HOSTILE: 1, "loss": 2.0}, {HOSTILE: 2, "loss": 3.0}]}, dreams=[(strip, b"")],
        figures=[tmp_path / (HOSTILE.replace("/", "") + ".png")],
    )  # fmt: skip


def test_everything_a_user_names_is_escaped(tmp_path: Path) -> None:
    text = hostile_page(tmp_path)
    assert "<script>alert" not in text and "</script>alert" not in text
    assert len(re.findall(r"<script\b", text)) == 2
    assert not any(control in text for control in "\u2028\u2029\x07")
    assert state(text)["entries"][0]["id"] == HOSTILE
    reader = Reader()
    reader.feed(text)
    # No name has become an attribute or an expression of a template, and each place shows it as it is.
    assert {name for name in reader.attributes if name.startswith("on")} == {"onsubmit"}
    shown = HOSTILE.replace("\u2028", " ").replace("\x07", " ")
    for tag in ["h1", "h3", "code", "option", "title", "th", "li", "span", "td", "small", "figcaption"]:
        assert any(shown in text for text in reader.texts[tag]), tag
    assert any(make_readable(shown) in text for text in reader.texts["text"])  # the axis of a chart
    for name in ("alt", "value", "title", "aria-label", "data-m"):
        assert any(shown in value for value in reader.attributes[name]), name


def test_every_template_renders_with_every_name_defined(tmp_path: Path) -> None:
    environment = render.make_environment()
    assert environment.undefined is StrictUndefined and environment.autoescape is True
    environment.cache.clear()
    hostile_page(tmp_path)
    (tmp_path / "benchmark.png").write_bytes(b"")
    page(tmp_path, event(), bands=("energy",), events=EventGrid((10, 12)), benchmark=tmp_path)
    loaded = {name for _, name in environment.cache}
    assert loaded == set(environment.list_templates())
    with pytest.raises(UndefinedError):
        render.render_part("numbers.html.j2")


def test_drawings_of_charts_hold_no_address_and_stay_the_same() -> None:
    rows = [{"epoch": e, "<b>&loss": 1 / e, "validation/loss": 2 / e} for e in (1, 2, 3)]
    chart = curves.make_history_charts([{"a<b>&\u2028": row.pop("epoch"), **row} for row in rows])[0]
    drawing = curves.chart_svg(chart, "1")
    assert drawing == curves.chart_svg(chart, "1") and "http" not in drawing and "url(" not in drawing
    assert "A&lt;b&gt;&amp;" in drawing or "a&lt;b&gt;&amp;" in drawing
    assert "\u2028" not in drawing and "#" not in re.sub(r'(href|id)="#?m[0-9a-f]{10}"', "", drawing)


def test_json_survives_and_cannot_leave_its_element() -> None:
    value = {
        "a": [float("nan"), math.inf, 1.5, np.float32(2), np.int64(3), True, None],
        "b": "</script>\u2028<!--&",
    }
    text = to_safe_json(value)
    assert "<" not in text and ">" not in text and "\u2028" not in text
    assert json.loads(text) == {"a": [None, None, 1.5, 2, 3, True, None], "b": value["b"]}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_map_that_is_not_finite_is_named_in_words(tmp_path: Path, value: float) -> None:
    broken = entry()
    broken.maps["gradient"][3, 3] = value
    text = page(tmp_path, broken, entry("b"))
    assert "Not available: 1 of 256 values are not finite." in text
    everywhere = replace(entry(), maps={"gradient": np.full((16, 16), value)})
    assert "Not available: 256 of 256 values are not finite." in page(tmp_path, everywhere)


def test_map_missing_from_one_example_is_named(tmp_path: Path) -> None:
    assert "was not run on this example" in page(tmp_path, entry(), replace(entry("b"), maps={}))


def test_what_is_not_known_breaks_nothing(tmp_path: Path) -> None:
    bare = Entry("x", "file", np.zeros((8, 8, 1)), ("non-lens", "lens"), np.array([np.nan, np.nan]), 0)
    odd = replace(
        entry("y"), label=None, image=np.full((16, 16, 1), np.nan), position=np.full(2, np.nan), mask=None,
        maps={"zero": np.zeros((16, 16)), "flat": np.full((16, 16), 0.7), "minus": -np.ones((16, 16))},
        scores={"zero": {"energy": math.nan}},
    )  # fmt: skip
    text = page(tmp_path, bare, odd, bands=("F814W",), pixel_scale=None)
    assert "says non-lens, truth unknown" in text and "nan" not in text.lower().split("<script")[0]
    assert "No example was explained" in page(tmp_path)


def test_verdicts_and_position_error() -> None:
    assert verdict(entry(label=0)) == "false positive"
    assert verdict(entry(predicted=0)) == "false negative"
    assert verdict(entry()) == "correct" and verdict(entry(label=None)) == "unknown"
    assert verdict(event()) == "mistake"
    assert position_error(entry()) == pytest.approx(4.0)  # a quarter of 16 pixels
    assert position_error(replace(entry(), true_position=np.full(2, np.nan))) is None


def test_position_is_told_in_both_units(tmp_path: Path) -> None:
    text = page(tmp_path, entry())
    assert "0.400″ (4.00 px)" in text and "row 7.5, col 7.5" in text
    assert "<b>4.00 px</b>" in page(tmp_path, entry(), pixel_scale=None)


def test_events_show_their_windows_side_by_side(tmp_path: Path) -> None:
    text = page(tmp_path, event(), bands=("energy",), pixel_scale=None)
    assert "4 windows side by side" in text and "mistake: says Chirp, is Koi Fish" in text
    assert f"--ratio:{4 * 12 + 3 * pixels.GAP}/10" in text


def test_size_stays_moderate(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    maps = {f"m{i}": rng.normal(size=(64, 64)) for i in range(12)}
    many = [replace(entry(str(i), n=64), maps=maps) for i in range(8)]
    assert len(page(tmp_path, *many)) < 1e6  # 64 such examples: 8 MB, of noise that does not compress


def test_out_may_be_a_folder_or_a_file(tmp_path: Path) -> None:
    options: dict = {"title": "t", "pixel_scale": None, "bands": ()}
    assert write_page(tmp_path / "new", [entry()], **options) == tmp_path / "new" / "index.html"
    assert write_page(tmp_path / "x.html", [], **options).is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maps": {"gradient": np.zeros((8, 8))}}, r"entry 'a': map 'gradient' has shape \(8, 8\)"),
        ({"mask": np.zeros((4, 4), bool)}, "mask has shape"),
        ({"probabilities": np.ones(3)}, "one number a class"),
        ({"predicted": 2}, "predicted is 2"),
        ({"label": -1}, "label is -1"),
        ({"image": np.zeros((16, 16))}, "the image has shape"),
        ({"image": np.zeros((16, 16, 2))}, "2 channels but 3 band names"),
    ],
)
def test_entries_that_do_not_fit_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        page(tmp_path, replace(entry(), **change))


# ---- figures --------------------------------------------------


def test_figures_are_written(tmp_path: Path) -> None:
    broken = replace(
        entry(HOSTILE + "$"), maps={"gradient": np.full((16, 16), np.nan), "occlusion": np.eye(16)}
    )
    rows = [{"fpr": f, "tpr": t} for f, t in ((0, 0), (0.01, 0.6), (1, 1))]
    history = [{"epoch": e, "train/loss": 1 / e} for e in (1, 2)]
    table = [{"method": m, "energy": (0.5, 0.4, math.nan), "n": 3} for m in ("gradient", "random")]
    counts = {"confusion": [[3, 1], [0, 4]], "classes": ["non-lens", "lens"], "auroc": 0.9}
    paths = save_figures.save_figures(
        tmp_path, [entry(), broken], bands=("g", "r", "i"), pixel_scale=0.1, summary=counts,
        score_table=table,
        curves={"roc": rows, "history": history},
    )  # fmt: skip
    names = {p.name for p in paths}
    assert {"roc.png", "roc.pdf", "history.png", "scores.png", "confusion.pdf", "positions.png"} <= names
    assert {"example_000_a.png", "example_000_a.pdf"} <= names and len(names) == 14
    assert all(p.stat().st_size > 1000 and p.parent == tmp_path for p in paths)


def test_figure_of_an_event_and_no_pyplot() -> None:
    code = (
        "import sys, lensjax.report.figures.save_figures, lensjax.report.page.page; "
        "assert 'matplotlib.pyplot' not in sys.modules and 'jax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    figure = save_figures.example_figure(event())
    figure.canvas.draw()
    assert len(figure.axes) >= 2


def test_confusion_must_be_square() -> None:
    with pytest.raises(ValueError, match="give \\[k k\\]"):
        save_figures.confusion_figure(np.ones((2, 3)), ["a", "b"])


# ---- behaviour, in a browser --------------------------------------------------


def browse(path: Path, fragment: str, profile: Path) -> str:
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000",
        f"--user-data-dir={profile}", "--dump-dom", f"{path.as_uri()}#{fragment}",
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def shown(dom: str) -> list[str]:
    """Names of the cards that are not hidden, in their order."""
    cards = re.findall(r"<article ([^>]*)>.*?<h3[^>]*>(.*?)</h3>", dom, re.S)
    return [name for attributes, name in cards if not re.search(r"\bhidden\b", attributes)]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize(
    ("fragment", "names"),
    [
        ("", ["b", "a", "c", "d"]),
        ("sort=id", ["a", "b", "c", "d"]),
        ("sort=score:gradient:energy", ["c", "a", "b", "d"]),  # high first, without a score last
        ("sort=score:gradient:energy&dir=asc", ["b", "a", "c", "d"]),
        ("sort=p:lens", ["b", "a", "d", "c"]),
        ("show=mistakes", ["b", "c"]),
        ("show=false+negative", ["c"]),
        ("cls=is:lens", ["a", "c"]),
        ("kind=spiral", ["d"]),
        ("q=SPIRAL+d", ["d"]),
        ("q=nothing", []),
        ("sort=unheard&show=of", ["b", "a", "c", "d"]),
    ],
)
def test_sorting_and_filtering(tmp_path: Path, fragment: str, names: list[str]) -> None:
    entries = [
        entry("b", label=0, energy=0.1), entry("a", energy=0.4), entry("c", predicted=0, energy=0.9),
        replace(entry("d", label=None, energy=math.nan), kind="spiral", probabilities=np.array([0.3, 0.7])),
    ]  # fmt: skip
    page(tmp_path, *entries)
    assert shown(browse(tmp_path / "index.html", fragment, tmp_path / "profile")) == names


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_scale_of_each_map_is_a_new_palette(tmp_path: Path) -> None:
    import base64

    weak = replace(entry("b"), maps={"gradient": 0.01 * entry().maps["gradient"]})
    page(tmp_path, entry(), weak)
    images = {}
    for scale in ("shared", "own"):
        dom = browse(tmp_path / "index.html", f"scale={scale}", tmp_path / "profile")
        found = re.findall(
            r'<img class="map" src="data:image/png;base64,([^"]*)" alt="Gradient map of b', dom
        )
        images[scale] = decode(base64.b64decode(found[0]))
    np.testing.assert_array_equal(images["shared"][0], images["own"][0])
    assert images["shared"][1][:, 3].max() < 60 < images["own"][1][:, 3].max()
    np.testing.assert_array_equal(images["own"][1], pixels.ramp(True))
