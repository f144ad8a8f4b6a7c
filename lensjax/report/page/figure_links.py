"""Figures beside the page: how their files are named, and their addresses relative to the page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

EXAMPLE = "example_{:03d}_"
"""How the files of an example's figure start."""


@dataclass(frozen=True)
class FigureFile:
    """A file as the page links to it."""

    address: str
    """Quoted, relative to the folder of the page."""

    @property
    def name(self) -> str:
        """File name without its ending."""
        return self.address.rsplit(".", 1)[0].rsplit("/", 1)[-1]

    @property
    def kind(self) -> str:
        """Ending in capitals, as the link is called: PNG."""
        return self.address.rsplit(".", 1)[-1].upper()


def link_files(paths: Iterable[Path], page: Path) -> list[FigureFile]:
    """Return the files as links from a page."""
    return [FigureFile(quote(Path(os.path.relpath(path, page.parent)).as_posix())) for path in paths]


def is_of_example(file: FigureFile, index: int) -> bool:
    """Return whether a file is of the figure of one example."""
    return file.name.startswith(EXAMPLE.format(index))


def group_run_figures(files: Sequence[FigureFile]) -> list[dict[str, Any]]:
    """Return the figures that are of no single example, the files of one figure together."""
    groups: dict[str, list[FigureFile]] = {}
    for file in files:
        if not file.name.startswith(EXAMPLE[:8]):
            groups.setdefault(file.address.rsplit(".", 1)[0], []).append(file)
    return [{"name": group[0].name, "files": group} for group in groups.values()]
