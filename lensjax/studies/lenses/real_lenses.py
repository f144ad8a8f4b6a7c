"""Test networks trained on simulations on real lenses, galaxies and look-alikes; the runs are seeds of one.

    lensjax study real-lenses runs/hst0 runs/hst1 runs/hst2 --lenses DATA/lens_hst \\
        --galaxies DATA/galaxies_hst_cosmos --rings DATA/galaxies_decals_rings --out runs/real

Writes table.md, table.json, lenses.csv and real.png: AUROC of lenses against galaxies, against themselves
without their asymmetric light, and of ring galaxies against others in their own survey; recall at the
threshold that one in a hundred simulated non-lenses passes; position errors; energy of maps at the published
Einstein radius. Every comparison across folders also gives the AUROC of flux alone on the same images,
because a classifier may recognise the survey's pipeline instead of lensing. A row of an array is a network.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.data.store.datasets import Source
from lensjax.evaluation import intervals, metrics, rank_metrics
from lensjax.inspection import maps
from lensjax.inspection.restore import Trained, restore
from lensjax.ops.stored_images import to_float32
from lensjax.report.figures import studies as figures
from lensjax.runtime import jax_setup
from lensjax.runtime.errors import UserError
from lensjax.studies import common
from lensjax.studies.common import format_spread
from lensjax.studies.lenses import real_images, recall, ring_profiles
from lensjax.studies.lenses.real_images import RealImages
from lensjax.types import Float

FPR = 1e-2
Scores = dict[str, Float[np.ndarray, "r n"]]
METHODS = ("attention", "grad_cam", "occlusion", "integrated_gradients", "abs_input", "centre")


@dataclass(frozen=True)
class RealLensOptions:
    runs: common.Runs
    lenses: Path
    """Folder like lens_hst: a folder a lens, an HDF5 a filter, tables/ with Einstein radii."""
    galaxies: Path
    """Folder with real-galaxy catalogues and their stamps."""
    rings: Path
    """.npz of ring galaxies and others, or its folder."""
    out: common.Out
    methods: tuple[str, ...] = METHODS
    """Maps whose energy is measured at the Einstein radius; none for no maps."""
    chunk: int = 8


def main(options: RealLensOptions) -> None:
    """Score every image with every network, and write table.md, table.json, lenses.csv and real.png."""
    jax_setup.prepare(gradients=True)
    runs = [restore(path) for path in options.runs]
    images = real_images.read_real_images(runs, options.lenses, options.galaxies, options.rings)
    for problem in images.lenses.problems:
        print(f"left out {problem}")
    result = score_networks(runs, images, options.chunk)
    if options.methods:
        result["maps"], result["profiles"] = measure_map_energy(runs, images, options.methods, options.chunk)
    write_results(options, result, images)


def write_results(options: RealLensOptions, result: dict[str, Any], images: RealImages) -> None:
    """Write table.md, table.json, lenses.csv and real.png."""
    figure = figures.draw_real_lenses(options.out / "real.png", result)
    write_lenses(options.out / "lenses.csv", result, images)
    numbers = {key: value for key, value in result.items() if key not in ("scores", "profiles", "is_ring")}
    numbers |= {"runs": [str(run) for run in options.runs]}
    common.save_study(options.out, tabulate_results(result), numbers, [figure])


def score_networks(
    runs: Sequence[Trained], images: RealImages, chunk: int, test: Source | None = None
) -> dict[str, Any]:
    """Return scores of every set by every network, what follows from them, and position errors.

    Args:
      test: simulations that set the threshold; each run's own held-out ones by default.
    """
    predict = [partial(maps.predict_images, run, chunk=chunk) for run in runs]
    sets = {
        "lenses": images.lenses.image,
        "without_arcs": images.without_arcs,
        "galaxies": images.galaxies,
        "rings": images.rings,
    }
    scores: Scores = {name: np.stack([score_lens(one(x)) for one in predict]) for name, x in sets.items()}
    if test is None:
        simulated = [read_own_simulations(run) for run in runs]
    else:
        stored = np.stack([to_float32(test[row]["image"]) for row in range(len(test))])
        simulated = [(score_lens(one(stored)), test.label) for one in predict]
    threshold = np.array([rank_metrics.threshold_at_fpr(*pair, FPR) for pair in simulated])
    ring = images.is_ring
    comparisons = {
        "lenses against galaxies": (scores["lenses"], scores["galaxies"]),
        "lenses against the same without arcs": (scores["lenses"], scores["without_arcs"]),
        "rings against other galaxies (DECaLS)": (scores["rings"][:, ring], scores["rings"][:, ~ring]),
    }
    rates = {
        "lenses": scores["lenses"],
        "of these, with a published radius": scores["lenses"][:, np.isfinite(images.lenses.theta_e)],
        "the same without arcs": scores["without_arcs"],
        "galaxies": scores["galaxies"],
        "ring galaxies (DECaLS)": scores["rings"][:, ring],
        "other galaxies (DECaLS)": scores["rings"][:, ~ring],
    }
    moved = [one(images.lenses.moved).position for one in predict]
    return {
        "simulated": [
            summarise_simulations(*pair, cut) for pair, cut in zip(simulated, threshold, strict=True)
        ],
        "threshold": threshold.tolist(),
        "auroc": {name: summarise_auroc(*pair) for name, pair in comparisons.items()},
        "trivial": summarise_flux(images),
        "above": {name: recall.summarise_recall(x > threshold[:, None]) for name, x in rates.items()},
        "drop": measure_drop(scores["lenses"], scores["without_arcs"]),
        "position": measure_positions(moved, images),
        "scores": scores,
        "is_ring": ring,
    }


def score_lens(predicted: maps.Predicted) -> Float[np.ndarray, " n"]:
    """Return the log odds of lens."""
    return metrics.class_scores(predicted.logits)[:, 1]


def read_own_simulations(run: Trained) -> tuple[Float[np.ndarray, " n"], np.ndarray]:
    """Read scores and labels of a run's own held-out simulations.

    Raises:
      UserError: the run has not ended.
    """
    path = run.workdir / "test_predictions.npz"
    if not path.is_file():
        raise UserError(f"'{run.workdir}' has no test_predictions.npz; run train.py there until it ends.")
    with np.load(path, allow_pickle=False) as saved:
        return metrics.class_scores(saved["logits"])[:, 1], saved["label"]


def summarise_simulations(scores: np.ndarray, label: np.ndarray, threshold: float) -> dict[str, Any]:
    """Return counts, AUROC and recall of one network on simulations."""
    return {
        "n": int((label == 1).sum()),
        "n_negative": int((label == 0).sum()),
        "auroc": rank_metrics.auroc(scores, label),
        "recall": rank_metrics.tpr_above(scores, label, threshold),
    }


def summarise_auroc(positive: Float[np.ndarray, "r p"], negative: Float[np.ndarray, "r m"]) -> dict[str, Any]:
    """AUROC of every network with DeLong's interval; of the mean over networks, bootstrap over the files."""
    values = np.concatenate([positive, negative], 1)
    label = np.repeat([1, 0], [positive.shape[1], negative.shape[1]])
    each = [rank_metrics.auroc(row, label) for row in values]
    delong = [intervals.auroc_interval(row[:, None], label[:, None] == 1) for row in values]
    low, high = intervals.bootstrap(average_auroc, (values.T, label), strata=label)
    counts = {"n_positive": positive.shape[1], "n_negative": negative.shape[1]}
    return {"each": each, "delong": delong, "mean": float(np.mean(each)), "low": low, "high": high, **counts}


