"""Compute recall at a false-positive rate: scores of several networks, thresholds, and cells of tables.

Shared by the studies of rare lenses, of the selection function and of isolated galaxies. A threshold is the
exact rank of `lensjax.evaluation.rank_metrics`: the lowest with at most that share of non-lenses above it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lensjax.config import LensData
from lensjax.evaluation import intervals, metrics, rank_metrics
from lensjax.inspection.maps import predict_images
from lensjax.inspection.restore import Trained, restore
from lensjax.ops.stored_images import to_float32
from lensjax.runtime import logs
from lensjax.runtime.errors import UserError
from lensjax.simulate.lenses import edit_scene
from lensjax.simulate.lenses.artefacts import ARTEFACTS
from lensjax.simulate.lenses.compound_lenses import refuse_unfound
from lensjax.simulate.lenses.evidence import LensRule
from lensjax.simulate.lenses.instruments import get_instrument
from lensjax.simulate.lenses.kinds import ALL_KINDS
from lensjax.studies import common
from lensjax.types import Bool, Float

Scorer = Callable[[np.ndarray], np.ndarray]  # images [n h w c] -> scores [networks n]
Change = tuple[Callable[[dict], dict], np.ndarray]
"""A change of the parameters of a scene, and what light of its (at most two) sources stays."""
CHUNK = 64


def restore_lens_finders(workdirs: Sequence[Path]) -> tuple[list[Trained], LensData]:
    """Return the networks and what their data have in common.

    Raises:
      UserError: a run is no lens finder, or the runs see different images.
    """
    networks = [restore(path) for path in workdirs]
    if not networks:
        raise UserError("no run was given: name the folders of one or more trained networks.")
    data = networks[0].config.data
    for network in networks:
        other = network.config.data
        if not isinstance(data, LensData) or not isinstance(other, LensData):
            raise UserError(f"'{network.workdir}' is no lens finder; this study is of lenses.")
        for name in ("instrument", "size", "supersampling"):
            if getattr(other, name) != getattr(data, name):
                raise UserError(
                    f"'{network.workdir}' has data.{name} {getattr(other, name)}, '{networks[0].workdir}' "
                    f"{getattr(data, name)}: compare networks of the same images."
                )
    assert isinstance(data, LensData)  # as the loop has seen
    return networks, data


def make_scorer(networks: Sequence[Trained]) -> Scorer:
    """Return a function of stored images: logit of lens less logit of non-lens, by every network."""
    predict = [partial(predict_images, network, chunk=CHUNK) for network in networks]

    def scores(images: np.ndarray) -> Float[np.ndarray, "r n"]:
        stored = to_float32(np.asarray(images).astype(np.float16))
        return np.stack([metrics.class_scores(one(stored).logits)[:, 1] for one in predict])

    return scores


def score_non_lenses(
    scores: Scorer, data: LensData, count: int, seed: int, directory: str
) -> Float[np.ndarray, "r n"]:
    """Return scores of held-out non-lenses, made once and kept; `seed` is the simulator's."""
    changes = {"lens_fraction": 0.0, "kinds": (), "artefacts": ARTEFACTS, "directory": directory}
    source = common.held_out_simulations(data, count, seed, **changes)
    parts = []
    for start in logs.progress(range(0, count, 1024), "non-lenses"):
        rows = range(start, min(start + 1024, count))
        parts.append(scores(np.stack([source[row]["image"] for row in rows])))
    return np.concatenate(parts, 1)


