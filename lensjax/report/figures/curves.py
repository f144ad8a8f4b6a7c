"""Line charts of a run, history and ROC: one drawing for the page (SVG) and for papers (PNG, PDF)."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lensjax.report.figures.panels import AMBER, BLUE, GREY, INK, PALE, make_figure, to_plain_text
from lensjax.report.names import make_readable, quantity_label
from lensjax.report.page.filters import is_finite_number, number

WIDTH, HEIGHT = 380, 250
"""Units of the SVG on the page; charts.html.j2 has the same."""
MOST_CHARTS = 6
SPLITS = ("train", "validation", "test")
# What is worth a chart first; the rest of a history follows while there is room.
WANTED = (
    "loss", "auroc", "tpr0", "position_error_median_arcsec", "position_error_median_pixels", "accuracy",
    "macro_f1", "peak_time_error_median_ms", "peak_frequency_error_median_octaves", "f1", "calibration_error",
    "learning_rate",
)  # fmt: skip
STEPS = (1, 2, 2.5, 5, 10)
RATES = [0.0, 0.25, 0.5, 0.75, 1.0]
"""Ticks of an axis of shares; other axes have at most five, at multiples of `STEPS`."""
COLOURS = {"train": GREY, "chance": GREY, "test": AMBER}
PAGE_COLOURS = {
    BLUE: "var(--accent)",
    GREY: "var(--soft)",
    AMBER: "var(--warn)",
    INK: "var(--soft)",
    PALE: "var(--line)",
}
"""Each colour of a chart as the variable of page.css that follows the reader's light or dark theme."""


@dataclass(frozen=True)
class Line:
    """A line of a chart; `name` is a split, the model or chance, or nothing."""

    name: str
    x: list[float]
    y: list[float]

    @property
    def kind(self) -> str:
        """Name of the style: that of a split or of chance; any other line looks like validation."""
        return self.name if self.name in (*SPLITS, "chance") else "validation"


@dataclass(frozen=True)
class LineChart:
    """Lines on common axes; `rates` has shares of 0 to 1 upwards."""

    title: str
    lines: list[Line]
    x_label: str
    y_label: str = ""
    log_x: bool = False
    rates: bool = False


def make_charts(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[LineChart]:
    """Return the charts of all curves: rows with fpr and tpr become a ROC, others a history."""
    charts: list[LineChart] = []
    for name, rows in curves.items():
        if is_roc(rows):
            charts += make_roc_charts(rows, "ROC" if name.lower() == "roc" else make_readable(name))
        elif rows:
            charts += make_history_charts(rows)
    return charts


def is_roc(rows: Sequence[Mapping[str, Any]]) -> bool:
    return bool(rows) and {"fpr", "tpr"} <= set(rows[0])


def make_history_charts(rows: Sequence[Mapping[str, Any]]) -> list[LineChart]:
    """Return a chart a quantity, its splits together: `train/loss` and `validation/loss` share an axis."""
    key = next((k for k in ("epoch", "step") if k in rows[0]), next(iter(rows[0])))
    columns: dict[str, list[str]] = {}
    for column in dict.fromkeys(c for row in rows for c in row):
        quantity = _read_quantity(column)
        if column != key and not quantity.endswith(("_low", "_high")):
            columns.setdefault(quantity, []).append(column)
    order = [q for q in WANTED if q in columns]
    if len(order) < 2:
        order += [q for q in columns if q not in order and q not in ("step", "seconds", "epoch", "n")]
    if "position_error_median_arcsec" in order:
        order = [q for q in order if q != "position_error_median_pixels"]
    charts = []
    for quantity in order:
        lines = [Line(_read_split(c), *_select_points(rows, key, c)) for c in columns[quantity]]
        if lines := [line for line in lines if line.x]:
            charts.append(LineChart(quantity_label(quantity), lines, make_readable(key)))
    return charts[:MOST_CHARTS]


def make_roc_charts(rows: Sequence[Mapping[str, Any]], title: str) -> list[LineChart]:
    """Return the ROC on linear axes, and once more with a logarithmic rate of false positives."""
    fpr, tpr = _select_points(rows, "fpr", "tpr")
    names = ("false positive rate", "true positive rate")
    lines = [Line("model", fpr, tpr), Line("chance", [0.0, 1.0], [0.0, 1.0])]
    charts = [LineChart(f"{title}, area {np.trapezoid(tpr, fpr):.3f}", lines, *names, rates=True)]
    rare = [(x, y) for x, y in zip(fpr, tpr, strict=True) if x > 0]
    if rare and rare[0][0] < 0.1:
        xs, ys = (list(v) for v in zip(*rare, strict=True))
        grid = np.geomspace(xs[0], 1, 41).tolist()
        lines = [Line("model", xs, ys), Line("chance", grid, grid)]
        charts.append(LineChart(f"{title}, rare false positives", lines, *names, log_x=True, rates=True))
    return charts


def roc_figure(rows: Sequence[Mapping[str, Any]], auroc: tuple[float, float, float] | None = None) -> Figure:
    """Return the figure of a ROC; `rows` have fpr and tpr, `auroc` is the area with its interval."""
    figure = _draw_all(make_roc_charts(rows, "ROC"), 3.6, 3.4)
    if auroc is not None:
        figure.suptitle(f"AUROC {auroc[0]:.4f} ({auroc[1]:.4f}–{auroc[2]:.4f})", fontsize=10)
    return figure


def history_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Return the figure of what a run logged, one panel a quantity, its splits together."""
    return _draw_all(make_history_charts(rows) if rows else [], 3.1, 2.4)


def draw_chart(axis: Axes, chart: LineChart) -> None:
    """Draw lines, ticks and the names of the axes; title and legend are the caller's."""
    for line in chart.lines:
        colour, thin = COLOURS.get(line.kind, BLUE), line.kind == "chance"
        marker = "o" if len(line.x) == 1 else ""
        axis.plot(
            line.x, line.y, color=colour, linewidth=1.2 if thin else 2, linestyle="--" if thin else "-",
            marker=marker, markersize=6, label=line.name or None, clip_on=False,
        )  # fmt: skip
    axis.set(xlabel=to_plain_text(chart.x_label), ylabel=to_plain_text(chart.y_label))
    axis.margins(x=0)
    if chart.log_x:
        axis.set_xscale("log")
        axis.minorticks_off()
    else:
        whole = chart.x_label == "Epoch"
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=whole, steps=STEPS, min_n_ticks=1))
    ticks = RATES
    if not chart.rates:
        values = [y for line in chart.lines for y in line.y]
        ticks = list(MaxNLocator(5, steps=STEPS).tick_values(min(values), max(values)))
    axis.set(yticks=ticks, ylim=(ticks[0], ticks[-1]))
    for scale in (axis.xaxis, axis.yaxis):
        scale.set_major_formatter(lambda value, _: f"{round(value, 10):g}".replace("-", "−"))
        scale.label.set_color(INK)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color(INK)
    axis.grid(axis="y", color=PALE, clip_on=False)
    axis.set_axisbelow(True)
    axis.tick_params(color=PALE, labelcolor=INK)
    axis.tick_params(axis="y", length=0)


