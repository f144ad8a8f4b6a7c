"""The selection function of trained networks: which lenses they find, and what changes their mind.

    python -m lensjax.studies.lenses.selection_function runs/seeds/seed* --out runs/selection

Recall at a fixed false-positive rate over the simulator's truth; over PSF width and position by making the
same scenes again; the colour swap (the same lens with a blue and a red source: "do we miss red rings?"); and,
as in Jacobs et al. 2022 (arXiv:2112.02479), the source's or the galaxy's light removed. Writes table.md,
table.json, selection.png.
"""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro

from lensjax.config import LensData
from lensjax.runtime import jax_setup, logs
from lensjax.runtime.errors import UserError
from lensjax.simulate.lenses import edit_scene
from lensjax.simulate.lenses.evidence import Rule
from lensjax.simulate.lenses.instruments import instrument_named
from lensjax.simulate.lenses.kinds import LENS_KINDS, LENS_WEIGHTS, RING
from lensjax.studies.lenses import recall as R
from lensjax.studies.lenses.selection_tables import lines

QUANTITIES: dict[str, str] = {
    "theta_e": "Einstein radius (arcsec)",
    "snr": "signal-to-noise of the arcs",
    "mag_source": "lensed source (VIS mag)",
    "mag_lens": "lens galaxy (VIS mag)",
    "source_colour": "source colour (first − last band)",
    "lens_colour": "lens colour (first − last band)",
}
PSF = (0.7, 0.85, 1.0, 1.15, 1.3, 1.6)
OFFSETS = (0.0, 0.5, 1.0, 1.5, 2.0)
BOTH, NO_SOURCE = np.ones(2, np.float32), np.zeros(2, np.float32)


@dataclass(frozen=True)
class Command:
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of trained networks, of one experiment over several seeds say."""
    out: Path
    """Folder of the tables and the figure."""
    lenses: int = 3000
    """Simulated lenses, in the kinds' usual shares."""
    non_lenses: int = 20_000
    """Held-out non-lenses that set the threshold, on images that are not changed."""
    fpr: float = 1e-2
    """False-positive rate."""
    min_theta_e: float = 0.25
    """Of the lenses, arcsec: less than in training, to see recall fall."""
    min_snr: float = 10.0
    bins: int = 8
    """Points of a curve, with as many lenses each."""
    seed: int = 3000
    """Of the simulator; no training set has it."""
    data_directory: str = ""
    """Where the non-lenses are kept; that of the first run where none is given."""


def main(command: Command) -> None:
    jax_setup.prepare(gradients=False)
    if command.bins < 1 or command.lenses < command.bins:
        raise UserError(f"--bins {command.bins} must be 1 or more, and --lenses {command.lenses} no fewer.")
    networks, data = R.restored(command.runs)
    scores = R.scorer(networks)
    directory = command.data_directory or data.directory
    negatives = R.non_lens_scores(scores, data, command.non_lenses, command.seed, directory)
    threshold = R.thresholds(negatives, command.fpr)
    if np.isnan(threshold).any():
        raise UserError(f"--fpr is {R.resolution(command.non_lenses, command.fpr)}.")
    truth, scored = score_variants(command, data, scores)
    result = {
        "command": shlex.join(sys.argv),
        "environment": logs.environment(),
        "runs": [str(path) for path in command.runs],
        "data": asdict(data),
        "fpr": command.fpr,
        "resolution": R.resolution(command.non_lenses, command.fpr),
        "thresholds": threshold.tolist(),
        "cuts": {"theta_e": data.min_theta_e, "snr": data.min_snr},
        **analyse(truth, scored, threshold, data, command.bins),
    }
    command.out.mkdir(parents=True, exist_ok=True)
    logs.write_json(command.out / "table.json", result)
    text = "\n".join(lines(result, QUANTITIES))
    (command.out / "table.md").write_text(text + "\n")
    from lensjax.report.figures import recall as pictures

    picture = pictures.save_selection(command.out / "selection.png", result, QUANTITIES)
    print(f"{text}\n\ntables: {command.out / 'table.md'}\nfigure: {picture}")


def changes_of(instrument: Any) -> dict[str, tuple[Callable[[dict], dict], np.ndarray]]:
    """Every way a scene is made: its change of parameters, and what light of the source stays."""
    found: dict[str, tuple[Callable[[dict], dict], np.ndarray]] = {
        "as it is": (lambda s: s, BOTH),
        "source removed": (lambda s: s, NO_SOURCE),
        "lens galaxy removed": (edit_scene.without_galaxy, BOTH),
    }
    if len(instrument.bands) > 1:
        found["blue source"] = (lambda s: edit_scene.with_source_colour(s, edit_scene.BLUE), BOTH)
        found["red source"] = (lambda s: edit_scene.with_source_colour(s, edit_scene.RED), BOTH)
    for factor in PSF:
        found[f"psf {factor:g}"] = (functools.partial(edit_scene.with_psf, factor=factor), BOTH)
    for offset in OFFSETS:
        found[f"offset {offset:g}"] = (functools.partial(edit_scene.at_distance, distance=offset), BOTH)
    return found


