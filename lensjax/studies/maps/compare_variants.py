"""Where the maps of an ablation's networks lie, held against the truth, and what that costs in accuracy.

    python train.py configs/gravity_spy_demo.py --ablate explanation_losses --seeds 5 --workdir runs/losses
    python -m lensjax.studies.maps.compare_variants runs/losses --out runs/losses/maps

Every variant (a subfolder with runs seed0, seed1 …) explains the same held-out examples. Rows are variants,
columns maps: mean ± standard deviation over the seeds, and the difference from the first variant, paired by
seed, with its 95 % interval. Trivial maps, which know no network, stand below. Writes table.md, table.json
and table.png.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from lensjax.explain import TRIVIAL, parse
from lensjax.explain.scores.localisation import SCORES
from lensjax.inspection import examples as items
from lensjax.inspection import maps as explained
from lensjax.inspection.restore import Trained, restore
from lensjax.report.figures import studies as pictures
from lensjax.runtime import jax_setup, logs
from lensjax.runtime.errors import UserError
from lensjax.specs import check_names
from lensjax.studies.events.ablation_tables import spread
from lensjax.training.variants import difference

Row = dict[str, Any]
Rows = dict[str, list[Row]]
WHAT = ("auroc", "accuracy")


@dataclass(frozen=True)
class Command:
    folder: Annotated[Path, tyro.conf.Positional]
    """Folder of `train.py --ablate`: variants, and in each of them seeds."""
    out: Path
    """Folder of the table."""
    methods: tuple[str, ...] = ("attention", "grad_cam", "input_x_gradient", "integrated_gradients(steps=16)")
    """As for explain.py; a network without a gate has no attention."""
    scores: tuple[str, ...] = ("energy_inside", "average_precision")
    """Of every map against the true mask."""
    only: tuple[str, ...] = ()
    """Names of some variants, the first of which the others are compared with; all where none is given."""
    examples: int = 200
    """Held-out examples with evidence, the same for all."""
    chunk: int = 8


def main(command: Command) -> None:
    jax_setup.prepare(gradients=True)
    check_names("score", command.scores, SCORES)
    rows: Rows = {}
    for variant, workdirs in variants(command.folder, command.only).items():
        for workdir in workdirs:
            trained = restore(workdir)
            rows.setdefault(variant, []).append(told(trained) | scored(trained, command, command.methods))
    controls = scored(trained, command, tuple(TRIVIAL))
    lines = table_lines(rows, controls, command.scores)
    command.out.mkdir(parents=True, exist_ok=True)
    result = {"command": shlex.join(sys.argv), "environment": logs.environment()}
    logs.write_json(command.out / "table.json", result | {"rows": rows, "controls": controls})
    (command.out / "table.md").write_text("\n".join(lines) + "\n")
    draw(command.out / "table.png", rows, command.scores[0])
    print("\n".join(lines))
    print(f"\ntable: {command.out / 'table.md'}\nplot:  {command.out / 'table.png'}")


def variants(folder: Path, only: Sequence[str]) -> dict[str, list[Path]]:
    """Finished runs by variant, in the order of the ablation's table.

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


def told(trained: Trained) -> Row:
    """What a run's own test came to."""
    return {name: trained.summary["test"].get(name) for name in WHAT}


def scored(trained: Trained, command: Command, methods: Sequence[str]) -> Row:
    """Mean score of each map, "METHOD: SCORE" → number, of the class that is predicted."""
    shown = items.with_evidence(trained, command.examples)
    gates = bool(trained.config.model.attention.at)
    wanted = [(text, *parse(text)) for text in methods if gates or parse(text)[0] != "attention"]
    predicted = explained.predict(trained, shown, command.chunk)
    maps = explained.explain(
        trained,
        shown,
        predicted,
        wanted,
        target="predicted",
        chunk=command.chunk,
        seed=0,
        progress=logs.progress,
    )
    found = explained.score(shown, maps)
    return {
        f"{text}: {score}": float(np.nanmean(found[text][score])) for text in maps for score in command.scores
    }


def table_lines(rows: Rows, controls: Mapping[str, float], scores: Sequence[str]) -> list[str]:
    """Markdown, one table a score."""
    first = next(iter(rows))
    methods = list(
        dict.fromkeys(k.rsplit(": ", 1)[0] for each in rows.values() for k in each[0] if ": " in k)
    )
    what = [name for name in WHAT if any(row[name] is not None for each in rows.values() for row in each)]
    lines = []
    for score in scores:
        columns = [*what, *(f"{method}: {score}" for method in methods)]
        heads = [*what, *methods]
        lines += [f"| {score.replace('_', ' ')} | {' | '.join(f'{h} | − {first}' for h in heads)} |"]
        lines += ["|---" * (1 + 2 * len(heads)) + "|"]
        for variant, each in rows.items():
            cells = []
            for column in columns:
                cells += [spread([row.get(column) for row in each], 3), told_apart(rows, variant, column)]
            lines.append(f"| {variant} | {' | '.join(cells)} |")
        trivial = [f"{k.rsplit(': ', 1)[0]} {v:.3f}" for k, v in controls.items() if k.endswith(f": {score}")]
        lines += ["", f"Without a network, {score.replace('_', ' ')}: {', '.join(trivial)}.", ""]
    return lines


def told_apart(rows: Rows, variant: str, key: str) -> str:
    """Minus the first variant, with its interval; nothing where one of the two has no such number."""
    mean, low, high = difference(rows, variant, key)
    if variant == next(iter(rows)) or not np.isfinite(mean):
        return ""
    # One seed has a difference and no interval.
    return f"{mean:+.3f}" + (f" ({low:+.3f} to {high:+.3f})" if np.isfinite(low) else "")


def draw(path: Path, rows: Rows, score: str) -> Path:
    """Accuracy and each map's score, a dot a seed."""
    keys = dict.fromkeys(key for each in rows.values() for row in each for key in row)
    panels = {
        key: key for key in WHAT if any(row.get(key) is not None for each in rows.values() for row in each)
    }
    panels |= {key: key.replace(": ", ",\n").replace("_", " ") for key in keys if key.endswith(f": {score}")}
    return pictures.dots(path, {name.replace("_", " "): each for name, each in rows.items()}, panels)


if __name__ == "__main__":
    try:
        main(tyro.cli(Command, prog="python -m lensjax.studies.maps.compare_variants", description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted.")