def describe_chart(chart: LineChart) -> str:
    """Return a chart in words, for readers who do not see it."""
    ends = [
        f"{line.name or 'value'} from {number(line.y[0])} to {number(line.y[-1])}" for line in chart.lines
    ]
    upwards = f" Upwards: {chart.y_label}." if chart.y_label else ""
    return f"Line chart of {chart.title} against {chart.x_label}: {'; '.join(ends)}.{upwards}"


def chart_svg(chart: LineChart, salt: str = "") -> str:
    """Return what stands inside the SVG element of a chart, WIDTH × HEIGHT units: text as text, no address.

    Colours become the page's, fonts are left to page.css. `salt` keeps the identifiers of two charts apart;
    the same chart and salt give the same text. matplotlib escapes the names of the axes.
    """
    file = io.StringIO()
    style = {"svg.fonttype": "none", "svg.hashsalt": f"lensjax {salt}", "font.size": 11}
    # gwpy, for one, sets a style for every figure of the process.
    with matplotlib.style.context(["default", style]):
        figure = make_figure(WIDTH / 72, HEIGHT / 72)
        draw_chart(figure.subplots(), chart)
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = re.sub(r"^.*?</metadata>|<style.*?</style>|</svg>\s*$", "", file.getvalue(), flags=re.DOTALL)
    text = re.sub(r' id="(?!m[0-9a-f]{10}")[^"]*"', "", text)  # markers keep theirs
    text = re.sub(r"font(-[a-z]+)?: [^;\"]*;? ?", "", text).replace("xlink:href", "href")
    for colour, variable in PAGE_COLOURS.items():
        text = text.replace(colour, variable)
    return re.sub(r"\s*\n\s*", "\n", text)


def _draw_all(charts: Sequence[LineChart], width: float, height: float) -> Figure:
    """Draw charts as panels, at most three a row, each with its title and legend."""
    columns = min(3, max(1, len(charts)))
    rows = max(1, -(-len(charts) // columns))
    figure = make_figure(width * columns, height * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, chart in zip(axes, charts, strict=False):
        draw_chart(axis, chart)
        axis.set_title(to_plain_text(chart.title), fontsize=10)
        if any(line.name for line in chart.lines):
            axis.legend(frameon=False, fontsize=8)
    for axis in axes[len(charts) :]:
        axis.set_visible(False)
    return figure


def _select_points(rows: Sequence[Mapping[str, Any]], x: str, y: str) -> tuple[list[float], list[float]]:
    # A history may hold lists (a confusion matrix) and None (a NaN in JSON) beside numbers.
    pairs: list[tuple[Any, Any]] = [(row.get(x), row.get(y)) for row in rows]
    good = [(float(a), float(b)) for a, b in pairs if is_finite_number(a) and is_finite_number(b)]
    return [a for a, _ in good], [b for _, b in good]


def _read_quantity(column: str) -> str:
    for split in (*SPLITS, "val"):
        for join in ("/", "_"):
            column = column.removeprefix(split + join)
    return column


def _read_split(column: str) -> str:
    first = column.replace("/", "_").partition("_")[0]
    return {"val": "validation"}.get(first, first) if first in (*SPLITS, "val") else ""
