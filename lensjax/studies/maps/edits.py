"""From mistakes to an edit of all inputs, in the talk's order: explain, propose, apply, retrain, measure.

    python -m lensjax.studies.maps.edits configs/gravity_spy_demo.py --out runs/edits --seeds 5

Trains the configuration over the seeds (a finished run is kept) or takes --before, explains what those
networks get wrong on half of the validation split (chirps; of lens finders, everything), freezes the mean map
of the blame, sees which edit of a fixed list flips most mistakes of the other half without training, applies
that one (or --edit) to the whole data set through `data.inputs`, trains again, and counts on the test split
what was gained and lost. Beside it stands what another seed alone changes. Writes table.md, table.json,
table.png and blame.png.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from lensjax.config import Config
from lensjax.config_io import changes, load_config_file
from lensjax.data.batches import input_transforms
from lensjax.data.store import datasets
from lensjax.evaluation import metrics
from lensjax.inspection.restore import Trained, restore
from lensjax.report.figures import studies as pictures
from lensjax.runtime import jax_setup, logs
from lensjax.runtime.errors import UserError
from lensjax.studies.events.talk_table import load_ablations
from lensjax.studies.maps import proposals
from lensjax.studies.maps.edit_tables import Row, table_lines
from lensjax.studies.maps.shortcuts import check
from lensjax.training.subprocesses import train_all

OF = "Chirp"


@dataclass(frozen=True)
class Command:
    config: Annotated[Path, tyro.conf.Positional]
    """Configuration file."""
    out: Path
    """Folder of the runs and the table."""
    seeds: int = 5
    ablation: str = ""
    """A name in ABLATIONS of that file: what is edited is that variant of the configuration."""
    ablations: Path = Path("configs/ablations.py")
    """File with ABLATIONS, a dict of name -> edit of a Config."""
    before: tuple[Path, ...] = ()
    """Workdirs of the configuration's runs, one a seed from 0, where they are trained already."""
    edit: tuple[str, ...] = ()
    """What to apply, as data.inputs, whatever is proposed: "equal_stretch"."""
    method: str = "input_x_gradient"
    """Explanation whose maps are blamed, as for explain.py."""
    most: int = 64
    """Mistakes of a network that are explained, at most."""
    jobs: int = 1
    """Trainings at once, each on its share of the cores."""
    chunk: int = 8


def main(command: Command) -> None:
    jax_setup.prepare(gradients=True)
    base = configured(command)
    input_transforms.read(command.edit)  # fails now where it is misspelt
    if command.before and len(command.before) != command.seeds:
        raise UserError(f"--before names {len(command.before)} runs for {command.seeds} seeds: one each.")
    before = list(command.before) or train(command, base, "before")
    networks = [restore(workdir) for workdir in before]
    for network in networks:
        check(network, base.data)
    folder = datasets.prepare(replace(base.data, inputs=()))
    validation, test = datasets.load(folder, "validation"), datasets.load(folder, "test")

    # ---- explain and propose, on validation ----
    said = [proposals.answers(network, validation, (), command.chunk) for network in networks]
    # What is blamed for the mistakes of one half is tried on the other.
    seen = np.random.default_rng(0).permutation(len(validation)) % 2 == 0
    of, which = mistakes_of(base, validation, [np.where(seen, a, validation.label) for a in said])
    blame = blamed(command, networks, validation, said, of & seen)
    flips: dict[str, dict[str, int]] = {}
    for spec in proposals.candidates(len(validation.image.shape) == 5, blame):
        for network, answer in zip(networks, said, strict=True):
            after = proposals.answers(network, validation, (spec,), command.chunk)
            counts = proposals.changed(answer[~seen], after[~seen], validation.label[~seen], of[~seen])
            flips[spec] = {k: flips.get(spec, {}).get(k, 0) + v for k, v in counts.items()}
    chosen = command.edit or (proposals.propose(flips),)
    smallest = [
        row
        for network, answer in zip(networks, said, strict=True)
        for row in proposals.smallest(network, validation, wrong_rows(answer, validation, of)[: command.most])
    ]

    # ---- apply, retrain, measure, on test ----
    workdirs = train(command, edited(base, chosen), "after-" + input_transforms.fingerprint(chosen))
    retrained = [restore(workdir) for workdir in workdirs]
    tested, counted = mistakes_of(base, test, None)
    said_before, said_after = (
        [proposals.answers(network, test, (), command.chunk) for network in each]
        for each in (networks, retrained)
    )
    rows = [paired(a, b, test, tested) for a, b in zip(said_before, said_after, strict=True)]
    next_seed = [*said_before[1:], said_before[0]]
    reseeded = [paired(a, b, test, tested) for a, b in zip(said_before, next_seed, strict=True)]
    found = {
        "which": which,
        "counted": counted,
        "differences": differences(networks[0].config, edited(base, chosen)),
        "flips": flips,
        "chosen": chosen,
        "smallest": smallest,
        "rows": rows,
    }
    found |= {"another_seed": reseeded if len(rows) > 1 else []}
    lines = table_lines(found, int((~seen).sum()))
    result = {"command": shlex.join(sys.argv), "environment": logs.environment(), "base": asdict(base)}
    logs.write_json(command.out / "table.json", result | found | {"blame": str(blame)})
    (command.out / "table.md").write_text("\n".join(lines) + "\n")
    draw(command.out, found, input_transforms.blame_map(str(blame)))
    print("\n".join(lines))
    print(f"\ntable: {command.out / 'table.md'}\nplots: {command.out / 'table.png'}, blame.png")


