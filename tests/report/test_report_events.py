"""Events on the page and in figures: where things lie, what is told, and that nothing speaks of lenses."""

from __future__ import annotations

import base64
import csv
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lensjax.config import Config, EventData, ModelConfig
from lensjax.event_axes import CLASSES, CLIP, EventGrid
from lensjax.explain.methods.registry import REGISTRY
from lensjax.inspection import result_files
from lensjax.inspection.maps import Item, Predicted
from lensjax.inspection.restore import Trained
from lensjax.models import build
from lensjax.report import event_windows, names, pixels
from lensjax.report.entry import Entry
from lensjax.report.figures import save_figures
from lensjax.report.page import marks, numbers
from lensjax.report.page.page import write_page
from lensjax.report.page.render import render_part

SHAPE = (14, 20)
GRID = EventGrid(SHAPE)
CHIRP = CLASSES.index("Chirp")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def event(name: str = "e", *, label: int | None = CHIRP, predicted: int = CHIRP, shape=SHAPE) -> Entry:
    rng = np.random.default_rng(len(name))
    mask = np.zeros((4, *shape), bool)
    mask[:, 2:5, 3:7] = True
    p = np.full(22, 0.01)
    p[predicted], p[3] = 0.6, 0.2
    return Entry(
        id=name,
        source="simulated",
        image=rng.random((4, *shape, 1)).astype(np.float32),
        classes=CLASSES,
        probabilities=p / p.sum(),
        predicted=predicted,
        label=label,
        mask=mask,
        position=GRID.position(100.0, 0.010),
        true_position=GRID.position(200.0, -0.015),
        position_sigma=np.array([0.05, 0.1]),
        maps={"grad_cam": rng.random((4, *shape)), "gradient": rng.normal(size=(4, *shape))},
        scores={"grad_cam": {"energy_inside": 0.5}},
        window_weights=np.array([0.7, 0.1, 0.1, 0.1]),
        window_probabilities=np.eye(22)[[predicted, predicted, 3, predicted]] * 0.9,
    )


def counts() -> np.ndarray:
    found = np.diag(np.full(22, 9))
    found[CHIRP, 3] = 1
    return found


def run() -> dict:
    test = {
        "accuracy": 0.9, "confusion": counts().tolist(), "classes": list(CLASSES), "n_per_class": [9] * 22,
        "chirp_n": 10, "chirp_errors": 1, "chirp_error_rate": 0.1, "chirp_error_rate_low": 0.02,
        "chirp_error_rate_high": 0.4, "chirp_taken_for": ["1 Blip"], "peak_time_error_median_ms": 4.25,
        "centre_time_error_median_ms": 31.5, "peak_frequency_error_median_octaves": 0.5,
    }  # fmt: skip
    return {"parameters": 150_000, "test": test}


def page(tmp_path: Path, *entries: Entry, **options: object) -> str:
    settings: dict = {
        "title": "Glitches",
        "pixel_scale": None,
        "bands": ("energy",),
        "events": GRID,
    } | options
    return write_page(tmp_path, entries, **settings).read_text("utf-8")


def photo(text: str) -> bytes:
    found = re.search(r'<img class="photo" src="data:image/png;base64,([^"]*)"', text)
    assert found
    return base64.b64decode(found[1])


# ---- where things lie --------------------------------------------------


def test_time_maps_into_each_window_by_its_length() -> None:
    early = GRID.position(100.0, -0.2)
    columns = [event_windows.locate_in_window(early, GRID, i) for i in range(4)]
    times = [GRID.time(at[1], i) for i, at in enumerate(columns) if at]
    np.testing.assert_allclose(times, -0.2, atol=1e-6)
    assert {round(at[0], 6) for at in columns if at} == {round(float(early[0]), 6)}
    assert event_windows.locate_in_window(GRID.position(100.0, 0.4), GRID, 0) is None  # beyond ±0.25 s
    assert event_windows.locate_in_window(GRID.position(100.0, 0.4), GRID, 1) is not None
    assert event_windows.locate_in_window(np.full(2, np.nan), GRID, 0) is None


def draw_marks(entry: Entry) -> str:
    return render_part("marks.svg.j2", marks=marks.view_marks(entry, "s", None, GRID))


def test_a_mark_outside_of_a_window_is_not_drawn() -> None:
    late = replace(event(), position=GRID.position(100.0, 0.4), true_position=None)
    assert draw_marks(late).count("mk dot") == 3
    assert draw_marks(event()).count("mk true") == 4