def average_auroc(columns: Float[np.ndarray, "n r"], label: np.ndarray) -> float:
    """Return the mean AUROC of the columns, which are networks."""
    return float(np.mean([rank_metrics.auroc(column, label) for column in columns.T]))


def summarise_flux(images: RealImages) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the AUROC of flux alone, for the same comparisons as the networks'."""
    measure = partial(real_images.measure_flux, pixel_scale=images.pixel_scale)
    lenses, without, galaxies = map(measure, (images.lenses.image, images.without_arcs, images.galaxies))
    rings, others = measure(images.rings[images.is_ring]), measure(images.rings[~images.is_ring])
    pairs = {
        "lenses against galaxies": (lenses, galaxies),
        "lenses against the same without arcs": (lenses, without),
        "rings against other galaxies (DECaLS)": (rings, others),
    }
    return {
        name: {key: summarise_auroc(a[key][None], b[key][None]) for key in real_images.TRIVIAL}
        for name, (a, b) in pairs.items()
    }


def measure_drop(lenses: Float[np.ndarray, "r n"], without: Float[np.ndarray, "r n"]) -> dict[str, Any]:
    """Return how far scores fall without asymmetric light: median over lenses of the mean over networks."""
    change = (lenses - without).mean(0)
    low, high = intervals.quantile_interval(change, 0.5)
    fell = int((change > 0).sum())
    return {"median": float(np.median(change)), "low": low, "high": high, "fell": fell, "n": len(change)}


