"""Describe each data set: check the values of a configuration and make its `DatasetSpec` from them.

To add a data set: a function here that returns its `DatasetSpec`, and a line in `datasets.spec_of`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lensjax.event_axes import CLASSES, WINDOWS, channels
from lensjax.runtime.errors import UserError
from lensjax.simulate.lenses.artefacts import ARTEFACTS
from lensjax.types import Example

SPLITS = ("train", "validation", "test")
Generate = Callable[[str, int], Iterator[Example]]


@dataclass(frozen=True, kw_only=True)
class DatasetSpec:
    """The content of a data set, and how its examples are made or read."""

    dataset: str
    """Kind of data set: the name of its folder."""
    name: str
    """Of the folder within that, so it holds all that tells it from others."""
    version: str = "1.0.0"
    """Raised whenever the generator's examples change: the old sets then stay apart from the new."""
    counts: dict[str, int]
    """Examples in each split."""
    shape: tuple[int, ...]
    """[*s c] of the image."""
    classes: tuple[str, ...]
    truth: tuple[str, ...]
    """Names of the float32 scalars in `truth`."""
    generate: Generate
    """(split, count) -> examples; the same for the same arguments."""
    seed: int = 0
    dtype: type = np.float16
    """float16, or uint8 for images in [0, 1] times 255."""
    light: bool = False
    """Whether examples have `light`, of the image's shape and type."""
    exact: bool = True
    """Whether `counts` are promised, or the most there can be."""


def check_limits(counts: dict[str, int], **limits: tuple[int, int, int]) -> None:
    """Refuse a value outside its least and most, or an empty split.

    Raises:
      UserError: with the field, its value and the rule.
    """
    limits |= {split: (count, 1, 10**15) for split, count in counts.items()}
    for name, (value, least, most) in limits.items():
        if not least <= value <= most:
            rule = f"at least {least}" if value < least else f"at most {most}"
            raise UserError(f"data.{name} (={value}) must be {rule}.")


def split_by_seed(generate: Callable[[int, int], Iterator[Example]], seed: int) -> Generate:
    """Give a simulator another seed for every pair of seed and split: no scene is in two splits.

    3 · seed + 0, 1, 2 is a 32 bit number in the simulators.
    """
    return lambda split, count: generate(count, 3 * seed + SPLITS.index(split))


def lens_spec(
    *,
    instrument: str,
    size: int,
    train: int,
    validation: int,
    test: int,
    seed: int,
    lens_fraction: float,
    supersampling: int,
    min_theta_e: float = 0.25,
    min_snr: float = 20.0,
    kinds: tuple[str, ...] = (),
    light: bool = False,
    artefacts: tuple[str, ...] = ARTEFACTS,
    generate: Callable[[int, int], Iterator[Example]] | None = None,
    truth: tuple[str, ...] | None = None,
) -> DatasetSpec:
    """Specify simulated lenses. `generate` (count, seed) and `truth` replace the simulator in tests.

    Raises:
      UserError: a value outside its range, or an unknown kind.
    """
    from lensjax.simulate.lenses import kinds as scene_kinds
    from lensjax.simulate.lenses.instruments import INSTRUMENTS

    counts = {"train": train, "validation": validation, "test": test}
    if instrument not in INSTRUMENTS:
        raise UserError(f"unknown instrument '{instrument}': choose from {', '.join(INSTRUMENTS)}.")
    check_limits(counts, seed=(seed, 0, 2**30), size=(size, 16, 4096), supersampling=(supersampling, 1, 16))
    if not 0 <= lens_fraction <= 1:
        raise UserError(f"data.lens_fraction (={lens_fraction}) must lie in [0, 1].")
    scene_kinds.shares(kinds)

    unknown = sorted(set(artefacts) - set(ARTEFACTS))
    if unknown:
        raise UserError(f"unknown data.artefacts {', '.join(unknown)}: choose from {', '.join(ARTEFACTS)}.")

    # Hardly any lens is beyond these: the simulator would draw for ever.
    if not 0 <= min_theta_e <= 1.5 or not 0 <= min_snr <= 200:
        raise UserError(
            f"data.min_theta_e (={min_theta_e}) must lie in [0, 1.5], data.min_snr (={min_snr}) in [0, 200]."
        )

    def simulate(count: int, seed: int) -> Iterator[Example]:
        from lensjax.simulate.lenses.evidence import LensRule
        from lensjax.simulate.lenses.examples import examples

        yield from examples(
            instrument,
            size,
            count,
            seed,
            lens_fraction=lens_fraction,
            supersampling=supersampling,
            rule=LensRule(float(min_theta_e), float(min_snr)),
            light=light,
            artefacts=artefacts,
            kinds=kinds,
        )

    if truth is None:
        from lensjax.simulate.lenses.compound_lenses import ALL_TRUTH
        from lensjax.simulate.lenses.evidence import TRUTH

        truth = tuple(ALL_TRUTH if kinds else TRUTH)
    numbers = "-".join(f"{split}{count}" for split, count in counts.items())
    # Sets of all artefacts keep the name they always had.
    some = [name for name in ARTEFACTS if name in artefacts]
    left = "" if some == [*ARTEFACTS] else "-artefacts_" + ("_".join(some) or "none")
    return DatasetSpec(
        dataset="simulated_lenses",
        name=f"{instrument}_{size}-{numbers}-seed{seed}-lens{float(lens_fraction)}-ss{supersampling}"
        f"-theta{float(min_theta_e)}-snr{float(min_snr)}{'-light' * light}{left}"
        f"{'-kinds_' if kinds else ''}{'+'.join(kinds)}",
        counts=counts,
        seed=seed,
        shape=(size, size, len(INSTRUMENTS[instrument].bands)),
        classes=("non-lens", "lens"),
        truth=truth,
        light=light,
        generate=split_by_seed(generate or simulate, seed),
    )