def score_scenes(
    scores: Scorer,
    data: LensData,
    rule: LensRule,
    shares: Float[np.ndarray, "k"],
    changes: Mapping[str, Change],
    *,
    count: int,
    seed: int,
    measure: Callable[[dict], dict] = lambda s: {},
    compound: bool = False,
) -> tuple[dict[str, np.ndarray], dict[str, Float[np.ndarray, "r n"]]]:
    """Simulate scenes, score each as every change makes it; return their truth, and scores by change.

    Args:
      shares: of the kinds of `ALL_KINDS`, from the first on.
      seed: of the simulator.
      measure: numbers of a scene's parameters that join its truth.
      compound: whether the kinds are compound lenses.
    """
    instrument, size, rays = get_instrument(data.instrument), data.size, data.supersampling

    def make(index: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        rng = np.random.default_rng([seed, int(index[0])])
        kinds = rng.choice(len(shares), len(index), p=shares).astype(np.int32)
        keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(index.astype(np.uint32))
        s, truth = edit_scene.draw_parameters(keys, kinds, rule, instrument, size, rays, compound)
        if compound:
            refuse_unfound(truth, rule)
        truth |= jax.vmap(measure)(s)
        scored = {}
        for name, (change, sources) in changes.items():
            image = edit_scene.remake_images(keys, jax.vmap(change)(s), sources, instrument, size, rays)
            scored[name] = scores(jax.device_get(image))
        return jax.device_get(truth), scored

    what = ", ".join(name for name, share in zip(ALL_KINDS, shares, strict=False) if share)
    parts = list(map_chunks(make, count, what))
    truth = {name: np.concatenate([part[0][name] for part in parts])[:count] for name in parts[0][0]}
    return truth, {name: np.concatenate([part[1][name] for part in parts], 1)[:, :count] for name in changes}


def find_thresholds(negatives: Float[np.ndarray, "r n"], fpr: float) -> Float[np.ndarray, "r"]:
    """Return a threshold a network; NaN where the non-lenses are too few for the rate."""
    none = np.zeros(negatives.shape[1], int)
    return np.array([rank_metrics.threshold_at_fpr(row, none, fpr) for row in negatives])


def describe_resolution(count: int, fpr: float) -> str:
    """Say how well `count` non-lenses define a rate."""
    allowed = int(np.floor(fpr * count * (1 + 1e-12)))
    if allowed < 1:
        return f"undefined: {count:,} non-lenses cannot resolve {fpr:g}, {int(np.ceil(1 / fpr)):,} are needed"
    few = ": too few to trust, ten or more are wanted" if allowed < 10 else ""
    return f"{allowed} of {count:,} non-lenses pass{few}"


def summarise_recall(found: Bool[np.ndarray, "r n"]) -> dict[str, Any]:
    """Return the share found, mean over networks: Wilson interval for the n lenses, s.d. between networks.

    The interval is that of the sample of lenses at fixed thresholds; the networks saw the same lenses.
    """
    each, n = found.mean(1) if found.shape[1] else np.full(len(found), np.nan), found.shape[1]
    mean = float(each.mean())
    low, high = intervals.wilson(mean * n, n) if n else intervals.NAN
    spread = float(each.std(ddof=1)) if len(each) > 1 else float("nan")
    return {"n": n, "recall": mean, "low": low, "high": high, "sd": spread, "each": each.tolist()}


def measure_recall(
    scores: Float[np.ndarray, "r n"], threshold: Float[np.ndarray, "r"], keep: Bool[np.ndarray, "n"]
) -> dict[str, Any]:
    """Return the recall of the lenses to `keep`, strictly above each network's threshold; NaN without one."""
    if np.isnan(threshold).any():
        return summarise_recall(np.zeros((len(scores), 0), bool)) | {"n": int(keep.sum())}
    return summarise_recall(scores[:, keep] > threshold[:, None])


def summarise_change(change: Float[np.ndarray, "r n"], seed: int = 0) -> dict[str, Any]:
    """Return the mean over lenses and networks of a change, with the bootstrap interval over lenses."""
    each = change.mean(0).astype(np.float64)
    mean = float(each.mean()) if each.size else float("nan")
    low, high = intervals.bootstrap(lambda values: float(values.mean()), (each,), seed=seed)
    return {"n": int(each.size), "mean": mean, "low": low, "high": high, "each": change.mean(1).tolist()}


def map_chunks(make: Callable[[np.ndarray], Any], count: int, what: str) -> Iterator[Any]:
    """Yield `make(indices [CHUNK])` for 0 … count − 1 and some more, one thread a core, in order."""
    blocks = [np.arange(start, start + CHUNK) for start in range(0, count, CHUNK)]
    # The first alone: threads that start together would all compile.
    first = make(blocks[0])
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield from logs.progress(
            itertools.chain([first], pool.map(make, blocks[1:])), what, total=len(blocks)
        )


def format_recall(result: dict[str, Any]) -> str:
    """Format `0.712 (0.690–0.733) ± 0.021` for a table; the last only with several networks."""
    if np.isnan(result["recall"]):
        return "–"
    spread = "" if np.isnan(result["sd"]) else f" ± {result['sd']:.3f}"
    return f"{result['recall']:.3f} ({result['low']:.3f}–{result['high']:.3f}){spread}"


def format_change(row: dict[str, Any], digits: int = 2) -> str:
    """Format a result of `summarise_change`."""
    return common.format_change(row["mean"], row["low"], row["high"], digits)
