"""Turn mistakes into an edit of all inputs, in the talk's order: explain, propose, apply, retrain, measure.

    lensjax study edits configs/gravity_spy_demo.py --out runs/edits --seeds 5

Trains the configuration over the seeds (keeping finished runs) or takes --before. Explains the mistakes of
those networks on half of the validation split (of lens finders all mistakes, else those on chirps), and saves
the mean map of the mistakes. Finds the edit of a fixed list that flips most mistakes of the other half
without training, applies it (or --edit) to the whole data set through `data.inputs`, and trains again. Counts
the corrected and the new mistakes on the test split, and those from another seed alone as a control. Writes
table.md, table.json, table.png and blame.png.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.tree_util import Partial

from lensjax.config import Config
from lensjax.config_io import changes, load_config_file
from lensjax.data.batches import input_transforms
from lensjax.data.store import datasets
from lensjax.evaluation import intervals, metrics
from lensjax.explain import by_gradient, by_patches, margin
from lensjax.inspection import examples
from lensjax.inspection.restore import Trained, restore
from lensjax.models import Apply
from lensjax.ops.stored_images import to_float32
from lensjax.report.figures import studies as figures
from lensjax.runtime import jax_setup, logs
from lensjax.runtime.errors import UserError
from lensjax.studies import common
from lensjax.studies.common import format_spread, markdown_table
from lensjax.studies.maps import swaps
from lensjax.studies.maps.shortcuts import check_same_images
from lensjax.types import Array, Bool, Float

OF = "Chirp"
"""Class whose mistakes are explained, where there is one of that name."""
SHARE = 0.05
"""Share of the pixels, those blamed most, that a `blamed` edit changes."""
ON_EVENTS = ("equal_stretch", "equal_stretch(seconds=1)", "crop(columns=0.125)", "crop(top=0.1)")
ON_IMAGES = ("remove_border(share=0.125)", "remove_border(share=0.25)")
ON_BOTH = ("blur(sigma=1)",)
PairRow = dict[str, Any]
"""Counts and scores of one network and the one it is compared with."""


@dataclass(frozen=True)
class EditOptions:
    config: common.ConfigFile
    out: common.Out
    seeds: int = 5
    ablation: str = ""
    """A name in ABLATIONS of that file: what is edited is that variant of the configuration."""
    ablations: Path = Path("configs/ablations.py")
    """File with ABLATIONS, a dict of name -> edit of a Config."""
    before: tuple[Path, ...] = ()
    """Workdirs of the configuration's runs, one a seed from 0, where they are trained already."""
    edit: tuple[str, ...] = ()
    """The edit to apply, as data.inputs, instead of the proposed one: "equal_stretch"."""
    method: str = "input_x_gradient"
    """Explanation whose maps are blamed, as for explain.py."""
    most: int = 64
    """Mistakes of a network that are explained, at most."""
    jobs: common.Jobs = 1
    chunk: int = 8


def main(options: EditOptions) -> None:
    """Explain mistakes, propose an edit, apply it, train again and measure."""
    jax_setup.prepare(gradients=True)
    base = load_base(options)
    input_transforms.read(options.edit)  # fails now where it is misspelt
    if options.before and len(options.before) != options.seeds:
        raise UserError(f"--before names {len(options.before)} runs for {options.seeds} seeds: one each.")
    networks = [restore(workdir) for workdir in options.before or train_seeds(options, base, "before")]
    for network in networks:
        check_same_images(network, base.data)
    folder = datasets.prepare(replace(base.data, inputs=()))
    validation, test = datasets.load(folder, "validation"), datasets.load(folder, "test")

    # ---- explain and propose, on validation ----
    said = [predict_classes(network, validation, (), options.chunk) for network in networks]
    # What is blamed for the mistakes of one half is tried on the other.
    seen = np.random.default_rng(0).permutation(len(validation)) % 2 == 0
    of, which = choose_mistakes(base, validation, [np.where(seen, a, validation.label) for a in said])
    blame = blame_mistakes(options, networks, validation, said, of & seen)
    flips: dict[str, dict[str, int]] = {}
    for spec in list_candidates(len(validation.image.shape) == 5, blame):
        for network, before in zip(networks, said, strict=True):
            after = predict_classes(network, validation, (spec,), options.chunk)
            counts = count_changes(before[~seen], after[~seen], validation.label[~seen], of[~seen])
            flips[spec] = {k: flips.get(spec, {}).get(k, 0) + v for k, v in counts.items()}
    chosen = options.edit or (propose_edit(flips),)
    smallest = [
        row
        for network, before in zip(networks, said, strict=True)
        for row in find_smallest_edits(
            network, validation, find_mistakes(before, validation, of)[: options.most]
        )
    ]

    # ---- apply, retrain, measure, on test ----
    edited = edit_config(base, chosen)
    workdirs = train_seeds(options, edited, "after-" + input_transforms.fingerprint(chosen))
    retrained = [restore(workdir) for workdir in workdirs]
    tested, counted = choose_mistakes(base, test, None)
    said_before, said_after = (
        [predict_classes(network, test, (), options.chunk) for network in each]
        for each in (networks, retrained)
    )
    rows = [compare_answers(a, b, test, tested) for a, b in zip(said_before, said_after, strict=True)]
    next_seed = [*said_before[1:], said_before[0]]
    reseeded = [compare_answers(a, b, test, tested) for a, b in zip(said_before, next_seed, strict=True)]
    found = {
        "which": which,
        "counted": counted,
        "differences": list_differences(networks[0].config, edited),
        "flips": flips,
        "chosen": chosen,
        "smallest": smallest,
        "rows": rows,
        "another_seed": reseeded if len(rows) > 1 else [],
    }
    drawn = draw_edits(options.out, found, input_transforms.blame_map(str(blame)))
    result = {"base": asdict(base)} | found | {"blame": str(blame)}
    common.save_study(options.out, tabulate_edits(found, int((~seen).sum())), result, drawn)


