"""One experiment over several seeds: metrics on a large held-out set, maps against the truth, with spread.

    python -m lensjax.studies.lenses.seed_spread configs/lens_demo.py --out runs/lens_demo_seeds

Trains every seed with train.py (a finished one is kept), evaluates all on the same held-out simulations,
scores the maps of all on the same lenses, and writes table.md and table.json.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro

from lensjax.config import LensData
from lensjax.config_io import load_config_file
from lensjax.data.batches import pipeline
from lensjax.data.store import datasets
from lensjax.evaluation import predict
from lensjax.explain import parse
from lensjax.inspection import default_methods, examples, result_files
from lensjax.inspection import maps as explained
from lensjax.inspection.restore import Trained, restore
from lensjax.runtime import jax_setup, logs, parallel
from lensjax.runtime.errors import UserError
from lensjax.training.subprocesses import train_all

METRICS = (
    "auroc",
    "average_precision",
    "tpr0",
    "tpr10",
    "tpr_at_fpr_1e-3",
    "accuracy",
    "calibration_error",
    "position_error_median_arcsec",
    "position_error_p90_arcsec",
    "centre_error_median_arcsec",
    "position_coverage_1sigma",
)


@dataclass(frozen=True)
class Command:
    config: Annotated[Path, tyro.conf.Positional]
    """Configuration file."""
    out: Path
    """Folder of the runs and the tables."""
    seeds: int = 5
    test: int = 20_600
    """Held-out simulations; half of them lenses, so that 10,000 are not."""
    test_seed: int = 1000
    """Of the simulator; no training set has it."""
    lenses: int = 96
    """Lenses whose maps are scored."""
    methods: tuple[str, ...] = ()
    """As for explain.py; all that the network allows where none is given."""
    chunk: int = 8


def main(command: Command) -> None:
    jax_setup.prepare(gradients=True)
    base = load_config_file(command.config)
    lenses = base.data
    if not isinstance(lenses, LensData):
        raise UserError(
            f"'{command.config}' is no lens finder; for events see lensjax.studies.events.talk_table."
        )
    seeds = range(command.seeds)
    runs = train_all({command.out / f"seed{seed}": replace(base, seed=seed) for seed in seeds}, jobs=1)
    data = replace(lenses, train=1, validation=1, test=command.test, seed=command.test_seed)
    test = datasets.load(datasets.prepare(data), "test")
    shown = [
        examples.held_out_item(test[int(row)]) for row in np.flatnonzero(test.label == 1)[: command.lenses]
    ]
    methods: list[explained.Method] = [(text, *parse(text)) for text in command.methods]
    methods = default_methods.with_trivial(methods or default_methods.default_methods(restore(runs[0])))
    metrics, maps = [], []
    for workdir in runs:
        trained = restore(workdir)
        metrics.append(test_metrics(trained, test))
        maps.append(map_scores(trained, shown, methods, command.chunk))
    training = [restore(workdir).summary for workdir in runs]
    result = {
        "command": shlex.join(sys.argv),
        "environment": logs.environment(),
        "data": asdict(data),
        "seeds": command.seeds,
        "training": training,
        "metrics": metrics,
        "maps": maps,
    }
    logs.write_json(command.out / "table.json", result)
    text = "\n".join([*metric_lines(metrics), "", *map_lines(maps, len(shown))])
    (command.out / "table.md").write_text(text + "\n")
    print(text)
    print(f"\ntables: {command.out / 'table.md'}")


def test_metrics(trained: Trained, test: datasets.Source) -> dict[str, Any]:
    """Every metric of the large held-out set."""
    step = jax.jit(predict.make_prediction_step(trained.config, trained.model))
    batches = logs.progress(pipeline.eval_batches(test, 64), f"test {trained.workdir.name}")
    predictions = predict.predict(step, trained.params, batches, parallel.data_mesh())
    return predict.summarise(predictions, test, trained.config)


def map_scores(
    trained: Trained, shown: Sequence[explained.Item], methods: Sequence[explained.Method], chunk: int
) -> list[dict[str, Any]]:
    """The table of methods of one network."""
    predicted = explained.predict(trained, shown, chunk)
    maps = explained.explain(
        trained, shown, predicted, methods, target="lens", chunk=chunk, seed=0, progress=logs.progress
    )
    return result_files.score_table(explained.score(shown, maps), 0)


def metric_lines(metrics: Sequence[dict[str, Any]]) -> list[str]:
    """Markdown: mean, standard deviation and range over the seeds."""
    first = metrics[0]
    lines = [
        f"{len(metrics)} seeds, {first['n_positive']:,} lenses, {first['n_negative']:,} non-lenses.",
        "",
        "| metric | mean ± s.d. over seeds | least – most |",
        "|---|---|---|",
    ]
    for name in METRICS:
        values = np.array([m[name] for m in metrics if m.get(name) is not None], float)
        if values.size:
            spread = values.std(ddof=1) if values.size > 1 else np.nan
            bounds = f"{values.min():.4f} – {values.max():.4f}"
            lines.append(f"| {name} | {values.mean():.4f} ± {spread:.4f} | {bounds} |")
    return lines


def map_lines(maps: Sequence[list[dict[str, Any]]], count: int) -> list[str]:
    """Markdown: each method's mean over lenses, then mean ± standard deviation over the seeds."""
    names = [name for name, value in maps[0][0].items() if isinstance(value, tuple)]
    lines = [
        f"{count} lenses, {len(maps)} seeds, mean ± s.d. over seeds; chance {maps[0][0]['chance']:.3f}.",
        "",
        f"| map | {' | '.join(name.replace('_', ' ') for name in names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for row in range(len(maps[0])):
        trivial = " (trivial)" if maps[0][row].get("baseline") else ""
        cells = []
        for name in names:
            values = np.array([table[row][name][0] for table in maps])
            cells.append(f"{values.mean():.3f} ± {values.std(ddof=1) if len(values) > 1 else np.nan:.3f}")
        lines.append(f"| {maps[0][row]['method']}{trivial} | {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    try:
        main(tyro.cli(Command, prog="python -m lensjax.studies.lenses.seed_spread", description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on from what is saved.")