def measure_positions(moved: Sequence[np.ndarray | None], images: RealImages) -> dict[str, dict[str, Any]]:
    """Return errors in arcsec on cutouts off their lenses, from the origin and from the peak of light.

    The table compares networks that predict a position with a constant prediction at the image centre.
    """
    lenses, side = images.lenses, images.lenses.moved.shape[1] * images.pixel_scale
    peak = np.stack([real_images.find_peak_of_light(image, images.pixel_scale) for image in lenses.moved])
    said = {"network": [x for x in moved if x is not None], "the image centre": [np.full_like(peak, 0.5)]}
    rows = {}
    for name, truth in (("from the origin", lenses.moved_position), ("from the peak of light", peak)):
        for who, places in said.items():
            if places:
                error = np.stack([np.hypot(*((place - truth) * side).T) for place in places])
                rows[f"{who}, {name}"] = summarise_errors(error)
    apart = np.hypot(*((peak - lenses.moved_position) * side).T)
    return rows | {"origin and peak of light apart": summarise_errors(apart[None])}


def summarise_errors(error: Float[np.ndarray, "r n"]) -> dict[str, Any]:
    """Return quantiles of every network; the interval is of the median lens of the networks' mean error."""
    low, high = intervals.quantile_interval(error.mean(0), 0.5)
    quantiles = {"median": np.median(error, 1).tolist(), "p90": np.quantile(error, 0.9, axis=1).tolist()}
    return {"n": error.shape[1], **quantiles, "low": low, "high": high}