def load_base(options: EditOptions) -> Config:
    """Return the configuration that is edited.

    Raises:
      UserError: no such ablation; lists the choices.
    """
    base = load_config_file(options.config)
    if not options.ablation:
        return base
    edits = common.load_edits(options.ablations, "ABLATIONS", "ablation", (options.ablation,))
    return edits[options.ablation](base)


def train_seeds(options: EditOptions, config: Config, name: str) -> list[Path]:
    """Train every seed; a finished one is kept."""
    configs = common.plan_runs(config, {name: lambda same: same}, options.seeds)
    return list(common.train_runs(options.out, configs, options.jobs, f"training, {name}").values())


def edit_config(config: Config, specs: Sequence[str]) -> Config:
    """Return the configuration with its inputs transformed further, its head told how long windows are."""
    data = replace(config.data, inputs=(*config.data.inputs, *specs))
    return replace(
        config, data=data, model=replace(config.model, windows=input_transforms.windows_after(data.inputs))
    )


def list_differences(before: Config, after: Config) -> list[str]:
    """Return what else differs between compared networks than the edit, the seed and the data's folder."""
    found = changes(logs.plain(asdict(before)), logs.plain(asdict(after)))
    expected = ("seed:", "data.inputs:", "data.directory:", "model.windows:")
    return [line for line in found if not line.startswith(expected)]


def choose_mistakes(
    config: Config, source: datasets.Source, said: Sequence[np.ndarray] | None
) -> tuple[np.ndarray, str]:
    """Return whose mistakes the study is about, bool [n], and their name.

    Chirps; all examples where there is no such class or, in the answers given, no mistake about it.
    """
    if OF in config.model.classes:
        of = source.label == config.model.classes.index(OF)
        if said is None or any(((answer != source.label) & of).any() for answer in said):
            return of, OF
    return np.ones(len(source), bool), "any class"


def find_mistakes(said: np.ndarray, source: datasets.Source, of: np.ndarray) -> np.ndarray:
    """Return the rows that an answer gets wrong."""
    return np.flatnonzero((said != source.label) & of)


def blame_mistakes(
    options: EditOptions,
    networks: Sequence[Trained],
    source: datasets.Source,
    said: Sequence[np.ndarray],
    of: np.ndarray,
) -> Path:
    """Freeze the mean map of all networks' mistakes.

    Raises:
      UserError: there are no mistakes.
    """
    blames = []
    for network, answer in zip(networks, said, strict=True):
        rows = find_mistakes(answer, source, of)[: options.most]
        if rows.size:
            blames.append(make_blame(network, source, rows, options.method, options.chunk))
    if not blames:
        raise UserError(
            "these networks make no mistake on this half of validation, so there is no mistake to explain."
        )
    return freeze_map(options.out, np.concatenate(blames))


