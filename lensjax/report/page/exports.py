"""What a reader takes away from a card, and how one window of an event is shown by itself."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from lensjax.report.page.filters import esc
from lensjax.report.pixels import Layout

EXAMPLE = "example_{:03d}_"
"""How the files of an example's figure start."""


def addresses(figures: Iterable[Path], page: Path) -> list[str]:
    """Files as addresses relative to the folder of the page."""
    return [quote(Path(os.path.relpath(path, page.parent)).as_posix()) for path in figures]


def links(index: int, files: Sequence[str]) -> str:
    """A button that saves what the card shows as PNG, and the figure of this example where there is one."""
    own = [file for file in files if file.rsplit("/", 1)[-1].startswith(EXAMPLE.format(index))]
    title = "Save the image and the maps as they are shown"
    save = f'<button type="button" class="save" title="{title}">Save PNG</button>'
    figure = f"<span>Figure: {_anchors(own)}</span>" if own else ""
    return f'<span class="exports">{figure}{save}</span>'


def of_the_run(files: Sequence[str]) -> str:
    """A line with the figures that are of no single example."""
    rest = [file for file in files if not file.rsplit("/", 1)[-1].startswith(EXAMPLE[:8])]
    names = dict.fromkeys(file.rsplit(".", 1)[0] for file in rest)
    items = [
        f"{esc(name.rsplit('/', 1)[-1])} ({_anchors([f for f in rest if f.rsplit('.', 1)[0] == name])})"
        for name in names
    ]
    return f'<p class="made">Figures: {", ".join(items)}</p>' if items else ""


def _anchors(files: Sequence[str]) -> str:
    return " ".join(f'<a href="{esc(file)}">{esc(file.rsplit(".", 1)[-1].upper())}</a>' for file in files)


def window_css(layout: Layout) -> str:
    """Custom properties by which page.css cuts one window out of several side by side."""
    if layout.windows == 1:
        return ""
    wide, step = layout.total / layout.width, (layout.width + layout.gap) / layout.width
    return f";--one:{layout.width}/{layout.height};--wide:{wide:.5f};--step:{step:.5f}"
