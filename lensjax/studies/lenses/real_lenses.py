"""Networks trained on simulations, on real lenses, galaxies and look-alikes; the runs are seeds of one.

    python -m lensjax.studies.lenses.real_lenses runs/hst0 runs/hst1 runs/hst2 --lenses ../shared/data/lens_hst \
        --galaxies ../shared/data/galaxies_hst_cosmos --rings ../shared/data/galaxies_decals_rings \
        --out runs/real

Writes table.md, table.json, lenses.csv and real.png: AUROC of lenses against galaxies, against themselves
without their lopsided light, and of ring galaxies against others in their own survey; recall at the threshold
that one in a hundred simulated non-lenses passes; position errors; energy of maps at the published Einstein
radius. Beside the networks stands what flux alone tells.
"""

from __future__ import annotations

import csv
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from lensjax.explain import parse
from lensjax.inspection import maps as explained
from lensjax.inspection.restore import Trained, restore
from lensjax.report.figures import real_lenses as pictures
from lensjax.runtime import jax_setup, logs
from lensjax.runtime.errors import UserError
from lensjax.studies.lenses import ring_profiles as annuli
from lensjax.studies.lenses.real_scores import Inputs, read, scored
from lensjax.studies.lenses.real_tables import table_lines

METHODS = ("attention", "grad_cam", "occlusion", "integrated_gradients", "abs_input", "centre")


@dataclass(frozen=True)
class Command:
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of train.py, seeds of one configuration."""
    lenses: Path
    """Folder like lens_hst: a folder a lens, an HDF5 a filter, tables/ with Einstein radii."""
    galaxies: Path
    """Folder with real-galaxy catalogues and their stamps."""
    rings: Path
    """.npz of ring galaxies and others, or its folder."""
    out: Path
    """Folder of the tables and the figure."""
    methods: tuple[str, ...] = METHODS
    """Maps whose energy is measured at the Einstein radius; none for no maps."""
    chunk: int = 8


def main(command: Command) -> None:
    jax_setup.prepare(gradients=True)
    runs = [restore(path) for path in command.runs]
    images = read(runs, command.lenses, command.galaxies, command.rings)
    for problem in images.lenses.problems:
        print(f"left out {problem}")
    result = study(runs, images, command.methods, command.chunk)
    write(command, result, images)


def study(runs: Sequence[Trained], images: Inputs, methods: Sequence[str], chunk: int) -> dict[str, Any]:
    """All numbers of the study; rows of scores are networks."""
    result = scored(runs, images, chunk)
    if methods:
        result["maps"], result["profiles"] = map_energy(runs, images, methods, chunk)
    return result


def map_energy(
    runs: Sequence[Trained], images: Inputs, methods: Sequence[str], chunk: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Of every method, of lenses with a published radius: energy there by network and of the networks' mean,
    and profiles in Einstein radii.

    Raises:
      UserError: no lens has a radius, or a method is unknown.
    """
    lenses, edges, scaled = images.lenses, annuli.ring_edges(), np.linspace(0, 2, 21)
    known = np.flatnonzero(np.isfinite(lenses.theta_e))
    if not known.size:
        raise UserError("no lens has a published Einstein radius: pass --methods with nothing after it.")
    shown = [explained.Item(lenses.id[i], lenses.filter[i], lenses.image[i]) for i in known]
    at, theta_e, scale = lenses.position[known], lenses.theta_e[known], images.pixel_scale
    rows: dict[str, list[dict[str, Any]]] = {}
    own: dict[str, list[np.ndarray]] = {}
    drawn: dict[str, list[np.ndarray]] = {}
    for run in runs:
        usable = [text for text in methods if text != "attention" or run.config.model.attention.at]
        maps = explained.explain(
            run,
            shown,
            explained.predict(run, shown, chunk),
            [(text, *parse(text)) for text in usable],
            target="lens",
            chunk=chunk,
            seed=0,
            progress=logs.progress,
        )
        for text, values in maps.items():
            profile = annuli.profiles(values, at, scale, edges)
            rows.setdefault(text, []).append(annuli.compare(profile, theta_e, edges))
            own.setdefault(text, []).append(profile)
            drawn.setdefault(text, []).append(annuli.scaled_profile(values, at, theta_e, scale, scaled))
    together = {text: annuli.compare(np.mean(each, 0), theta_e, edges) for text, each in own.items()}
    table = {text: {"each": rows[text], "together": together[text]} for text in rows}
    middles = {"radius": (scaled[1:] + scaled[:-1]) / 2}
    return table, middles | {text: np.mean(each, 0) for text, each in drawn.items()}


def write(command: Command, result: dict[str, Any], images: Inputs) -> None:
    """table.md, table.json, lenses.csv and real.png."""
    command.out.mkdir(parents=True, exist_ok=True)
    lines = table_lines(result)
    (command.out / "table.md").write_text("\n".join(lines) + "\n")
    numbers = {key: value for key, value in result.items() if key not in ("scores", "profiles", "is_ring")}
    about = {"command": shlex.join(sys.argv), "environment": logs.environment()}
    logs.write_json(
        command.out / "table.json", about | {"runs": [str(run) for run in command.runs]} | numbers
    )
    write_lenses(command.out / "lenses.csv", result, images)
    pictures.save(command.out / "real.png", result)
    print("\n".join(lines))
    print(f"\ntable: {command.out / 'table.md'}\nplot:  {command.out / 'real.png'}")


def write_lenses(path: Path, result: dict[str, Any], images: Inputs) -> None:
    """Every lens: filter, Einstein radius, mean score of the networks, and without its lopsided light."""
    lenses, scores = images.lenses, result["scores"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "filter", "theta_e_arcsec", "score", "score_without_arcs", "found_by"])
        found = (scores["lenses"] > np.array(result["threshold"])[:, None]).sum(0)
        for i, name in enumerate(lenses.id):
            means = [f"{scores[key][:, i].mean():.3f}" for key in ("lenses", "without_arcs")]
            writer.writerow([name, lenses.filter[i], f"{lenses.theta_e[i]:.3f}", *means, int(found[i])])


if __name__ == "__main__":
    try:
        main(tyro.cli(Command, prog="python -m lensjax.studies.lenses.real_lenses", description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing is written until the end.")
