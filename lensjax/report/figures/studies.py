"""Figures of studies: dots of seeds, a signed map, recall, the selection function, real lenses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lensjax.report.figures.panels import BLUE, GREY, RED, make_figure, save_figure

SHADES = ("#1f4e9c", "#2f8f6b", "#b3661e", "#6b3f8f")
"""Of false-positive rates."""
COLOURS = (BLUE, "#c77700", "#2e7d32", "#7b3fa0", "#00838f")
"""Of sets of images, and of methods."""


def draw_dots(
    path: Path,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    panels: Mapping[str, str],
    *,
    controls: Mapping[str, float] | None = None,
    lines: int = 1,
) -> Path:
    """Draw one panel for each of `panels` (key of a row -> label), one line a name, one dot a seed.

    Args:
      controls: values without a network, dashed lines in the first panel.
      lines: of panels, one below the other.
    """
    names, columns = [name.replace("_", " ") for name in rows], -(-len(panels) // lines)
    figure = make_figure(3 + 2.6 * columns, 0.9 * lines + 0.33 * lines * len(names))
    axes = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for axis, (key, label) in zip(axes, panels.items(), strict=False):
        for y, each in enumerate(rows.values()):
            values = np.array([row[key] for row in each if row.get(key) is not None], float)
            if values.size:
                axis.plot(values, np.full(values.shape, y), "o", color=BLUE, alpha=0.45, markersize=4)
                axis.plot([values.mean()], [y], "|", color=BLUE, markersize=16, markeredgewidth=2)
        axis.set_yticks(range(len(names)), names)
        axis.grid(axis="x", color=GREY, alpha=0.3)
        axis.set(ylim=(len(names) - 0.5, -0.5))
        axis.set_xlabel(label, fontsize=8 if lines > 1 else None)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    for label, value in (controls or {}).items():
        axes[0].axvline(value, color=RED, linestyle="--", linewidth=1)
        at = {"xytext": (3, 0), "textcoords": "offset points", "ha": "left", "va": "top"}
        axes[0].annotate(label, (value, -0.45), color=RED, fontsize=8, **at)
    return save_figure(figure, path)


def draw_map(path: Path, values: np.ndarray) -> Path:
    """Draw a signed map [*s], of an event one panel a window, on one scale about 0."""
    windows = values.reshape(-1, *values.shape[-2:])
    figure = make_figure(1 + 2.6 * len(windows), 2.6)
    axes = figure.subplots(1, len(windows), squeeze=False)[0]
    largest = float(np.abs(values).max()) or 1.0
    for axis, window in zip(axes, windows, strict=True):
        shown = axis.imshow(window, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto")
        axis.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes, shrink=0.8)
    return save_figure(figure, path)


# ---- recall: rare kinds at several rates, and the selection function ----


def draw_kinds(
    path: Path,
    rows: Sequence[Mapping[str, Any]],
    rates: Sequence[float],
    published: Mapping[str, float],
) -> Path:
    """Draw the recall of every kind at every rate with intervals, a dot a network, and what was published."""
    figure = make_figure(8.5, 1.3 + 0.55 * len(rows))
    axis = figure.subplots()
    for shade, (number, rate) in zip(SHADES, enumerate(rates), strict=False):
        shift = (number - (len(rates) - 1) / 2) * 0.22
        for y, row in enumerate(rows):
            result = row["rates"][f"{rate:g}"]
            label = f"false positives {rate:g}" if y == 0 else None
            draw_recall(axis, result, y + shift, shade, label)
            axis.plot(result["each"], np.full(len(result["each"]), y + shift), ".", color=shade, alpha=0.45)
    for y, row in enumerate(rows):
        if row["kind"] in published:
            label = "published, no rate stated"
            axis.plot([published[row["kind"]]], [y], "D", mfc="none", color=RED, markersize=8, label=label)
    names = [f"{row['kind'].replace('_', ' ')}\n{row['n']} lenses" for row in rows]
    axis.set_yticks(range(len(rows)), names, fontsize=9)
    axis.invert_yaxis()
    axis.set(xlabel="recall", xlim=(-0.02, 1.02))
    axis.grid(axis="x", color=GREY, alpha=0.3)
    handles, labels = axis.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    figure.legend(once.values(), once.keys(), loc="outside upper center", ncols=4, fontsize=8, frameon=False)
    return save_figure(figure, path)


def draw_recall(
    axis: Axes, result: Mapping[str, Any], y: float | int, colour: str, label: str | None
) -> None:
    """Draw one recall with its interval, lying; nothing where it is undefined."""
    mean = result["recall"]
    if np.isfinite(mean):
        reach = [[max(mean - result["low"], 0)], [max(result["high"] - mean, 0)]]
        axis.errorbar([mean], [y], xerr=reach, fmt="o", color=colour, markersize=5, capsize=2, label=label)


def draw_selection(path: Path, result: Mapping[str, Any], labels: Mapping[str, str]) -> Path:
    """Draw a panel a curve, `labels` on the axes, then the colour swap and what removals do to recall."""
    panels, columns = len(result["curves"]) + 1, 3
    lines = -(-panels // columns)
    figure = make_figure(11.0, 2.9 * lines)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis, (name, points) in zip(axes, result["curves"].items(), strict=False):
        draw_curve(axis, points, labels[name], result["cuts"].get(name))
    draw_changes(axes[panels - 1], result["colour_swap"], result["changes"])
    for axis in axes[panels:]:
        axis.set_axis_off()
    figure.suptitle(f"recall at a false-positive rate of {result['fpr']:g}", fontsize=11)
    return save_figure(figure, path)


def draw_curve(axis: Axes, points: Sequence[Mapping[str, Any]], label: str, cut: float | None) -> None:
    """Draw the mean with intervals, each network thin; a dashed line at the least value in training."""
    x = np.array([point["x"] for point in points])
    mean, low, high = (np.array([point[key] for point in points]) for key in ("recall", "low", "high"))
    axis.plot(x, np.array([point["each"] for point in points]), color=BLUE, alpha=0.25, linewidth=0.8)
    reach = np.maximum([mean - low, high - mean], 0)
    axis.errorbar(x, mean, yerr=reach, fmt="o-", color=BLUE, markersize=4, capsize=2)
    if cut is not None:
        axis.axvline(cut, color=RED, linestyle="--", linewidth=1)
        axis.annotate(
            "least in training", (cut, 0.03), color=RED, fontsize=7, xytext=(3, 0), textcoords="offset points"
        )
    if x.min() > 0 and x.max() / x.min() > 20:
        axis.set_xscale("log")
    axis.set(xlabel=label, ylabel="recall", ylim=(-0.02, 1.02))
    axis.grid(color=GREY, alpha=0.3)


def draw_changes(axis: Axes, colour_swap: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Draw the recall of the same lenses before and after each change, joined by a line."""
    rows = {f"blue → red source,\n{name}": row for name, row in colour_swap.items()}
    rows |= {name: row for name, row in changes.items() if name.endswith("removed")}
    for y, row in enumerate(rows.values()):
        before, after = row["before"]["recall"], row["after"]["recall"]
        axis.plot([before, after], [y, y], color=GREY, linewidth=2, zorder=1)
        draw_recall(axis, row["before"], y, BLUE, None)
        draw_recall(axis, row["after"], y, RED, None)
    axis.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axis.invert_yaxis()
    axis.set(xlabel="recall, before (blue) and after (red)", xlim=(-0.02, 1.02))
    axis.grid(axis="x", color=GREY, alpha=0.3)


