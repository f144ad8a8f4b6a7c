"""Read a user's own pictures of events: loose PNG files, class folders, archives, the golden set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lensjax.data.gravity_spy import training_set
from lensjax.data.gravity_spy.event_index import class_named
from lensjax.data.gravity_spy.list_files import WINDOW_NAME, PictureProblem
from lensjax.data.gravity_spy.spectrograms import encode_rgb, read_png
from lensjax.data.images.band_layout import BadInput
from lensjax.data.strain.strain_files import is_strain
from lensjax.event_axes import CLASSES, WINDOWS, Encoding
from lensjax.spectrogram.colour_map import ColourInverter
from lensjax.types import Example

NAMES = "those of an event are named <H1|L1|V1>_<id>_spectrogram_<0.5|1.0|2.0|4.0>.png"


@dataclass(frozen=True)
class PicturedEvent:
    """Four windows as stored, and the class that a folder or archive gives it, if any."""

    id: str
    source: str
    image: np.ndarray  # [4 h w c]
    label: int | None

    @property
    def label_name(self) -> str:
        return "" if self.label is None else CLASSES[self.label]


def read_events(
    inputs: Sequence[Path], size: tuple[int, int], encoding: Encoding
) -> tuple[list[PicturedEvent], list[PictureProblem]]:
    """Read every event in files and folders, and return a line for each that could not be used.

    PNG are grouped by their names, <IFO>_<id>_spectrogram_<window>.png; a folder named after a class labels
    them. `.npz` is the golden set, anything else an archive of the training set.
    """
    events: list[PicturedEvent] = []
    problems: list[PictureProblem] = []
    pictures: list[Path] = []
    for path in map(Path, inputs):
        try:
            if path.is_dir():
                found = sorted(p for p in path.rglob("*.png") if not p.name.startswith("."))
                pictures += found
                if not found:
                    problems.append(
                        PictureProblem("no picture", str(path), f"a folder without pictures; {NAMES}.")
                    )
            elif is_strain(path):
                problems.append(
                    PictureProblem("strain", str(path), "this is strain: give --gps T or --scan.")
                )
            elif path.suffix.lower() == ".png":
                pictures.append(path)
            elif path.suffix.lower() == ".npz":
                events += [_of_example(e, path) for e in training_set.read_golden(path, size, encoding)]
            else:
                archive = training_set.index(path)
                for split in archive.events:
                    events += [
                        _of_example(e, path) for e in training_set.examples(archive, split, size, encoding)
                    ]
                problems += archive.problems
        except ValueError as error:
            problems.append(PictureProblem("unreadable", str(path), f"({error})"))
    pictured, faults = _grouped(pictures, size, encoding)
    return events + pictured, problems + faults


def _of_example(example: Example, path: Path) -> PicturedEvent:
    return PicturedEvent(example["id"], str(path), example["image"], example["label"])


def _grouped(
    pictures: Sequence[Path], size: tuple[int, int], encoding: Encoding
) -> tuple[list[PicturedEvent], list[PictureProblem]]:
    groups: dict[tuple[Path, str], dict[int, Path]] = {}
    problems, inverter = [], ColourInverter()
    for path in pictures:
        match = WINDOW_NAME.fullmatch(path.name)
        if match:
            ifo, key, window = match.groups()
            groups.setdefault((path.parent, f"{ifo}_{key}"), {})[WINDOWS.index(float(window))] = path
        else:
            rule = "is not named <H1|L1|V1>_<id>_spectrogram_<0.5|1.0|2.0|4.0>.png: rename it."
            problems.append(PictureProblem("wrong file name", str(path), rule))
    events = []
    for (folder, key), windows in groups.items():
        lacking = [f"{length} s" for i, length in enumerate(WINDOWS) if i not in windows]
        if lacking:
            what = f"lacks the window {', '.join(lacking)}; an event needs all four."
            problems.append(PictureProblem("missing window", str(folder / key), what))
            continue
        try:
            parts = [_window(windows[i], size, encoding, inverter) for i in range(len(WINDOWS))]
        except BadInput as error:
            problems.append(PictureProblem("unreadable picture", str(folder / key), f"({error})"))
            continue
        label = class_named(folder.name)
        index = CLASSES.index(label) if label in CLASSES else None
        events.append(PicturedEvent(key, str(folder), np.stack(parts), index))
    return events, problems


def _window(path: Path, size: tuple[int, int], encoding: Encoding, inverter: ColourInverter) -> np.ndarray:
    try:
        return encode_rgb(read_png(path.read_bytes()), size, encoding, inverter)
    except BadInput as error:
        raise BadInput(f"{path.name} {error}") from None
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read: {error.strerror}") from None
