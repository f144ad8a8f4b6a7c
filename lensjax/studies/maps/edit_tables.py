"""The tables of the study of edits, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from lensjax.studies.events.ablation_tables import spread

Row = dict[str, Any]


def table_lines(found: Mapping[str, Any], count: int) -> list[str]:
    """Markdown: what each edit flips, the smallest edits, and what training with the chosen one changed."""
    flips, rows = found["flips"], found["rows"]
    first = next(iter(flips.values()))
    lines = [
        f"Mistakes explained: {found['which']}, {first['wrong']} of {first['wrong'] + first['right']} on the "
        f"{count} validation examples of {len(rows)} networks.",
        "",
        "| edit, without training | mistakes put right | made wrong | others put right | others made wrong |",
        "|---|---|---|---|---|",
    ]
    for spec, c in flips.items():
        mark = " ← applied" if found["chosen"] == (spec,) else ""
        cells = f"{c['fixed']} of {c['wrong']} | {c['broken']} of {c['right']} | {c['others_fixed']}"
        lines.append(f"| `{short(spec)}`{mark} | {cells} | {c['others_broken']} of {c['others_right']} |")
    lines += [
        "",
        "What `blamed` edits take was learned from the other half's mistakes. The test split is apart.",
    ]
    if found.get("differences"):
        lines += [f"Not trained alike, before → after: {'; '.join(found['differences'])}."]
    lines += ["", *smallest_lines(found["smallest"])]
    names = ", ".join(short(spec) for spec in found["chosen"])
    lines += [
        "",
        f"Applied to all data and trained again: `{names}`; on the test split, mean ± s.d. over seeds.",
    ]
    lines += ["", f"| | before | after | difference, 95 % of {len(rows)} pairs |", "|---|---|---|---|"]
    for key, name, digits in (
        ("errors", f"mistakes, {found['counted']}", 1),
        ("accuracy", "accuracy", 3),
        ("macro_f1", "macro-F1", 3),
    ):
        a, b = ([row[f"{key}_{when}"] for row in rows] for when in ("before", "after"))
        lines.append(f"| {name} | {spread(a, digits)} | {spread(b, digits)} | {difference(a, b, digits)} |")
    lines += [
        "",
        "| | put right | made wrong | others put right | others made wrong |",
        "|---|---|---|---|---|",
    ]
    for name, each in (("the edit", rows), ("another seed alone", found["another_seed"])):
        if each:
            keys = ("fixed", "broken", "others_fixed", "others_broken")
            lines.append(f"| {name} | {' | '.join(spread([row[k] for row in each], 1) for k in keys)} |")
    return lines


def short(spec: str) -> str:
    """Without the path of the frozen map."""
    before, _, rest = spec.partition("file='")
    return before + Path(rest.partition("'")[0]).stem + rest.partition("'")[2] if rest else spec


def smallest_lines(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    patches = [row for row in rows if row["flipped"]]
    steps = [row for row in rows if row["gradient_flipped"]]
    lines = [f"Smallest edits of {len(rows)} mistakes: {len(patches)} flip by taking out patches"]
    if patches:
        middle = {
            key: float(np.nanmedian([row[key] for row in patches])) for key in ("patches", "pixels", "inside")
        }
        lines[0] += (
            f" (median {middle['patches']:.0f} patches, {100 * middle['pixels']:.1f} % of the pixels, "
            f"{100 * middle['inside']:.0f} % of them evidence)"
        )
    lines[0] += f", {len(steps)} by the gradient"
    if steps:
        lines[0] += (
            f" (median change {100 * float(np.median([row['l2'] for row in steps])):.1f} % of the image's l2)"
        )
    return [lines[0] + "."]


def difference(before: Sequence[Any], after: Sequence[Any], digits: int) -> str:
    """Mean paired difference, with Student's interval over the seeds."""
    d = np.subtract(after, before)
    if len(d) < 2:
        return f"{d.mean():+.{digits}f}"
    half = stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))
    return f"{d.mean():+.{digits}f} ({d.mean() - half:+.{digits}f} to {d.mean() + half:+.{digits}f})"
