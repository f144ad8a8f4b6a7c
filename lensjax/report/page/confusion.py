"""Many classes in one table: what each is taken for, how many there are, recall and F1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lensjax.report.page.filters import esc, fraction, number

FAINTEST = 12
"""Per cent of colour in a cell that counts anything."""


def find(summary: Mapping[str, Any]) -> tuple[np.ndarray, list[str]] | None:
    """(counts [true, said], classes) of the test split, else of wherever there are some."""
    nested = [v for v in (summary.get("test"), summary, *summary.values()) if isinstance(v, Mapping)]
    for part in nested:
        counts, classes = part.get("confusion"), part.get("classes")
        if counts is not None and classes is not None and np.shape(counts) == (len(classes),) * 2:
            return np.asarray(counts, int), list(classes)
    return None


def is_many(summary: Mapping[str, Any]) -> bool:
    """Whether the run tells more than two classes apart."""
    found = find(summary)
    return found is not None and len(found[1]) > 2


def scores(counts: np.ndarray) -> list[dict[str, Any]]:
    """A row a class: n, recall with its Wilson interval, precision, F1; NaN where undefined."""
    from lensjax.evaluation.intervals import wilson  # here, because it imports jax

    right, true, said = (v.tolist() for v in (np.diag(counts), counts.sum(1), counts.sum(0)))

    def ratio(top: int, bottom: int) -> float:
        return top / bottom if bottom else float("nan")

    return [
        {
            "n": true[k],
            "recall": (ratio(right[k], true[k]), *wilson(right[k], true[k])),
            "precision": ratio(right[k], said[k]),
            "f1": ratio(2 * right[k], true[k] + said[k]),
        }
        for k in range(len(counts))
    ]


def table(summary: Mapping[str, Any]) -> str:
    """The confusion matrix with each class's scores at the end of its row; nothing for two classes."""
    found = find(summary)
    if found is None or len(found[1]) <= 2:
        return ""
    counts, classes = found
    heads = "".join(f'<th scope="col" class="up"><span>{esc(c)}</span></th>' for c in classes)
    body = "".join(_row(counts, classes, i, row) for i, row in enumerate(scores(counts)))
    right, n = int(np.trace(counts)), int(counts.sum())
    return (
        f'<p class="caption">A row is what an example is, a column what the network says it is: '
        f"{number(right)} of {number(n)} held-out examples lie on the diagonal. Colour is the share of "
        "the row, red off the diagonal. Recall with its 95 % interval (Wilson).</p>"
        '<div class="scroll"><table class="confusion"><thead><tr><th scope="col">is \\ said to be</th>'
        f'{heads}<th scope="col" class="n">n</th><th scope="col" class="rec">Recall</th>'
        '<th scope="col" class="n">Precision</th><th scope="col" class="n">F1</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(counts: np.ndarray, classes: Sequence[str], i: int, row: Mapping[str, Any]) -> str:
    cells = "".join(_cell(int(count), row["n"], i, j, classes) for j, count in enumerate(counts[i]))
    recall, low, high = row["recall"]
    bar = ""
    if row["n"]:
        bar = (
            '<span class="axis" aria-hidden="true">'
            f'<i class="span" style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></i>'
            f'<i class="point" style="left:{100 * recall:.1f}%"></i></span>'
        )
    ends = f" <small>{fraction(low)}–{fraction(high)}</small>" if row["n"] else ""
    last = "".join(f'<td class="n">{esc(fraction(row[name]))}</td>' for name in ("precision", "f1"))
    return (
        f'<tr><th scope="row">{esc(classes[i])}</th>{cells}<td class="n">{number(row["n"])}</td>'
        f'<td class="rec"><b>{esc(fraction(recall))}</b>{ends}{bar}</td>{last}</tr>'
    )


def _cell(count: int, n: int, i: int, j: int, classes: Sequence[str]) -> str:
    kind = " diag" if i == j else ""
    if not count:
        return f'<td class="c{kind}"></td>'
    share = max(100 * count / n, FAINTEST)
    strong = " strong" if share > 55 else ""
    title = f"{count} of {n} {classes[i]} said to be {classes[j]}"
    return f'<td class="c{kind}{strong}" style="--s:{share:.0f}%" title="{esc(title)}">{number(count)}</td>'
