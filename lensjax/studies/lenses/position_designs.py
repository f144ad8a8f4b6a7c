"""Four ways to say where a lens is, trained alike, in one table over several seeds.

    python -m lensjax.studies.lenses.position_designs --out runs/where --jobs 2
    python -m lensjax.studies.lenses.position_designs --out runs/where_small --seeds 1 --train 1000 --epochs 2 --test 400

Trains every way of configs/where.py with train.py (a finished one is kept), evaluates all on the same
held-out simulations, reads places and evidence off their maps of the same lenses, and writes table.md,
table.json and table.png. Beside them stands what always naming the middle comes to.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from lensjax.config import Config, LensData, LossConfig
from lensjax.config_io import load_config_file
from lensjax.data.batches import pipeline
from lensjax.data.store import datasets
from lensjax.evaluation import metrics, predict
from lensjax.evaluation.position_metrics import centroids, peaks, position_errors
from lensjax.explain import parse, score_maps
from lensjax.inspection import examples
from lensjax.inspection import maps as explained
from lensjax.inspection.restore import Trained, restore
from lensjax.report.figures import studies as pictures
from lensjax.runtime import jax_setup, logs, parallel
from lensjax.runtime.errors import UserError
from lensjax.specs import check_names, defined_in
from lensjax.training.subprocesses import sized, train_all

READ_OFF = ("grad_cam", "occlusion(window=8,stride=4)", "attention")
"""Maps of a network that gives no position."""
WHAT = ("auroc", "tpr0")
WHERE = ("median_arcsec", "p90_arcsec", "median_psf", "p90_psf")
EVIDENCE = ("iou", "energy")
Row = dict[str, Any]


@dataclass(frozen=True)
class Command:
    out: Path
    """Folder of the runs and the table."""
    config: Path = Path("configs/where.py")
    """Configuration file with WAYS, a dict of name -> edit of it, and STARTS."""
    seeds: int = 5
    only: tuple[str, ...] = ()
    """Names of some ways; all where none is given."""
    train: int | None = None
    """Training images; the configuration's where none is given. Fewer images and epochs make a quick look."""
    epochs: int | None = None
    """Passes over them; the configuration's where none is given."""
    jobs: int = 1
    """Trainings at once, each on its share of the cores."""
    test: int = 20_600
    """Held-out simulations; half of them lenses, so that 10,000 are not."""
    test_seed: int = 1000
    """Of the simulator; no training set has it."""
    lenses: int = 500
    """Lenses, the first ones, whose places and maps are scored."""
    chunk: int = 8


def main(command: Command) -> None:
    jax_setup.prepare(gradients=True)
    configs = plan(command)
    data = next(iter(configs.values())).data
    finished = train(command, configs)
    test = held_out(data, command.test, command.test_seed)
    shown = np.flatnonzero(test.label == 1)[: command.lenses]
    rows: dict[str, list[Row]] = {"middle of the image": [{"read": "always", **middle(test, shown, data)}]}
    parameters = {}
    for way, seed in configs:
        trained = restore(finished[way, seed])
        parameters[way] = trained.summary["parameters"]
        if "cross_entropy" in trained.config.loss.weights:  # a restoration alone says no class
            for row in compare(trained, test, shown, command.chunk):
                rows.setdefault(f"{way}, {row['read']}", []).append({"seed": seed, **row})
    lines = table_lines(rows, test, len(shown), parameters)
    result = {"command": shlex.join(sys.argv), "environment": logs.environment(), "data": asdict(data)}
    logs.write_json(command.out / "table.json", result | {"parameters": parameters, "rows": rows})
    (command.out / "table.md").write_text("\n".join(lines) + "\n")
    panels = {
        "auroc": "AUROC",
        "median_arcsec": "median position error (arcsec)",
        "energy": "energy on the arcs",
    }
    pictures.dots(command.out / "table.png", rows, panels)
    print("\n".join(lines))
    print(f"\ntable: {command.out / 'table.md'}\nplot:  {command.out / 'table.png'}")


def plan(command: Command) -> dict[tuple[str, int], Config]:
    """The configuration of every way and seed, seed by seed; one that starts from another comes after it.

    Raises:
      UserError: an unknown way, or one whose start is not among them.
    """
    base = load_config_file(command.config)
    if not isinstance(base.data, LensData):
        raise UserError(f"'{command.config}' has data '{base.data.name}'; this study needs simulated_lenses.")
    base = sized(base, command.train, command.epochs)
    ways = defined_in(command.config, "WAYS", "`WAYS: dict[str, Callable[[Config], Config]]`")
    starts = defined_in(command.config, "STARTS", "`STARTS: dict[str, str]`, or an empty one")
    check_names("way", command.only, ways)
    names = [name for name in ways if name in (command.only or ways)]
    missing = sorted({starts[name] for name in names if name in starts} - set(names))
    if missing:
        raise UserError(f"--only also needs {', '.join(missing)}, from which another one starts.")
    names.sort(key=lambda name: name in starts)
    found = {}
    for seed in range(command.seeds):
        for name in names:
            init = str(command.out / starts[name] / f"seed{seed}") if name in starts else ""
            found[name, seed] = replace(ways[name](base), seed=seed, init=init)
    return found


def train(command: Command, configs: Mapping[tuple[str, int], Config]) -> dict[tuple[str, int], Path]:
    """Train what is missing, `jobs` at once; what starts from another run waits for all of those."""
    finished: dict[tuple[str, int], Path] = {}
    for later in (False, True):
        runs = {
            command.out / run[0] / f"seed{run[1]}": run
            for run, config in configs.items()
            if bool(config.init) == later
        }
        done = train_all({place: configs[run] for place, run in runs.items()}, command.jobs)
        finished |= {runs[place]: place for place in done}
    return finished


