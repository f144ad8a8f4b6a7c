"""Test why networks reject non-lenses: compare kinds of non-lenses, and remove the companions of galaxies.

    lensjax study isolated runs/seeds/seed* --out runs/isolated

The talk found that its networks respond to isolated systems when they predict non-lens (Wilde, NAM 2022).
This study simulates the same scenes again without the companions of their galaxy; galaxy, field, noise and
artefacts stay the same. Writes table.md and table.json.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lensjax.config import LensData
from lensjax.runtime import jax_setup
from lensjax.runtime.errors import UserError
from lensjax.simulate.lenses import edit_scene
from lensjax.simulate.lenses.evidence import LensRule
from lensjax.simulate.lenses.kinds import COMPANIONS, KINDS, NON_LENS_KINDS
from lensjax.studies import common
from lensjax.studies.lenses import recall
from lensjax.types import Float

NO_SOURCE = np.zeros(2, np.float32)
REMOVED = "companions removed"


@dataclass(frozen=True)
class IsolatedGalaxyOptions:
    runs: common.Runs
    out: common.Out
    scenes: int = 500
    """Simulated scenes of each kind of non-lens."""
    seed: common.SimulatorSeed = 4000


def main(options: IsolatedGalaxyOptions) -> None:
    """Score every kind of non-lens, with companions and without, and write the table."""
    jax_setup.prepare(gradients=False)
    if options.scenes < 2:
        raise UserError(f"--scenes {options.scenes} must be 2 or more.")
    networks, data = recall.restore_lens_finders(options.runs)
    scores = recall.make_scorer(networks)
    scored: dict[str, Float[np.ndarray, "r n"]] = {}
    for kind in NON_LENS_KINDS:
        scored |= score_kind(options, data, scores, kind)
    rows = {
        name: recall.summarise_change(each) | {"lens": recall.summarise_recall(each > 0)}
        for name, each in scored.items()
    }
    change = recall.summarise_change(scored[REMOVED] - scored[KINDS[COMPANIONS]])
    lines = tabulate_kinds(rows, change, len(networks))
    common.save_study(options.out, lines, {"rows": rows, "change": change})


def score_kind(
    options: IsolatedGalaxyOptions, data: LensData, scores: recall.Scorer, kind: str
) -> dict[str, Float[np.ndarray, "r n"]]:
    """Return logits of lens less non-lens of scenes of a kind; with companions, also without them."""
    changes: dict[str, recall.Change] = {kind: (lambda s: s, NO_SOURCE)}
    if kind == KINDS[COMPANIONS]:
        changes[REMOVED] = (edit_scene.remove_companions, NO_SOURCE)
    number = KINDS.index(kind)
    return recall.score_scenes(
        scores,
        data,
        LensRule(data.min_theta_e, data.min_snr),
        np.eye(len(KINDS))[number],
        changes,
        count=options.scenes,
        seed=options.seed + number,
    )[1]


def tabulate_kinds(rows: dict[str, Any], change: dict[str, Any], networks: int) -> list[str]:
    """Return Markdown: the mean logit of every kind, and what the removal did."""
    labels = {name: name.replace("_", " ") for name in rows} | {REMOVED: f"{KINDS[COMPANIONS]}, {REMOVED}"}
    cells = [
        (labels[name], recall.format_change(row), recall.format_recall(row["lens"]))
        for name, row in rows.items()
    ]
    each = ", ".join(f"{value:+.2f}" for value in change["each"])
    return [
        f"Logit of lens less non-lens, mean of {networks} networks (95 % bootstrap interval of the scenes), "
        f"and the share called lens. {change['n']} scenes a kind.",
        "",
        *common.markdown_table(("non-lens", "logit", "called lens"), cells),
        "",
        f"The same scenes without their companions: {recall.format_change(change)} in the logit; "
        f"network by network {each}.",
    ]


run = common.make_command("isolated", main, IsolatedGalaxyOptions, __doc__)

if __name__ == "__main__":
    run()
