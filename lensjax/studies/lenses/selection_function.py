"""Measure the selection function of networks: the lenses they find, and the changes that alter decisions.

    lensjax study selection runs/seeds/seed* --out runs/selection

Measures recall at a fixed false-positive rate as a function of the simulator's truth, and of PSF width and
position by simulating the same scenes again. It also swaps the source's colour (the same lens with a blue and
a red source) and, as in Jacobs et al. 2022 (arXiv:2112.02479), removes the source's or the galaxy's light.
Writes table.md, table.json, selection.png.
"""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lensjax.config import LensData
from lensjax.report.figures import studies as figures
from lensjax.runtime import jax_setup
from lensjax.runtime.errors import UserError
from lensjax.simulate.lenses import edit_scene
from lensjax.simulate.lenses.evidence import LensRule
from lensjax.simulate.lenses.instruments import Instrument, get_instrument
from lensjax.simulate.lenses.kinds import LENS_WEIGHTS, RING
from lensjax.studies import common
from lensjax.studies.lenses import recall

QUANTITIES: dict[str, str] = {
    "theta_e": "Einstein radius (arcsec)",
    "snr": "signal-to-noise of the arcs",
    "mag_source": "lensed source (VIS mag)",
    "mag_lens": "lens galaxy (VIS mag)",
    "source_colour": "source colour (first − last band)",
    "lens_colour": "lens colour (first − last band)",
}
AXES = QUANTITIES | {"psf": "PSF width over its own", "offset": "distance from the middle (arcsec)"}
"""Labels of the curves."""
PSF = (0.7, 0.85, 1.0, 1.15, 1.3, 1.6)
OFFSETS = (0.0, 0.5, 1.0, 1.5, 2.0)
BOTH, NO_SOURCE = np.ones(2, np.float32), np.zeros(2, np.float32)


@dataclass(frozen=True)
class SelectionOptions:
    runs: common.Runs
    out: common.Out
    lenses: int = 3000
    """Simulated lenses, in the kinds' usual shares."""
    non_lenses: int = 20_000
    """Held-out non-lenses that set the threshold, on images that are not changed."""
    fpr: float = 1e-2
    """False-positive rate."""
    min_theta_e: float = 0.25
    """Minimum Einstein radius of the lenses, arcsec; smaller than in training, to see recall fall."""
    min_snr: float = 10.0
    bins: int = 8
    """Points of a curve, with as many lenses each."""
    seed: common.SimulatorSeed = 3000
    data_directory: str = ""
    """Folder of the non-lenses. By default: that of the first run."""


def main(options: SelectionOptions) -> None:
    """Score the same lenses in every variant, and write the tables and the figure."""
    jax_setup.prepare(gradients=False)
    if options.bins < 1 or options.lenses < options.bins:
        raise UserError(f"--bins {options.bins} must be 1 or more, and --lenses {options.lenses} no fewer.")
    networks, data = recall.restore_lens_finders(options.runs)
    scores = recall.make_scorer(networks)
    directory = options.data_directory or data.directory
    negatives = recall.score_non_lenses(scores, data, options.non_lenses, options.seed, directory)
    threshold = recall.find_thresholds(negatives, options.fpr)
    if np.isnan(threshold).any():
        raise UserError(f"--fpr is {recall.describe_resolution(options.non_lenses, options.fpr)}.")
    instrument = get_instrument(data.instrument)
    truth, scored = recall.score_scenes(
        scores,
        data,
        LensRule(options.min_theta_e, options.min_snr),
        np.array(LENS_WEIGHTS),
        list_changes(instrument),
        count=options.lenses,
        seed=options.seed,
        measure=lambda s: {
            f"{which}_colour": edit_scene.measure_colour(s, which, instrument) for which in ("source", "lens")
        },
    )
    result = {
        "runs": [str(path) for path in options.runs],
        "data": asdict(data),
        "fpr": options.fpr,
        "resolution": recall.describe_resolution(options.non_lenses, options.fpr),
        "thresholds": threshold.tolist(),
        "cuts": {"theta_e": data.min_theta_e, "snr": data.min_snr},
        **analyse(truth, scored, threshold, data, options.bins),
    }
    figure = figures.draw_selection(options.out / "selection.png", result, AXES)
    common.save_study(options.out, tabulate_selection(result), result, [figure])


def list_changes(instrument: Instrument) -> dict[str, recall.Change]:
    """Return every way a scene is made: its change of parameters, and what light of the source stays."""
    found: dict[str, recall.Change] = {
        "as it is": (lambda s: s, BOTH),
        "source removed": (lambda s: s, NO_SOURCE),
        "lens galaxy removed": (edit_scene.remove_galaxy, BOTH),
    }
    if len(instrument.bands) > 1:
        found["blue source"] = (lambda s: edit_scene.set_source_colour(s, edit_scene.BLUE), BOTH)
        found["red source"] = (lambda s: edit_scene.set_source_colour(s, edit_scene.RED), BOTH)
    for factor in PSF:
        found[f"psf {factor:g}"] = (functools.partial(edit_scene.scale_psf, factor=factor), BOTH)
    for offset in OFFSETS:
        found[f"offset {offset:g}"] = (functools.partial(edit_scene.move_lens, distance=offset), BOTH)
    return found


