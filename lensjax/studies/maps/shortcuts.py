"""What a network might use and should not: how much accuracy each shortcut alone buys, and what a swap costs.

    python -m lensjax.studies.maps.shortcuts configs/gravity_spy_demo.py --out runs/shortcuts --seeds 5
    python -m lensjax.studies.maps.shortcuts configs/lens_demo.py --out runs/shortcuts_loss --runs \\
        runs/*/seed0

Trains the configuration, and controls that see only a part of every input, over the seeds (a finished run is
kept); with --runs it evaluates those networks instead, however they were trained. Writes table.md, table.json
and table.png: guesses from one number, trained controls, accuracy under swaps of evidence and background,
pairs of equal brightness told apart, and where attention and attribution lie against the true mask.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from lensjax.config import Config, Data
from lensjax.config_io import load_config_file
from lensjax.data.batches import input_transforms
from lensjax.data.store import datasets
from lensjax.evaluation import intervals
from lensjax.explain import parse
from lensjax.inspection import examples as items
from lensjax.inspection import maps as explained
from lensjax.inspection.restore import Trained, restore
from lensjax.report.figures import studies as pictures
from lensjax.runtime import jax_setup, logs
from lensjax.runtime.errors import UserError
from lensjax.specs import check_names
from lensjax.studies.maps import swaps
from lensjax.studies.maps.shortcut_tables import Row, Rows, drawn, table_lines
from lensjax.training.subprocesses import train_all

MAPS = ("attention", "grad_cam", "input_x_gradient")
BINS = 32
"""Of brightness, with equally many training examples in each."""


@dataclass(frozen=True)
class Command:
    config: Annotated[Path, tyro.conf.Positional]
    """Configuration file."""
    out: Path
    """Folder of the runs and the table."""
    seeds: int = 5
    runs: tuple[Path, ...] = ()
    """Workdirs of trained runs to evaluate instead of training; no control is trained then."""
    controls: tuple[str, ...] = tuple(swaps.CUTS)
    """Parts of the input that networks are trained on for comparison."""
    examples: int = 96
    """Held-out examples with evidence whose maps are held against the true mask."""
    methods: tuple[str, ...] = MAPS
    """Of those maps, as for explain.py."""
    jobs: int = 1
    """Trainings at once, each on its share of the cores."""
    chunk: int = 16


def main(command: Command) -> None:
    jax_setup.prepare(gradients=True)
    base = load_config_file(command.config)
    configs = plan(command, base)
    finished = train(command, configs)
    data = plain(base.data)
    folder = datasets.prepare(data)
    train_set, test = datasets.load(folder, "train"), datasets.load(folder, "test")
    guesses = alone(train_set, test, base.model.classes)
    trained_rows: Rows = {}
    swapped: Rows = {}
    apart: Rows = {}
    mass: Rows = {}
    for (name, seed), workdir in finished.items():
        trained = restore(workdir)
        check(trained, data)
        label = {"run": str(workdir), "seed": seed}
        if name != "whole":
            trained_rows.setdefault(name, []).append(label | control(trained, test, command.chunk))
            continue
        for key, row in under_swaps(trained, test, command.chunk).items():
            swapped.setdefault(key, []).append(label | row)
        for key, row in pairs(trained, test, command.chunk).items():
            apart.setdefault(key, []).append(label | row)
        for key, row in background_mass(trained, test, command).items():
            mass.setdefault(key, []).append(label | row)
    found = {"alone": guesses, "trained": trained_rows, "swapped": swapped, "pairs": apart, "mass": mass}
    lines = table_lines(found, test, data)
    result = {"command": shlex.join(sys.argv), "environment": logs.environment(), "base": asdict(base)}
    command.out.mkdir(parents=True, exist_ok=True)
    logs.write_json(command.out / "table.json", result | found)
    (command.out / "table.md").write_text("\n".join(lines) + "\n")
    pictures.dots(command.out / "table.png", drawn(found), {"accuracy": "accuracy on held-out examples"})
    print("\n".join(lines))
    print(f"\ntable: {command.out / 'table.md'}\nplot:  {command.out / 'table.png'}")


def plain(data: Data) -> Data:
    """The data before any transformation of the inputs."""
    return replace(data, inputs=())


def plan(command: Command, base: Config) -> dict[tuple[str, int], Config]:
    """Configurations to train by (name, seed), seed by seed; none where runs are given.

    Raises:
      UserError: an unknown control.
    """
    check_names("control", command.controls, swaps.CUTS)
    if command.runs:
        return {}
    found = {}
    for seed in range(command.seeds):
        found["whole", seed] = replace(base, seed=seed)
        for name in command.controls:
            specs = (*base.data.inputs, swaps.CUTS[name])
            found[name, seed] = replace(base, seed=seed, data=replace(base.data, inputs=specs))
    return found


def train(command: Command, configs: Mapping[tuple[str, int], Config]) -> dict[tuple[str, int], Path]:
    if command.runs:
        return {("whole", number): workdir for number, workdir in enumerate(command.runs)}
    places = [command.out / name.replace(" ", "_") / f"seed{seed}" for name, seed in configs]
    done = train_all(dict(zip(places, configs.values(), strict=True)), command.jobs)
    return dict(zip(configs, done, strict=True))


def check(trained: Trained, data: Data) -> None:
    """A run is evaluated on the configuration's test set: its images must be of that kind.

    Raises:
      UserError: the run was trained on images of another kind.
    """
    theirs, data = plain(trained.config.data), plain(data)
    if datasets.image_shape(theirs) != datasets.image_shape(data) or type(theirs) is not type(data):
        raise UserError(f"'{trained.workdir}' was trained on other images than the configuration's.")


# ---- numbers ----------------------------------------------------------------------------------------------


def logits_of(trained: Trained, images: Sequence[np.ndarray], chunk: int) -> np.ndarray:
    """Logits [n k] of images before the run's own transformation of its inputs."""
    specs, kind = trained.config.data.inputs, trained.domain.stored_type
    ready = [
        input_transforms.transform_image(image, specs, str(row), kind) for row, image in enumerate(images)
    ]
    return np.asarray(explained.predict_images(trained, ready, chunk).logits)


