"""What moves the number on real lenses: variants of one configuration over several seeds, in one table.

    python -m lensjax.studies.lenses.real_variants configs/lens_hst_study.py --lenses \\
        ../shared/data/lens_hst \
        --galaxies ../shared/data/galaxies_hst_cosmos --rings ../shared/data/galaxies_decals_rings \
        --out runs/real_variants

VARIANTS of the configuration file are edits of it. Each is trained with train.py (a finished run is kept) and
scored as in lensjax.studies.lenses.real_lenses, with two things the same for all: thresholds come from the held-out
simulations of the configuration as it is, and only galaxies that no variant has trained on are tested.
Writes table.md, table.json and table.png.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from lensjax.config import Config, LensData
from lensjax.config_io import load_config_file
from lensjax.data.store import datasets
from lensjax.inspection.restore import restore
from lensjax.report.figures import real_lenses as pictures
from lensjax.runtime import jax_setup, logs
from lensjax.runtime.errors import UserError
from lensjax.specs import check_names, defined_in
from lensjax.studies.lenses.real_scores import read, scored
from lensjax.studies.lenses.real_tables import variant_lines
from lensjax.training.subprocesses import sized, train_all

Row = dict[str, float]


@dataclass(frozen=True)
class Command:
    config: Annotated[Path, tyro.conf.Positional]
    """Configuration file with VARIANTS, a dict of name -> edit of a Config."""
    lenses: Path
    """As for lensjax.studies.lenses.real_lenses."""
    galaxies: Path
    """Their half that is not held out is what the variants with real negatives train on."""
    rings: Path
    out: Path
    """Folder of the runs and the table."""
    seeds: int = 3
    only: tuple[str, ...] = ()
    """Names of some variants; all where none is given."""
    train: int | None = None
    """Training images; the configuration's where none is given. Fewer images and epochs make a quick look."""
    epochs: int | None = None
    """Passes over them; the configuration's where none is given."""
    jobs: int = 1
    """Trainings at once, each on its share of the cores."""
    directory: str = ""
    """Where the simulations are kept, instead of the configuration's folder."""
    chunk: int = 8


def main(command: Command) -> None:
    jax_setup.prepare(gradients=True)
    configs = plan(command)
    workdirs = train(command, configs)
    networks = {run: restore(path) for run, path in workdirs.items()}
    folders = command.lenses, command.galaxies, command.rings
    images = read([*networks.values()], *folders, held_out=True)
    base = load_config_file(command.config)
    test = datasets.load(datasets.prepare(with_folders(base, command).data), "test")
    rows: dict[str, list[Row]] = {}
    for (name, _), network in networks.items():
        rows.setdefault(name, []).append(outcome(scored([network], images, command.chunk, test)))
    lines = variant_lines(rows)
    about = {"command": shlex.join(sys.argv), "environment": logs.environment(), "base": asdict(base)}
    logs.write_json(command.out / "table.json", about | {"rows": rows})
    (command.out / "table.md").write_text("\n".join(lines) + "\n")
    pictures.variants(command.out / "table.png", rows)
    print("\n".join(lines))
    print(f"\ntable: {command.out / 'table.md'}\nplot:  {command.out / 'table.png'}")


def plan(command: Command) -> dict[tuple[str, int], Config]:
    """The configuration of every variant and seed, seed by seed: one that is stopped has some of everything.

    Raises:
      UserError: an unknown variant, or a configuration of something else than lenses.
    """
    base = load_config_file(command.config)
    if not isinstance(base.data, LensData):
        raise UserError(f"'{command.config}' has data '{base.data.name}'; this study needs simulated_lenses.")
    edits: Mapping[str, Callable[[Config], Config]] = defined_in(
        command.config, "VARIANTS", "`VARIANTS: dict[str, Callable[[Config], Config]]`"
    )
    check_names("variant", command.only, edits)
    base = sized(base, command.train, command.epochs)
    names = [name for name in edits if name in (command.only or edits)]
    return {
        (name, seed): with_folders(replace(edits[name](base), seed=seed), command)
        for seed in range(command.seeds)
        for name in names
    }


def with_folders(config: Config, command: Command) -> Config:
    """The same, real galaxies and simulations where the command says that they are."""
    data = config.data
    assert isinstance(data, LensData)  # as `plan` has seen; no edit changes it
    negatives = str(command.galaxies) if data.negatives else ""
    directory = command.directory or data.directory
    return replace(config, data=replace(data, negatives=negatives, directory=directory))


def train(command: Command, configs: Mapping[tuple[str, int], Config]) -> dict[tuple[str, int], Path]:
    places = [command.out / name / f"seed{seed}" for name, seed in configs]
    done = train_all(dict(zip(places, configs.values(), strict=True)), command.jobs)
    return dict(zip(configs, done, strict=True))


def outcome(result: Mapping[str, Any]) -> Row:
    """A network's numbers in the columns of the table."""
    area, above, position = result["auroc"], result["above"], result["position"]
    errors = [row["median"][0] for name, row in position.items() if name == "network, from the peak of light"]
    return {
        "AUROC, simulations": result["simulated"][0]["auroc"],
        "AUROC, lenses, galaxies": area["lenses against galaxies"]["mean"],
        "AUROC, lenses, without arcs": area["lenses against the same without arcs"]["mean"],
        "AUROC, rings, others": area["rings against other galaxies (DECaLS)"]["mean"],
        "recall, simulations": result["simulated"][0]["recall"],
        "recall, lenses": above["lenses"]["mean"],
        "passing, without arcs": above["the same without arcs"]["mean"],
        "passing, galaxies": above["galaxies"]["mean"],
        "passing, rings": above["ring galaxies (DECaLS)"]["mean"],
        "position error, ″": errors[0] if errors else float(np.nan),
    }


if __name__ == "__main__":
    try:
        main(tyro.cli(Command, prog="python -m lensjax.studies.lenses.real_variants", description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on from what is saved.")