def analyse(
    truth: dict[str, np.ndarray],
    scored: dict[str, np.ndarray],
    threshold: np.ndarray,
    data: LensData,
    bins: int,
) -> dict[str, Any]:
    """Return curves and paired changes, of lenses as in training; the curves over θE and S/N are of all."""
    as_trained = (truth["theta_e"] > data.min_theta_e) & (truth["snr"] > data.min_snr)
    every = np.ones_like(as_trained)
    plain = scored["as it is"]
    curves = {}
    for name in QUANTITIES:
        if np.ptp(truth[name]) > 0:  # one band has no colour
            keep = every if name in ("theta_e", "snr") else as_trained
            curves[name] = measure_curve(truth[name], plain, threshold, keep, bins)
    for what, values in (("psf", PSF), ("offset", OFFSETS)):
        curves[what] = [
            {"x": x, **recall.measure_recall(scored[f"{what} {x:g}"], threshold, as_trained)} for x in values
        ]
    pairs = [("as it is", "source removed"), ("as it is", "lens galaxy removed")]
    pairs += [("as it is", f"psf {x:g}") for x in PSF if x != 1]
    swap = {}
    if "red source" in scored:
        ring = as_trained & (truth["kind"] == RING)
        swap = {
            name: compare_variants(scored, "blue source", "red source", threshold, keep)
            for name, keep in (("all lenses", as_trained), ("rings", ring))
        }
    return {
        "lenses": len(every),
        "as_trained": recall.measure_recall(plain, threshold, as_trained),
        "curves": curves,
        "colour_swap": swap,
        "changes": {
            after: compare_variants(scored, before, after, threshold, as_trained) for before, after in pairs
        },
    }


def measure_curve(
    x: np.ndarray, scores: np.ndarray, threshold: np.ndarray, keep: np.ndarray, bins: int
) -> list[dict[str, Any]]:
    """Return the recall in bins of as many lenses each, at the bin's median."""
    order = np.flatnonzero(keep)[np.argsort(x[keep], kind="stable")]
    points = []
    for rows in np.array_split(order, bins):
        if rows.size:
            inside = np.zeros(len(x), bool)
            inside[rows] = True
            place = {"x": float(np.median(x[rows])), "from": float(x[rows[0]]), "to": float(x[rows[-1]])}
            points.append(place | recall.measure_recall(scores, threshold, inside))
    return points


def compare_variants(
    scored: dict[str, np.ndarray], before: str, after: str, threshold: np.ndarray, keep: np.ndarray
) -> dict[str, Any]:
    """Return the recall of both, and the paired differences in recall and in the logit of the same lenses."""
    one, other = scored[before][:, keep], scored[after][:, keep]
    limit = threshold[:, None]
    return {
        "before": recall.measure_recall(scored[before], threshold, keep),
        "after": recall.measure_recall(scored[after], threshold, keep),
        "recall": recall.summarise_change((other > limit).astype(np.float64) - (one > limit)),
        "logit": recall.summarise_change(other - one),
    }


def tabulate_selection(result: dict[str, Any]) -> list[str]:
    """Return everything that was found, as Markdown tables."""
    cuts, swap, changes = result["cuts"], result["colour_swap"], result["changes"]
    lines = [
        f"Recall at a false-positive rate of {result['fpr']:g} ({result['resolution']}), mean of "
        f"{len(result['runs'])} networks (95 % Wilson interval) ± s.d. between networks.",
        f"All lenses as in training (θE > {cuts['theta_e']:g}″, S/N > {cuts['snr']:g}): "
        f"{recall.format_recall(result['as_trained'])} of {result['as_trained']['n']}.",
        "",
    ]
    if swap:  # an instrument of one band has no colours
        head = ("colour swap", "recall, blue", "recall, red", "Δ recall, red − blue", "Δ logit")
        lines += [
            "The same scenes with a blue and with a red source of the same VIS magnitude (so the red one is "
            "brighter in redder bands, and fainter in bluer ones):",
            "",
            *common.markdown_table(head, format_changes(swap)),
            "",
        ]
    head = ("change", "recall before", "after", "Δ recall", "Δ logit")
    lines += common.markdown_table(head, format_changes(changes))
    for name, points in result["curves"].items():
        rows = []
        for point in points:
            span = f" ({point['from']:.2f}–{point['to']:.2f})" if "from" in point else ""
            rows.append((f"{point['x']:.2f}{span}", str(point["n"]), recall.format_recall(point)))
        lines += ["", *common.markdown_table((AXES[name], "lenses", "recall"), rows)]
    return lines


def format_changes(changes: dict[str, dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the cells of changes: recall before and after, and the paired differences."""
    return [
        (
            f"{name} ({row['recall']['n']})",
            recall.format_recall(row["before"]),
            recall.format_recall(row["after"]),
            recall.format_change(row["recall"], 3),
            recall.format_change(row["logit"]),
        )
        for name, row in changes.items()
    ]


run = common.make_command("selection", main, SelectionOptions, __doc__)

if __name__ == "__main__":
    run()