def test_errors_are_in_ms_and_octaves_with_their_signs() -> None:
    assert event_windows.errors(event(), GRID) == pytest.approx((25.0, -1.0), abs=1e-3)
    assert event_windows.errors(replace(event(), true_position=np.full(2, np.nan)), GRID) is None
    assert event_windows.sigmas(event(), GRID) == pytest.approx((50.0, 0.05 * GRID.octaves))


def test_ticks_lie_at_their_frequencies() -> None:
    for at, text in event_windows.frequency_ticks(GRID):
        assert GRID.frequency(at) == pytest.approx(float(text))
    assert [text for _, text in event_windows.frequency_ticks(GRID)] == ["10", "30", "100", "300", "1000"]
    old = EventGrid(SHAPE, frequency_range=(10.9, 900.0))
    assert [text for _, text in event_windows.frequency_ticks(old)] == ["30", "100", "300"]
    assert [GRID.time(at, 2) for at, _ in event_windows.time_ticks(GRID, 2)] == pytest.approx([-0.8, 0, 0.8])


def test_picture_and_maps_have_the_same_proportions() -> None:
    for shape in (SHAPE, (140, 170), (479, 569)):
        photo, maps = pixels.layouts((4, *shape))
        assert photo.total / photo.height == pytest.approx(maps.total / maps.height, rel=0.012)
    assert pixels.layouts((64, 64)) == (pixels.layouts((64, 64))[1],) * 2  # images stay as they are


# ---- energy --------------------------------------------------


@pytest.mark.parametrize("encoding", ["clipped", "log"])
def test_energy_is_read_from_both_encodings(encoding: str) -> None:
    energy = np.array([0.0, 1.0, 10.0, CLIP, 300.0], np.float32)[:, None]
    image = np.minimum(energy, CLIP) / CLIP if encoding == "clipped" else np.log1p(energy)
    assert event_windows.is_log([image]) == (encoding == "log")
    np.testing.assert_allclose(
        event_windows.energy(image, encoding == "log"), [0, 1, 10, CLIP, CLIP], rtol=1e-5, atol=1e-6
    )
    assert np.all(np.isfinite(event_windows.energy(np.array([[np.nan], [np.inf], [-np.inf]]), True)))


def test_energy_is_drawn_in_viridis_and_colours_as_they_are(tmp_path: Path) -> None:
    dark = replace(event(), image=np.zeros((4, *SHAPE, 1), np.float32))
    assert photo(page(tmp_path, dark))[41:44] == bytes([68, 1, 84])  # first entry of PLTE, violet
    colours = replace(event(), image=np.full((4, *SHAPE, 3), 0.5, np.float32))
    text = page(tmp_path, colours, bands=("red", "green", "blue"))
    assert photo(text)[25] == 2  # true colour, without a palette


def test_missing_values_are_counted(tmp_path: Path) -> None:
    broken = event()
    broken.image[0, 0, :3] = np.nan
    assert "3 missing values are shown as 0." in page(tmp_path, broken)


# ---- the page --------------------------------------------------


def test_page_tells_windows_times_and_frequencies(tmp_path: Path) -> None:
    text = page(tmp_path, event())
    for word in ("0.5 s", "1 s", "2 s", "4 s"):
        assert f"<b>{word}</b>" in text
    assert ">1000</i>" in text and ">−1.6</i>" in text and "Normalised energy" in text
    assert "+10.0 ms, 100 Hz" in text and "−15.0 ms, 200 Hz" in text
    assert "<b>25.0 ms, 1.00 octaves</b>" in text and "50.0 ms, 0.38 octaves" in text
    assert 'class="weight most"' in text and text.count('class="agrees"') == 3


def test_page_of_events_speaks_of_no_lenses(tmp_path: Path) -> None:
    maps = {name: np.ones((4, *SHAPE)) for name in REGISTRY}
    rows = [{"method": name, "energy_inside": (0.5, 0.4, 0.6), "n": 3} for name in REGISTRY]
    text = page(tmp_path, replace(event(), maps=maps), summary=run(), score_table=rows)
    told = re.sub(r"<style>.*?</style>|<script>.*?</script>|lensjax", "", text, flags=re.S)
    told = re.sub(r'(class|src)="[^"]*"', "", told)
    assert not re.search(r"\b(sky|lens\w*|arcsec\w*|asinh|galax\w*|arc)\b|″", told)
    assert "from an empty sky" in page(tmp_path, replace(event(), maps=maps), events=None)


