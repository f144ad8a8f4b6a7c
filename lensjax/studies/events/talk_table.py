"""The talk's table for events: every ablation over several seeds, with intervals, baselines and controls.

    python -m lensjax.studies.events.talk_table configs/gravity_spy_study.py --out runs/events_study

Trains each with train.py (a finished one is kept) and writes table.md, table.json and table.png: parameters,
seconds an epoch, epochs, accuracy, macro-F1, chirps missed and what they were taken for, by window where
windows are decided one by one. Beside them stands what the displayed Q plane alone gives away.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from scipy.special import softmax

from lensjax.config import Config, EventData
from lensjax.config_io import load_config_file
from lensjax.data.store import datasets
from lensjax.evaluation import metrics
from lensjax.event_axes import CLASSES, WINDOWS
from lensjax.report.figures import studies as pictures
from lensjax.runtime import logs
from lensjax.runtime.errors import UserError
from lensjax.specs import check_names, defined_in
from lensjax.studies.events.ablation_tables import (
    border_lines,
    place_lines,
    plane_line,
    table_lines,
    window_lines,
)
from lensjax.training.subprocesses import train_all

CHIRP = CLASSES.index("Chirp")


@dataclass(frozen=True)
class Command:
    config: Annotated[Path, tyro.conf.Positional]
    """Configuration file that the ablations change."""
    out: Path
    """Folder of the runs and the table."""
    seeds: int = 5
    ablations: Path = Path("configs/ablations.py")
    """File with ABLATIONS, a dict of name -> edit of a Config."""
    only: tuple[str, ...] = ()
    """Names of some of them; all where none is given."""
    jobs: int = 1
    """Trainings at once, each on its share of the cores, which is faster than one after another on all.
    Seconds and joules an epoch are then those of a shared machine."""


def main(command: Command) -> None:
    base = load_config_file(command.config)
    if not isinstance(base.data, EventData):
        raise UserError(f"'{command.config}' has data '{base.data.name}'; this study needs simulated_events.")
    edits = load_ablations(command.ablations, command.only)
    folder = datasets.prepare(base.data)
    # Seed by seed: a study that is stopped has something of everything.
    runs = [(name, seed) for seed in range(command.seeds) for name in edits]
    configs = {
        command.out / name / f"seed{seed}": replace(edits[name](base), seed=seed) for name, seed in runs
    }
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in edits}
    for (name, _), workdir in zip(runs, train_all(configs, command.jobs), strict=True):
        rows[name].append(outcome(workdir))
    train_set, test_set = datasets.load(folder, "train"), datasets.load(folder, "test")
    control = plane_alone(train_set, test_set)
    border = border_rows(rows, test_set)
    lines = [*table_lines(rows), "", *window_lines(rows), "", *place_lines(rows)]
    lines += [plane_line(control, len(test_set)), *border_lines(border)]
    result = {"command": shlex.join(sys.argv), "environment": logs.environment(), "base": asdict(base)}
    # Right or wrong event by event served the border's control; it is in each run's test_predictions.npz.
    short = {
        name: [{k: v for k, v in row.items() if k != "right"} for row in each] for name, each in rows.items()
    }
    result |= {"rows": short, "plane_alone": control, "border_only": border}
    logs.write_json(command.out / "table.json", result)
    (command.out / "table.md").write_text("\n".join(lines) + "\n")
    pictures.save(command.out / "table.png", rows, {"Q plane alone": control["accuracy"]})
    print("\n".join(lines))
    print(f"\ntable: {command.out / 'table.md'}\nplot:  {command.out / 'table.png'}")


def load_ablations(path: Path, only: Sequence[str]) -> dict[str, Callable[[Config], Config]]:
    """ABLATIONS of a Python file.

    Raises:
      UserError: no such file, no such dict in it, or an unknown name.
    """
    edits = defined_in(path, "ABLATIONS", "`ABLATIONS: dict[str, Callable[[Config], Config]]`")
    check_names("ablation", only, edits)
    return {name: edits[name] for name in only or edits}


def outcome(workdir: Path) -> dict[str, Any]:
    """What a run came to: its summary, and its decisions window by window where there are any."""
    summary = json.loads((workdir / "summary.json").read_text())
    test = summary["test"]
    row = {
        name: summary.get(name) for name in ("parameters", "seconds_per_epoch", "epochs", "joules_per_epoch")
    }
    row |= {name: test.get(name) for name in ("accuracy", "macro_f1", "chirp_n", "chirp_errors")}
    row["chirp_taken_for"] = test.get("chirp_taken_for", [])
    for name in ("time_error_median_ms", "frequency_error_median_octaves"):
        row |= {f"{guess}_{name}": test.get(f"{guess}_{name}") for guess in ("peak", "centre")}
    row["view"] = json.loads((workdir / "config.json").read_text())["model"]["view"]
    with np.load(workdir / "test_predictions.npz", allow_pickle=False) as saved:
        row["right"] = (saved["logits"].argmax(-1) == saved["label"]).tolist()
        if "window_logits" in saved:
            row["windows"] = by_window(saved["window_logits"], saved["label"])
    return row


def by_window(logits: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    """Accuracy and chirps missed in each window [n t k], and accuracy of the majority of the windows."""
    said, chirp = logits.argmax(-1), label == CHIRP
    # Of a tie, the class whose windows are surer.
    votes = (said[..., None] == np.arange(logits.shape[-1])).sum(1) + 1e-3 * softmax(logits, axis=-1).mean(1)
    missed = [
        Counter(CLASSES[c] for c in said[chirp, t] if c != CHIRP).most_common(3) for t in range(len(WINDOWS))
    ]
    return {
        "accuracy": (said == label[:, None]).mean(0).tolist(),
        "chirp_errors": (said[chirp] != CHIRP).sum(0).tolist(),
        "chirp_taken_for": [[f"{count} {name}" for name, count in window] for window in missed],
        "votes_accuracy": float((votes.argmax(-1) == label).mean()),
        "image_accuracy": float((said == label[:, None]).mean()),
    }


def border_rows(rows: dict[str, list[dict[str, Any]]], test_set: datasets.Source) -> dict[str, Any]:
    """Accuracy of networks that see the outer quarters alone, where those hold evidence and where not."""
    quarter = test_set.mask.shape[-1] // 4
    inside = test_set.mask.copy()
    inside[..., quarter:-quarter] = False
    held = inside.any((1, 2, 3))
    found = {}
    for name, each in rows.items():
        if all(row["view"] == "border" for row in each):
            right = [np.array(row["right"]) for row in each]
            found[name] = {
                "evidence": [float(one[held].mean()) for one in right],
                "none": [float(one[~held].mean()) for one in right],
                "n": [int(held.sum()), int((~held).sum())],
            }
    return found


def plane_alone(train_set: datasets.Source, test_set: datasets.Source) -> dict[str, float]:
    """The best guess from the displayed Q plane and nothing else: the commonest class of each plane."""
    planes = train_set.truth["q_plane"].astype(int)
    counts = np.zeros((planes.max() + 1, len(CLASSES)), int)
    np.add.at(counts, (planes, train_set.label), 1)
    said = counts.argmax(1)[np.minimum(test_set.truth["q_plane"].astype(int), planes.max())]
    table = metrics.confusion(said.astype(np.int32), test_set.label, len(CLASSES))
    return {"accuracy": float(metrics.accuracy(table)), "macro_f1": float(metrics.macro_f1(table))}


if __name__ == "__main__":
    try:
        main(tyro.cli(Command, prog="python -m lensjax.studies.events.talk_table", description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on from what is saved.")