def measure_map_energy(
    runs: Sequence[Trained], images: RealImages, methods: Sequence[str], chunk: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Measure the maps of lenses with a published radius: energy there, and profiles in Einstein radii.

    Returns: of every method the energy by network and of the networks' mean; its profiles.

    Raises:
      UserError: no lens has a radius, or a method is unknown.
    """
    lenses, edges, scaled = images.lenses, ring_profiles.RING_EDGES, np.linspace(0, 2, 21)
    known = np.flatnonzero(np.isfinite(lenses.theta_e))
    if not known.size:
        raise UserError("no lens has a published Einstein radius; give --methods without a name.")
    items = [maps.Item(lenses.id[i], lenses.filter[i], lenses.image[i]) for i in known]
    at, theta_e, scale = lenses.position[known], lenses.theta_e[known], images.pixel_scale
    rows: dict[str, list[dict[str, Any]]] = {}
    own: dict[str, list[np.ndarray]] = {}
    drawn: dict[str, list[np.ndarray]] = {}
    for run in runs:
        usable = common.read_methods(methods, run)
        for text, values in common.make_maps(run, items, usable, target="lens", chunk=chunk)[0].items():
            profile = ring_profiles.measure_profiles(values, at, scale, edges)
            rows.setdefault(text, []).append(ring_profiles.compare_radii(profile, theta_e, edges))
            own.setdefault(text, []).append(profile)
            drawn.setdefault(text, []).append(
                ring_profiles.measure_scaled_profiles(values, at, theta_e, scale, scaled)
            )
    together = {
        text: ring_profiles.compare_radii(np.mean(each, 0), theta_e, edges) for text, each in own.items()
    }
    table = {text: {"each": rows[text], "together": together[text]} for text in rows}
    middles = {"radius": (scaled[1:] + scaled[:-1]) / 2}
    return table, middles | {text: np.mean(each, 0) for text, each in drawn.items()}


def write_lenses(path: Path, result: dict[str, Any], images: RealImages) -> None:
    """Write every lens: filter, Einstein radius, mean score of the networks, with and without its arcs."""
    lenses, scores = images.lenses, result["scores"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "filter", "theta_e_arcsec", "score", "score_without_arcs", "found_by"])
        found = (scores["lenses"] > np.array(result["threshold"])[:, None]).sum(0)
        for i, name in enumerate(lenses.id):
            means = [f"{scores[key][:, i].mean():.3f}" for key in ("lenses", "without_arcs")]
            writer.writerow([name, lenses.filter[i], f"{lenses.theta_e[i]:.3f}", *means, int(found[i])])


def tabulate_results(result: Mapping[str, Any]) -> list[str]:
    """Return Markdown of everything that was found."""
    networks, drop = len(result["simulated"]), result["drop"]
    lines = [
        f"{networks} network{'s' if networks > 1 else ''}; mean ± s.d. over them, "
        "95 % intervals over images.",
        "",
        *tabulate_auroc(result),
        "",
        *tabulate_rates(result),
        "",
        *tabulate_positions(result["position"]),
        "",
        f"Removing the asymmetric light of a lens lowers its log odds by {drop['median']:.2f} "
        f"({format_range(drop, 2)}; median), for {drop['fell']} of {drop['n']} lenses.",
    ]
    return [*lines, "", *tabulate_map_energy(result["maps"])] if "maps" in result else lines


def format_range(row: Mapping[str, Any], digits: int = 3) -> str:
    """Format the interval of a row."""
    return f"{row['low']:.{digits}f} – {row['high']:.{digits}f}"


def tabulate_auroc(result: Mapping[str, Any]) -> list[str]:
    """Return a table of the networks' AUROC beside what flux alone gives."""
    names = list(next(iter(result["trivial"].values())))
    simulated = result["simulated"]
    count = f"{simulated[0]['n']} + {simulated[0]['n_negative']}"
    areas = format_spread([row["auroc"] for row in simulated], 3)
    rows = [("held-out simulations", count, areas, "", *("" for _ in names))]
    for name, row in result["auroc"].items():
        alone = [f"{result['trivial'][name][key]['mean']:.3f}" for key in names]
        count = f"{row['n_positive']} + {row['n_negative']}"
        rows.append((name, count, format_spread(row["each"], 3), format_range(row), *alone))
    head = ("AUROC", "images", "networks", "by image", *(f"{name} alone" for name in names))
    return common.markdown_table(head, rows)


def tabulate_rates(result: Mapping[str, Any]) -> list[str]:
    """Return a table of shares above the threshold that 1 % of the simulated non-lenses pass."""
    simulated = format_spread([row["recall"] for row in result["simulated"]], 3)
    rows = [("simulated lenses", str(result["simulated"][0]["n"]), simulated, "")]
    for name, row in result["above"].items():
        rows.append((name, str(row["n"]), format_spread(row["each"], 3), format_range(row)))
    head = ("above the threshold that 1 in 100 simulated non-lenses passes", "n", "share", "by image")
    return common.markdown_table(head, rows)


def tabulate_positions(errors: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a table of position errors."""
    rows = [
        (name, format_spread(row["median"], 3), format_range(row), format_spread(row["p90"], 3))
        for name, row in errors.items()
    ]
    head = ("position error, lenses moved off the middle", "median ″", "by lens", "90th percentile ″")
    return common.markdown_table(head, rows)


def tabulate_map_energy(energy: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a table of energy at the Einstein radius; p-values are of the mean over the networks' maps."""
    rows = []
    for name, row in energy.items():
        cells = [format_spread([one[key] for one in row["each"]], 2) for key in ("own", "others", "swapped")]
        rows.append((name, *cells, *(f"{row['together'][key]:.4f}" for key in ("p_rings", "p_swapped"))))
    n = next(iter(energy.values()))["together"]["n"]
    head = ("map", "own radius", "other radii", "radii of other lenses", "p, other radii", "p, other lenses")
    return [
        f"Positive part of maps of {n} lenses in the ring at the published Einstein radius, over their mean.",
        "",
        *common.markdown_table(head, rows),
    ]


run = common.make_command("real-lenses", main, RealLensOptions, __doc__)

if __name__ == "__main__":
    run()