def test_names_of_events_are_escaped(tmp_path: Path) -> None:
    bad = "<img src=x>_\"'&\u2028\x07"
    classes = tuple(bad if k in (3, CHIRP) else name for k, name in enumerate(CLASSES))
    hostile = replace(event(bad, label=3), classes=classes, source=bad, kind=bad, notes=(bad,))
    summary = {"test": {"confusion": counts().tolist(), "classes": classes, "accuracy": 0.9}}
    text = page(tmp_path, replace(hostile, maps={bad: hostile.maps["gradient"]}), summary=summary)
    assert "<img src=x" not in text and not any(control in text for control in "\u2028\x07")
    shown = "&lt;img src=x&gt;_&#34;&#39;&amp;  "
    assert f"Energy of {shown} in windows" in text and f'title="1 of 10 {shown} said to be {shown}"' in text
    assert "&lt;img src=x&gt;_<wbr>&#34;&#39;&amp;   0.90" in text  # the class of a window may break after _


def test_card_shows_three_classes_and_the_true_one(tmp_path: Path) -> None:
    assert page(tmp_path, event()).count('<div class="prob') - 1 == 3
    wrong = page(tmp_path, event(label=10))
    assert wrong.count('<div class="prob') - 1 == 4 and "mistake: says Chirp, is Low_Frequency_Lines" in wrong


def test_true_and_predicted_class_are_chosen_apart(tmp_path: Path) -> None:
    text = page(tmp_path, event("a"), event("b", label=3), event("c", label=None))
    assert (
        '<option value="Blip">Blip (1)</option>' in text
        and '<option value="Chirp">Chirp (3)</option>' in text
    )
    assert 'id="is"' in text and 'id="says"' in text and 'id="cls"' not in text
    assert "position error in frequency" in text


def test_state_has_the_axes_for_the_pointer(tmp_path: Path) -> None:
    text = page(tmp_path, event())
    found = re.search(r'<script type="application/json" id="state">(.*?)</script>', text, re.S)
    assert found
    state = json.loads(found[1])
    assert state["events"] == [10.0, 2048.0, 0.5, 1.0, 2.0, 4.0] and state["gap"] == pixels.GAP
    assert state["entries"][0]["error"] == pytest.approx(25.0, abs=1e-3)
    assert state["entries"][0]["octaves"] == pytest.approx(1.0, abs=1e-3)


def test_what_is_not_known_breaks_nothing(tmp_path: Path) -> None:
    unknown = np.full(2, np.nan)
    bare = replace(
        event(), label=None, mask=None, position=None, true_position=unknown, position_sigma=None, maps={},
        window_weights=None, window_probabilities=None,
    )  # fmt: skip
    one_map = replace(event("b"), true_position=unknown, position_sigma=None, window_weights=None)
    text = page(tmp_path, bare, one_map, summary={})
    assert "truth unknown" in text and "nan" not in text.lower().split("<script")[0].replace("attenan", "")
    assert "No example was explained" in page(tmp_path)


def test_large_pages_stay_moderate(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    maps = {f"m{i}": rng.normal(size=(4, 140, 170)) for i in range(8)}
    heavy = replace(event(shape=(140, 170)), maps=maps)  # noise does not compress; real maps do
    assert len(page(tmp_path, heavy, events=EventGrid())) < 25e6 / 48


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((*SHAPE, 1)), "mask": None, "maps": {}, "window_weights": None,
          "window_probabilities": None}, "an event of 4 windows is"),
        ({"window_weights": np.ones(3)}, r"window_weights has shape \(3,\)"),
        ({"window_probabilities": np.ones((4, 3))}, r"window_probabilities has shape \(4, 3\)"),
    ],
)  # fmt: skip
def test_entries_that_do_not_fit_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        page(tmp_path, replace(event(), **change))


# ---- the run in numbers --------------------------------------------------


def test_tiles_of_many_classes() -> None:
    text = render_part("numbers.html.j2", numbers=numbers.view_numbers(run()))
    assert "Accuracy" in text and "1 of 10" in text and "taken for: 1 Blip" in text and "0.02 – 0.40" in text
    assert "4.25 ms" in text and "against 31.5 ms of a constant prediction at the image centre" in text
    assert "test.confusion" not in text and "TPR0" not in text
    two = {"test": {"confusion": [[1, 0], [0, 1]], "classes": ["a", "b"], "accuracy": 1.0}}
    assert '<span class="lab">Accuracy' not in render_part(
        "numbers.html.j2", numbers=numbers.view_numbers(two)
    )
    assert numbers.view_confusion(two) is None