def accuracy(right: np.ndarray) -> Row:
    low, high = intervals.wilson(int(right.sum()), len(right))
    return {"accuracy": float(right.mean()), "low": low, "high": high, "n": len(right)}


def alone(train_set: datasets.Source, test: datasets.Source, classes: Sequence[str]) -> dict[str, Row]:
    """The best guess from one number and nothing else; `chance` always names the commonest class."""
    numbers: dict[str, tuple[np.ndarray, np.ndarray, int | None]] = {
        "brightness": (swaps.brightness(train_set), swaps.brightness(test), BINS)
    }
    names = {"q_plane": "Q plane", "detector": "detector", "artefact": "artefact", "noise_factor": "depth"}
    for key, name in names.items():
        if key in train_set.truth:
            values = train_set.truth[key].astype(float), test.truth[key].astype(float)
            numbers[name] = (*values, BINS if key == "noise_factor" else None)
    commonest = np.bincount(train_set.label, minlength=len(classes)).argmax()
    found = {"chance": accuracy(test.label == commonest)}
    for name, (train, held, bins) in numbers.items():
        found[name] = accuracy(swaps.lookup(train, train_set.label, held, bins) == test.label)
    return found


def control(trained: Trained, test: datasets.Source, chunk: int) -> Row:
    """Accuracy of a network on what it is trained to see, and where no evidence is left in that."""
    said = logits_of(trained, swaps.whole(test, np.random.default_rng(0)).images, chunk).argmax(-1)
    seen = swaps.cut(*trained.config.data.inputs)(test, np.random.default_rng(0))
    return accuracy(said == test.label) | without_evidence(said == test.label, seen.blank)


def without_evidence(right: np.ndarray, blank: np.ndarray | None) -> Row:
    """The accuracy on examples that lost all their evidence."""
    return {"blank": accuracy(right[blank])} if blank is not None and blank.any() else {}


def under_swaps(trained: Trained, test: datasets.Source, chunk: int) -> dict[str, Row]:
    """Accuracy under every swap, without training anew; the class of the evidence is the right one."""
    found = {}
    makers = swaps.PLAIN | (swaps.WITH_TRUTH if swaps.has_evidence(test).any() else {})
    for name, make in makers.items():
        made = make(test, np.random.default_rng(0))
        said = logits_of(trained, made.images, chunk).argmax(-1)
        right = said == test.label[made.rows]
        found[name] = accuracy(right) | without_evidence(right, made.blank)
        if made.background is not None:
            found[name]["named background"] = float((said == made.background).mean())
    return found


def pairs(trained: Trained, test: datasets.Source, chunk: int) -> dict[str, Row]:
    """Pairs of different classes told apart: of nearly equal brightness, and drawn at random."""
    logits = logits_of(trained, swaps.whole(test, np.random.default_rng(0)).images, chunk)
    matched, random = swaps.matched_pairs(swaps.brightness(test), test.label, np.random.default_rng(0))
    return {
        "pairs of equal brightness": accuracy(swaps.told_apart(logits, test.label, matched)),
        "pairs at random": accuracy(swaps.told_apart(logits, test.label, random)),
    }


def background_mass(trained: Trained, test: datasets.Source, command: Command) -> dict[str, Row]:
    """Share of each map's positive part that lies on the background, mean over examples with evidence."""
    rows = np.flatnonzero(swaps.has_evidence(test))
    specs = trained.config.data.inputs
    shown = [items.held_out_item(input_transforms.transform(test[int(row)], specs)) for row in rows]
    shown = [item for item in shown if item.mask is not None and item.mask.any()][: command.examples]
    if not shown:
        return {}
    has_gate = bool(trained.config.model.attention.at)
    methods = [(text, *parse(text)) for text in command.methods if has_gate or text != "attention"]
    maps = explained.explain(
        trained,
        shown,
        explained.predict(trained, shown, command.chunk),
        methods,
        target="predicted",
        chunk=min(8, command.chunk),
        seed=0,
        progress=logs.progress,
    )
    scored = explained.score(shown, maps)
    found = {name: {"background": 1 - float(np.nanmean(s["energy_inside"]))} for name, s in scored.items()}
    chance = 1 - float(np.mean([item.mask.mean() for item in shown if item.mask is not None]))
    return {"area of the background": {"background": chance}} | found


if __name__ == "__main__":
    try:
        main(tyro.cli(Command, prog="python -m lensjax.studies.maps.shortcuts", description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on from what is saved.")
