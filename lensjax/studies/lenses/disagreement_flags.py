"""Does "where" reveal a wrong "what"? Flags of trained lens finders against their misclassifications.

    python train.py configs/where.py --workdir runs/where/position/seed0
    python train.py configs/where.py --workdir runs/where/no_artefacts --data.artefacts
    python -m lensjax.studies.lenses.disagreement_flags runs/where/position/seed0 runs/where/no_artefacts --out runs/flags

The second network has never seen an artefact; both are tested on images with all of them. Writes table.md
and table.json. The limit of a flag is the 95 % quantile of those of a run's validation lenses. Low confidence
is what any flag must be compared with: it costs no map.
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

from lensjax.config import LensData
from lensjax.data.store import datasets
from lensjax.evaluation import metrics
from lensjax.evaluation.disagreement_flag import ATTENTION, EVIDENCE, detection, flags_of
from lensjax.explain import parse
from lensjax.inspection import examples
from lensjax.inspection import maps as explained
from lensjax.inspection.restore import Trained, restore
from lensjax.runtime import jax_setup, logs
from lensjax.runtime.errors import UserError
from lensjax.simulate.lenses.artefacts import ARTEFACTS
from lensjax.studies.events.ablation_tables import spread

KEPT = 0.95
"""Share of the validation lenses whose flag is below the limit."""
COLUMNS = {
    "flag_auroc": "flag",
    "doubt_auroc": "low confidence",
    "flag_auroc_at_like_confidence": "flag at like confidence",
    "flag_auroc_of_lenses": "flag, predicted lenses",
    "doubt_auroc_of_lenses": "low confidence, predicted lenses",
    "precision": "precision",
    "precision_unflagged": "precision without flagged",
}


@dataclass(frozen=True)
class Command:
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Workdirs of train.py."""
    out: Path
    """Folder of the tables."""
    evidence: tuple[str, ...] = ("grad_cam", "integrated_gradients(steps=16)")
    """Methods, one of lensjax.evaluation.disagreement_flag.EVIDENCE each; each is a table row."""
    count: int = 4_000
    """Held-out simulations with all artefacts, a half of them lenses."""
    seed: int = 2_000
    """Of the simulator; no training set has it."""
    recall: float = 0.8
    """At which precision is told."""
    validation: int = 600
    """Validation images, at most, whose lenses set the limit."""
    chunk: int = 64


def main(command: Command) -> None:
    jax_setup.prepare(gradients=True)
    command.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for workdir in command.runs:
        trained = restore(workdir)
        if not isinstance(trained.config.data, LensData):
            raise UserError(f"'{workdir}' is no lens finder; flags need images of the sky.")
        rows += judge(trained, command)
    lines = [*mean_lines(rows, command.recall), *table_lines(rows, command.recall)]
    result = {"command": shlex.join(sys.argv), "environment": logs.environment(), "rows": rows}
    logs.write_json(command.out / "table.json", result | {"options": asdict(command)})
    (command.out / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    print(f"\ntable: {command.out / 'table.md'}")


def judge(trained: Trained, command: Command) -> list[dict[str, Any]]:
    """One row for each kind of evidence and part of the test set."""
    data = trained.config.data
    assert isinstance(data, LensData)  # as main has seen
    wanted = replace(
        data, train=1, validation=1, test=command.count, seed=command.seed, light=False, artefacts=ARTEFACTS
    )
    test = datasets.load(datasets.prepare(wanted), "test")
    validation = datasets.load(datasets.prepare(data), "validation")
    few = range(min(command.validation, len(validation)))
    rows = []
    for text in command.evidence:
        before, _ = flagged(
            trained, validation, [i for i in few if validation.label[i] == 1], text, command.chunk
        )
        flag, margin = flagged(trained, test, range(len(test)), text, command.chunk)
        limit = float(np.quantile(before, KEPT))
        spoilt = test.truth["artefact"] > 0
        for part, chosen in (("all", spoilt | True), ("with artefact", spoilt), ("without", ~spoilt)):
            found = detection(
                flag[chosen], margin[chosen], test.label[chosen], limit=limit, recall=command.recall
            )
            about = {"run": str(trained.workdir), "evidence": text, "images": part, "limit": limit}
            rows.append(about | {"trained_with": list(data.artefacts)} | found)
    return rows


def flagged(
    trained: Trained, source: datasets.Source, rows: Sequence[int], text: str, chunk: int
) -> tuple[np.ndarray, np.ndarray]:
    """Flag and log odds of a lens of some rows.

    Raises:
      UserError: the method is none that stands for evidence.
    """
    texts = [text, *([ATTENTION] if trained.config.model.attention.at else [])]
    methods = [(one, *parse(one)) for one in texts]
    some = [examples.held_out_item(source[int(row)]) for row in rows]
    predicted = explained.predict(trained, some, chunk)
    maps = explained.explain(
        trained, some, predicted, methods, target="lens", chunk=chunk, seed=0, progress=logs.progress
    )
    found = flags_of(maps, predicted.position, trained.pixel_scale)
    if found is None or found[1] != text:
        raise UserError(f"--evidence '{text}' stands for none; choose from {', '.join(EVIDENCE)}.")
    return found[0], metrics.class_scores(predicted.logits)[:, 1]


def mean_lines(rows: Sequence[Mapping[str, Any]], recall: float) -> list[str]:
    """Markdown: mean ± standard deviation over runs that lie in one folder; nothing where none do."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        folder = Path(row["run"]).parent.name
        groups.setdefault((folder, row["evidence"], row["images"]), []).append(row)
    several = {about: each for about, each in groups.items() if len(each) > 1}
    if not several:
        return []
    lines = [
        f"Mean ± s.d. over the runs of a folder: AUROC as a detector of misclassifications; precision of "
        f"lens candidates at recall {recall:g}.",
        "",
        f"| runs | evidence | images | {' | '.join(COLUMNS.values())} | flagged |",
        f"|---|---|---|{'---|' * (len(COLUMNS) + 1)}",
    ]
    for about, each in several.items():
        cells = [spread([row[name] for row in each if np.isfinite(row[name])], 3) for name in COLUMNS]
        cells.append(spread([100 * row["flagged"] for row in each], 1) + " %")
        lines.append(f"| {' | '.join((*about, *cells))} |")
    return [*lines, ""]


def table_lines(rows: Sequence[Mapping[str, Any]], recall: float) -> list[str]:
    """Markdown, with 95 % intervals."""
    lines = [
        f"AUROC as a detector of misclassifications; precision of lens candidates at recall {recall:g}.",
        "",
        f"| run | evidence | images | wrong | {' | '.join(COLUMNS.values())} | flagged |",
        f"|---|---|---|---|{'---|' * (len(COLUMNS) + 1)}",
    ]
    for row in rows:
        cells = []
        for name in COLUMNS:
            low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
            cells.append(f"{row[name]:.3f}" + ("" if low is None else f" ({low:.3f}–{high:.3f})"))
        about = f"{row['run']} | {row['evidence']} | {row['images']} | {row['n_wrong']} of {row['n']}"
        lines.append(f"| {about} | {' | '.join(cells)} | {row['flagged']:.1%} |")
    return lines


if __name__ == "__main__":
    try:
        main(
            tyro.cli(Command, prog="python -m lensjax.studies.lenses.disagreement_flags", description=__doc__)
        )
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing of the runs was changed.")
