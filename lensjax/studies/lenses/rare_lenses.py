"""Recall on rare lenses, double source planes ("jackpot" lenses) among them, for networks that saw none.

    python -m lensjax.studies.lenses.rare_lenses runs/seeds/seed* --out runs/rare

Single lenses, rings by the colour of the source, compound arcs and double rings at fixed false-positive
rates, and the compound scenes once more without the further source. Writes table.md, table.json, recall.png.
"""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro

from lensjax.runtime import jax_setup, logs
from lensjax.simulate.lenses import edit_scene
from lensjax.simulate.lenses.compound_lenses import refuse_unfound
from lensjax.simulate.lenses.evidence import Rule
from lensjax.simulate.lenses.instruments import Instrument, instrument_named
from lensjax.simulate.lenses.kinds import ALL_KINDS, COMPOUND_KINDS, shares
from lensjax.studies.lenses import recall as R

PUBLISHED = {"compound_arcs": 0.76, "double_ring": 0.52}
CAVEAT = (
    "Published: up to 76 % of compound arcs and 52 % of double rings (Wilde et al. 2022, MNRAS 512, 3464), "
    "of other simulations; no threshold or false-positive rate was stated, so they stand beside ours and "
    "cannot be compared with them."
)
DRAWN = ("single", "ring", *COMPOUND_KINDS)


@dataclass(frozen=True)
class Command:
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of trained networks, of one experiment over several seeds say."""
    out: Path
    """Folder of the tables and the figure."""
    lenses: int = 1000
    """Scenes of each kind; of rings, a third or so have a red source."""
    non_lenses: int = 100_000
    """Held-out non-lenses that set the thresholds; ten or more should pass the strictest rate."""
    rates: tuple[float, ...] = (1e-2, 1e-3, 1e-4)
    """False-positive rates."""
    seed: int = 2000
    """Of the simulator; no training set has it."""
    data_directory: str = ""
    """Where the non-lenses are kept; that of the first run where none is given."""


def main(command: Command) -> None:
    jax_setup.prepare(gradients=False)
    networks, data = R.restored(command.runs)
    scores = R.scorer(networks)
    directory = command.data_directory or data.directory
    negatives = R.non_lens_scores(scores, data, command.non_lenses, command.seed, directory)
    camera = instrument_named(data.instrument), data.size, data.supersampling
    rule = Rule(float(data.min_theta_e), float(data.min_snr))
    groups: dict[str, dict[str, np.ndarray]] = {}
    for number, kind in enumerate(DRAWN):
        groups |= _groups(kind, *_scored(command, scores, kind, number, rule, *camera))
    limits = {rate: R.thresholds(negatives, rate) for rate in command.rates}
    result: dict[str, Any] = {
        "command": shlex.join(sys.argv),
        "environment": logs.environment(),
        "runs": [str(path) for path in command.runs],
        "data": asdict(data),
        "saw_compound": [
            str(n.workdir)
            for n in networks
            if {*COMPOUND_KINDS, "jackpot"} & {*getattr(n.config.data, "kinds", ())}
        ],
        "non_lenses": command.non_lenses,
        "resolution": {f"{rate:g}": R.resolution(command.non_lenses, rate) for rate in command.rates},
        "thresholds": {f"{rate:g}": limit.tolist() for rate, limit in limits.items()},
        "kinds": [_row(name, group, limits) for name, group in groups.items()],
        "published": PUBLISHED,
    }
    command.out.mkdir(parents=True, exist_ok=True)
    logs.write_json(command.out / "table.json", result)
    text = "\n".join(lines(result, command.rates))
    (command.out / "table.md").write_text(text + "\n")
    from lensjax.report.figures import recall as pictures

    picture = pictures.save_kinds(command.out / "recall.png", result["kinds"], command.rates, PUBLISHED)
    print(f"{text}\n\ntables: {command.out / 'table.md'}\nfigure: {picture}")


def _scored(
    command: Command, scores: R.Scorer, kind: str, number: int, rule: Rule, instrument: Instrument,
    size: int, supersampling: int,
) -> tuple[dict[str, np.ndarray], ...]:  # fmt: skip
    """Truth and scores of `command.lenses` scenes of a kind; of compound ones the nearer source alone too."""
    compound = kind in COMPOUND_KINDS
    seed = command.seed + 1 + number

    def make(index: np.ndarray) -> tuple[dict, np.ndarray, np.ndarray | None]:
        rng = np.random.default_rng([seed, int(index[0])])
        kinds = rng.choice(len(ALL_KINDS), len(index), p=shares((kind,))[0]).astype(np.int32)
        keys = R.keys_of(seed, index)
        s, truth = edit_scene.parameters(keys, kinds, rule, instrument, size, supersampling, compound)
        refuse_unfound(truth, rule)
        image = functools.partial(edit_scene.images, keys, s)
        both, near = (np.array(a, np.float32) for a in ((1, 1), (1, 0)))
        seen = scores(jax.device_get(image(both, instrument, size, supersampling)))
        alone = scores(jax.device_get(image(near, instrument, size, supersampling))) if compound else None
        return jax.device_get(truth), seen, alone

    parts = list(R.in_chunks(make, command.lenses, kind))
    n = command.lenses
    truth = {name: np.concatenate([part[0][name] for part in parts])[:n] for name in parts[0][0]}
    first = {"score": np.concatenate([part[1] for part in parts], 1)[:, :n], **truth}
    if not compound:
        return (first,)
    near = np.concatenate([part[2] for part in parts], 1)[:, :n]
    return first, {**truth, "score": near, "snr": truth["snr_1"]}


def _groups(
    kind: str, whole: dict[str, np.ndarray], alone: dict[str, np.ndarray] | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Rows of the table: rings by colour, compound kinds with and without the further source."""
    if alone is not None:
        return {kind: whole, f"{kind}, further source removed": alone}
    if kind != "ring":
        return {kind: whole}
    red = whole["source_red"] > 0.5
    return {
        f"ring, {name}": {key: value[..., keep] for key, value in whole.items()}
        for name, keep in (("blue", ~red), ("red", red))
    }


