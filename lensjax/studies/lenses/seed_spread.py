"""Measure one experiment over several seeds: metrics on a large held-out set, and maps against the truth.

    lensjax study seeds configs/lens_demo.py --out runs/lens_demo_seeds

Trains every seed with train.py (keeping finished runs), evaluates all on the same held-out simulations,
scores the maps of all on the same lenses, and writes table.md and table.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lensjax.evaluation import predict
from lensjax.inspection import default_methods, examples, maps, result_files
from lensjax.inspection.restore import restore
from lensjax.runtime import jax_setup
from lensjax.studies import common

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
class SeedSpreadOptions:
    config: common.ConfigFile
    out: common.Out
    seeds: int = 5
    test: int = 20_600
    """Held-out simulations; half of them lenses, so that 10,000 are not."""
    test_seed: common.SimulatorSeed = 1000
    lenses: int = 96
    """Lenses whose maps are scored."""
    methods: tuple[str, ...] = ()
    """As for explain.py; all that the network allows where none is given."""
    chunk: int = 8


def main(options: SeedSpreadOptions) -> None:
    """Train, evaluate and explain every seed, and write the tables."""
    jax_setup.prepare(gradients=True)
    base, data = common.load_lens_config(options.config)
    configs = common.plan_runs(base, {"": lambda config: config}, options.seeds)
    runs = [restore(folder) for folder in common.train_runs(options.out, configs, jobs=1).values()]
    test = common.held_out_simulations(data, options.test, options.test_seed, light=data.light)
    rows = np.flatnonzero(test.label == 1)[: options.lenses]
    lenses = [examples.held_out_item(test[int(row)]) for row in rows]
    chosen = common.read_methods(options.methods) or default_methods.default_methods(runs[0])
    methods = default_methods.add_trivial(chosen)
    metrics = [
        predict.summarise(common.predict_source(trained, test), test, trained.config) for trained in runs
    ]
    scores = []
    for trained in runs:
        found, _ = common.make_maps(trained, lenses, methods, target="lens", chunk=options.chunk)
        scores.append(result_files.score_table(maps.score(lenses, found), 0))
    result = {
        "data": asdict(data) | {"test": options.test, "seed": options.test_seed},
        "seeds": options.seeds,
        "training": [trained.summary for trained in runs],
        "metrics": metrics,
        "maps": scores,
    }
    lines = [*tabulate_metrics(metrics), "", *tabulate_maps(scores, len(lenses))]
    common.save_study(options.out, lines, result)


def tabulate_metrics(metrics: Sequence[dict[str, Any]]) -> list[str]:
    """Return Markdown: mean, standard deviation and range over the seeds."""
    first = metrics[0]
    rows = []
    for name in METRICS:
        values = [m[name] for m in metrics if m.get(name) is not None]
        if values:
            rows.append((name, common.format_spread(values, 4), f"{min(values):.4f} – {max(values):.4f}"))
    return [
        f"{len(metrics)} seeds, {first['n_positive']:,} lenses, {first['n_negative']:,} non-lenses.",
        "",
        *common.markdown_table(("metric", "mean ± s.d. over seeds", "least – most"), rows),
    ]


def tabulate_maps(scores: Sequence[list[dict[str, Any]]], count: int) -> list[str]:
    """Return Markdown: each method's mean over lenses, then mean ± standard deviation over the seeds."""
    names = [name for name, value in scores[0][0].items() if isinstance(value, tuple)]
    rows = []
    for number, first in enumerate(scores[0]):
        cells = [common.format_spread([table[number][name][0] for table in scores], 3) for name in names]
        rows.append((first["method"] + (" (trivial)" if first.get("baseline") else ""), *cells))
    return [
        f"{count} lenses, {len(scores)} seeds, mean ± s.d. over seeds; chance {scores[0][0]['chance']:.3f}.",
        "",
        *common.markdown_table(("map", *(name.replace("_", " ") for name in names)), rows),
    ]


run = common.make_command("seeds", main, SeedSpreadOptions, __doc__)

if __name__ == "__main__":
    run()
