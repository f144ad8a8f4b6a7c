"""Measure shortcuts: the accuracy from each of them alone, and the loss when parts of images are exchanged.

    lensjax study shortcuts configs/gravity_spy_demo.py --out runs/shortcuts --seeds 5
    lensjax study shortcuts configs/lens_demo.py --out runs/shortcuts_loss --runs runs/*/seed0

Trains the configuration, and controls that see only a part of every input, over the seeds (keeping finished
runs); with --runs it evaluates those networks instead. Writes table.md, table.json and table.png: predictions
from one number, trained controls, accuracy under swaps of evidence and background, the accuracy on pairs of
equal brightness, and the share of attention and attribution on the true mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.config import Config, Data
from lensjax.config_io import load_config_file
from lensjax.data.batches import input_transforms
from lensjax.data.store import datasets
from lensjax.evaluation import intervals
from lensjax.inspection import examples, maps
from lensjax.inspection.restore import Trained, restore
from lensjax.ops.stored_images import to_float32
from lensjax.report.figures import studies as figures
from lensjax.runtime import jax_setup
from lensjax.runtime.errors import UserError
from lensjax.specs import check_names
from lensjax.studies import common
from lensjax.studies.common import format_spread, markdown_table
from lensjax.studies.maps import swaps
from lensjax.types import Bool, Float, Int

Measured = dict[str, Any]
MeasuredRows = dict[str, list[Measured]]
"""By name, one row a network."""
MAPS = ("attention", "grad_cam", "input_x_gradient")
BINS = 32
"""Number of bins of brightness, with equally many training examples in each."""


@dataclass(frozen=True)
class ShortcutOptions:
    config: common.ConfigFile
    out: common.Out
    seeds: int = 5
    runs: tuple[Path, ...] = ()
    """Workdirs of trained runs to evaluate instead of training; no control is trained then."""
    controls: tuple[str, ...] = tuple(swaps.CUTS)
    """Parts of the input that networks are trained on for comparison."""
    examples: int = 96
    """Held-out examples with evidence whose maps are compared with the true mask."""
    methods: tuple[str, ...] = MAPS
    """Methods of those maps, as for explain.py."""
    jobs: common.Jobs = 1
    chunk: int = 16


def main(options: ShortcutOptions) -> None:
    """Train or restore the networks, try every shortcut on them, and write the tables."""
    jax_setup.prepare(gradients=True)
    base = load_config_file(options.config)
    configs = plan_controls(options, base)
    finished = {("whole", number): workdir for number, workdir in enumerate(options.runs)}
    finished = finished or common.train_runs(options.out, configs, options.jobs)
    data = replace(base.data, inputs=())
    folder = datasets.prepare(data)
    train_set, test = datasets.load(folder, "train"), datasets.load(folder, "test")
    parts: dict[str, MeasuredRows] = {"trained": {}, "swapped": {}, "pairs": {}, "mass": {}}
    for (name, seed), workdir in finished.items():
        trained = restore(workdir)
        check_same_images(trained, data)
        if name != "whole":
            measured = {"trained": {name: measure_control(trained, test, options.chunk)}}
        else:
            measured = {
                "swapped": measure_swaps(trained, test, options.chunk),
                "pairs": measure_pairs(trained, test, options.chunk),
                "mass": measure_background(trained, test, options),
            }
        for part, rows in measured.items():
            for key, row in rows.items():
                parts[part].setdefault(key, []).append({"run": str(workdir), "seed": seed} | row)
    found = {"alone": guess_without_images(train_set, test, base.model.classes)} | parts
    panels = {"accuracy": "accuracy on held-out examples"}
    figure = figures.draw_dots(options.out / "table.png", make_figure_rows(found), panels)
    lines = tabulate_shortcuts(found, test, data)
    common.save_study(options.out, lines, {"base": asdict(base)} | found, [figure])


def plan_controls(options: ShortcutOptions, base: Config) -> dict[common.NamedSeed, Config]:
    """Return the configurations to train by (name, seed), seed by seed; none where runs are given.

    Raises:
      UserError: an unknown control.
    """
    check_names("control", options.controls, swaps.CUTS)
    if options.runs:
        return {}

    def see_part(name: str) -> common.Edit:
        return lambda config: replace(
            config, data=replace(config.data, inputs=(*config.data.inputs, swaps.CUTS[name]))
        )

    edits = {"whole": lambda config: config} | {name: see_part(name) for name in options.controls}
    return common.plan_runs(base, edits, options.seeds)


def check_same_images(trained: Trained, data: Data) -> None:
    """Check that a run's images are of the kind of the configuration's test set.

    Raises:
      UserError: the run was trained on images of another kind.
    """
    theirs, data = (replace(one, inputs=()) for one in (trained.config.data, data))
    if datasets.image_shape(theirs) != datasets.image_shape(data) or type(theirs) is not type(data):
        raise UserError(f"'{trained.workdir}' was trained on other images than the configuration's.")


# ---- numbers ----------------------------------------------------------------------------------------------


def measure_accuracy(right: np.ndarray) -> Measured:
    """Return the share that is right, with its Wilson interval."""
    low, high = intervals.wilson(int(right.sum()), len(right))
    return {"accuracy": float(right.mean()), "low": low, "high": high, "n": len(right)}


def guess_without_images(
    train_set: datasets.Source, test: datasets.Source, classes: Sequence[str]
) -> dict[str, Measured]:
    """Return the best guess from one number and nothing else; `chance` always names the commonest class."""
    numbers: dict[str, tuple[np.ndarray, np.ndarray, int | None]] = {
        "brightness": (sum_brightness(train_set), sum_brightness(test), BINS)
    }
    names = {"q_plane": "Q plane", "detector": "detector", "artefact": "artefact", "noise_factor": "depth"}
    for key, name in names.items():
        if key in train_set.truth:
            values = train_set.truth[key].astype(float), test.truth[key].astype(float)
            numbers[name] = (*values, BINS if key == "noise_factor" else None)
    commonest = np.bincount(train_set.label, minlength=len(classes)).argmax()
    found = {"chance": measure_accuracy(test.label == commonest)}
    for name, (train, held, bins) in numbers.items():
        found[name] = measure_accuracy(guess_from_number(train, train_set.label, held, bins) == test.label)
    return found


def measure_control(trained: Trained, test: datasets.Source, chunk: int) -> Measured:
    """Return the accuracy of a network on what it is trained to see, and where no evidence is left."""
    said = common.predict_images(trained, swaps.read_images(test), chunk).classes
    seen = swaps.cut_inputs(*trained.config.data.inputs)(test, np.random.default_rng(0))
    return measure_accuracy(said == test.label) | measure_blank(said == test.label, seen.blank)


def measure_blank(right: np.ndarray, blank: np.ndarray | None) -> Measured:
    """Return the accuracy on examples that lost all their evidence."""
    return {"blank": measure_accuracy(right[blank])} if blank is not None and blank.any() else {}


def measure_swaps(trained: Trained, test: datasets.Source, chunk: int) -> dict[str, Measured]:
    """Return the accuracy under every swap, without training; the class of the evidence is the right one."""
    found = {}
    makers = swaps.PLAIN | (swaps.WITH_TRUTH if swaps.has_evidence(test).any() else {})
    for name, make in makers.items():
        made = make(test, np.random.default_rng(0))
        said = common.predict_images(trained, made.images, chunk).classes
        right = said == test.label[made.rows]
        found[name] = measure_accuracy(right) | measure_blank(right, made.blank)
        if made.background is not None:
            found[name]["named background"] = float((said == made.background).mean())
    return found


def measure_pairs(trained: Trained, test: datasets.Source, chunk: int) -> dict[str, Measured]:
    """Return the pairs of different classes told apart: of nearly equal brightness, and drawn at random."""
    logits = common.predict_images(trained, swaps.read_images(test), chunk).logits
    matched, random = match_pairs(sum_brightness(test), test.label, np.random.default_rng(0))
    return {
        "pairs of equal brightness": measure_accuracy(tell_apart(logits, test.label, matched)),
        "pairs at random": measure_accuracy(tell_apart(logits, test.label, random)),
    }


def measure_background(
    trained: Trained, test: datasets.Source, options: ShortcutOptions
) -> dict[str, Measured]:
    """Return the share of each map's positive part on the background, mean over examples with evidence."""
    rows = np.flatnonzero(swaps.has_evidence(test))
    specs = trained.config.data.inputs
    items = [examples.held_out_item(input_transforms.transform(test[int(row)], specs)) for row in rows]
    items = [item for item in items if item.mask is not None and item.mask.any()][: options.examples]
    if not items:
        return {}
    methods = common.read_methods(options.methods, trained)
    chunk = min(8, options.chunk)
    values, _ = common.make_maps(trained, items, methods, target="predicted", chunk=chunk)
    scored = maps.score(items, values)
    found = {name: {"background": 1 - float(np.nanmean(s["energy_inside"]))} for name, s in scored.items()}
    chance = 1 - float(np.mean([item.mask.mean() for item in items if item.mask is not None]))
    return {"area of the background": {"background": chance}} | found


