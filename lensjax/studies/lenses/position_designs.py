"""Compare four ways to predict the position of a lens, trained alike, in one table over several seeds.

    lensjax study where --out runs/where --jobs 2
    lensjax study where --out runs/where_small --seeds 1 --train 1000 --epochs 2 --test 400

Trains every design of configs/where.py with train.py (keeping finished runs), evaluates all on the same
held-out simulations, computes positions and evidence from their maps of the same lenses, and writes table.md,
table.json and table.png. The table also has a constant prediction at the image centre.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from lensjax.config import Config, LensData, LossConfig
from lensjax.data.store import datasets
from lensjax.domain import domain_of
from lensjax.evaluation import metrics
from lensjax.evaluation.position_metrics import centroids, peaks, position_errors
from lensjax.explain import score_maps
from lensjax.inspection import examples
from lensjax.inspection.maps import Item
from lensjax.inspection.restore import Trained, restore
from lensjax.models import Apply
from lensjax.report.figures import studies as figures
from lensjax.runtime import jax_setup
from lensjax.runtime.errors import UserError
from lensjax.specs import load_definition
from lensjax.studies import common
from lensjax.training.subprocesses import sized

READ_OFF = ("grad_cam", "occlusion(window=8,stride=4)", "attention")
"""Maps of a network that gives no position."""
WHAT = ("auroc", "tpr0")
WHERE = ("median_arcsec", "p90_arcsec", "median_psf", "p90_psf")
EVIDENCE = ("iou", "energy")
CENTRE = "constant prediction at the image centre"
Measured = dict[str, Any]
"""Numbers of one network and one way to read a place off it."""


@dataclass(frozen=True)
class PositionDesignOptions:
    out: common.Out
    config: Path = Path("configs/where.py")
    """Configuration file with WAYS, a dict of name -> edit of it, and STARTS."""
    seeds: int = 5
    only: tuple[str, ...] = ()
    """Names of some ways; all where none is given."""
    train: common.Train = None
    epochs: common.Epochs = None
    jobs: common.Jobs = 1
    test: int = 20_600
    """Held-out simulations; half of them lenses, so that 10,000 are not."""
    test_seed: common.SimulatorSeed = 1000
    lenses: int = 500
    """Lenses, the first ones, whose places and maps are scored."""
    chunk: int = 8


def main(options: PositionDesignOptions) -> None:
    """Train every way, compare them on the same lenses, and write the table."""
    jax_setup.prepare(gradients=True)
    configs = plan_designs(options)
    data = next(iter(configs.values())).data
    assert isinstance(data, LensData)  # as the plan has seen
    # What starts from another run waits for all of those.
    first = {key: config for key, config in configs.items() if not config.init}
    later = {key: config for key, config in configs.items() if config.init}
    finished = common.train_runs(options.out, first, options.jobs)
    finished |= common.train_runs(options.out, later, options.jobs)
    test = common.held_out_simulations(data, options.test, options.test_seed)
    lenses = np.flatnonzero(test.label == 1)[: options.lenses]
    rows: dict[str, list[Measured]] = {
        CENTRE: [{"read": "always", **measure_centre_errors(test, lenses, data)}]
    }
    parameters = {}
    for way, seed in configs:
        trained = restore(finished[way, seed])
        parameters[way] = trained.summary["parameters"]
        if "cross_entropy" in trained.config.loss.weights:  # a restoration alone says no class
            for row in compare_readings(trained, test, lenses, options.chunk):
                rows.setdefault(f"{way}, {row['read']}", []).append({"seed": seed, **row})
    panels = {
        "auroc": "AUROC",
        "median_arcsec": "median position error (arcsec)",
        "energy": "energy on the arcs",
    }
    figure = figures.draw_dots(options.out / "table.png", rows, panels)
    lines = tabulate_designs(rows, test, len(lenses), parameters)
    result = {"data": asdict(data), "parameters": parameters, "rows": rows}
    common.save_study(options.out, lines, result, [figure])


def plan_designs(options: PositionDesignOptions) -> dict[common.NamedSeed, Config]:
    """Return the configuration of every way and seed; one that starts from another comes after it.

    Raises:
      UserError: an unknown way, or one whose start is not among them.
    """
    base, _ = common.load_lens_config(options.config)
    ways = common.load_edits(options.config, "WAYS", "way", options.only)
    starts = load_definition(options.config, "STARTS", "`STARTS: dict[str, str]`, or an empty one")
    missing = sorted({starts[name] for name in ways if name in starts} - set(ways))
    if missing:
        raise UserError(f"--only also needs {', '.join(missing)}, from which another one starts.")
    ways = {name: ways[name] for name in sorted(ways, key=lambda name: name in starts)}
    configs = common.plan_runs(sized(base, options.train, options.epochs), ways, options.seeds)
    for name, seed in configs:
        if name in starts:
            init = str(options.out / starts[name] / f"seed{seed}")
            configs[name, seed] = replace(configs[name, seed], init=init)
    return configs


def compare_readings(
    trained: Trained, test: datasets.Source, lenses: np.ndarray, chunk: int
) -> list[Measured]:
    """Return one row for each way to read a place off a network: class, place and evidence."""
    # A test set has no light of the source, which a U-Net's own loss needs.
    predictions = common.predict_source(trained, test, LossConfig({"cross_entropy": 1.0}))
    summary = metrics.classification_summary(predictions.logits, test.label, trained.classes)
    items = [examples.held_out_item(test[int(row)]) for row in lenses]
    masks = jnp.asarray(np.stack([item.mask for item in items if item.mask is not None]))
    rows: list[Measured] = []
    for name, values in make_evidence(trained, items, chunk).items():
        found = score_maps(jnp.asarray(values), masks)
        # Of the |mask| brightest pixels a share r lies inside: their overlap with the mask is r / (2 - r).
        inside = np.asarray(found["rank_accuracy"])
        scores = {"iou": float(np.mean(inside / (2 - inside)))}
        scores["energy"] = float(np.mean(found["energy_inside"]))
        readings = {f"centroid of {name}": centroids(values), f"peak of {name}": peaks(values)}
        if trained.has_position:
            readings = {"position": predictions.position[lenses]}
        for read, place in readings.items():
            where = measure_error_quantiles(place, test, lenses, trained.pixel_scale or np.nan)
            rows.append({"read": read, "map": name, **{k: summary[k] for k in WHAT}, **where, **scores})
    return rows


def make_evidence(trained: Trained, lenses: Sequence[Item], chunk: int) -> dict[str, np.ndarray]:
    """Return maps [n h w] that a way has by its making, or (of a classifier) those that explain it."""
    if trained.config.model.kind == "unet":
        return {"restored light": restore_light(trained, lenses, chunk)}
    methods = common.read_methods(("attention",) if trained.has_position else READ_OFF)
    return common.make_maps(trained, lenses, methods, target="lens", chunk=chunk)[0]


def restore_light(trained: Trained, lenses: Sequence[Item], chunk: int) -> np.ndarray:
    """Return the restored light [n h w], all bands together, on the image's asinh scale."""
    network = Partial(Apply(trained.model), trained.params)

    def light(image: jax.Array) -> Any:
        outputs: Any = network(image)
        return outputs.restored.sum(-1)

    images = jnp.asarray(np.stack([lens.image for lens in lenses]))
    return np.asarray(jax.jit(lambda x: jax.lax.map(light, x, batch_size=chunk))(images))


