"""Line charts as inline SVG that follow the page's colours: training history and ROC."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lensjax.report.names import quantity_label, readable
from lensjax.report.page.filters import esc, number

WIDTH, HEIGHT = 380, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 12, 34
MOST_CHARTS = 6
SPLITS = ("train", "validation", "test")
# What is worth a chart first; the rest of a history follows while there is room.
WANTED = (
    "loss", "auroc", "tpr0", "position_error_median_arcsec", "position_error_median_pixels", "accuracy",
    "macro_f1", "peak_time_error_median_ms", "peak_frequency_error_median_octaves", "f1", "calibration_error",
    "learning_rate",
)  # fmt: skip
Series = tuple[str, list[float], list[float]]


def charts(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """All curves as `<figure>`s: rows with fpr and tpr become a ROC, rows with epoch or step a history."""
    figures = []
    for name, rows in curves.items():
        rows = list(rows)
        if rows and {"fpr", "tpr"} <= set(rows[0]):
            figures += roc(rows, readable(name) if name.lower() != "roc" else "ROC")
        elif rows:
            figures += history(rows)
    return f'<div class="charts">{"".join(figures)}</div>' if figures else ""


def history(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """One chart a quantity, its splits together: `train/loss` and `validation/loss` share an axis."""
    key, quantities = history_series(rows)
    return [chart(quantity_label(quantity), series, readable(key)) for quantity, series in quantities]


def history_series(rows: Sequence[Mapping[str, Any]]) -> tuple[str, list[tuple[str, list[Series]]]]:
    """Name of the x axis, and (quantity, series of its splits) for what is worth a chart."""
    key = next((k for k in ("epoch", "step") if k in rows[0]), next(iter(rows[0])))
    names: dict[str, list[str]] = {}
    for column in dict.fromkeys(c for row in rows for c in row):
        quantity = _quantity(column)
        if column != key and not quantity.endswith(("_low", "_high")):
            names.setdefault(quantity, []).append(column)
    order = [q for q in WANTED if q in names]
    if len(order) < 2:
        order += [q for q in names if q not in order and q not in ("step", "seconds", "epoch", "n")]
    if "position_error_median_arcsec" in order:
        order = [q for q in order if q != "position_error_median_pixels"]
    found = ((q, [s for c in names[q] if (s := (_split(c), *_points(rows, key, c)))[1]]) for q in order)
    return key, [(quantity, series) for quantity, series in found if series][:MOST_CHARTS]


def roc(rows: Sequence[Mapping[str, Any]], title: str) -> list[str]:
    """The ROC on linear axes, and once more with a logarithmic rate of false positives."""
    fpr, tpr = _points(rows, "fpr", "tpr")
    area = sum((b - a) * (c + d) / 2 for a, b, c, d in zip(fpr, fpr[1:], tpr, tpr[1:], strict=False))
    chance = ("chance", [0.0, 1.0], [0.0, 1.0])
    series = [("model", fpr, tpr), chance]
    figures = [_rates(f"{title}, area {area:.3f}", series)]
    rare = [(x, y) for x, y in zip(fpr, tpr, strict=True) if x > 0]
    if rare and rare[0][0] < 0.1:
        xs, ys = (list(v) for v in zip(*rare, strict=True))
        grid = [10 ** (math.log10(xs[0]) * (1 - i / 40)) for i in range(41)]
        series = [("model", xs, ys), ("chance", grid, grid)]
        figures.append(_rates(f"{title}, rare false positives", series, log_x=True))
    return figures


def _rates(title: str, series: Sequence[Series], log_x: bool = False) -> str:
    return chart(title, series, "false positives", y_label="true positives", log_x=log_x, unit_y=True)


def chart(
    title: str,
    series: Sequence[Series],
    x_label: str,
    *,
    y_label: str = "",
    log_x: bool = False,
    unit_y: bool = False,
) -> str:
    """A `<figure>` with title, axes, lines and a legend in words."""
    xs, ys = [x for s in series for x in s[1]], [y for s in series for y in s[2]]
    x_ticks = _log_ticks(min(xs), max(xs)) if log_x else _ticks(min(xs), max(xs), whole=x_label == "Epoch")
    y_ticks = [0.0, 0.25, 0.5, 0.75, 1.0] if unit_y else _ticks(min(ys), max(ys))
    x_range = (min(xs), max(xs)) if min(xs) < max(xs) else (min(xs) - 0.5, max(xs) + 0.5)
    y_range = (min(*ys, y_ticks[0]), max(*ys, y_ticks[-1]))

    def px(x: float) -> float:
        low, high, x = (math.log10(v) for v in (*x_range, x)) if log_x else (*x_range, x)
        return LEFT + (x - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def py(y: float) -> float:
        return HEIGHT - BOTTOM - (y - y_range[0]) / (y_range[1] - y_range[0] or 1) * (HEIGHT - TOP - BOTTOM)

    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [
        f'<path class="grid" d="M{LEFT} {py(y):.1f}H{right}"/>'
        f'<text x="{LEFT - 6}" y="{py(y) + 4:.1f}" text-anchor="end">{esc(_tick(y))}</text>'
        for y in y_ticks
    ]
    parts += [
        f'<path class="grid" d="M{px(x):.1f} {bottom}v4"/>'
        f'<text x="{px(x):.1f}" y="{bottom + 16}" text-anchor="middle">{esc(_tick(x))}</text>'
        for x in x_ticks
        if x_range[0] <= x <= x_range[1]
    ]
    middle = (LEFT + right) / 2
    parts.append(f'<path class="axis" d="M{LEFT} {bottom}H{right}"/>')
    parts.append(f'<text x="{middle}" y="{HEIGHT - 3}" text-anchor="middle">{esc(x_label)}</text>')
    for name, line_x, line_y in series:
        points = [f"{px(x):.1f},{py(y):.1f}" for x, y in zip(line_x, line_y, strict=True)]
        kind = f"line l-{name}" if name in (*SPLITS, "chance") else "line l-validation"
        if len(points) == 1:
            x, y = points[0].split(",")
            parts.append(f'<circle class="{kind} one" cx="{x}" cy="{y}" r="3"/>')
        parts.append(f'<polyline class="{kind}" points="{" ".join(points)}"/>')
    keys = "".join(
        f'<span class="key k-{n if n in (*SPLITS, "chance") else "validation"}">{esc(n)}</span>'
        for n, *_ in series
        if n
    )
    alt = esc(_alt(title, series, x_label) + (f" Upwards: {y_label}." if y_label else ""))
    return (
        f'<figure class="chart"><figcaption><b>{esc(title)}</b><span class="keys">{keys}</span></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{alt}">'
        f"{''.join(parts)}</svg></figure>"
    )


def _alt(title: str, series: Sequence[Series], x_label: str) -> str:
    ends = [f"{name or 'value'} from {number(ys[0])} to {number(ys[-1])}" for name, _, ys in series]
    return f"Line chart of {title} against {x_label}: {'; '.join(ends)}."


def _points(rows: Sequence[Mapping[str, Any]], x: str, y: str) -> tuple[list[float], list[float]]:
    pairs: list[tuple[Any, Any]] = [(row.get(x), row.get(y)) for row in rows]
    good = [(float(a), float(b)) for a, b in pairs if _finite(a) and _finite(b)]
    return [a for a, _ in good], [b for _, b in good]


def _finite(value: Any) -> bool:
    # A history may hold lists (a confusion matrix) and None (a NaN in JSON) beside numbers.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _quantity(column: str) -> str:
    for split in (*SPLITS, "val"):
        for join in ("/", "_"):
            column = column.removeprefix(split + join)
    return column


def _split(column: str) -> str:
    first = column.replace("/", "_").partition("_")[0]
    return {"val": "validation"}.get(first, first) if first in (*SPLITS, "val") else ""


def _ticks(low: float, high: float, count: int = 5, whole: bool = False) -> list[float]:
    """Round numbers that cover low … high."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if span / (m * power) <= count)
    step = max(1.0, round(step)) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, max(last, first + 1) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    return [
        10.0**p for p in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    ]


def _tick(value: float) -> str:
    return f"{round(value, 10):g}".replace("-", "−")
