"""Make the talk's table for events: every ablation over several seeds, with intervals, baselines, controls.

    lensjax study talk-table configs/gravity_spy_study.py --out runs/events_study

Trains each network with train.py (keeping finished runs) and writes table.md, table.json and table.png with
parameters, seconds per epoch, epochs, accuracy, macro-F1, missed chirps and the classes predicted instead,
and the same by window for networks that classify windows one by one. As a control it gives the accuracy from
the number of the displayed Q plane alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from scipy.special import softmax

from lensjax.config import EventData
from lensjax.config_io import load_config_file
from lensjax.data.store import datasets
from lensjax.evaluation import intervals, metrics
from lensjax.event_axes import CLASSES, WINDOWS
from lensjax.report.figures import studies as figures
from lensjax.runtime.errors import UserError
from lensjax.studies import common
from lensjax.studies.common import format_spread, markdown_table
from lensjax.studies.maps.shortcuts import guess_from_number

CHIRP = CLASSES.index("Chirp")
SeedRows = dict[str, list[dict[str, Any]]]
"""By network, one outcome a seed."""


@dataclass(frozen=True)
class TalkTableOptions:
    config: Annotated[Path, tyro.conf.Positional]
    """Configuration file that the ablations change."""
    out: common.Out
    seeds: int = 5
    ablations: Path = Path("configs/ablations.py")
    """File with ABLATIONS, a dict of name -> edit of a Config."""
    only: tuple[str, ...] = ()
    """Names of some of them; all where none is given."""
    jobs: int = 1
    """Trainings at once, each on its share of the cores, which is faster than one after another on all.
    Seconds an epoch are then those of a shared machine."""


def main(options: TalkTableOptions) -> None:
    """Train every ablation over the seeds, and write the tables and the figure."""
    base = load_config_file(options.config)
    if not isinstance(base.data, EventData):
        raise UserError(f"'{options.config}' has data '{base.data.name}'; this study needs simulated_events.")
    edits = common.load_edits(options.ablations, "ABLATIONS", "ablation", options.only)
    runs = common.train_runs(options.out, common.plan_runs(base, edits, options.seeds), options.jobs)
    rows: SeedRows = {name: [] for name in edits}
    for (name, _), workdir in runs.items():
        rows[name].append(summarise_run(workdir))
    folder = datasets.prepare(base.data)
    train_set, test_set = datasets.load(folder, "train"), datasets.load(folder, "test")
    control = guess_from_plane(train_set, test_set)
    border = measure_border(rows, test_set)
    lines = [*tabulate_ablations(rows), "", *tabulate_windows(rows), "", *describe_places(rows)]
    lines += [describe_plane(control, len(test_set)), *describe_border(border)]
    # Right or wrong event by event served the border's control; it is in each run's test_predictions.npz.
    short = {
        name: [{k: v for k, v in row.items() if k != "right"} for row in each] for name, each in rows.items()
    }
    result = {"base": asdict(base), "rows": short, "plane_alone": control, "border_only": border}
    count = next((row["chirp_n"] for each in rows.values() for row in each), 0)
    panels = {"accuracy": "accuracy on held-out events", "chirp_errors": f"chirps missed, of {count}"}
    controls = {"Q plane alone": control["accuracy"]}
    figure = figures.draw_dots(options.out / "table.png", rows, panels, controls=controls)
    common.save_study(options.out, lines, result, [figure])


def summarise_run(workdir: Path) -> dict[str, Any]:
    """Return what a run came to: its summary, and its decisions window by window where there are any."""
    summary = json.loads((workdir / "summary.json").read_text())
    test = summary["test"]
    row = {name: summary.get(name) for name in ("parameters", "seconds_per_epoch", "epochs")}
    row |= {name: test.get(name) for name in ("accuracy", "macro_f1", "chirp_n", "chirp_errors")}
    row["chirp_taken_for"] = test.get("chirp_taken_for", [])
    for name in ("time_error_median_ms", "frequency_error_median_octaves"):
        row |= {f"{guess}_{name}": test.get(f"{guess}_{name}") for guess in ("peak", "centre")}
    row["view"] = json.loads((workdir / "config.json").read_text())["model"]["view"]
    with np.load(workdir / "test_predictions.npz", allow_pickle=False) as saved:
        row["right"] = (saved["logits"].argmax(-1) == saved["label"]).tolist()
        if "window_logits" in saved:
            row["windows"] = count_by_window(saved["window_logits"], saved["label"])
    return row


def count_by_window(logits: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    """Return accuracy and chirps missed in each window [n t k], and the accuracy of the windows' majority."""
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


def measure_border(rows: dict[str, list[dict[str, Any]]], test_set: datasets.Source) -> dict[str, Any]:
    """Return the accuracy of networks that see only the outer quarters, where those hold evidence and not."""
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