def held_out(data: Any, count: int, seed: int) -> datasets.Source:
    """Simulations that no training set holds, of the training's kind."""
    return datasets.load(
        datasets.prepare(replace(data, train=1, validation=1, test=count, seed=seed, light=False)), "test"
    )


def compare(trained: Trained, test: datasets.Source, shown: np.ndarray, chunk: int) -> list[Row]:
    """One row for each way to read a place off a network: what, where and evidence."""
    step = jax.jit(predict.make_prediction_step(plain(trained.config), trained.model))
    batches = logs.progress(pipeline.eval_batches(test, 64), f"test {trained.workdir}")
    predictions = predict.predict(step, trained.params, batches, parallel.data_mesh())
    summary = metrics.classification_summary(predictions.logits, test.label, trained.classes)
    lenses = [examples.held_out_item(test[int(row)]) for row in shown]
    maps = evidence(trained, lenses, chunk)
    masks = jnp.asarray(np.stack([lens.mask for lens in lenses if lens.mask is not None]))
    rows: list[Row] = []
    for name, values in maps.items():
        found = score_maps(jnp.asarray(values), masks)
        # Of the |mask| brightest pixels a share r lies inside: their overlap with the mask is r / (2 - r).
        inside = np.asarray(found["rank_accuracy"])
        scores = {"iou": float(np.mean(inside / (2 - inside)))}
        scores["energy"] = float(np.mean(found["energy_inside"]))
        readings = {f"centroid of {name}": centroids(values), f"peak of {name}": peaks(values)}
        if trained.has_position:
            readings = {"position": predictions.position[shown]}
        for read, place in readings.items():
            where = errors(place, test, shown, trained.pixel_scale or np.nan)
            rows.append({"read": read, "map": name, **{k: summary[k] for k in WHAT}, **where, **scores})
    return rows


def plain(config: Config) -> Config:
    """To predict, without the loss of light that a test set does not have."""
    return replace(config, loss=LossConfig({"cross_entropy": 1.0}))


def evidence(trained: Trained, lenses: Sequence[explained.Item], chunk: int) -> dict[str, np.ndarray]:
    """Maps [n h w] that a way has by its making, or (of a classifier) those that explain it."""
    if trained.config.model.kind == "unet":
        return {"restored light": restored_light(trained, lenses, chunk)}
    texts = ("attention",) if trained.has_position else READ_OFF
    predicted = explained.predict(trained, lenses, chunk)
    return explained.explain(
        trained,
        lenses,
        predicted,
        [(text, *parse(text)) for text in texts],
        target="lens",
        chunk=chunk,
        seed=0,
        progress=logs.progress,
    )


def restored_light(trained: Trained, lenses: Sequence[explained.Item], chunk: int) -> np.ndarray:
    """Restored light, all bands together, on the image's asinh scale."""

    def light(images: jax.Array) -> jax.Array:
        outputs: Any = trained.model.apply({"params": trained.params}, images)
        return outputs.restored.sum(-1)

    forward = jax.jit(light)
    images = np.stack([lens.image for lens in lenses])
    padded = np.pad(images, [(0, -len(images) % chunk)] + [(0, 0)] * 3)
    parts = [forward(padded[i : i + chunk]) for i in range(0, len(padded), chunk)]
    return np.concatenate(parts)[: len(images)]


def errors(place: np.ndarray, test: datasets.Source, shown: np.ndarray, pixel_scale: float) -> Row:
    """Quantiles of the distance to the true place, in arcsec and in widths of each image's own PSF."""
    shape, known = test.image.shape[-3:-1], np.ones(len(shown), bool)
    _, arcsec = position_errors(place, test.position[shown], known, shape, pixel_scale)
    both = {"arcsec": arcsec, "psf": arcsec / test.truth["psf_fwhm"][shown]}
    quantiles = (("median", 0.5), ("p90", 0.9))
    return {f"{q}_{unit}": float(np.quantile(v, p)) for unit, v in both.items() for q, p in quantiles}


def middle(test: datasets.Source, shown: np.ndarray, data: Any) -> Row:
    """Always naming the middle of the image."""
    return errors(np.full((len(shown), 2), 0.5), test, shown, datasets.pixel_scale(data) or np.nan)


def table_lines(
    rows: Mapping[str, Sequence[Row]], test: datasets.Source, lenses: int, parameters: Mapping[str, int]
) -> list[str]:
    """Markdown: mean ± standard deviation over the seeds of every way and reading."""
    names = (*WHAT, *WHERE, *EVIDENCE)
    positive = int((test.label == 1).sum())
    lines = [
        f"What: {positive:,} lenses, {len(test) - positive:,} non-lenses. Where: {lenses} of the lenses.",
        f"Weights: {', '.join(f'{way} {count:,}' for way, count in parameters.items())}.",
        "",
        f"| way, where it is read | {' | '.join(name.replace('_', ' ') for name in names)} | map |",
        f"|---|{'---|' * (len(names) + 1)}",
    ]
    for way, each in rows.items():
        cells = []
        for name in names:
            values = np.array([row[name] for row in each if row.get(name) is not None], float)
            spread = f" ± {values.std(ddof=1):.3f}" if values.size > 1 else ""
            cells.append(f"{values.mean():.3f}{spread}" if values.size else "–")
        lines.append(f"| {way} | {' | '.join(cells)} | {each[0].get('map', '–')} |")
    return lines


if __name__ == "__main__":
    try:
        main(tyro.cli(Command, prog="python -m lensjax.studies.lenses.position_designs", description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on from what is saved.")