def test_confusion_table_counts_and_scores() -> None:
    rows = numbers.score_classes(counts())
    chirp, blip = rows[CHIRP], rows[3]
    assert chirp["n"] == 10 and chirp["recall"][0] == 0.9 and chirp["f1"] == pytest.approx(18 / 19)
    assert chirp["recall"][1:] == pytest.approx((0.5958, 0.9821), abs=1e-3)  # Wilson, 9 of 10
    assert blip["precision"] == 0.9
    text = render_part("confusion.html.j2", confusion=numbers.view_confusion(run()))
    assert "1 of 10 Chirp said to be Blip" in text and text.count("<tr>") == 23
    empty = np.zeros((3, 3), int)
    empty[0, 0] = 4
    view = numbers.view_confusion({"confusion": empty.tolist(), "classes": ["a", "b", "c"]})
    assert "–" in render_part("confusion.html.j2", confusion=view)


def test_labels_of_errors() -> None:
    assert names.quantity_label("peak_time_error_median_ms") == "Peak time error, median (ms)"
    label = names.quantity_label("peak_frequency_error_p90_octaves")
    assert label == "Peak frequency error, 90th percentile (octaves)"


# ---- figures and tables --------------------------------------------------


def test_figures_of_events(tmp_path: Path) -> None:
    entries = [event("a"), replace(event("b"), true_position=GRID.position(90.0, 0.0))]
    paths = save_figures.save_figures(
        tmp_path, entries, bands=("energy",), events=GRID, summary=run()["test"]
    )
    assert {"confusion.png", "positions.png", "example_000_a.png"} <= {p.name for p in paths}
    axis = save_figures.example_figure(event(), events=GRID).axes[0]
    assert axis.get_xlabel() == "time from the trigger (s)" and axis.get_ylabel() == "frequency (Hz)"
    colours = replace(event(), image=np.full((4, *SHAPE, 3), 0.5, np.float32))
    save_figures.example_figure(colours, events=GRID).canvas.draw()
    with pytest.raises(ValueError, match="an event of 2 windows"):
        save_figures.example_figure(event(), events=EventGrid(SHAPE, windows=(0.5, 1.0)))


def test_predictions_are_written_in_seconds_and_hertz(tmp_path: Path) -> None:
    entry = event()
    config = Config(data=EventData(size=GRID.shape), model=ModelConfig(classes=CLASSES))
    trained = Trained(tmp_path, config, build(config.model), {}, {}, [])
    items = [Item(id="e", source="s", image=entry.image)]
    logits = np.log(entry.probabilities)[None]
    each = np.zeros((1, 4, 22))
    predicted = Predicted(
        logits, entry.position[None], entry.position_sigma[None], each, entry.window_weights[None]
    )
    result_files.write_predictions(tmp_path / "p.csv", trained, items, predicted)
    (row,) = csv.DictReader((tmp_path / "p.csv").read_text().splitlines())
    assert list(row)[-4:] == ["time_s", "frequency_hz", "sigma_time_s", "sigma_octaves"]
    assert float(row["time_s"]) == pytest.approx(0.01, abs=1e-4)
    assert float(row["frequency_hz"]) == pytest.approx(100, rel=1e-4)
    assert float(row["sigma_time_s"]) == pytest.approx(0.05) and row["class"] == "Chirp"
    (line,) = result_files.prediction_lines(trained, items, predicted)
    assert "peak at +0.010 s from the trigger and 100 Hz" in line
    (made,) = result_files.entries(items, predicted, {}, {}, CLASSES)
    np.testing.assert_allclose(made.window_probabilities, 1 / 22)
    assert made.window_weights is not None and made.window_weights[0] == 0.7
    assert page(tmp_path, made).count('<div>\n<span class="weight') == 4


# ---- behaviour, in a browser --------------------------------------------------

POINT = """<script>setTimeout(() => {
  document.querySelectorAll("button.zoom")[1].click();
  const stack = document.querySelector("#zoom-view .stack"), box = stack.getBoundingClientRect();
  stack.dispatchEvent(new PointerEvent("pointermove", {
    bubbles: true, clientX: box.left + 0.001 * box.width, clientY: box.top + 0.5 * box.height }));
}, 200)</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_classes_filter_and_the_pointer_reads_time_and_frequency(tmp_path: Path) -> None:
    text = page(tmp_path, event("a"), event("b", label=3), event("c", label=3, predicted=3))
    (tmp_path / "index.html").write_text(text.replace("</body>", POINT))
    command = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000",
        f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
        f"{(tmp_path / 'index.html').as_uri()}#is=Blip&says=Chirp",
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    cards = re.findall(r"<article ([^>]*)>.*?<h3[^>]*>(.*?)</h3>", dom, re.S)
    assert [name for attributes, name in cards if not re.search(r"\bhidden\b", attributes)] == ["b"]
    assert re.search(r'<output id="tip"[^>]*>−0.248 s · 14[23] Hz<', dom)  # √(10 · 2048) = 143
