"""What makes a non-lens one: is it that the galaxy stands alone? Kind by kind, and with companions removed.

    python -m lensjax.studies.lenses.isolated_galaxies runs/seeds/seed* --out runs/isolated

The talk found that its networks respond to isolated systems where they say non-lens (Wilde, NAM 2022). Here
the same scenes are photographed again without the companions of their galaxy: galaxy, field, noise and
artefacts stay. Writes table.md and table.json.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
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
from lensjax.simulate.lenses.kinds import COMPANIONS, KINDS, NON_LENS_KINDS
from lensjax.studies.lenses import recall as R
from lensjax.types import Float

NO_SOURCE = np.zeros(2, np.float32)
REMOVED = "companions removed"


@dataclass(frozen=True)
class Command:
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of trained networks, of one experiment over several seeds say."""
    out: Path
    """Folder of the tables."""
    scenes: int = 500
    """Simulated scenes of each kind of non-lens."""
    seed: int = 4000
    """Of the simulator; no training set has it."""


def main(command: Command) -> None:
    jax_setup.prepare(gradients=False)
    if command.scenes < 2:
        raise UserError(f"--scenes {command.scenes} must be 2 or more.")
    networks, data = R.restored(command.runs)
    scores = R.scorer(networks)
    scored = {name: scored_kind(command, data, scores, name) for name in NON_LENS_KINDS}
    companions = KINDS[COMPANIONS]
    scored[REMOVED] = scored_kind(command, data, scores, companions, alone=True)
    rows = {name: R.paired(each) | {"lens": R.recall(each > 0)} for name, each in scored.items()}
    change = R.paired(scored[REMOVED] - scored[companions])
    command.out.mkdir(parents=True, exist_ok=True)
    about = {"command": shlex.join(sys.argv), "environment": logs.environment()}
    logs.write_json(command.out / "table.json", about | {"rows": rows, "change": change})
    text = "\n".join(table_lines(rows, change, len(networks)))
    (command.out / "table.md").write_text(text + "\n")
    print(f"{text}\n\ntable: {command.out / 'table.md'}")


def scored_kind(
    command: Command, data: LensData, scores: R.Scorer, kind: str, alone: bool = False
) -> Float[np.ndarray, "r n"]:
    """Logit of lens less that of non-lens, by every network, of scenes of one kind."""
    instrument, size, rays = instrument_named(data.instrument), data.size, data.supersampling
    number = KINDS.index(kind)

    def make(index: np.ndarray) -> np.ndarray:
        keys = R.keys_of(command.seed + number, index)
        kinds = np.full(len(index), number, np.int32)
        rule = Rule(data.min_theta_e, data.min_snr)
        s, _ = edit_scene.parameters(keys, kinds, rule, instrument, size, rays)
        s = jax.vmap(edit_scene.alone)(s) if alone else s
        return scores(jax.device_get(edit_scene.images(keys, s, NO_SOURCE, instrument, size, rays)))

    parts = list(R.in_chunks(make, command.scenes, f"{kind}{', alone' if alone else ''}"))
    return np.concatenate(parts, 1)[:, : command.scenes]


def table_lines(rows: dict[str, Any], change: dict[str, Any], networks: int) -> list[str]:
    """Markdown: the mean logit of every kind, and what the removal did."""
    lines = [
        f"Logit of lens less non-lens, mean of {networks} networks (95 % bootstrap interval of the scenes), "
        f"and the share called lens. {change['n']} scenes a kind.",
        "",
        "| non-lens | logit | called lens |",
        "|---|---|---|",
    ]
    for name, row in rows.items():
        label = f"{KINDS[COMPANIONS]}, {REMOVED}" if name == REMOVED else name.replace("_", " ")
        logit = f"{row['mean']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})"
        lines.append(f"| {label} | {logit} | {R.cell(row['lens'])} |")
    each = ", ".join(f"{value:+.2f}" for value in change["each"])
    return [
        *lines,
        "",
        f"The same scenes without their companions: {change['mean']:+.2f} ({change['low']:+.2f} to "
        f"{change['high']:+.2f}) in the logit; network by network {each}.",
    ]


if __name__ == "__main__":
    try:
        main(
            tyro.cli(Command, prog="python -m lensjax.studies.lenses.isolated_galaxies", description=__doc__)
        )
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing was written.")
