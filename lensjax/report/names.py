"""Labels of methods and scores on a page, and one sentence on each."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lensjax.explain.methods.registry import Method

SYNONYMS = {"input": "abs_input", "|input|": "abs_input", "center": "centre"}
"""Other names of trivial maps, as older tables have them."""
SCORES = {
    "energy": ("Energy inside", "share of the map's positive part that lies on the true evidence"),
    "energy_inside": ("Energy inside", "share of the map's positive part that lies on the true evidence"),
    "pointing": ("Pointing", "share of examples whose highest pixel lies on the true evidence"),
    "pointing_game": ("Pointing", "share of examples whose highest pixel lies on the true evidence"),
    "rank_accuracy": ("Rank accuracy", "share of the N highest pixels on the evidence, N its size"),
    "average_precision": (
        "Average precision",
        "the map as a detector of evidence pixels, over all thresholds",
    ),
    "iou": ("IoU", "overlap of the thresholded map and the true evidence"),
    "centre_distance": (
        "Centre distance",
        "pixels from the map's centroid to the true centre; less is better",
    ),
    "centre_distance_arcsec": (
        "Centre distance (″)",
        "arcseconds from the map's centroid to the true centre",
    ),
    "centre_distance_s": ("Centre distance (s)", "seconds from the map's centroid to the true peak"),
    "centre_distance_octaves": ("Centre distance (oct)", "octaves from the map's centroid to the true peak"),
    "centre_distance_hz": ("Centre distance (Hz)", "hertz from the map's centroid to the true peak"),
    "pointing_near": (
        "Pointing, 2 px",
        "share of examples whose highest pixel is within 2 pixels of the evidence",
    ),
    "auroc": ("AUROC", "chance that an evidence pixel outranks another pixel"),
    "deletion": ("Deletion", "area under the probability as the best pixels are removed; less is better"),
    "insertion": ("Insertion", "area under the probability as the best pixels are inserted"),
    "road_most": ("ROAD, best first", "probability with the best pixels imputed; less is better"),
    "road_least": ("ROAD, worst first", "probability with the worst pixels imputed"),
    "infidelity": (
        "Infidelity",
        "share of the score's changes that the map does not predict; less is better",
    ),
    "mu_fidelity": (
        "μFidelity",
        "rank correlation of the map's sum over a part with the score lost without it",
    ),
    "sparseness": (
        "Sparseness",
        "Gini index of the map: 1 for a single pixel; neither good nor bad in itself",
    ),
    "max_sensitivity": ("Max-sensitivity", "change of the map under small noise; less is better"),
    "randomised": ("Randomised", "correlation with the map of a random network; near 0 is better"),
    "labels_shuffled": (
        "Shuffled labels",
        "correlation with the map of a network trained on shuffled labels; near 0 is better",
    ),
}

LOWER_IS_BETTER = (
    "centre_distance", "centre_distance_arcsec", "centre_distance_s", "centre_distance_octaves",
    "centre_distance_hz", "deletion", "road_most", "infidelity", "max_sensitivity", "randomised",
    "labels_shuffled",
)  # fmt: skip
BY_ASKING = (
    "deletion", "insertion", "road_most", "road_least", "infidelity", "mu_fidelity", "sparseness",
    "max_sensitivity", "randomised", "labels_shuffled",
)  # fmt: skip
"""Scores that need the network or the map alone, and no truth."""
NEUTRAL = ("sparseness",)
"""Scores of which neither more nor less is better."""
NO_CHANCE = ("pointing_near", "iou", "insertion", "road_least", "mu_fidelity", "sparseness")
"""Scores whose chance level is not the mask's share of the image: it is that of the random map."""
CHANCE = "chance"
"""The column of this name is not a score of the map: it is that of a random map."""


def is_baseline(method: str) -> bool:
    """Return whether a method is a trivial map that every explanation should beat."""
    name = _split_method(method)[0]
    return name == CHANCE or (name in _read_registry() and _read_registry()[name].on == "nothing")


def method_label(method: str) -> str:
    """Return a label: `grad_cam(layer=stage4)` → "Grad-CAM (layer=stage4)"."""
    base, rest = _split_method(method)
    label = _read_registry()[base].label if base in _read_registry() else make_readable(base)
    return f"{label} ({rest})" if rest else label


def method_text(method: str, events: bool = False) -> str:
    """Return one sentence on a method, or nothing."""
    found = _read_registry().get(_split_method(method)[0])
    return "" if found is None else (found.events_sentence if events else "") or found.sentence


@functools.cache
def _read_registry() -> dict[str, Method]:
    from lensjax.explain.methods.registry import REGISTRY  # here, because it imports jax

    return REGISTRY


def _split_method(method: str) -> tuple[str, str]:
    """Split `name(options)` or `name@target` into the method's name and what follows it."""
    name, rest = method.strip(), ""
    for mark in "(@":
        name, _, after = name.partition(mark)
        rest = rest or after.strip().removesuffix(")")
    known = name.strip().lower().removeprefix("baseline_")
    known = SYNONYMS.get(known, known)
    return (known if known in _read_registry() or known == CHANCE else name.strip()), rest


def score_label(name: str) -> str:
    """Return the label of a score; unknown names are made readable."""
    return SCORES[name][0] if name in SCORES else make_readable(name)


def score_text(name: str) -> str:
    """Return one sentence on a score, or nothing."""
    return SCORES[name][1] if name in SCORES else ""


def make_readable(name: str) -> str:
    """Return words: `position_error_median` → "Position error median"; names with capitals stay."""
    words = name.replace("_", " ").replace("/", " ").strip()
    return words[:1].upper() + words[1:] if words.islower() else words


def quantity_label(name: str) -> str:
    """Return a label with its unit: `position_error_median_arcsec` → "Position error, median (arcsec)"."""
    words = {"auroc": "AUROC", "tpr0": "TPR0", "tpr10": "TPR10", "f1": "F1", "macro_f1": "Macro F1"}
    if name in words:
        return words[name]
    for unit in ("arcsec", "pixels", "ms", "octaves"):
        if name.endswith("_" + unit):
            label = f"{make_readable(name.removesuffix('_' + unit))} ({unit})".replace(" median", ", median")
            return label.replace(" p90", ", 90th percentile")
    return make_readable(name)