def score_variants(
    command: Command, data: LensData, scores: R.Scorer
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Truth of every lens, and its scores [networks n] in every variant."""
    instrument, size, rays = instrument_named(data.instrument), data.size, data.supersampling
    rule, changes = Rule(command.min_theta_e, command.min_snr), changes_of(instrument)

    def make(index: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        rng = np.random.default_rng([command.seed, int(index[0])])
        kinds = rng.choice(len(LENS_KINDS), len(index), p=np.array(LENS_WEIGHTS)).astype(np.int32)
        keys = R.keys_of(command.seed, index)
        s, truth = edit_scene.parameters(keys, kinds, rule, instrument, size, rays)
        for which in ("source", "lens"):
            of = functools.partial(edit_scene.colour, which=which, instrument=instrument)
            truth[f"{which}_colour"] = jax.vmap(of)(s)
        scored = {}
        for name, (change, sources) in changes.items():
            image = edit_scene.images(keys, jax.vmap(change)(s), sources, instrument, size, rays)
            scored[name] = scores(jax.device_get(image))
        return jax.device_get(truth), scored

    parts = list(R.in_chunks(make, command.lenses, f"lenses in {len(changes)} variants"))
    n = command.lenses
    truth = {name: np.concatenate([part[0][name] for part in parts])[:n] for name in parts[0][0]}
    return truth, {name: np.concatenate([p[1][name] for p in parts], 1)[:, :n] for name in changes}


def analyse(
    truth: dict[str, np.ndarray],
    scored: dict[str, np.ndarray],
    threshold: np.ndarray,
    data: LensData,
    bins: int,
) -> dict[str, Any]:
    """Curves and paired changes. All but the curves over θE and S/N are of lenses as training had them."""
    as_trained = (truth["theta_e"] > data.min_theta_e) & (truth["snr"] > data.min_snr)
    every = np.ones_like(as_trained)
    plain = scored["as it is"]
    curves = {}
    for name in QUANTITIES:
        if np.ptp(truth[name]) > 0:  # one band has no colour
            keep = every if name in ("theta_e", "snr") else as_trained
            curves[name] = curve(truth[name], plain, threshold, keep, bins)
    for what, values in (("psf", PSF), ("offset", OFFSETS)):
        curves[what] = [
            {"x": x, **R.recall_at(scored[f"{what} {x:g}"], threshold, as_trained)} for x in values
        ]
    pairs = [("as it is", "source removed"), ("as it is", "lens galaxy removed")]
    pairs += [("as it is", f"psf {x:g}") for x in PSF if x != 1]
    swap = {}
    if "red source" in scored:
        ring = as_trained & (truth["kind"] == RING)
        swap = {
            name: change(scored, "blue source", "red source", threshold, keep)
            for name, keep in (("all lenses", as_trained), ("rings", ring))
        }
    return {
        "lenses": len(every),
        "as_trained": R.recall_at(plain, threshold, as_trained),
        "curves": curves,
        "colour_swap": swap,
        "changes": {after: change(scored, before, after, threshold, as_trained) for before, after in pairs},
    }


def curve(
    x: np.ndarray, scores: np.ndarray, threshold: np.ndarray, keep: np.ndarray, bins: int
) -> list[dict[str, Any]]:
    """Recall in bins of as many lenses each, at the bin's median."""
    order = np.flatnonzero(keep)[np.argsort(x[keep], kind="stable")]
    points = []
    for rows in np.array_split(order, bins):
        if rows.size:
            inside = np.zeros(len(x), bool)
            inside[rows] = True
            place = {"x": float(np.median(x[rows])), "from": float(x[rows[0]]), "to": float(x[rows[-1]])}
            points.append(place | R.recall_at(scores, threshold, inside))
    return points


def change(
    scored: dict[str, np.ndarray], before: str, after: str, threshold: np.ndarray, keep: np.ndarray
) -> dict[str, Any]:
    """Recall of both, and the paired differences in recall and in the logit of the same lenses."""
    one, other = scored[before][:, keep], scored[after][:, keep]
    limit = threshold[:, None]
    return {
        "before": R.recall_at(scored[before], threshold, keep),
        "after": R.recall_at(scored[after], threshold, keep),
        "recall": R.paired((other > limit).astype(np.float64) - (one > limit)),
        "logit": R.paired(other - one),
    }


if __name__ == "__main__":
    try:
        main(
            tyro.cli(Command, prog="python -m lensjax.studies.lenses.selection_function", description=__doc__)
        )
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing but finished data sets is kept.")
