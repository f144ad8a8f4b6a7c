"""Test whether the position reveals a wrong class: flags of lens finders against their misclassifications.

    python train.py configs/where.py --workdir runs/where/position/seed0
    python train.py configs/where.py --workdir runs/where/no_artefacts --data.artefacts
    lensjax study flags runs/where/position/seed0 runs/where/no_artefacts --out runs/flags

The second network has never seen an artefact; the study tests both on images with all artefacts. It writes
table.md and table.json. The threshold of the flag is the 95 % quantile of its values on a run's validation
lenses. The table also gives low confidence, the simplest flag, which needs no map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.config import LensData
from lensjax.data.store import datasets
from lensjax.evaluation import metrics
from lensjax.evaluation.disagreement_flag import ATTENTION, EVIDENCE, detection, flags_of
from lensjax.inspection import examples
from lensjax.inspection.restore import Trained, restore
from lensjax.runtime import jax_setup
from lensjax.runtime.errors import UserError
from lensjax.simulate.lenses.artefacts import ARTEFACTS
from lensjax.studies import common

KEPT = 0.95
"""Share of the validation lenses whose flag is below the limit."""
COLUMNS = {
    "flag_auroc": "flag",
    "doubt_auroc": "low confidence",
    "flag_auroc_at_like_confidence": "flag at equal confidence",
    "flag_auroc_of_lenses": "flag, predicted lenses",
    "doubt_auroc_of_lenses": "low confidence, predicted lenses",
    "precision": "precision",
    "precision_unflagged": "precision without flagged",
}


@dataclass(frozen=True)
class FlagOptions:
    runs: common.Runs
    out: common.Out
    evidence: tuple[str, ...] = ("grad_cam", "integrated_gradients(steps=16)")
    """Methods, one of lensjax.evaluation.disagreement_flag.EVIDENCE each; each is a table row."""
    count: int = 4_000
    """Held-out simulations with all artefacts, a half of them lenses."""
    seed: common.SimulatorSeed = 2_000
    recall: float = 0.8
    """At which precision is told."""
    validation: int = 600
    """Validation images, at most, whose lenses set the limit."""
    chunk: int = 64


def main(options: FlagOptions) -> None:
    """Flag the predictions of every run and write the tables."""
    jax_setup.prepare(gradients=True)
    rows: list[dict[str, Any]] = []
    for workdir in options.runs:
        rows += measure_flags(restore(workdir), options)
    lines = [*tabulate_means(rows, options.recall), *tabulate_flags(rows, options.recall)]
    common.save_study(options.out, lines, {"rows": rows, "options": asdict(options)})


def measure_flags(trained: Trained, options: FlagOptions) -> list[dict[str, Any]]:
    """Return one row for each kind of evidence and part of the test set.

    Raises:
      UserError: the network is no lens finder.
    """
    data = trained.config.data
    if not isinstance(data, LensData):
        raise UserError(f"'{trained.workdir}' is no lens finder; flags need images of the sky.")
    test = common.held_out_simulations(data, options.count, options.seed, artefacts=ARTEFACTS)
    validation = datasets.load(datasets.prepare(data), "validation")
    lenses = np.flatnonzero(validation.label[: options.validation] == 1).tolist()
    rows = []
    for text in options.evidence:
        before, _ = flag_predictions(trained, validation, lenses, text, options.chunk)
        flag, margin = flag_predictions(trained, test, range(len(test)), text, options.chunk)
        limit = float(np.quantile(before, KEPT))
        spoilt = test.truth["artefact"] > 0
        for part, chosen in (("all", spoilt | True), ("with artefact", spoilt), ("without", ~spoilt)):
            found = detection(
                flag[chosen], margin[chosen], test.label[chosen], limit=limit, recall=options.recall
            )
            about = {"run": str(trained.workdir), "evidence": text, "images": part, "limit": limit}
            rows.append(about | {"trained_with": list(data.artefacts)} | found)
    return rows


def flag_predictions(
    trained: Trained, source: datasets.Source, rows: Sequence[int], text: str, chunk: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return flag and log odds of a lens of some rows.

    Raises:
      UserError: the method is not one of EVIDENCE.
    """
    methods = common.read_methods((text, ATTENTION), trained)
    items = [examples.held_out_item(source[int(row)]) for row in rows]
    maps, predicted = common.make_maps(trained, items, methods, target="lens", chunk=chunk)
    found = flags_of(maps, predicted.position, trained.pixel_scale)
    if found is None or found[1] != text:
        raise UserError(f"--evidence '{text}' stands for none; choose from {', '.join(EVIDENCE)}.")
    return found[0], metrics.class_scores(predicted.logits)[:, 1]


def tabulate_means(rows: Sequence[Mapping[str, Any]], recall: float) -> list[str]:
    """Return Markdown: mean ± standard deviation over runs that lie in one folder; nothing where none do."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        folder = Path(row["run"]).parent.name
        groups.setdefault((folder, row["evidence"], row["images"]), []).append(row)
    several = {about: each for about, each in groups.items() if len(each) > 1}
    if not several:
        return []
    cells = []
    for about, each in several.items():
        spreads = [common.format_spread([row[name] for row in each], 3) for name in COLUMNS]
        flagged = common.format_spread([100 * row["flagged"] for row in each], 1) + " %"
        cells.append((*about, *spreads, flagged))
    return [
        f"Mean ± s.d. over the runs of a folder: AUROC as a detector of misclassifications; precision of "
        f"lens candidates at recall {recall:g}.",
        "",
        *common.markdown_table(("runs", "evidence", "images", *COLUMNS.values(), "flagged"), cells),
        "",
    ]


def tabulate_flags(rows: Sequence[Mapping[str, Any]], recall: float) -> list[str]:
    """Return Markdown, with 95 % intervals."""
    table = []
    for row in rows:
        cells = [row["run"], row["evidence"], row["images"], f"{row['n_wrong']} of {row['n']}"]
        for name in COLUMNS:
            low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
            cells.append(f"{row[name]:.3f}" + ("" if low is None else f" ({low:.3f}–{high:.3f})"))
        table.append((*cells, f"{row['flagged']:.1%}"))
    head = ("run", "evidence", "images", "wrong", *COLUMNS.values(), "flagged")
    return [
        f"AUROC as a detector of misclassifications; precision of lens candidates at recall {recall:g}.",
        "",
        *common.markdown_table(head, table),
    ]


run = common.make_command("flags", main, FlagOptions, __doc__)

if __name__ == "__main__":
    run()
