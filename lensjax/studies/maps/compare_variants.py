"""Compare the maps of an ablation's networks with the truth, and the networks' accuracy.

    python train.py configs/gravity_spy_demo.py --ablate explanation_losses --seeds 5 --workdir runs/losses
    lensjax study maps runs/losses --out runs/losses/maps

Every variant (a subfolder with runs seed0, seed1 …) explains the same held-out examples. Rows are variants,
columns maps: mean ± standard deviation over the seeds, and the difference from the first variant, paired by
seed, with its 95 % interval. Trivial maps, which do not use the network, are below. Writes table.md,
table.json and table.png.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from lensjax.explain import TRIVIAL
from lensjax.explain.scores.localisation import SCORES
from lensjax.inspection import examples, maps
from lensjax.inspection.restore import Trained, restore
from lensjax.report.figures import studies as figures
from lensjax.runtime import jax_setup
from lensjax.runtime.errors import UserError
from lensjax.specs import check_names
from lensjax.studies import common
from lensjax.training.variants import difference

NetworkRow = dict[str, Any]
VariantRows = dict[str, list[NetworkRow]]
WHAT = ("auroc", "accuracy")


@dataclass(frozen=True)
class CompareVariantsOptions:
    folder: Annotated[Path, tyro.conf.Positional]
    """Folder of `train.py --ablate`: variants, and in each of them seeds."""
    out: common.Out
    methods: tuple[str, ...] = ("attention", "grad_cam", "input_x_gradient", "integrated_gradients(steps=16)")
    """As for explain.py; a network without a gate has no attention."""
    scores: tuple[str, ...] = ("energy_inside", "average_precision")
    """Scores of every map against the true mask."""
    only: tuple[str, ...] = ()
    """Names of some variants, the first of which the others are compared with; all where none is given."""
    examples: int = 200
    """Held-out examples with evidence, the same for all."""
    chunk: int = 8


def main(options: CompareVariantsOptions) -> None:
    """Explain with every network of every variant, and write the table."""
    jax_setup.prepare(gradients=True)
    check_names("score", options.scores, SCORES)
    rows: VariantRows = {}
    for variant, workdirs in find_runs(options.folder, options.only).items():
        for workdir in workdirs:
            trained = restore(workdir)
            own = {name: trained.summary["test"].get(name) for name in WHAT}
            rows.setdefault(variant, []).append(own | score_maps(trained, options, options.methods))
    controls = score_maps(trained, options, tuple(TRIVIAL))
    lines = tabulate_variants(rows, controls, options.scores)
    figure = draw_variants(options.out / "table.png", rows, options.scores[0])
    common.save_study(options.out, lines, {"rows": rows, "controls": controls}, [figure])


def find_runs(folder: Path, only: Sequence[str]) -> dict[str, list[Path]]:
    """Return finished runs by variant, in the order of the ablation's table.

    Raises:
      UserError: no finished runs there, no such variant (lists those there are), or seeds that differ.
    """
    table = folder / "table.json"
    listed = json.loads(table.read_text())["rows"] if table.exists() else {}
    names = dict.fromkeys([*listed, *sorted(place.name for place in folder.glob("*"))])
    runs = {name: sorted(p.parent for p in (folder / name).glob("seed*/summary.json")) for name in names}
    found = {name: workdirs for name, workdirs in runs.items() if workdirs}
    if not found:
        raise UserError(f"'{folder}' has no finished runs VARIANT/seedK: make them with train.py --ablate.")
    check_names("variant", only, found)
    chosen = {name: found[name] for name in only or found}
    seeds = {name: [workdir.name for workdir in workdirs] for name, workdirs in chosen.items()}
    first = next(iter(seeds))
    for name in seeds:
        if seeds[name] != seeds[first]:
            raise UserError(
                f"{name} has {', '.join(seeds[name])}, {first} {', '.join(seeds[first])}: seeds are compared "
                "in pairs. Let train.py --ablate end first, or leave one out with --only."
            )
    return chosen


def score_maps(trained: Trained, options: CompareVariantsOptions, methods: Sequence[str]) -> NetworkRow:
    """Return the mean score of each map, "METHOD: SCORE" → number, of the class that is predicted."""
    items = examples.examples_with_evidence(trained, options.examples)
    usable = common.read_methods(methods, trained)
    values, _ = common.make_maps(trained, items, usable, target="predicted", chunk=options.chunk)
    found = maps.score(items, values)
    return {
        f"{text}: {score}": float(np.nanmean(found[text][score]))
        for text in values
        for score in options.scores
    }


def tabulate_variants(rows: VariantRows, controls: Mapping[str, float], scores: Sequence[str]) -> list[str]:
    """Return Markdown, one table a score."""
    first = next(iter(rows))
    methods = list(
        dict.fromkeys(k.rsplit(": ", 1)[0] for each in rows.values() for k in each[0] if ": " in k)
    )
    what = [name for name in WHAT if any(row[name] is not None for each in rows.values() for row in each)]
    lines = []
    for score in scores:
        title, cells = score.replace("_", " "), []
        for variant, each in rows.items():
            line = [variant]
            for column in [*what, *(f"{method}: {score}" for method in methods)]:
                line.append(common.format_spread([row.get(column) for row in each], 3))
                line.append(format_difference(rows, variant, column))
            cells.append(line)
        heads = [text for head in [*what, *methods] for text in (head, f"− {first}")]
        lines += common.markdown_table([title, *heads], cells)
        trivial = [f"{k.rsplit(': ', 1)[0]} {v:.3f}" for k, v in controls.items() if k.endswith(f": {score}")]
        lines += ["", f"Without a network, {title}: {', '.join(trivial)}.", ""]
    return lines


def format_difference(rows: VariantRows, variant: str, key: str) -> str:
    """Format a variant minus the first, with its interval; nothing where one of the two has no number."""
    mean, low, high = difference(rows, variant, key)
    if variant == next(iter(rows)) or not np.isfinite(mean):
        return ""
    return common.format_change(mean, low, high, 3)


def draw_variants(path: Path, rows: VariantRows, score: str) -> Path:
    """Draw accuracy and each map's score, a dot a seed."""
    keys = dict.fromkeys(key for each in rows.values() for row in each for key in row)
    panels = {
        key: key for key in WHAT if any(row.get(key) is not None for each in rows.values() for row in each)
    }
    panels |= {key: key.replace(": ", ",\n").replace("_", " ") for key in keys if key.endswith(f": {score}")}
    return figures.draw_dots(path, rows, panels)


run = common.make_command("maps", main, CompareVariantsOptions, __doc__)

if __name__ == "__main__":
    run()
