"""Read the images to explain: a user's files, or the run's held-out split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lensjax.data.batches.input_transforms import transform_image
from lensjax.data.images.normalise_band import from_simulation, picture
from lensjax.data.images.readers import Problem, read_cutouts
from lensjax.data.store import datasets
from lensjax.domain import domain_of
from lensjax.event_axes import CLIP
from lensjax.inspection.maps import Item
from lensjax.inspection.options import ExplainOptions
from lensjax.inspection.restore import Trained
from lensjax.ops.stored_images import to_float32
from lensjax.runtime.errors import UserError
from lensjax.simulate.lenses.kinds import ALL_KINDS
from lensjax.specs import MethodSpec
from lensjax.types import Example

BACKGROUND = 64
"""Images that expected gradients compare with."""
SIMULATED = "simulated Euclid as lensjax makes it, not what this network was trained on"
SATURATED = f"pictures saturate at energy {CLIP}, which the images this network was trained on do not"


def held_out(trained: Trained, count: int) -> list[Item]:
    """Load the first test examples, with their truth; the data set is made again if it is gone."""
    source = datasets.load(datasets.prepare(trained.config.data), "test")
    rows = range(min(count, len(source)))
    if trained.published is None:
        return [held_out_item(source[row]) for row in rows]
    simulated = domain_of(trained.config.data).bands
    channels = [simulated.index(band) for band in trained.bands]
    shrink = source.image.shape[1] // trained.domain.size
    made = (from_simulation(source[row], channels, shrink) for row in rows)
    return [add_picture(held_out_item(example, SIMULATED), trained) for example in made]


def add_picture(item: Item, trained: Trained) -> Item:
    """Add a picture of the sky where the network's own images are in [0, 1]."""
    return replace(item, picture=picture(item.image)) if trained.domain.units == "min_max" else item


def examples_with_evidence(trained: Trained, count: int) -> list[Item]:
    """Load the first test examples whose true evidence is known: lenses, or events with a glitch.

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
    """Turn an example of a data set into an image to explain."""
    truth = example.get("truth", {})
    kind = ALL_KINDS[int(truth["kind"])].replace("_", " ") if "kind" in truth else ""
    if example["label"] and "source_red" in truth:
        kind += ", red" if truth["source_red"] else ", blue"
    return Item(
        id=example["id"],
        source=source,
        image=to_float32(example["image"]),
        label=example["label"],
        position=example["position"],
        mask=example["mask"],
        kind=kind,
    )


def load_background(trained: Trained, methods: Sequence[MethodSpec]) -> np.ndarray | None:
    """Load the images that expected gradients compare with; None where `methods` has none of these.

    They are the first of the validation split. The data set is made again if it is gone.

    Raises:
      UserError: a published network, whose training images are not there.
    """
    if not any(name == "expected_gradients" for _, name, _ in methods):
        return None
    if not trained.domain.can_benchmark:
        raise UserError(
            "expected_gradients compares with images of the training, which published networks come "
            "without: use integrated_gradients."
        )
    source = datasets.load(datasets.prepare(trained.config.data), "validation")
    return np.stack([to_float32(source[row]["image"]) for row in range(min(BACKGROUND, len(source)))])


def read(trained: Trained, options: ExplainOptions, out: Path) -> tuple[list[Item], list[Problem]]:
    """Read what the options name: images of the sky, spectrograms, or strain; a line for each that failed.

    Raises:
      UserError: the options contradict each other, or the network is not made for such inputs.
    """
    if options.gps or options.scan or options.detector:
        from lensjax.inspection import strain_events

        items, problems = strain_events.items_from_strain(
            trained,
            options.inputs,
            gps=options.gps,
            detector=options.detector,
            candidates=out / "candidates.csv" if options.scan else None,
            min_energy=options.min_energy,
        )
    else:
        items, problems = READERS[trained.domain.reader](trained, options)
    return [transform_item(item, trained) for item in items], problems


def transform_item(item: Item, trained: Trained) -> Item:
    """Transform a user's image as the network's own were."""
    data, kind = trained.config.data, trained.domain.stored_type
    return replace(item, image=transform_image(item.image, data.inputs, item.id, kind))


def read_cutout_files(trained: Trained, options: ExplainOptions) -> tuple[list[Item], list[Problem]]:
    """Read images of the sky from the files and with the settings that the options name."""
    return from_files(
        trained,
        options.inputs,
        source_pixel_scale=options.pixel_scale,
        hdus=options.hdus,
        centre=options.centre,
        catalogue=options.catalogue,
    )


def from_files(
    trained: Trained,
    inputs: Sequence[Path],
    *,
    source_pixel_scale: float | None,
    hdus: Sequence[str],
    centre: tuple[float, float] | None,
    catalogue: Path | None,
) -> tuple[list[Item], list[Problem]]:
    """Bring a user's images to the network's grid; a line for each that could not be used."""
    domain = trained.domain
    cutouts, problems = read_cutouts(
        list(inputs),
        bands=domain.bands,
        pixel_scale=domain.pixel_scale,
        size=domain.size,
        units=domain.units,
        source_pixel_scale=source_pixel_scale,
        hdus=hdus,
        centre=centre,
        catalogue=catalogue,
        classes=trained.classes,
    )
    items = [Item(c.id, c.source, c.image, c.label, c.position, notes=c.notes) for c in cutouts]
    return [add_picture(item, trained) for item in items], problems


def read_spectrograms(trained: Trained, options: ExplainOptions) -> tuple[list[Item], list[Problem]]:
    """Read official spectrogram images: folders of four PNG an event, archives, or golden .npz."""
    from lensjax.data.gravity_spy.event_files import read_events

    domain = trained.domain
    if domain.plane == "all":
        raise UserError(
            "a picture shows one Q plane, and this network (data.plane all) wants four: give it strain."
        )
    found, problems = read_events(options.inputs, domain.data.size, domain.encoding)
    notes = (SATURATED,) if domain.encoding == "log" else ()
    items = [
        Item(event.id, event.source, to_float32(event.image), event.label, kind=event.label_name, notes=notes)
        for event in found
    ]
    return items, [Problem(problem.where, problem.what) for problem in problems]


READERS = {"cutouts": read_cutout_files, "spectrograms": read_spectrograms}
"""How a user's files are read, by `Domain.reader`."""
