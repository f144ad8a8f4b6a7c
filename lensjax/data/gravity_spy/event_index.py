"""Group pictures into events of four windows with one class and one split, and report the others."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lensjax.data.gravity_spy.list_files import SPLITS, ListedWindow, PictureProblem, WindowFile, list_sources
from lensjax.data.gravity_spy.trigger_table import TriggerRow, read_triggers
from lensjax.event_axes import CLASSES, WINDOWS
from lensjax.runtime.errors import UserError

DETECTORS = ("H1", "L1", "V1")
# Of the golden pictures, where leaving out case and underscores does not give the class.
_OTHER_NAMES = {
    "1080line": "1080Lines",
    "1400ripple": "1400Ripples",
    "lowfreqburst": "Low_Frequency_Burst",
    "lowfreqline": "Low_Frequency_Lines",
    "noa": "None_of_the_Above",
}
_CLASS = {name.lower().replace("_", ""): name for name in CLASSES} | _OTHER_NAMES


@dataclass(frozen=True)
class EventFiles:
    """The four windows of one event."""

    key: str
    """<IFO>_<id>; the id alone if the detector is unknown."""
    ifo: str
    label: str
    split: str
    sources: tuple[WindowFile, ...]
    """In the order of WINDOWS."""
    trigger: TriggerRow


@dataclass(frozen=True)
class EventArchive:
    """The events at a path. `examples` adds the problems that it meets to `problems`."""

    path: Path
    layout: str
    """folder, tar or hdf5."""
    events: dict[str, list[EventFiles]]
    """By split, sorted by key."""
    problems: list[PictureProblem]


def class_named(name: str) -> str | None:
    """Return the class in CLASSES that a name means: KoiFish is Koi_Fish, NOA is None_of_the_Above."""
    return _CLASS.get(name.lower().replace("_", "").replace(" ", ""))


def index(path: str | Path, metadata: str | Path = "") -> EventArchive:
    """List the events of the Kaggle folder, a tar archive of it, or the Zenodo HDF5. No picture is read.

    Args:
      metadata: CSV of the training set; by default the one `*metadata*.csv` in the folder or beside the file.

    Raises:
      UserError: the path is empty, it or the metadata cannot be read, or there is no picture at all.
    """
    if not str(path).strip():
        raise UserError("data.path is empty: give --data.path FOLDER_OR_ARCHIVE.")
    path = Path(path)
    layout, entries, problems = list_sources(path)
    if not entries and not problems:
        layouts = "train/train/<Label>/*.png, a tar archive of it, or HDF5 label/split/id/0.5.png"
        raise UserError(f"'{path}' holds no picture of an event; give {layouts}.")
    triggers = read_triggers(metadata, path)
    entries, unknown = _known([_joined(entry, triggers) for entry in entries])
    groups, twice = _grouped(entries)
    problems += unknown + twice
    places: dict[str, list[tuple[str, str]]] = {}
    for key, split, label in groups:
        places.setdefault(key, []).append((split, label))
    events: dict[str, list[EventFiles]] = {split: [] for split in SPLITS}
    for key in sorted(places):
        trigger = triggers.get(_id(key), TriggerRow())
        whole = {place for place in places[key] if len(groups[key, *place]) == len(WINDOWS)}
        copies, faults = _one_label(key, places[key], whole, trigger)
        problems += faults
        if copies:
            split, label = copies[0]
            windows = groups[key, split, label]
            lacking = [f"{window} s" for i, window in enumerate(WINDOWS) if i not in windows]
            if lacking:
                what = f"lacks the window {', '.join(lacking)}; an event needs all four: copy it again."
                problems.append(PictureProblem("missing window", f"{split}/{label}/{key}", what))
            else:
                sources = tuple(windows[i] for i in range(len(WINDOWS)))
                ifo = key.split("_")[0] if key[:3] in [f"{d}_" for d in DETECTORS] else ""
                events[split].append(EventFiles(key, ifo, label, split, sources, trigger))
    return EventArchive(path, layout, events, problems)


def _id(key: str) -> str:
    return key.split("_", 1)[-1]


def _joined(entry: ListedWindow, triggers: dict[str, TriggerRow]) -> ListedWindow:
    """Add the split and the detector from the metadata if the picture's path does not give them."""
    trigger = triggers.get(entry.id, TriggerRow())
    split = trigger.split if trigger.split in SPLITS else ""
    ifo = trigger.ifo if trigger.ifo in DETECTORS else ""
    return replace(entry, split=entry.split or split, ifo=entry.ifo or ifo)


