"""Maps compared, windows stepped through, and what is taken away: links, PNG, PDF."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lensjax.event_axes import EventGrid
from lensjax.report import pixels
from lensjax.report.entry import Entry
from lensjax.report.figures import examples, panels, save_figures
from lensjax.report.page import figure_links
from lensjax.report.page.page import write_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
GRID = EventGrid((10, 12))


def entry(name: str = "a", shape: tuple[int, ...] = (16, 16)) -> Entry:
    rng = np.random.default_rng(len(name))
    mask = np.zeros(shape, bool)
    mask[..., 2:5, 3:7] = True
    maps = {"gradient": rng.normal(size=shape), "grad_cam": rng.random(shape), "random": rng.random(shape)}
    scores = {m: {"energy_inside": 0.5, "pointing": 1.0} for m in maps}
    return Entry(
        name, "simulated", rng.random((*shape, 1)), ("non-lens", "lens"), np.array([0.1, 0.9]), 1, 1, mask,
        position=np.array([0.5, 0.5]), maps=maps, scores=scores,
    )  # fmt: skip


def event(name: str = "e") -> Entry:
    return entry(name, (4, 10, 12))


def page(folder: Path, *entries: Entry, **options: object) -> str:
    settings: dict = {"title": "t", "pixel_scale": None, "bands": ("energy",)} | options
    return write_page(folder, entries, **settings).read_text("utf-8")


def test_a_reader_chooses_maps_and_sees_their_scales(tmp_path: Path) -> None:
    weak = replace(entry("b"), maps={k: 0.01 * v for k, v in entry("b").maps.items()})
    text = page(tmp_path, entry(), weak)
    assert re.findall(r'name="m" value="(\w+)" checked', text) == ["gradient", "grad_cam", "random"]
    scale = pixels.shared_scales([entry().maps, weak.maps])["gradient"]
    assert (
        scale is not None and f"{scale.high:.1f}" in text.split('class="legend scales"')[1].split("</div>")[0]
    )
    assert text.count('class="bar" data-m=') == 3 and "zero is white" in text
    assert 'id="window"' not in text and 'id="over"' in text


def test_a_map_that_is_zero_is_clear_on_the_scale_of_others() -> None:
    scale = pixels.map_scale([np.zeros((2, 2)), np.array([[-1.0, 2.0], [0.0, 1.0]])])
    assert scale is not None and scale.diverging
    indices, own = pixels.quantise(np.zeros((2, 2)), True)
    assert (pixels.rescale_palette(pixels.ramp(True), own, scale)[indices][..., 3] == 0).all()


def test_windows_have_names_and_a_place_to_be_cut_from(tmp_path: Path) -> None:
    text = page(tmp_path, event(), events=GRID)
    assert re.findall(r'<option value="[0-3]">(.*?)</option>', text)[-4:] == ["0.5 s", "1 s", "2 s", "4 s"]
    total, gap = 4 * 12 + 3 * pixels.GAP, pixels.GAP
    assert f"--one:12/10;--wide:{total / 12:.5f};--step:{(12 + gap) / 12:.5f}" in text
    assert "window 4" in page(tmp_path, event())


def test_figures_are_linked_from_the_page(tmp_path: Path) -> None:
    files = save_figures.save_figures(tmp_path / "fig #1", [entry("a & b")])
    text = page(tmp_path, entry("a & b"), figures=[*files, tmp_path / "fig #1" / "roc.pdf"])
    linked = re.findall(r'href="([^"#]+)"', text)
    assert sorted(linked) == [
        f"fig%20%231/{name}" for name in ("example_000_a_b.pdf", "example_000_a_b.png", "roc.pdf")
    ]
    assert (
        "http:" not in text
        and "https:" not in text
        and not any(figure_links.is_of_example(figure_links.FigureFile(f), 1) for f in linked)
    )


def test_pdf_has_its_fonts_and_no_date(tmp_path: Path) -> None:
    strange = replace(entry("漢$字"), maps={"gradient": entry().maps["gradient"]})
    made = [save_figures.save_figures(tmp_path / name, [strange]) for name in ("one", "two")]
    data = [next(p for p in paths if p.suffix == ".pdf").read_bytes() for paths in made]
    assert data[0] == data[1] and b"/FontFile2" in data[0] and b"/Type3" not in data[0]
    assert panels.to_plain_text("漢$字") == r"?\$?"


def test_maps_of_figures_are_on_the_scale_of_all_examples() -> None:
    scale = pixels.Scale(-7.0, 7.0, True)
    figure = examples.example_figure(entry(), scales={"gradient": scale})
    drawn = next(axis for axis in figure.axes if axis.get_title() == "Gradient").get_images()[0]
    assert drawn.get_clim() == (-7.0, 7.0) and drawn.cmap(0.5)[:3] == pytest.approx(
        (0.97, 0.97, 0.97), abs=0.01
    )
    own = examples.example_figure(entry()).axes[1].get_images()[0]
    assert own.get_clim()[1] < 7


# ---- behaviour, in a browser --------------------------------------------------


def browse(path: Path, fragment: str, script: str) -> str:
    path.write_text(
        path.read_text("utf-8").replace(
            "</body>", f"<script>setTimeout(() => {{{script}}}, 200)</script></body>"
        )
    )
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--virtual-time-budget=5000", f"--user-data-dir={path.parent / 'profile'}", "--dump-dom",
        f"{path.as_uri()}#{fragment}",
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_two_maps_are_compared_with_their_scores(tmp_path: Path) -> None:
    page(tmp_path, entry())
    dom = browse(tmp_path / "index.html", "m=gradient&m=random", "")
    tiles = re.findall(r'<figure class="tile map[^"]*" data-m="(\w+)"( hidden="")?>(.*?)</figure>', dom, re.S)
    assert [m for m, hidden, _ in tiles if not hidden] == ["gradient", "random"]
    assert all(
        "Energy inside 0.50" in text and "Pointing 1.00" in text for m, hidden, text in tiles if not hidden
    )
    assert 'id="cards" class="few"' in dom


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_windows_are_stepped_through_by_keys_and_buttons(tmp_path: Path) -> None:
    page(tmp_path, event(), events=GRID)
    key = 'document.dispatchEvent(new KeyboardEvent("keydown", { key: "]", bubbles: true }));'
    dom = browse(
        tmp_path / "index.html",
        "",
        key.replace("document.d", "document.body.d") + 'document.querySelector(".later").click();',
    )
    heads = re.search(r'<span class="heads">(.*?)</span>', dom)
    assert heads and re.findall(r"<b>(.*?)</b>", heads[1]) == ["1 s"]
    assert re.search(r'<body class="events one" style="[^"]*--window: 1', dom)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_what_is_shown_is_saved_as_png(tmp_path: Path) -> None:
    page(tmp_path, event("an event"), events=GRID)
    script = (
        "HTMLAnchorElement.prototype.click = function () { document.title = this.download;"
        ' const pre = document.createElement("pre"); pre.textContent = this.href;'
        " document.body.replaceChildren(pre); };"
        'document.querySelector("button.save").click();'
    )
    dom = browse(tmp_path / "index.html", "m=gradient&window=2", script)
    saved = re.search(r"<pre>data:image/png;base64,(.*?)</pre>", dom)
    assert saved and "<title>an_event.png</title>" in dom
    png = base64.b64decode(saved[1])
    width, height = (int.from_bytes(png[i : i + 4], "big") for i in (16, 20))
    assert (width, height) == (2 * (320 + 16) + 16, round(320 * 10 / 12) + 88 + 56) and len(png) > 5000
