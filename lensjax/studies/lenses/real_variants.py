"""Compare variants of one training on real lenses, over several seeds, in one table.

    lensjax study real-variants configs/lens_hst_study.py --lenses DATA/lens_hst \\
        --galaxies DATA/galaxies_hst_cosmos --rings DATA/galaxies_decals_rings --out runs/real_variants

VARIANTS of the configuration file are edits of it. The study trains each with train.py (keeping finished
runs) and scores it as `lensjax study real-lenses` does. For all variants, thresholds come from the held-out
simulations of the unedited configuration, and the test uses only galaxies that no variant has trained on.
Writes table.md, table.json and table.png.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from lensjax.config import Config, LensData
from lensjax.data.store import datasets
from lensjax.inspection.restore import restore
from lensjax.report.figures import studies as figures
from lensjax.runtime import jax_setup
from lensjax.studies import common
from lensjax.studies.lenses.real_images import read_real_images
from lensjax.studies.lenses.real_lenses import score_networks
from lensjax.training.subprocesses import sized


@dataclass(frozen=True)
class RealVariantOptions:
    config: Annotated[Path, tyro.conf.Positional]
    """Configuration file with VARIANTS, a dict of name -> edit of a Config."""
    lenses: Path
    """As for `lensjax study real-lenses`."""
    galaxies: Path
    """Their half that is not held out is what the variants with real negatives train on."""
    rings: Path
    out: common.Out
    seeds: int = 3
    only: tuple[str, ...] = ()
    """Names of some variants; all where none is given."""
    train: common.Train = None
    epochs: common.Epochs = None
    jobs: common.Jobs = 1
    directory: str = ""
    """Folder of the simulations, instead of the configuration's."""
    chunk: int = 8


def main(options: RealVariantOptions) -> None:
    """Train every variant, score it on the real images, and write the table."""
    jax_setup.prepare(gradients=True)
    runs = common.train_runs(options.out, plan_variants(options), options.jobs)
    networks = {run: restore(folder) for run, folder in runs.items()}
    images = read_real_images(
        [*networks.values()], options.lenses, options.galaxies, options.rings, held_out=True
    )
    base, _ = common.load_lens_config(options.config)
    test = datasets.load(datasets.prepare(set_folders(base, options).data), "test")
    rows: dict[str, list[dict[str, float]]] = {}
    for (name, _), network in networks.items():
        numbers = summarise_network(score_networks([network], images, options.chunk, test))
        rows.setdefault(name, []).append(numbers)
    panels = {name: name for name in next(iter(rows.values()))[0]}
    figure = figures.draw_dots(options.out / "table.png", rows, panels, lines=2)
    common.save_study(options.out, tabulate_variants(rows), {"base": asdict(base), "rows": rows}, [figure])


def plan_variants(options: RealVariantOptions) -> dict[common.NamedSeed, Config]:
    """Return the configuration of every variant and seed.

    Raises:
      UserError: an unknown variant, or a configuration of something else than lenses.
    """
    base, _ = common.load_lens_config(options.config)
    edits = common.load_edits(options.config, "VARIANTS", "variant", options.only)
    configs = common.plan_runs(sized(base, options.train, options.epochs), edits, options.seeds)
    return {run: set_folders(config, options) for run, config in configs.items()}


def set_folders(config: Config, options: RealVariantOptions) -> Config:
    """Return the same, real galaxies and simulations where the command says that they are."""
    data = config.data
    assert isinstance(data, LensData)  # as `plan_variants` has seen; no edit changes it
    negatives = str(options.galaxies) if data.negatives else ""
    directory = options.directory or data.directory
    return replace(config, data=replace(data, negatives=negatives, directory=directory))


def summarise_network(result: Mapping[str, Any]) -> dict[str, float]:
    """Return a network's numbers in the columns of the table."""
    area, above, position = result["auroc"], result["above"], result["position"]
    errors = [row["median"][0] for name, row in position.items() if name == "network, from the peak of light"]
    return {
        "AUROC, simulations": result["simulated"][0]["auroc"],
        "AUROC, lenses, galaxies": area["lenses against galaxies"]["mean"],
        "AUROC, lenses, without arcs": area["lenses against the same without arcs"]["mean"],
        "AUROC, rings, others": area["rings against other galaxies (DECaLS)"]["mean"],
        "recall, simulations": result["simulated"][0]["recall"],
        "recall, lenses": above["lenses"]["recall"],
        "passing, without arcs": above["the same without arcs"]["recall"],
        "passing, galaxies": above["galaxies"]["recall"],
        "passing, rings": above["ring galaxies (DECaLS)"]["recall"],
        "position error, ″": errors[0] if errors else float(np.nan),
    }


def tabulate_variants(rows: Mapping[str, Sequence[Mapping[str, float]]]) -> list[str]:
    """Return one line a variant: mean ± standard deviation over its seeds of every column."""
    names = list(next(iter(rows.values()))[0])
    cells = [
        (variant, str(len(each)), *(common.format_spread([row[name] for row in each], 3) for name in names))
        for variant, each in rows.items()
    ]
    return common.markdown_table(("variant", "seeds", *names), cells)


run = common.make_command("real-variants", main, RealVariantOptions, __doc__)

if __name__ == "__main__":
    run()