def _known(entries: Sequence[ListedWindow]) -> tuple[list[ListedWindow], list[PictureProblem]]:
    """Return entries of a known class and split, and a line for each folder or event left out."""
    known, classes, splits = [], Counter[str](), Counter[str]()
    for entry in entries:
        label = class_named(entry.label)
        if label is None:
            classes[entry.label] += 1
        elif not entry.split:
            splits[entry.label] += 1
        else:
            known.append(replace(entry, label=label))
    problems = []
    for name, count in sorted(classes.items()):
        near = difflib.get_close_matches(name, CLASSES, 1)
        hint = f"did you mean {near[0]}?" if near else f"the classes are {', '.join(CLASSES)}."
        problems.append(
            PictureProblem("unknown class", name, f"is no class ({count} pictures left out): {hint}")
        )
    for name, count in sorted(splits.items()):
        rule = "put it in train, validation or test, or give metadata with a sample_type for each id."
        problems.append(PictureProblem("unknown split", name, f"has {count} pictures in no split: {rule}"))
    return known, problems


def _grouped(
    entries: Sequence[ListedWindow],
) -> tuple[dict[tuple[str, str, str], dict[int, WindowFile]], list[PictureProblem]]:
    """Group windows by (key, split, label), and return a line for each picture that is there twice."""
    groups: dict[tuple[str, str, str], dict[int, WindowFile]] = {}
    problems = []
    for entry in entries:
        key = f"{entry.ifo}_{entry.id}" if entry.ifo else entry.id
        windows = groups.setdefault((key, entry.split, entry.label), {})
        first = windows.setdefault(entry.window, entry.source)
        if first != entry.source:
            what = f"is a second copy of {first.name}, which is kept."
            problems.append(PictureProblem("duplicate picture", entry.source.name, what))
    return groups, problems


def _one_label(
    key: str, places: list[tuple[str, str]], whole: set[tuple[str, str]], trigger: TriggerRow
) -> tuple[list[tuple[str, str]], list[PictureProblem]]:
    """Return the places (split, label) of an event under the one label that holds; the first is kept.

    Those in `whole`, where all windows are, come before the others.
    """
    places = sorted(places, key=lambda place: (place not in whole, SPLITS.index(place[0]), place[1]))
    labels = sorted({label for _, label in places})
    told = class_named(trigger.label)
    problems = []
    if len(labels) > 1:
        where = " and ".join(f"{split}/{label}" for split, label in places)
        kept = f"{told} is kept, as in the metadata" if told in labels else "left out: delete the wrong one"
        problems.append(PictureProblem("two labels", key, f"is in {where}; {kept}."))
        places = [place for place in places if place[1] == told]
    elif told is not None and told != labels[0]:
        what = f"is in {labels[0]}, {told} in the metadata, perhaps of another version; {labels[0]} is kept."
        problems.append(PictureProblem("other label", key, what))
    if len(places) > 1:
        others = " and ".join(
            split + (", lacking a window" if (split, label) not in whole else "")
            for split, label in places[1:]
        )
        what = f"is in {places[0][0]} and again in {others}; the copy in {places[0][0]} is kept."
        problems.append(PictureProblem("duplicate event", key, what))
    return places, problems
