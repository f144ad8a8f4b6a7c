"""The tables of the study of real lenses, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lensjax.studies.events.ablation_tables import spread


def table_lines(result: Mapping[str, Any]) -> list[str]:
    """Everything that `lensjax.studies.lenses.real_lenses` found."""
    networks = len(result["simulated"])
    lines = [
        f"{networks} network{'s' if networks > 1 else ''}; mean ± s.d. over them, 95 % intervals over images."
    ]
    lines += ["", *auroc_lines(result), "", *rate_lines(result), "", *position_lines(result["position"])]
    drop = result["drop"]
    lines += [
        "",
        f"Without its lopsided light a lens's log odds fall by {drop['median']:.2f} ({drop['low']:.2f} – "
        f"{drop['high']:.2f}; median), for {drop['fell']} of {drop['n']} lenses.",
    ]
    return [*lines, "", *map_lines(result["maps"])] if "maps" in result else lines


def auroc_lines(result: Mapping[str, Any]) -> list[str]:
    """The networks' AUROC beside what flux alone gives."""
    names = list(next(iter(result["trivial"].values())))
    lines = [
        f"| AUROC | images | networks | by image | {' | '.join(f'{name} alone' for name in names)} |",
        "|---|---|---|---|" + "---|" * len(names),
    ]
    simulated = result["simulated"]
    of = simulated[0]
    areas = spread([row["auroc"] for row in simulated], 3)
    count = f"{of['n']} + {of['n_negative']}"
    lines.append(f"| held-out simulations | {count} | {areas} | | {' | '.join('' for _ in names)} |")
    for name, row in result["auroc"].items():
        alone = [f"{result['trivial'][name][key]['mean']:.3f}" for key in names]
        lines.append(
            f"| {name} | {row['n_positive']} + {row['n_negative']} | {spread(row['each'], 3)} | "
            f"{row['low']:.3f} – {row['high']:.3f} | {' | '.join(alone)} |"
        )
    return lines


def rate_lines(result: Mapping[str, Any]) -> list[str]:
    """Shares above the threshold that 1 % of the simulated non-lenses pass."""
    recall = spread([row["recall"] for row in result["simulated"]], 3)
    lines = [
        "| above the threshold that 1 in 100 simulated non-lenses passes | n | share | by image |",
        "|---|---|---|---|",
        f"| simulated lenses | {result['simulated'][0]['n']} | {recall} | |",
    ]
    for name, row in result["above"].items():
        lines.append(
            f"| {name} | {row['n']} | {spread(row['each'], 3)} | {row['low']:.3f} – {row['high']:.3f} |"
        )
    return lines


def position_lines(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = [
        "| position error, lenses moved off the middle | median ″ | by lens | 90th percentile ″ |",
        "|---|---|---|---|",
    ]
    for name, row in rows.items():
        bounds = f"{row['low']:.3f} – {row['high']:.3f}"
        lines.append(f"| {name} | {spread(row['median'], 3)} | {bounds} | {spread(row['p90'], 3)} |")
    return lines


def map_lines(maps: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Energy at the Einstein radius; the p-values are of the mean over the networks' maps."""
    n = next(iter(maps.values()))["together"]["n"]
    lines = [
        f"Positive part of maps of {n} lenses in the ring at the published Einstein radius, over their mean.",
        "",
        "| map | own radius | other radii | radii of other lenses | p, other radii | p, other lenses |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in maps.items():
        cells = [spread([one[key] for one in row["each"]], 2) for key in ("own", "others", "swapped")]
        cells += [f"{row['together'][key]:.4f}" for key in ("p_rings", "p_swapped")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def variant_lines(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """One line a variant: mean ± standard deviation over its seeds of every column."""
    names = list(next(iter(rows.values()))[0])
    lines = [f"| variant | seeds | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for variant, each in rows.items():
        cells = [spread([float(row[name]) for row in each if not np.isnan(row[name])], 3) for name in names]
        lines.append(f"| {variant} | {len(each)} | {' | '.join(cells)} |")
    return lines
