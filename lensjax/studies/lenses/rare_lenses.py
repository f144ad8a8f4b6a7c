"""Measure recall on rare lenses, such as double source planes, for networks that have seen none.

    lensjax study rare runs/seeds/seed* --out runs/rare

Tests single lenses, rings by the colour of the source, compound arcs and double rings at fixed false-positive
rates, and the compound scenes again without the further source. Writes table.md, table.json, recall.png.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lensjax.config import LensData
from lensjax.report.figures import studies as figures
from lensjax.runtime import jax_setup
from lensjax.simulate.lenses.evidence import LensRule
from lensjax.simulate.lenses.kinds import COMPOUND_KINDS, shares
from lensjax.studies import common
from lensjax.studies.lenses import recall

PUBLISHED = {"compound_arcs": 0.76, "double_ring": 0.52}
CAVEAT = (
    "Published: up to 76 % of compound arcs and 52 % of double rings (Wilde et al. 2022, MNRAS 512, 3464), "
    "of other simulations; no threshold or false-positive rate was stated, so they stand beside ours and "
    "cannot be compared with them."
)
DRAWN = ("single", "ring", *COMPOUND_KINDS)


@dataclass(frozen=True)
class RareLensOptions:
    runs: common.Runs
    out: common.Out
    lenses: int = 1000
    """Scenes of each kind; of rings, a third or so have a red source."""
    non_lenses: int = 100_000
    """Held-out non-lenses that set the thresholds; ten or more should pass the strictest rate."""
    rates: tuple[float, ...] = (1e-2, 1e-3, 1e-4)
    """False-positive rates."""
    seed: common.SimulatorSeed = 2000
    data_directory: str = ""
    """Folder of the non-lenses. By default: that of the first run."""


def main(options: RareLensOptions) -> None:
    """Score every kind, measure recall at every rate, and write the table and the figure."""
    jax_setup.prepare(gradients=False)
    networks, data = recall.restore_lens_finders(options.runs)
    scores = recall.make_scorer(networks)
    directory = options.data_directory or data.directory
    negatives = recall.score_non_lenses(scores, data, options.non_lenses, options.seed, directory)
    groups: dict[str, dict[str, np.ndarray]] = {}
    for number, kind in enumerate(DRAWN):
        groups |= split_groups(kind, *score_kind(options, scores, data, number))
    limits = {rate: recall.find_thresholds(negatives, rate) for rate in options.rates}
    result: dict[str, Any] = {
        "runs": [str(path) for path in options.runs],
        "data": asdict(data),
        "saw_compound": [
            str(n.workdir)
            for n in networks
            if {*COMPOUND_KINDS, "jackpot"} & {*getattr(n.config.data, "kinds", ())}
        ],
        "non_lenses": options.non_lenses,
        "resolution": {f"{rate:g}": recall.describe_resolution(options.non_lenses, rate) for rate in limits},
        "thresholds": {f"{rate:g}": limit.tolist() for rate, limit in limits.items()},
        "kinds": [summarise_group(name, group, limits) for name, group in groups.items()],
        "published": PUBLISHED,
    }
    figure = figures.draw_kinds(options.out / "recall.png", result["kinds"], options.rates, PUBLISHED)
    common.save_study(options.out, tabulate_recall(result, options.rates), result, [figure])


def score_kind(
    options: RareLensOptions, scores: recall.Scorer, data: LensData, number: int
) -> tuple[dict[str, np.ndarray], ...]:
    """Return truth and scores of scenes of a kind; of compound ones, those of the nearer source alone too."""
    compound = DRAWN[number] in COMPOUND_KINDS
    changes: dict[str, recall.Change] = {"both": (lambda s: s, np.ones(2, np.float32))}
    if compound:
        changes["near"] = (lambda s: s, np.array((1, 0), np.float32))
    truth, scored = recall.score_scenes(
        scores,
        data,
        LensRule(float(data.min_theta_e), float(data.min_snr)),
        shares((DRAWN[number],))[0],
        changes,
        count=options.lenses,
        seed=options.seed + 1 + number,
        compound=compound,
    )
    whole = {**truth, "score": scored["both"]}
    return (whole, {**truth, "score": scored["near"], "snr": truth["snr_1"]}) if compound else (whole,)


def split_groups(
    kind: str, whole: dict[str, np.ndarray], alone: dict[str, np.ndarray] | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Return the rows of the table: rings by colour, compound kinds with and without the further source."""
    if alone is not None:
        return {kind: whole, f"{kind}, further source removed": alone}
    if kind != "ring":
        return {kind: whole}
    red = whole["source_red"] > 0.5
    return {
        f"ring, {name}": {key: value[..., keep] for key, value in whole.items()}
        for name, keep in (("blue", ~red), ("red", red))
    }


def summarise_group(
    name: str, group: dict[str, np.ndarray], limits: dict[float, np.ndarray]
) -> dict[str, Any]:
    """Return the recall of one group at every rate, and the medians that explain it."""
    every = np.ones(group["score"].shape[1], bool)
    medians = {
        key: float(np.median(group[key])) if every.size else float("nan") for key in ("theta_e", "snr")
    }
    rates = {
        f"{rate:g}": recall.measure_recall(group["score"], limit, every) for rate, limit in limits.items()
    }
    return {"kind": name, "n": int(every.size), **medians, "rates": rates}


def tabulate_recall(result: dict[str, Any], rates: Sequence[float]) -> list[str]:
    """Return Markdown: a row a kind, a column a rate."""
    names = [f"{rate:g}" for rate in rates]
    rows = []
    for row in result["kinds"]:
        cells = [recall.format_recall(row["rates"][name]) for name in names]
        published = result["published"].get(row["kind"])
        said = f"{published:.0%}, no rate" if published else ""
        median = f"{row['theta_e']:.2f}″, {row['snr']:.0f}"
        rows.append((row["kind"].replace("_", " "), str(row["n"]), median, *cells, said))
    saw = ", ".join(result["saw_compound"])
    return [
        f"Recall, mean of {len(result['runs'])} networks (95 % Wilson interval of the lenses at fixed "
        "thresholds) ± s.d. between networks.",
        *(f"- false-positive rate {name}: {result['resolution'][name]}." for name in names),
        "",
        *common.markdown_table(("kind", "lenses", "median θE, S/N", *names, "published"), rows),
        "",
        CAVEAT,
        f"These networks saw compound lenses in training: {saw}."
        if saw
        else "None of the networks saw a compound lens in training.",
    ]


run = common.make_command("rare", main, RareLensOptions, __doc__)

if __name__ == "__main__":
    run()