def _row(name: str, group: dict[str, np.ndarray], limits: dict[float, np.ndarray]) -> dict[str, Any]:
    """Recall of one group at every rate, and the medians that explain it."""
    every = np.ones(group["score"].shape[1], bool)
    medians = {
        key: float(np.median(group[key])) if every.size else float("nan") for key in ("theta_e", "snr")
    }
    rates = {f"{rate:g}": R.recall_at(group["score"], limit, every) for rate, limit in limits.items()}
    return {"kind": name, "n": int(every.size), **medians, "rates": rates}


def lines(result: dict[str, Any], rates: Sequence[float]) -> list[str]:
    """Markdown: a row a kind, a column a rate."""
    networks = len(result["runs"])
    names = [f"{rate:g}" for rate in rates]
    text = [
        f"Recall, mean of {networks} networks (95 % Wilson interval of the lenses at fixed thresholds) ± "
        "s.d. between networks.",
        *(f"- false-positive rate {name}: {result['resolution'][name]}." for name in names),
        "",
        f"| kind | lenses | median θE, S/N | {' | '.join(names)} | published |",
        f"|---|---|---|{'---|' * len(names)}---|",
    ]
    for row in result["kinds"]:
        cells = " | ".join(R.cell(row["rates"][name]) for name in names)
        published = result["published"].get(row["kind"])
        said = f"{published:.0%}, no rate" if published else ""
        label = row["kind"].replace("_", " ")
        text.append(f"| {label} | {row['n']} | {row['theta_e']:.2f}″, {row['snr']:.0f} | {cells} | {said} |")
    text += ["", CAVEAT]
    if result["saw_compound"]:
        return [
            *text,
            f"These networks saw compound lenses in training: {', '.join(result['saw_compound'])}.",
        ]
    return [*text, "None of the networks saw a compound lens in training."]


if __name__ == "__main__":
    try:
        main(tyro.cli(Command, prog="python -m lensjax.studies.lenses.rare_lenses", description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; the non-lenses made so far are kept only when whole.")
