"""Every figure of a run, for papers and slides, as PNG and PDF."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lensjax.event_axes import EventGrid
from lensjax.report import event_windows
from lensjax.report.entry import Entry, position_error
from lensjax.report.figures.curves import history_figure, is_roc, roc_figure
from lensjax.report.figures.examples import example_figure
from lensjax.report.figures.film import Film, film_figure
from lensjax.report.figures.panels import BLUE, GREY, make_figure, save_figure, to_plain_text
from lensjax.report.names import method_label, score_label
from lensjax.report.page.figure_links import EXAMPLE
from lensjax.report.pixels import Scale, shared_scales
from lensjax.report.score_table import chance_level, is_row_baseline, read_triple, score_names
from lensjax.runtime.errors import UserError

__all__ = ["example_figure", "save_figures", "save_film"]


def confusion_figure(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw counts [true, predicted], shaded by the share of the true class; of many classes no zeros."""
    counts = np.asarray(counts)
    if counts.shape != (len(classes), len(classes)):
        raise UserError(f"confusion has shape {counts.shape} for {len(classes)} classes; give [k k].")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    many = len(classes) > 6
    side = 1.6 + (0.36 if many else 0.55) * len(classes)
    figure = make_figure(side + 0.6, side)
    axis = figure.subplots()
    picture = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (i, j), count in np.ndenumerate(counts):
        colour = "white" if shares[i, j] > 0.6 else "black"
        if count or not many:
            axis.text(
                j, i, f"{count:d}", ha="center", va="center", color=colour, fontsize=8 if many else None
            )
    ticks = np.arange(len(classes))
    names = [to_plain_text(c) for c in classes]
    axis.set(xticks=ticks, yticks=ticks, xlabel="predicted", ylabel="true")
    axis.set_xticklabels(
        names,
        rotation=45 if len(classes) > 3 else 0,
        ha="right" if len(classes) > 3 else "center",
        rotation_mode="anchor" if len(classes) > 3 else "default",
    )
    axis.set_yticklabels(names)
    figure.colorbar(picture, ax=axis, label="share of the true class", shrink=0.8)
    return figure


