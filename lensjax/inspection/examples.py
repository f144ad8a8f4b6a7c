"""Where the images to explain come from: a user's files, or the run's held-out split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lensjax.config import EventData, LensChallengeData, LensData
from lensjax.data.batches.augment import as_float
from lensjax.data.batches.input_transforms import transform_image
from lensjax.data.images.normalise_band import from_simulation, picture
from lensjax.data.images.readers import Problem, read_cutouts
from lensjax.data.store import datasets
from lensjax.event_axes import CLIP
from lensjax.inspection.maps import Item
from lensjax.inspection.restore import Trained
from lensjax.runtime.errors import UserError
from lensjax.simulate.lenses.kinds import ALL_KINDS
from lensjax.types import Example

SIMULATED = "simulated Euclid as lensjax makes it, not what this network was trained on"
SATURATED = f"pictures saturate at energy {CLIP}, which the images this network was trained on do not"


def held_out(trained: Trained, count: int) -> list[Item]:
    """The first examples of the test split, with their truth; the data set is made again if it is gone."""
    source = datasets.load(datasets.prepare(trained.config.data), "test")
    rows = range(min(count, len(source)))
    if trained.published is None:
        return [held_out_item(source[row]) for row in rows]
    simulated = datasets.bands(trained.config.data)
    channels = [simulated.index(band) for band in trained.bands]
    shrink = source.image.shape[1] // trained.published.size
    return [
        with_picture(held_out_item(from_simulation(source[row], channels, shrink), SIMULATED)) for row in rows
    ]


def with_picture(item: Item) -> Item:
    """The same, with a picture of the sky beside an image in [0, 1]."""
    return replace(item, picture=picture(item.image))


def with_evidence(trained: Trained, count: int) -> list[Item]:
    """The first examples of the test split whose true evidence is known: lenses, or events with a glitch.

    Raises:
      UserError: there is none.
    """
    source = datasets.load(datasets.prepare(trained.config.data), "test")
    found: list[Item] = []
    for row in range(len(source)):
        if len(found) < count and (item := held_out_item(source[row])).mask.any():  # type: ignore[union-attr]
            found.append(item)
    if not found:
        raise UserError("no held-out example has a true mask, so no map can be scored: use simulations.")
    return found


def held_out_item(example: Example, source: str = "held-out simulation") -> Item:
    truth = example.get("truth", {})
    kind = ALL_KINDS[int(truth["kind"])].replace("_", " ") if "kind" in truth else ""
    if example["label"] and "source_red" in truth:
        kind += ", red" if truth["source_red"] else ", blue"
    return Item(
        id=example["id"],
        source=source,
        image=as_float(example["image"]),
        label=example["label"],
        position=example["position"],
        mask=example["mask"],
        kind=kind,
    )


def read(trained: Trained, command: Any, out: Path) -> tuple[list[Item], list[Problem]]:
    """What the command line of explain.py names: images of the sky, spectrograms, or strain.

    Raises:
      UserError: the options contradict each other, or the network is not made for such inputs.
    """
    items, problems = _read(trained, command, out)
    return [with_inputs(item, trained) for item in items], problems


def with_inputs(item: Item, trained: Trained) -> Item:
    """A user's image as the network's own were transformed."""
    data = trained.config.data
    kind = datasets.stored_type(data)
    return replace(item, image=transform_image(item.image, data.inputs, item.id, kind))


def _read(trained: Trained, command: Any, out: Path) -> tuple[list[Item], list[Problem]]:
    if command.gps or command.scan or command.detector:
        from lensjax.inspection import strain_events

        return strain_events.items_from_strain(
            trained,
            command.inputs,
            gps=command.gps,
            detector=command.detector,
            candidates=out / "candidates.csv" if command.scan else None,
            min_energy=command.min_energy,
        )
    if trained.events is None:
        return from_files(
            trained,
            command.inputs,
            source_pixel_scale=command.pixel_scale,
            hdus=command.hdus,
            centre=command.centre,
            catalogue=command.catalogue,
        )
    return from_spectrograms(trained, command.inputs)


def from_spectrograms(trained: Trained, inputs: Sequence[Path]) -> tuple[list[Item], list[Problem]]:
    """Events from official spectrogram images: folders of four PNG an event, archives, or golden .npz."""
    from lensjax.data.gravity_spy.event_files import read_events

    data = trained.config.data
    assert not isinstance(data, LensData | LensChallengeData)  # `read` has seen that these are events
    if isinstance(data, EventData) and data.plane == "all":
        raise UserError(
            "a picture shows one Q plane, and this network (data.plane all) wants four: give it strain."
        )
    found, problems = read_events(inputs, data.size, data.encoding)
    notes = (SATURATED,) if isinstance(data, EventData) and data.encoding == "log" else ()
    items = [
        Item(event.id, event.source, as_float(event.image), event.label, kind=event.label_name, notes=notes)
        for event in found
    ]
    return items, [Problem(problem.where, problem.what) for problem in problems]


def from_files(
    trained: Trained,
    inputs: Sequence[Path],
    *,
    source_pixel_scale: float | None,
    hdus: Sequence[str],
    centre: tuple[float, float] | None,
    catalogue: Path | None,
) -> tuple[list[Item], list[Problem]]:
    """A user's images on the network's grid, and a line for each that could not be used."""
    data = trained.config.data
    assert (
        isinstance(data, LensData | LensChallengeData) and trained.pixel_scale is not None
    )  # as `read` has seen
    published = trained.published
    cutouts, problems = read_cutouts(
        list(inputs),
        bands=trained.bands,
        pixel_scale=trained.pixel_scale,
        size=data.size if published is None else published.size,
        units="sigma" if published is None else "min_max",
        source_pixel_scale=source_pixel_scale,
        hdus=hdus,
        centre=centre,
        catalogue=catalogue,
        classes=trained.classes,
    )
    items = [Item(c.id, c.source, c.image, c.label, c.position, notes=c.notes) for c in cutouts]
    return (items if published is None else [with_picture(item) for item in items]), problems