def compare_answers(before: np.ndarray, after: np.ndarray, test: datasets.Source, of: np.ndarray) -> PairRow:
    """Return gains and losses from one network to another on the test split, and the scores of both."""
    row: PairRow = dict(count_changes(before, after, test.label, of))
    for name, said in (("before", before), ("after", after)):
        classes = int(max(test.label.max(), before.max(), after.max())) + 1
        table = metrics.confusion(said.astype(np.int32), test.label, classes)
        row[f"accuracy_{name}"] = float(metrics.accuracy(table))
        row[f"macro_f1_{name}"] = float(metrics.macro_f1(table))
        row[f"errors_{name}"] = int(((said != test.label) & of).sum())
    return row


def list_candidates(events: bool, blame: Path) -> tuple[str, ...]:
    """Return the fixed list of edits, as `data.inputs`; the last ones take what the frozen map blames."""
    edits = ("remove", "blur", "noise", "downweight")
    blamed = tuple(f"blamed(file='{blame}',edit={edit},share={SHARE})" for edit in edits)
    return (*(ON_EVENTS if events else ON_IMAGES), *ON_BOTH, *blamed)


def predict_classes(
    trained: Trained, source: datasets.Source, specs: Sequence[str], chunk: int
) -> np.ndarray:
    """Return the classes [n] that a network names, its inputs further transformed, without training."""
    images = swaps.read_images(source)
    return common.predict_images(trained, images, chunk, ids=source.id, specs=specs).classes


def make_blame(
    trained: Trained, source: datasets.Source, rows: np.ndarray, method: str, chunk: int
) -> np.ndarray:
    """Return maps [n *s] that explain the predicted class, each with a mean magnitude of 1."""
    shown = [
        examples.held_out_item(input_transforms.transform(source[int(r)], trained.config.data.inputs))
        for r in rows
    ]
    methods = common.read_methods((method,))
    values = common.make_maps(trained, shown, methods, target="predicted", chunk=chunk)[0][method]
    size = np.abs(values).mean(tuple(range(1, values.ndim)), keepdims=True)
    return values / np.maximum(size, 1e-12)


def freeze_map(folder: Path, values: Float[np.ndarray, "n *s"]) -> Path:
    """Write the mean map as `map` of an .npz, whose name holds a fingerprint of it."""
    mean = values.mean(0).astype(np.float32)
    path = folder / f"blame-{hashlib.sha256(mean.tobytes()).hexdigest()[:8]}.npz"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(path, map=mean)
    return path


def count_changes(
    before: np.ndarray, after: np.ndarray, label: np.ndarray, of: Bool[np.ndarray, "n"]
) -> dict[str, int]:
    """Count corrected and newly wrong answers among the examples `of`, and among all others."""
    fixed, broken = (before != label) & (after == label), (before == label) & (after != label)
    counts = {"fixed": fixed & of, "broken": broken & of, "others_fixed": fixed & ~of}
    counts |= {"others_broken": broken & ~of, "wrong": (before != label) & of}
    counts |= {"right": (before == label) & of, "others_right": (before == label) & ~of}
    return {name: int(values.sum()) for name, values in counts.items()}


def propose_edit(flips: dict[str, dict[str, int]]) -> str:
    """Return the edit with the largest share of corrected mistakes minus that of newly wrong answers."""

    def gain(spec: str) -> float:
        count = flips[spec]
        right, broken = count["right"] + count["others_right"], count["broken"] + count["others_broken"]
        return count["fixed"] / max(count["wrong"], 1) - broken / max(right, 1)

    return max(flips, key=gain)


def find_smallest_edits(trained: Trained, source: datasets.Source, rows: np.ndarray) -> list[dict[str, Any]]:
    """Find the smallest edit that flips each of some mistakes: by patches, and by the gradient."""
    network = Partial(Apply(trained.model), trained.params)

    def score(wanted: Array, image: Array) -> Array:
        return margin(network(image).logits, wanted)

    low, high = (0.0, 1.0) if trained.domain.stored_type == np.uint8 else (-np.inf, np.inf)
    found = []
    for row in rows:
        one = input_transforms.transform(source[int(row)], trained.config.data.inputs)
        image = jax.numpy.asarray(to_float32(one["image"]))
        of = Partial(score, jax.numpy.asarray(one["label"]))
        patch, step = by_patches(of, image), by_gradient(of, image, low=low, high=high)
        inside = float(one["mask"][patch.removed].mean()) if patch.pixels else np.nan
        found.append(
            {
                "id": one["id"],
                "patches": len(patch.segments),
                "pixels": patch.pixels / patch.removed.size,
                "flipped": patch.flipped,
                "inside": inside,
                "l2": step.l2 / float(np.sqrt((to_float32(one["image"]) ** 2).sum())),
                "gradient_flipped": step.flipped,
            }
        )
    return found


