"""Markdown of the selection function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lensjax.studies.lenses.recall import cell


def lines(result: dict[str, Any], quantities: Mapping[str, str]) -> list[str]:
    """Everything in `selection.main`'s result, as tables."""
    cuts = result["cuts"]
    text = [
        f"Recall at a false-positive rate of {result['fpr']:g} ({result['resolution']}), mean of "
        f"{len(result['runs'])} networks (95 % Wilson interval) ± s.d. between networks.",
        f"All lenses as in training (θE > {cuts['theta_e']:g}″, S/N > {cuts['snr']:g}): "
        f"{cell(result['as_trained'])} of {result['as_trained']['n']}.",
        "",
        *swap_lines(result["colour_swap"]),
        "| change | recall before | after | Δ recall | Δ logit |",
        "|---|---|---|---|---|",
        *(change_line(name, row) for name, row in result["changes"].items()),
    ]
    names = dict(quantities) | {
        "psf": "PSF width over its own",
        "offset": "distance from the middle (arcsec)",
    }
    for name, points in result["curves"].items():
        text += ["", f"| {names[name]} | lenses | recall |", "|---|---|---|"]
        for point in points:
            span = f" ({point['from']:.2f}–{point['to']:.2f})" if "from" in point else ""
            text.append(f"| {point['x']:.2f}{span} | {point['n']} | {cell(point)} |")
    return text


def swap_lines(swap: dict[str, Any]) -> list[str]:
    """The same lenses with a blue and with a red source; nothing for an instrument of one band."""
    if not swap:
        return []
    return [
        "The same scenes with a blue and with a red source of the same VIS magnitude (so the red one is "
        "brighter in redder bands, and fainter in bluer ones):",
        "",
        "| colour swap | recall, blue | recall, red | Δ recall, red − blue | Δ logit |",
        "|---|---|---|---|---|",
        *(change_line(name, row) for name, row in swap.items()),
        "",
    ]


def change_line(name: str, row: dict[str, Any]) -> str:
    """A row of both tables."""
    recall, logit = row["recall"], row["logit"]
    return (
        f"| {name} ({recall['n']}) | {cell(row['before'])} | {cell(row['after'])} | "
        f"{recall['mean']:+.3f} ({recall['low']:+.3f} to {recall['high']:+.3f}) | "
        f"{logit['mean']:+.2f} ({logit['low']:+.2f} to {logit['high']:+.2f}) |"
    )
