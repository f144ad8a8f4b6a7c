"""The tables of the study of events, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lensjax.evaluation import intervals
from lensjax.event_axes import CLASSES, WINDOWS

Rows = dict[str, list[dict[str, Any]]]
"""By network, one outcome a seed."""


def border_lines(border: dict[str, Any]) -> list[str]:
    return [
        f"{name}: accuracy {spread(found['none'], 3)} on the {found['n'][1]} events without evidence in the "
        f"outer quarters, {spread(found['evidence'], 3)} on the {found['n'][0]} with some."
        for name, found in border.items()
    ]


def place_lines(rows: Rows) -> list[str]:
    """Where the peak is, of networks that say so."""
    lines = []
    for name, each in rows.items():
        if each[0]["peak_time_error_median_ms"] is not None:
            time, pitch = (
                spread([row[key] for row in each], digits)
                for key, digits in (
                    ("peak_time_error_median_ms", 1),
                    ("peak_frequency_error_median_octaves", 2),
                )
            )
            middle = each[0]["centre_time_error_median_ms"], each[0]["centre_frequency_error_median_octaves"]
            lines.append(
                f"{name}: median error of the peak {time} ms and {pitch} octaves; always naming the middle "
                f"{middle[0]:.1f} ms and {middle[1]:.2f}."
            )
    return lines


def plane_line(control: dict[str, float], count: int) -> str:
    low, high = intervals.wilson(round(control["accuracy"] * count), count)
    chance = 1 / len(CLASSES)
    return (
        f"From the displayed Q plane alone: accuracy {control['accuracy']:.3f} ({low:.3f}–{high:.3f}), "
        f"macro-F1 {control['macro_f1']:.3f}; chance {chance:.3f}."
    )


def spread(values: Sequence[float | int | None], digits: int) -> str:
    """Mean ± standard deviation."""
    known = np.array([value for value in values if value is not None], float)
    if not known.size:
        return ""
    if known.size == 1:
        return f"{known[0]:.{digits}f}"
    return f"{known.mean():.{digits}f} ± {known.std(ddof=1):.{digits}f}"


def table_lines(rows: Rows) -> list[str]:
    """Markdown, a line an ablation: mean ± s.d. over seeds, Wilson interval of the mean chirp errors."""
    joules = any(row["joules_per_epoch"] for each in rows.values() for row in each)
    head = ["network", "parameters", "s/epoch", "epochs", "accuracy", "macro-F1", "chirp errors", "taken for"]
    head += ["J/epoch"] if joules else []
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, each in rows.items():
        column = {key: [row[key] for row in each] for key in each[0] if key != "windows"}
        n, errors = each[0]["chirp_n"], float(np.mean(column["chirp_errors"]))
        low, high = intervals.wilson(errors, n)
        cells = [
            name,
            f"{each[0]['parameters']:,}",
            spread(column["seconds_per_epoch"], 1),
            spread(column["epochs"], 1),
            spread(column["accuracy"], 3),
            spread(column["macro_f1"], 3),
            f"{spread(column['chirp_errors'], 1)} of {n} ({100 * low:.0f}–{100 * high:.0f} %)",
            commonest(column["chirp_taken_for"]),
        ]
        cells += [spread(column["joules_per_epoch"], 0)] if joules else []
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def commonest(lists: Sequence[Sequence[str]], most: int = 3) -> str:
    """The classes that chirps were taken for most often, over all seeds."""
    total: Counter[str] = Counter()
    for entry in (entry for each in lists for entry in each):
        count, name = entry.split(" ", 1)
        total[name] += int(count)
    return ", ".join(f"{name} {count}" for name, count in total.most_common(most))


def window_lines(rows: Rows) -> list[str]:
    """Markdown: networks that decide window by window, in each window and by vote."""
    deciding = {name: [row["windows"] for row in each] for name, each in rows.items() if "windows" in each[0]}
    if not deciding:
        return []
    windows = [f"{length:g} s" for length in WINDOWS]
    lines = [f"| window by window | {' | '.join(windows)} | per image | votes |", "|---|" + "---|" * 6]
    for name, each in deciding.items():
        accuracy = [spread([row["accuracy"][t] for row in each], 3) for t in range(len(WINDOWS))]
        pooled = [spread([row[key] for row in each], 3) for key in ("image_accuracy", "votes_accuracy")]
        lines.append(f"| {name}, accuracy | {' | '.join([*accuracy, *pooled])} |")
        errors = [spread([row["chirp_errors"][t] for row in each], 1) for t in range(len(WINDOWS))]
        lines.append(f"| {name}, chirp errors | {' | '.join(errors)} | | |")
        named = [commonest([row["chirp_taken_for"][t] for row in each]) for t in range(len(WINDOWS))]
        lines.append(f"| {name}, taken for | {' | '.join(named)} | | |")
    return lines