def measure_error_quantiles(
    place: np.ndarray, test: datasets.Source, lenses: np.ndarray, pixel_scale: float
) -> Measured:
    """Return quantiles of the distance to the true place, in arcsec and in widths of each image's own PSF."""
    shape, known = test.image.shape[-3:-1], np.ones(len(lenses), bool)
    _, arcsec = position_errors(place, test.position[lenses], known, shape, pixel_scale)
    both = {"arcsec": arcsec, "psf": arcsec / test.truth["psf_fwhm"][lenses]}
    quantiles = (("median", 0.5), ("p90", 0.9))
    return {f"{q}_{unit}": float(np.quantile(v, p)) for unit, v in both.items() for q, p in quantiles}


def measure_centre_errors(test: datasets.Source, lenses: np.ndarray, data: LensData) -> Measured:
    """Return the errors of a constant prediction at the image centre."""
    return measure_error_quantiles(np.full((len(lenses), 2), 0.5), test, lenses, domain_of(data).pixel_scale)


def tabulate_designs(
    rows: Mapping[str, Sequence[Measured]],
    test: datasets.Source,
    lenses: int,
    parameters: Mapping[str, int],
) -> list[str]:
    """Return Markdown: mean ± standard deviation over the seeds of every way and reading."""
    names = (*WHAT, *WHERE, *EVIDENCE)
    positive = int((test.label == 1).sum())
    cells = [
        (
            way,
            *(common.format_spread([row.get(name) for row in each], 3) or "–" for name in names),
            each[0].get("map", "–"),
        )
        for way, each in rows.items()
    ]
    head = ("design, source of the position", *(name.replace("_", " ") for name in names), "map")
    return [
        f"What: {positive:,} lenses, {len(test) - positive:,} non-lenses. Where: {lenses} of the lenses.",
        f"Weights: {', '.join(f'{way} {count:,}' for way, count in parameters.items())}.",
        "",
        *common.markdown_table(head, cells),
    ]


run = common.make_command("where", main, PositionDesignOptions, __doc__)

if __name__ == "__main__":
    run()
