"""The figure of the study of real lenses: scores of every set, and where maps have their energy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from lensjax.report.figures.panels import BLUE, GREY, make_figure
from lensjax.report.figures.studies import RED, save_png

COLOURS = (BLUE, "#c77700", "#2e7d32", "#7b3fa0", "#00838f")


def draw_real_lenses(path: Path, result: Mapping[str, Any]) -> Path:
    """Draw the mean score of the networks, less their thresholds, and profiles in Einstein radii."""
    profiles = result.get("profiles", {})
    figure = make_figure(11.0 if profiles else 6.0, 4.6)
    axes = figure.subplots(1, 2 if profiles else 1, squeeze=False)[0]
    draw_scores(axes[0], result)
    if profiles:
        draw_profiles(axes[1], profiles)
    return save_png(figure, path)


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