# ---- guesses from one number, and pairs ----


def sum_brightness(source: datasets.Source) -> Float[np.ndarray, "n"]:
    """Return the sum of the values of each image as a network sees it."""
    return np.array([float(to_float32(source[row]["image"]).sum()) for row in range(len(source))])


def guess_from_number(
    train: Float[np.ndarray, "n"],
    label: Int[np.ndarray, "n"],
    test: Float[np.ndarray, "m"],
    bins: int | None = None,
) -> Int[np.ndarray, "m"]:
    """Return the commonest class of the training set in each bin of a number, or at each value.

    NaN has a class of its own. Bins hold equally many; a value that training never saw gets the commonest
    class of all.
    """
    if bins:
        edges = np.quantile(train, np.linspace(0, 1, bins + 1)[1:-1])
        train, test = (np.searchsorted(edges, x).astype(np.float64) for x in (train, test))
    known = np.unique(train[~np.isnan(train)])
    common = {float(key): int(np.bincount(label[train == key]).argmax()) for key in known}
    unknown = label[np.isnan(train)] if np.isnan(train).any() else label
    rest = int(np.bincount(unknown).argmax())
    return np.array([common.get(float(value), rest) for value in test], np.int64)


def match_pairs(
    value: Float[np.ndarray, "n"], label: Int[np.ndarray, "n"], rng: np.random.Generator
) -> tuple[Int[np.ndarray, "n 2"], Int[np.ndarray, "n 2"]]:
    """Pair each example with the one of another class nearest in a number, and with one drawn at random."""
    near, drawn = [], []
    for row in range(len(label)):
        others = np.flatnonzero(label != label[row])
        near.append((row, int(others[np.abs(value[others] - value[row]).argmin()])))
        drawn.append((row, int(rng.choice(others))))
    return np.array(near), np.array(drawn)