# ---- real lenses: scores of every set, and where maps have their energy ----


def draw_real_lenses(path: Path, result: Mapping[str, Any]) -> Path:
    """Draw the mean score of the networks, less their thresholds, and profiles in Einstein radii."""
    profiles = result.get("profiles", {})
    figure = make_figure(11.0 if profiles else 6.0, 4.6)
    axes = figure.subplots(1, 2 if profiles else 1, squeeze=False)[0]
    draw_scores(axes[0], result)
    if profiles:
        draw_profiles(axes[1], profiles)
    return save_figure(figure, path)


def draw_scores(axis: Axes, result: Mapping[str, Any]) -> None:
    """Draw the mean score of the networks for every image of every set, less the threshold."""
    scores, ring, cut = result["scores"], result["is_ring"], np.array(result["threshold"])[:, None]
    sets = {
        "real lenses (HST)": scores["lenses"],
        "the same without arcs": scores["without_arcs"],
        "real galaxies (HST)": scores["galaxies"],
        "ring galaxies (DECaLS)": scores["rings"][:, ring],
        "other galaxies (DECaLS)": scores["rings"][:, ~ring],
    }
    rng = np.random.default_rng(0)
    for y, values in enumerate(sets.values()):
        mean = (values - cut).mean(0)
        axis.plot(
            mean, y + rng.uniform(-0.28, 0.28, len(mean)), ".", color=COLOURS[y], alpha=0.5, markersize=4
        )
        axis.plot([np.median(mean)], [y], "|", color="black", markersize=22, markeredgewidth=2)
    axis.axvline(0, color=RED, linestyle="--", linewidth=1)
    axis.annotate(  # above the points, however many lie at the threshold
        "1 in 100 simulated non-lenses passes", (0, 1), color=RED, fontsize=7.5, va="bottom", ha="right",
        xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
    )  # fmt: skip
    axis.set_yticks(range(len(sets)), [f"{name}\n{values.shape[1]}" for name, values in sets.items()])
    axis.set(
        xlabel="log odds of lens, less the threshold (mean of the networks)", ylim=(len(sets) - 0.5, -0.6)
    )
    axis.grid(axis="x", color=GREY, alpha=0.3)


def draw_profiles(axis: Axes, profiles: Mapping[str, np.ndarray]) -> None:
    """Draw the mean over lenses, with its standard error as a band; what needs no network is dashed."""
    radius = profiles["radius"]
    for number, (name, rows) in enumerate((k, v) for k, v in profiles.items() if k != "radius"):
        count = np.sum(np.isfinite(rows), 0)
        enough = count > 5
        mean = np.nanmean(rows[:, enough], 0)
        error = np.nanstd(rows[:, enough], 0) / np.sqrt(count[enough])
        trivial = name in ("abs_input", "centre")
        colour = GREY if trivial else COLOURS[number % len(COLOURS)]
        style = {"abs_input": "--", "centre": ":"}.get(name, "-")
        axis.plot(radius[enough], mean, style, color=colour, label=name.replace("_", " "))
        axis.fill_between(radius[enough], mean - error, mean + error, color=colour, alpha=0.15, linewidth=0)
    axis.axvline(1, color=RED, linestyle="--", linewidth=1)
    axis.axhline(1, color=GREY, linewidth=0.8)
    axis.set(xlabel="radius / published Einstein radius", ylabel="positive part, over its mean in the field")
    axis.set_ylim(0, None)
    axis.legend(fontsize=8, frameon=False)
    axis.grid(color=GREY, alpha=0.25)