def draw_edits(out: Path, found: Mapping[str, Any], blame: np.ndarray) -> list[Path]:
    """Draw mistakes and scores before and after as table.png, the map of the blame as blame.png."""
    panels = {"errors": f"mistakes, {found['counted']}", "accuracy": "accuracy", "macro_f1": "macro-F1"}
    rows = {
        when: [{key: row[f"{key}_{when}"] for key in panels} for row in found["rows"]]
        for when in ("before", "after")
    }
    return [figures.draw_dots(out / "table.png", rows, panels), figures.draw_map(out / "blame.png", blame)]


# ---- tables -----------------------------------------------------------------------------------------------


def tabulate_edits(found: Mapping[str, Any], count: int) -> list[str]:
    """Return what each edit flips, the smallest edits, and what training with the chosen one changed."""
    flips, rows = found["flips"], found["rows"]
    first = next(iter(flips.values()))
    tried = [
        (
            f"`{shorten(spec)}`{' ← applied' if found['chosen'] == (spec,) else ''}",
            f"{c['fixed']} of {c['wrong']}",
            f"{c['broken']} of {c['right']}",
            f"{c['others_fixed']}",
            f"{c['others_broken']} of {c['others_right']}",
        )
        for spec, c in flips.items()
    ]
    changes = ("others corrected", "others made wrong")
    lines = [
        f"Mistakes explained: {found['which']}, {first['wrong']} of {first['wrong'] + first['right']} on the "
        f"{count} validation examples of {len(rows)} networks.",
        "",
        *markdown_table(
            ("edit, without training", "mistakes corrected", "correct answers made wrong", *changes), tried
        ),
        "",
        "What `blamed` edits take was learned from the other half's mistakes. The test split is apart.",
    ]
    if found.get("differences"):
        lines += [f"Not trained alike, before → after: {'; '.join(found['differences'])}."]
    scores = []
    for key, name, digits in (
        ("errors", f"mistakes, {found['counted']}", 1),
        ("accuracy", "accuracy", 3),
        ("macro_f1", "macro-F1", 3),
    ):
        a, b = ([row[f"{key}_{when}"] for row in rows] for when in ("before", "after"))
        change = format_pairs(a, b, digits)
        scores.append((name, format_spread(a, digits), format_spread(b, digits), change))
    keys = ("fixed", "broken", "others_fixed", "others_broken")
    moved = [
        (name, *(format_spread([row[key] for row in each], 1) for key in keys))
        for name, each in (("the edit", rows), ("another seed alone", found["another_seed"]))
        if each
    ]
    names = ", ".join(shorten(spec) for spec in found["chosen"])
    return [
        *lines,
        "",
        *describe_smallest_edits(found["smallest"]),
        "",
        f"Applied to all data and trained again: `{names}`; on the test split, mean ± s.d. over seeds.",
        "",
        *markdown_table(("", "before", "after", f"difference, 95 % of {len(rows)} pairs"), scores),
        "",
        *markdown_table(("", "corrected", "made wrong", *changes), moved),
    ]


def shorten(spec: str) -> str:
    """Return an edit as written, without the path of the frozen map."""
    before, _, rest = spec.partition("file='")
    return before + Path(rest.partition("'")[0]).stem + rest.partition("'")[2] if rest else spec


def describe_smallest_edits(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence on the smallest edits; nothing where none was looked for."""
    if not rows:
        return []
    patches = [row for row in rows if row["flipped"]]
    steps = [row for row in rows if row["gradient_flipped"]]
    lines = [f"Smallest edits of {len(rows)} mistakes: {len(patches)} flip by taking out patches"]
    if patches:
        middle = {
            key: float(np.nanmedian([row[key] for row in patches])) for key in ("patches", "pixels", "inside")
        }
        lines[0] += (
            f" (median {middle['patches']:.0f} patches, {100 * middle['pixels']:.1f} % of the pixels, "
            f"{100 * middle['inside']:.0f} % of them evidence)"
        )
    lines[0] += f", {len(steps)} by the gradient"
    if steps:
        lines[0] += (
            f" (median change {100 * float(np.median([row['l2'] for row in steps])):.1f} % of the image's l2)"
        )
    return [lines[0] + "."]


def format_pairs(before: Sequence[Any], after: Sequence[Any], digits: int) -> str:
    """Format the mean paired difference, with Student's interval over the seeds."""
    change = np.subtract(after, before).astype(float)
    return common.format_change(float(change.mean()), *intervals.mean_interval(change), digits)


run = common.make_command("edits", main, EditOptions, __doc__)

if __name__ == "__main__":
    run()