def configured(command: Command) -> Config:
    """The configuration that is edited.

    Raises:
      UserError: no such ablation; lists the choices.
    """
    base = load_config_file(command.config)
    if not command.ablation:
        return base
    return load_ablations(command.ablations, (command.ablation,))[command.ablation](base)


def train(command: Command, config: Config, name: str) -> list[Path]:
    """Train every seed; a finished one is kept."""
    seeds = range(command.seeds)
    configs = {command.out / name / f"seed{seed}": replace(config, seed=seed) for seed in seeds}
    return train_all(configs, command.jobs, f"training, {name}")


def edited(config: Config, specs: Sequence[str]) -> Config:
    """The configuration with its inputs transformed further, its head told how long windows are."""
    data = replace(config.data, inputs=(*config.data.inputs, *specs))
    return replace(
        config, data=data, model=replace(config.model, windows=input_transforms.windows_after(data.inputs))
    )


def differences(before: Config, after: Config) -> list[str]:
    """What else than the edit, the seed and the folder of the data tells the networks compared apart."""
    found = changes(logs.plain(asdict(before)), logs.plain(asdict(after)))
    expected = ("seed:", "data.inputs:", "data.directory:", "model.windows:")
    return [line for line in found if not line.startswith(expected)]


def mistakes_of(
    config: Config, source: datasets.Source, said: Sequence[np.ndarray] | None
) -> tuple[np.ndarray, str]:
    """Whose mistakes the study is about, bool [n]: chirps; all examples where there is no such class or, of
    the answers given, no mistake about it."""
    if OF in config.model.classes:
        of = source.label == config.model.classes.index(OF)
        if said is None or any(((answer != source.label) & of).any() for answer in said):
            return of, OF
    return np.ones(len(source), bool), "any class"


def wrong_rows(said: np.ndarray, source: datasets.Source, of: np.ndarray) -> np.ndarray:
    return np.flatnonzero((said != source.label) & of)


def blamed(
    command: Command,
    networks: Sequence[Trained],
    source: datasets.Source,
    said: Sequence[np.ndarray],
    of: np.ndarray,
) -> Path:
    """The frozen mean map of all networks' mistakes.

    Raises:
      UserError: there are no mistakes.
    """
    maps = []
    for network, answer in zip(networks, said, strict=True):
        rows = wrong_rows(answer, source, of)[: command.most]
        if rows.size:
            maps.append(proposals.blame_of(network, source, rows, command.method, command.chunk))
    if not maps:
        raise UserError("these networks make no mistake on this half of validation: nothing to explain.")
    return proposals.freeze(command.out, np.concatenate(maps))


def paired(before: np.ndarray, after: np.ndarray, test: datasets.Source, of: np.ndarray) -> Row:
    """Gains and losses from one network to another on the test split, and the scores of both."""
    row: Row = dict(proposals.changed(before, after, test.label, of))
    for name, said in (("before", before), ("after", after)):
        classes = int(max(test.label.max(), before.max(), after.max())) + 1
        table = metrics.confusion(said.astype(np.int32), test.label, classes)
        row[f"accuracy_{name}"] = float(metrics.accuracy(table))
        row[f"macro_f1_{name}"] = float(metrics.macro_f1(table))
        row[f"errors_{name}"] = int(((said != test.label) & of).sum())
    return row


def draw(out: Path, found: Mapping[str, Any], blame: np.ndarray) -> None:
    rows = {
        "before": [
            {k: row[f"{k}_before"] for k in ("errors", "accuracy", "macro_f1")} for row in found["rows"]
        ],
        "after": [
            {k: row[f"{k}_after"] for k in ("errors", "accuracy", "macro_f1")} for row in found["rows"]
        ],
    }
    panels = {"errors": f"mistakes, {found['counted']}", "accuracy": "accuracy", "macro_f1": "macro-F1"}
    pictures.dots(out / "table.png", rows, panels)
    pictures.maps(out / "blame.png", blame)


if __name__ == "__main__":
    try:
        main(tyro.cli(Command, prog="python -m lensjax.studies.maps.edits", description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on from what is saved.")