def guess_from_plane(train_set: datasets.Source, test_set: datasets.Source) -> dict[str, float]:
    """Return the accuracy of guessing the commonest class of the displayed Q plane."""
    train_plane, test_plane = (source.truth["q_plane"] for source in (train_set, test_set))
    said = guess_from_number(train_plane, train_set.label, test_plane)
    table = metrics.confusion(said.astype(np.int32), test_set.label, len(CLASSES))
    return {"accuracy": float(metrics.accuracy(table)), "macro_f1": float(metrics.macro_f1(table))}


def describe_border(border: dict[str, Any]) -> list[str]:
    """Return a sentence for each network that sees the outer quarters alone."""
    return [
        f"{name}: accuracy {format_spread(found['none'], 3)} on the {found['n'][1]} events without evidence "
        f"in the outer quarters, {format_spread(found['evidence'], 3)} on the {found['n'][0]} with some."
        for name, found in border.items()
    ]


def describe_places(rows: SeedRows) -> list[str]:
    """Return a sentence for each network that predicts the peak."""
    lines = []
    for name, each in rows.items():
        if each[0]["peak_time_error_median_ms"] is not None:
            time = format_spread([row["peak_time_error_median_ms"] for row in each], 1)
            pitch = format_spread([row["peak_frequency_error_median_octaves"] for row in each], 2)
            lines.append(
                f"{name}: median error of the peak {time} ms and {pitch} octaves; of a constant prediction "
                f"at the image centre {each[0]['centre_time_error_median_ms']:.1f} ms and "
                f"{each[0]['centre_frequency_error_median_octaves']:.2f}."
            )
    return lines


def describe_plane(control: dict[str, float], count: int) -> str:
    """Return a sentence on the Q plane alone."""
    low, high = intervals.wilson(round(control["accuracy"] * count), count)
    return (
        f"From the displayed Q plane alone: accuracy {control['accuracy']:.3f} ({low:.3f}–{high:.3f}), "
        f"macro-F1 {control['macro_f1']:.3f}; chance {1 / len(CLASSES):.3f}."
    )


def tabulate_ablations(rows: SeedRows) -> list[str]:
    """Return a line an ablation: mean ± s.d. over seeds, Wilson interval of the mean chirp errors."""
    cells = []
    for name, each in rows.items():
        column = {key: [row[key] for row in each] for key in each[0] if key != "windows"}
        n = each[0]["chirp_n"]
        low, high = intervals.wilson(float(np.mean(column["chirp_errors"])), n)
        errors = f"{format_spread(column['chirp_errors'], 1)} of {n} ({100 * low:.0f}–{100 * high:.0f} %)"
        numbers = {"seconds_per_epoch": 1, "epochs": 1, "accuracy": 3, "macro_f1": 3}
        spreads = [format_spread(column[key], digits) for key, digits in numbers.items()]
        taken_for = count_commonest(column["chirp_taken_for"])
        cells.append((name, f"{each[0]['parameters']:,}", *spreads, errors, taken_for))
    head = (
        "network",
        "parameters",
        "s/epoch",
        "epochs",
        "accuracy",
        "macro-F1",
        "chirp errors",
        "predicted instead",
    )
    return markdown_table(head, cells)


def count_commonest(lists: Sequence[Sequence[str]], most: int = 3) -> str:
    """Return the classes most often predicted instead of Chirp, over all seeds."""
    total: Counter[str] = Counter()
    for entry in (entry for each in lists for entry in each):
        count, name = entry.split(" ", 1)
        total[name] += int(count)
    return ", ".join(f"{name} {count}" for name, count in total.most_common(most))


def tabulate_windows(rows: SeedRows) -> list[str]:
    """Return Markdown: networks that decide window by window, in each window and by vote."""
    deciding = {name: [row["windows"] for row in each] for name, each in rows.items() if "windows" in each[0]}
    if not deciding:
        return []
    each_window, cells = range(len(WINDOWS)), []
    for name, each in deciding.items():
        accuracy = [format_spread([row["accuracy"][t] for row in each], 3) for t in each_window]
        pooled = [
            format_spread([row[key] for row in each], 3) for key in ("image_accuracy", "votes_accuracy")
        ]
        errors = [format_spread([row["chirp_errors"][t] for row in each], 1) for t in each_window]
        taken_for = [count_commonest([row["chirp_taken_for"][t] for row in each]) for t in each_window]
        cells.append((f"{name}, accuracy", *accuracy, *pooled))
        cells.append((f"{name}, chirp errors", *errors, "", ""))
        cells.append((f"{name}, predicted instead", *taken_for, "", ""))
    head = ("window by window", *(f"{length:g} s" for length in WINDOWS), "per image", "votes")
    return markdown_table(head, cells)


run = common.make_command("talk-table", main, TalkTableOptions, __doc__)

if __name__ == "__main__":
    run()