def score_figure(score_table: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw bars with intervals, one panel a score: trivial maps in grey, chance as a dotted line."""
    names = score_names(score_table)
    rows = sorted(score_table, key=is_row_baseline)[::-1]
    figure = make_figure(2.0 + 2.5 * max(1, len(names)), 1.0 + 0.27 * max(1, len(rows)))
    axes = figure.subplots(1, max(1, len(names)), sharey=True, squeeze=False)[0]
    labels = [method_label(row["method"]) for row in rows]
    for axis, name in zip(axes, names, strict=False):
        values = np.array([read_triple(row, name) or (np.nan,) * 3 for row in rows], float)
        spread = np.nan_to_num(np.abs(values[:, 1:] - values[:, :1])).T
        colours = [GREY if is_row_baseline(row) else BLUE for row in rows]
        axis.barh(
            labels,
            np.nan_to_num(values[:, 0]),
            xerr=spread,
            color=colours,
            error_kw={"lw": 1, "ecolor": "black"},
        )
        if (chance := chance_level(score_table, name)) is not None:
            axis.axvline(chance, color="black", linestyle=":", linewidth=1)
        axis.set(title=score_label(name), xlim=(0, max(1.0, np.nanmax(values, initial=1.0))))
    return figure


def position_figure(
    predicted: np.ndarray, true: np.ndarray, shape: tuple[int, int], pixel_scale: float | None = None
) -> Figure:
    """Draw offsets predicted − true on the sky and their cumulative distribution.

    Positions are fractions [n 2] of an image of `shape`; rows without a finite truth are left out. Dashed:
    the errors of a constant prediction at the image centre.
    """
    unit, scale = ("arcsec", pixel_scale) if pixel_scale is not None else ("pixels", 1.0)
    known = np.isfinite(predicted).all(axis=1) & np.isfinite(true).all(axis=1)
    offset, centre = (
        (place - true[known]) * np.array(shape) * scale for place in (predicted[known], np.full(2, 0.5))
    )
    figure = make_figure(7.2, 3.4)
    sky, cumulative = figure.subplots(1, 2)
    reach = (float(np.quantile(np.abs(offset), 0.99)) * 1.2 if len(offset) else 0.0) or 1.0
    _draw_offsets(sky, offset[:, ::-1], f"column offset ({unit})", f"row offset ({unit})")
    sky.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect=1)
    errors = {"model": np.hypot(*offset.T), "image centre": np.hypot(*centre.T)}
    _draw_cumulative(cumulative, errors if len(offset) else {}, f"position error ({unit})", "examples")
    return figure


def peak_figure(entries: Sequence[Entry], grid: EventGrid) -> Figure:
    """Draw offsets predicted − true of events in time and frequency, and their cumulative distributions.

    Entries without a known truth are left out. Dashed: the errors of a constant prediction at the middle of a
    window.
    """
    middle = [replace(e, position=np.full(2, 0.5)) for e in entries]
    offset, centre = (
        np.array([v for e in each if (v := event_windows.errors(e, grid))]).reshape(-1, 2)
        for each in (entries, middle)
    )
    figure = make_figure(10.0, 3.4)
    plane, *cumulative = figure.subplots(1, 3)
    _draw_offsets(plane, offset, "time, predicted − true (ms)", "frequency, predicted − true (octaves)")
    for i, (axis, label) in enumerate(zip(cumulative, ("time (ms)", "frequency (octaves)"), strict=True)):
        errors = {"model": np.abs(offset[:, i]), "middle": np.abs(centre[:, i])}
        _draw_cumulative(axis, errors, f"error of {label}", "events")
    return figure


def _draw_offsets(axis: Axes, offset: np.ndarray, x_label: str, y_label: str) -> None:
    axis.scatter(offset[:, 0], offset[:, 1], s=6, alpha=0.5, color=BLUE, linewidths=0)
    axis.axhline(0, color=GREY, lw=0.6)
    axis.axvline(0, color=GREY, lw=0.6)
    axis.set(xlabel=x_label, ylabel=y_label)


def _draw_cumulative(axis: Axes, errors: Mapping[str, np.ndarray], label: str, counted: str) -> None:
    """Draw the share of errors up to each value: first the model's, then dashed those of a constant."""
    for (name, values), style, colour in zip(errors.items(), ("-", "--"), (BLUE, GREY), strict=False):
        distance = np.concatenate([[0.0], np.sort(values)])
        axis.step(distance, np.linspace(0, 1, len(distance)), style, where="post", color=colour, label=name)
    if errors:
        axis.legend(frameon=False, loc="lower right")
    axis.set(xlabel=label, ylabel=f"share of {counted}", ylim=(0, 1.02), xlim=(0, None))


def save_figures(
    out: Path,
    entries: Sequence[Entry] = (),
    *,
    bands: Sequence[str] = (),
    pixel_scale: float | None = None,
    summary: Mapping[str, Any] | None = None,
    score_table: Sequence[Mapping[str, Any]] | None = None,
    curves: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    events: EventGrid | None = None,
    scales: Mapping[str, Scale | None] | None = None,
) -> list[Path]:
    """Write every figure into `out`, as PNG and as PDF, and return the paths.

    Maps are drawn on `scales`, one a method (`render.shared_scales`); where not given, those of the entries.
    `summary` gives the confusion matrix (`confusion`, `classes`) and AUROC with its interval; `curves` as for
    `lensjax.report.page.page.write_page`; the positions are those of the entries, in time and frequency where
    `events` has the axes of their windows.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    summary, paths = summary or {}, []
    figures: dict[str, Figure] = {}
    for name, rows in (curves or {}).items():
        if is_roc(rows):
            ends = tuple(summary.get(k) for k in ("auroc", "auroc_low", "auroc_high"))
            figures[_file_name(name)] = roc_figure(rows, ends if None not in ends else None)  # type: ignore[arg-type]
        elif rows:
            figures[_file_name(name)] = history_figure(rows)
    if summary.get("confusion") is not None and summary.get("classes") is not None:
        figures["confusion"] = confusion_figure(np.array(summary["confusion"]), summary["classes"])
    if score_table:
        figures["scores"] = score_figure(score_table)
    placed = [e for e in entries if position_error(e) is not None]
    if len(placed) > 1 and events is not None:
        figures["positions"] = peak_figure(placed, events)
    elif len(placed) > 1 and len({e.image.shape[-3:-1] for e in placed}) == 1:
        predicted = np.array([e.position for e in placed], float)
        true = np.array([e.true_position for e in placed], float)
        figures["positions"] = position_figure(predicted, true, placed[0].image.shape[-3:-1], pixel_scale)
    for name, figure in figures.items():
        paths += _save_kinds(figure, out / name)
    scales = shared_scales([e.maps for e in entries]) if scales is None else scales
    for i, entry in enumerate(entries):
        figure = example_figure(entry, bands=bands, pixel_scale=pixel_scale, events=events, scales=scales)
        paths += _save_kinds(figure, out / f"{EXAMPLE.format(i)}{_file_name(entry.id)}")
    return paths


def save_film(out: Path, film: Film, *, bands: Sequence[str] = (), events: EventGrid | None = None) -> Path:
    """Write a film strip into `out`, as PDF too, and return the path of the PNG."""
    figure = film_figure(film, bands=bands, events=events)
    return _save_kinds(figure, out / f"dream_{_file_name(film.name)}")[0]


def _save_kinds(figure: Figure, path: Path) -> list[Path]:
    return [save_figure(figure, path.with_name(f"{path.name}.{kind}")) for kind in ("png", "pdf")]


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "unnamed"