def tell_apart(
    logits: Float[np.ndarray, "n k"], label: Int[np.ndarray, "n"], pairs: Int[np.ndarray, "p 2"]
) -> Bool[np.ndarray, "p"]:
    """Say whether of a pair of classes a and b the one of class a has the larger logit(a) − logit(b)."""
    i, j = pairs.T
    a, b = label[i], label[j]
    return (logits[i, a] - logits[i, b]) > (logits[j, a] - logits[j, b])


# ---- tables -----------------------------------------------------------------------------------------------


def tabulate_shortcuts(found: Mapping[str, Any], test: datasets.Source, data: Data) -> list[str]:
    """Return Markdown: what each shortcut alone buys, what swaps cost, pairs, and maps."""
    left, named = "where no evidence is left in it", "names the background's class"
    alone = [
        (name, f"{row['accuracy']:.3f}", format_interval([row]), "") for name, row in found["alone"].items()
    ]
    alone += [
        (f"{name}, trained", *format_accuracy(rows), format_blank(rows))
        for name, rows in found["trained"].items()
    ]
    if "detector" not in found["alone"] and getattr(data, "name", "") == "simulated_events":
        alone.append(("detector", "not in simulated data", "", ""))
    swapped = []
    for name, rows in found["swapped"].items():
        taken = [row["named background"] for row in rows if "named background" in row]
        swapped.append((name, *format_accuracy(rows), format_blank(rows), format_spread(taken, 3)))
    if "evidence removed" not in found["swapped"]:
        swapped.append(("evidence and background apart", "no true masks in these data", "", "", ""))
    pairs = [(name, *format_accuracy(rows)) for name, rows in found["pairs"].items()]
    lines = [
        f"{len(test):,} held-out examples; mean ± s.d. over networks, Wilson interval of the mean.",
        "",
        *markdown_table(("from this alone", "accuracy", "95 %", left), alone),
        "",
        *markdown_table(("trained on whole inputs, tested on", "accuracy", "95 %", left, named), swapped),
        "",
        *markdown_table(("pairs of two classes", "told apart", "95 %"), pairs),
    ]
    mass = [
        (name, format_spread([row["background"] for row in rows], 3)) for name, rows in found["mass"].items()
    ]
    return [*lines, "", *markdown_table(("map", "share on the background"), mass)] if mass else lines


def format_accuracy(rows: Sequence[Measured]) -> tuple[str, str]:
    """Format the accuracy of several networks, and its interval."""
    return format_spread([row["accuracy"] for row in rows], 3), format_interval(rows)


def format_blank(rows: Sequence[Measured]) -> str:
    """Format the accuracy on examples that lost all their evidence, its interval, and how many they are."""
    blank = [row["blank"] for row in rows if "blank" in row]
    if not blank:
        return ""
    accuracy, interval = format_accuracy(blank)
    return f"{accuracy} ({interval}; {blank[0]['n']})"


def format_interval(rows: Sequence[Measured]) -> str:
    """Format the Wilson interval of the mean accuracy on one test set: seeds share its examples."""
    n = rows[0]["n"]
    low, high = intervals.wilson(float(np.mean([row["accuracy"] for row in rows])) * n, n)
    return f"{low:.3f}–{high:.3f}"


def make_figure_rows(found: Mapping[str, Any]) -> MeasuredRows:
    """Return one line a row of the figure."""
    rows: MeasuredRows = {
        f"{name} alone" if name != "chance" else name: [row] for name, row in found["alone"].items()
    }
    rows |= {f"{name}, trained on that": each for name, each in found["trained"].items()}
    return rows | {f"tested on: {name}": each for name, each in found["swapped"].items()}


run = common.make_command("shortcuts", main, ShortcutOptions, __doc__)

if __name__ == "__main__":
    run()
