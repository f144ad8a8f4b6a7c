"""Film strips: one scale for all frames, a row a window, scores in words, nothing leaks into the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lensjax.event_axes import EventGrid
from lensjax.report.figures.film import Film, describe_film, film_figure, paint_frames
from lensjax.report.figures.save_figures import save_film
from lensjax.report.page.page import write_page

GRID = EventGrid(shape=(10, 12))


def film(shape: tuple[int, ...], name: str = "class_image: lens", frames: int = 3) -> Film:
    rng = np.random.default_rng(0)
    values = rng.random((frames, *shape)).astype(np.float32)
    scores, steps = np.linspace(-1.5, 4.0, frames), np.arange(frames) * 4
    return Film(name, values, scores, steps, np.linspace(-1.5, 4, 4 * frames - 4))


@pytest.mark.parametrize(
    ("shape", "events"), [((8, 9, 4), None), ((4, 10, 12, 1), GRID), ((4, 10, 12, 3), GRID)]
)
def test_one_panel_a_frame_and_window(shape: tuple[int, ...], events: EventGrid | None) -> None:
    figure = film_figure(film(shape), bands=("VIS", "Y", "J", "H") if events is None else (), events=events)
    pictures = [axis for axis in figure.axes if axis.images and axis.images[0].get_array().ndim == 3]
    assert len(pictures) == 3 * (4 if events else 1)
    words = " ".join(axis.get_xlabel() for axis in figure.axes)
    assert "start\n−1.50" in words and "step 8\n4.00" in words
    assert [a.get_ylabel() for a in figure.axes if a.get_ylabel().endswith(" s")] == (
        ["0.5 s", "1 s", "2 s", "4 s"] if events else []
    )


def test_frames_share_their_scale() -> None:
    dark = np.zeros((8, 9, 1), np.float32)
    frames = np.stack([dark, dark + 2, dark + 5])
    shown = paint_frames(Film("a", frames, np.zeros(3), np.arange(3), np.zeros(2)), ("VIS",), False)
    levels = shown[:, 0, 0, 0, 0].astype(int)
    assert levels[0] < levels[1] < levels[2]
    event = np.stack([np.full((4, 10, 12, 1), v, np.float32) for v in (0.0, 0.5, 1.0)])
    one = paint_frames(Film("a", event, np.zeros(3), np.arange(3), np.zeros(2)), (), True)
    log = paint_frames(
        Film("a", np.log1p(event * 25.5), np.zeros(3), np.arange(3), np.zeros(2), True), (), True
    )
    assert one.shape == (3, 4, 10, 12, 3) and (one == log).all()
    assert len({tuple(one[i, 0, 0, 0]) for i in range(3)}) == 3


def test_strips_are_files_and_stand_on_the_page(tmp_path: Path) -> None:
    one = film((8, 9, 1), name='class_image(steps=8): <b>"lens"')
    path = save_film(tmp_path, one)
    assert path.name == "dream_class_image_steps_8_b_lens.png" and path.with_suffix(".pdf").exists()
    strips = [(one, path.read_bytes())]
    page = write_page(tmp_path, [], title="t", pixel_scale=None, bands=(), dreams=strips).read_text("utf-8")
    assert page.count('<figure class="film">') == 1 and "<b>" not in page
    assert "from −1.50 to 4.00 in 8 steps" in describe_film(one) and "dream of" in page
    bare = write_page(tmp_path, [], title="t", pixel_scale=None, bands=()).read_text("utf-8")
    assert "dream of" not in bare
