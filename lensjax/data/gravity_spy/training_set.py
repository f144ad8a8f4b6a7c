"""Read the real Gravity Spy training set as examples, four pictures for each event, in place.

`python -m lensjax.data.gravity_spy.training_set PATH` prints what is there and what is wrong with it.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from lensjax.data.gravity_spy.event_index import DETECTORS, EventArchive, EventFiles, class_named, index
from lensjax.data.gravity_spy.list_files import SPLITS, Fetch, PictureProblem, WindowFile, open_archive
from lensjax.data.gravity_spy.spectrograms import encode_energy, encode_rgb, energy_of_grey, read_png
from lensjax.data.gravity_spy.trigger_table import TriggerRow
from lensjax.data.images.band_layout import BadInput
from lensjax.event_axes import CLASSES, WINDOWS, Encoding
from lensjax.runtime.command_line import run_command
from lensjax.runtime.errors import UserError
from lensjax.spectrogram.colour_map import ColourInverter
from lensjax.types import Example

TRUTH = {
    "snr": "signal-to-noise ratio of the trigger",
    "peak_frequency": "of the trigger, Hz",
    "duration": "of the trigger, s",
    "detector": "0 H1, 1 L1, 2 V1",
}
"""Scalars of `truth`; NaN where no metadata tell."""


def examples(
    archive: EventArchive,
    split: str,
    size: tuple[int, int] = (140, 170),
    encoding: Encoding = "clipped",
    on_problem: str = "skip",
) -> Iterator[Example]:
    """Yield the events of a split as stored, in the order in which their last windows lie in the archive.

    A compressed tar archive is read once from beginning to end.

    Args:
      on_problem: skip leaves out the event and adds the problem to `archive.problems`; refuse stops.

    Raises:
      UserError: unknown split or option; with refuse, any problem, of the index or met while reading.
    """
    if split not in SPLITS:
        raise UserError(f"unknown split '{split}': choose from {', '.join(SPLITS)}.")
    if on_problem not in ("skip", "refuse"):
        raise UserError(f"unknown on_problem '{on_problem}': choose skip or refuse.")
    if on_problem == "refuse" and archive.problems:
        raise _refusal(archive)
    return _examples(archive, archive.events[split], size, encoding, on_problem == "refuse")


def _examples(
    archive: EventArchive,
    events: Sequence[EventFiles],
    size: tuple[int, int],
    encoding: Encoding,
    refuse: bool,
) -> Iterator[Example]:
    windows = [(source, i, event) for event in events for i, source in enumerate(event.sources)]
    windows.sort(key=lambda window: window[0].offset)  # all 0, so unchanged, outside tar archives
    images: defaultdict[str, dict[int, np.ndarray]] = defaultdict(dict)
    failed: set[str] = set()
    inverter = ColourInverter()
    with open_archive(archive.path, archive.layout) as fetch:
        for source, i, event in windows:
            if event.key in failed:
                continue
            try:
                images[event.key][i] = _window(fetch, source, size, encoding, inverter)
            except BadInput as error:
                failed.add(event.key)
                images.pop(event.key, None)
                problem = PictureProblem("unreadable picture", source.name, str(error))
                if problem not in archive.problems:
                    archive.problems.append(problem)
                if refuse:
                    raise _refusal(archive) from None
                continue
            if len(images[event.key]) == len(WINDOWS):
                parts = images.pop(event.key)
                yield _example(event, np.stack([parts[i] for i in range(len(WINDOWS))]))


def _window(
    fetch: Fetch, source: WindowFile, size: tuple[int, int], encoding: Encoding, inverter: ColourInverter
) -> np.ndarray:
    data = fetch(source)
    if isinstance(data, bytes):
        return encode_rgb(read_png(data), size, encoding, inverter)
    grey = data[0] if data.ndim == 3 and len(data) == 1 else data
    if grey.shape != (140, 170) or grey.dtype.kind != "f":
        shape = "×".join(map(str, data.shape))
        raise BadInput(f"holds {shape} {data.dtype}; the set has 140×170 floats: download it again.")
    return encode_energy(energy_of_grey(grey.astype(np.float32)), size, encoding)


def _example(event: EventFiles, image: np.ndarray) -> Example:
    detector = DETECTORS.index(event.ifo) if event.ifo else np.nan
    trigger = event.trigger
    return {
        "image": image,
        "label": CLASSES.index(event.label),
        "position": np.full(2, np.nan, np.float32),
        "mask": np.zeros(image.shape[:-1], bool),
        "id": event.key,
        "truth": {
            "snr": trigger.snr,
            "peak_frequency": trigger.peak_frequency,
            "duration": trigger.duration,
            "detector": float(detector),
        },
    }


def _refusal(archive: EventArchive) -> UserError:
    count = len(archive.problems)
    many = f"{count} problems, the first: " if count > 1 else ""
    fix = (
        "list them with `python -m lensjax.data.gravity_spy.training_set PATH`; "
        "`--data.on-problem skip` leaves them out"
    )
    return UserError(f"'{archive.path}': {many}{archive.problems[0]} ({fix}).")


def report(problems: Sequence[PictureProblem], shown: int = 3) -> str:
    """Count problems by kind, and the first few of each."""
    if not problems:
        return "no problems"
    kinds: defaultdict[str, list[PictureProblem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.kind].append(problem)
    lines = [f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"]
    for kind, found in sorted(kinds.items()):
        lines += [f"  {kind}: {len(found)}", *(f"    {problem}" for problem in found[:shown])]
        lines += [f"    … and {len(found) - shown} more"] if len(found) > shown else []
    return "\n".join(lines)


def fingerprint(archive: EventArchive) -> str:
    """Return twelve hexadecimal digits of the events, their labels, splits, sizes in bytes and metadata."""
    events = (event for split in SPLITS for event in archive.events[split])
    lines = (
        f"{e.split} {e.label} {e.key} {[source.size for source in e.sources]} {e.trigger}" for e in events
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def read_golden(
    path: str | Path, size: tuple[int, int] = (140, 170), encoding: Encoding = "clipped"
) -> list[Example]:
    """Read hand-picked events of the classes in events.CLASSES; .npz of `images` [n 4 h w 3], `label`, `id`.

    Raises:
      UserError: the file is no such archive.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            images, labels, ids = (file[name] for name in ("images", "label", "id"))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"'{path}' is no .npz with images, label and id ({str(error)[:80]}); give the golden set."
        ) from None
    found, inverter = [], ColourInverter()
    for image, name, stem in zip(images, labels, ids, strict=True):
        label = class_named(str(name))
        if label is not None:
            windows = np.stack([encode_rgb(window, size, encoding, inverter) for window in image])
            key = f"golden_{str(stem).split('.')[0]}"
            found.append(_example(EventFiles(key, "", label, "test", (), TriggerRow()), windows))
    return found