def event_spec(config: Any) -> DatasetSpec:
    """Specify simulated events from a `config.EventData`.

    Raises:
      UserError: a value outside its range.
    """
    from lensjax.simulate.events import glitches

    counts = {"train": config.train, "validation": config.validation, "test": config.test}
    height, width = config.size
    check_limits(counts, seed=(config.seed, 0, 2**30), size=(min(height, width), 16, 4096))

    def simulate(count: int, seed: int) -> Iterator[Example]:
        yield from glitches.examples(
            count,
            seed,
            size=config.size,
            encoding=config.encoding,
            plane=config.plane,
            balance=config.balance,
        )

    numbers = "-".join(f"{split}{count}" for split, count in counts.items())
    return DatasetSpec(
        dataset="simulated_events",
        version="1.2.0",
        name=f"events_{height}x{width}-{config.encoding}-plane_{config.plane}-{config.balance}-{numbers}"
        f"-seed{config.seed}",
        counts=counts,
        seed=config.seed,
        shape=(len(WINDOWS), height, width, len(channels(config.encoding, config.plane))),
        classes=CLASSES,
        truth=tuple(glitches.TRUTH),
        generate=split_by_seed(simulate, config.seed),
        dtype=np.float16 if config.encoding == "log" else np.uint8,
    )


def gravity_spy_spec(config: Any) -> DatasetSpec:
    """Specify the Gravity Spy set of a `config.GravitySpyData`; the folder or archive is listed, not read.

    Raises:
      UserError: there is no such folder or archive, or it has none of the known layouts.
    """
    from lensjax.data.gravity_spy import training_set

    height, width = config.size
    archive = training_set.index(config.path, config.metadata)
    counts = {split: len(archive.events.get(split, ())) for split in SPLITS}
    empty = [split for split, count in counts.items() if not count]
    if empty:
        raise UserError(f"'{config.path}' has no events for {', '.join(empty)}: all splits are needed.")
    if config.on_problem == "refuse" and archive.problems:
        raise UserError(f"'{config.path}' has problems:\n{training_set.report(archive.problems)}")

    def read(split: str, count: int) -> Iterator[Example]:
        yield from training_set.examples(
            archive, split, size=config.size, encoding=config.encoding, on_problem=config.on_problem
        )
        if split == SPLITS[-1] and archive.problems:
            print(training_set.report(archive.problems), file=sys.stderr, flush=True)

    return DatasetSpec(
        dataset="gravity_spy",
        name=f"gravity_spy_{height}x{width}-{config.encoding}-{training_set.fingerprint(archive)}"
        f"-{config.on_problem}",
        counts=counts,
        shape=(len(WINDOWS), height, width, len(channels(config.encoding))),
        classes=CLASSES,
        truth=tuple(training_set.TRUTH),
        generate=read,
        dtype=np.uint8,
        exact=False,
    )


def transformed_spec(
    plain: DatasetSpec, inputs: Sequence[str], examples: Callable[[str], Iterator[Example]]
) -> DatasetSpec:
    """Specify a set whose inputs are transformed: `examples(split)` are those of the plain one.

    Raises:
      UserError: an unknown transformation, or one that does not suit the images.
    """
    from lensjax.data.batches import input_transforms

    blank: np.ndarray = np.zeros(plain.shape, plain.dtype)
    nowhere = np.full(2, np.nan, np.float32)
    input_transforms.transform(
        Example(image=blank, label=0, position=nowhere, mask=blank[..., 0] > 0, id=""), inputs
    )

    def generate(split: str, count: int) -> Iterator[Example]:
        for example in examples(split):
            yield input_transforms.transform(example, inputs)

    name = f"{plain.name}-inputs_{input_transforms.fingerprint(inputs)}"
    return replace(plain, name=name, generate=generate)


def challenge_spec(config: Any) -> DatasetSpec:
    """Specify the Lens Finding Challenge of a `config.LensChallengeData`; its images are not read.

    Raises:
      UserError: there is no such folder, or it has none of the known layouts; a size larger than its images;
        or a split has no object.
    """
    from lensjax.data.surveys import lens_challenge

    archive = lens_challenge.index(config.path, config.track, config.catalogue)
    track, size = lens_challenge.TRACKS[config.track], config.size
    check_limits({}, size=(size, 16, track.size))
    counts = {split: sum(entry.split == split for entry in archive.entries) for split in SPLITS}
    empty = [split for split, count in counts.items() if not count]
    if empty:
        raise UserError(f"'{config.path}' has no objects for {', '.join(empty)}: all splits are needed.")
    return DatasetSpec(
        dataset="lens_challenge",
        name=f"{archive.track}_{size}-{lens_challenge.fingerprint(archive)}-{config.on_problem}",
        counts=counts,
        shape=(size, size, len(track.bands)),
        classes=("non-lens", "lens"),
        truth=archive.truth,
        generate=lambda split, count: lens_challenge.examples(archive, split, config.on_problem, size),
        exact=False,
    )