def describe(archive: EventArchive) -> str:
    """Describe events by class and split, by detector, and what is wrong."""
    events = [event for split in SPLITS for event in archive.events[split]]
    counts = Counter((event.label, event.split) for event in events)
    labels = [label for label in CLASSES if any(counts[label, split] for split in SPLITS)]
    rows = [["class", *SPLITS]]
    rows += [[label, *(str(counts[label, split]) for split in SPLITS)] for label in labels]
    rows += [["all", *(str(len(archive.events[split])) for split in SPLITS)]]
    width = max(len(row[0]) for row in rows)
    lines = [f"{row[0]:{width}s}" + "".join(f"{cell:>12s}" for cell in row[1:]) for row in rows]
    detectors = Counter(event.ifo or "unknown" for event in events)
    joined = sum(bool(event.trigger.label) for event in events)
    return "\n".join(
        [
            f"{archive.path}: {len(events)} events ({archive.layout}), fingerprint {fingerprint(archive)}",
            *lines,
            "detectors: " + ", ".join(f"{name} {count}" for name, count in sorted(detectors.items())),
            f"in the metadata: {joined} of {len(events)}",
            report(archive.problems),
        ]
    )


@dataclass(frozen=True)
class TrainingSetOptions:
    """Options of the command that lists a set."""

    path: tyro.conf.Positional[Path]
    """Folder in the Kaggle layout, tar archive, or Zenodo HDF5."""
    metadata: str = ""
    """CSV of the training set; by default found beside it."""


def main(options: TrainingSetOptions) -> None:
    """Print the events in a Gravity Spy folder or archive, and what is wrong with it."""
    print(describe(index(options.path, options.metadata)))


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    prog = "python -m lensjax.data.gravity_spy.training_set"
    run_command(main, TrainingSetOptions, prog=prog, description=__doc__, arguments=arguments)


if __name__ == "__main__":
    run()
