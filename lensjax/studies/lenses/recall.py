"""What the studies of recall share: scores of several networks, thresholds at false-positive rates, recall.

A threshold is the exact rank of `lensjax.evaluation.rank_metrics`: the lowest with at most that share of
non-lenses above it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lensjax.config import LensData
from lensjax.data.batches.augment import as_float
from lensjax.data.store import datasets
from lensjax.evaluation import intervals, metrics, rank_metrics
from lensjax.inspection.maps import predict_images
from lensjax.inspection.restore import Trained, restore
from lensjax.runtime import logs
from lensjax.runtime.errors import UserError
from lensjax.simulate.lenses.artefacts import ARTEFACTS
from lensjax.types import Bool, Float

Scorer = Callable[[np.ndarray], np.ndarray]  # images [n h w c] -> scores [networks n]
CHUNK = 64


def restored(workdirs: Sequence[Path]) -> tuple[list[Trained], LensData]:
    """The networks and what their data have in common.

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


def scorer(networks: Sequence[Trained]) -> Scorer:
    """Logit of lens less logit of non-lens by every network, of images as a data set stores them."""
    predict = [partial(predict_images, network, chunk=CHUNK) for network in networks]

    def scores(images: np.ndarray) -> Float[np.ndarray, "r n"]:
        stored = as_float(np.asarray(images).astype(np.float16))
        return np.stack([metrics.class_scores(one(stored).logits)[:, 1] for one in predict])

    return scores


def non_lens_scores(
    scores: Scorer, data: LensData, count: int, seed: int, directory: str
) -> Float[np.ndarray, "r n"]:
    """Scores of held-out non-lenses, made once and kept; `seed` is the simulator's."""
    held_out = replace(
        data, train=1, validation=1, test=count, seed=seed, lens_fraction=0.0, kinds=(), light=False,
        artefacts=ARTEFACTS, directory=directory,
    )  # fmt: skip
    source = datasets.load(datasets.prepare(held_out), "test")
    parts = []
    for start in logs.progress(range(0, count, 1024), "non-lenses"):
        rows = range(start, min(start + 1024, count))
        parts.append(scores(np.stack([source[row]["image"] for row in rows])))
    return np.concatenate(parts, 1)


def thresholds(negatives: Float[np.ndarray, "r n"], fpr: float) -> Float[np.ndarray, "r"]:
    """A threshold a network; NaN where the non-lenses are too few for the rate."""
    none = np.zeros(negatives.shape[1], int)
    return np.array([rank_metrics.threshold_at_fpr(row, none, fpr) for row in negatives])


def resolution(count: int, fpr: float) -> str:
    """How well `count` non-lenses define a rate, for a reader."""
    allowed = int(np.floor(fpr * count * (1 + 1e-12)))
    if allowed < 1:
        return f"undefined: {count:,} non-lenses cannot resolve {fpr:g}, {int(np.ceil(1 / fpr)):,} are needed"
    few = ": too few to trust, ten or more are wanted" if allowed < 10 else ""
    return f"{allowed} of {count:,} non-lenses pass{few}"


def recall(found: Bool[np.ndarray, "r n"]) -> dict[str, Any]:
    """Mean over networks of the share found: Wilson interval for the n lenses, s.d. between networks.

    The interval is that of the sample of lenses at fixed thresholds; the networks saw the same lenses.
    """
    each, n = found.mean(1) if found.shape[1] else np.full(len(found), np.nan), found.shape[1]
    mean = float(each.mean())
    low, high = intervals.wilson(mean * n, n) if n else intervals.NAN
    spread = float(each.std(ddof=1)) if len(each) > 1 else float("nan")
    return {"n": n, "recall": mean, "low": low, "high": high, "sd": spread, "each": each.tolist()}


def undefined(networks: int, n: int) -> dict[str, Any]:
    """`recall` where there is no threshold."""
    nan = float("nan")
    return {"n": n, "recall": nan, "low": nan, "high": nan, "sd": nan, "each": [nan] * networks}


def recall_at(
    scores: Float[np.ndarray, "r n"], threshold: Float[np.ndarray, "r"], keep: Bool[np.ndarray, "n"]
) -> dict[str, Any]:
    """Recall of the lenses to `keep`, strictly above each network's threshold."""
    if np.isnan(threshold).any():
        return undefined(len(scores), int(keep.sum()))
    return recall(scores[:, keep] > threshold[:, None])


def paired(change: Float[np.ndarray, "r n"], seed: int = 0) -> dict[str, Any]:
    """Mean over lenses and networks of a change, with the bootstrap interval over lenses."""
    each = change.mean(0).astype(np.float64)
    mean = float(each.mean()) if each.size else float("nan")
    low, high = intervals.bootstrap(lambda values: float(values.mean()), (each,), seed=seed)
    return {"n": int(each.size), "mean": mean, "low": low, "high": high, "each": change.mean(1).tolist()}


def in_chunks(make: Callable[[np.ndarray], Any], count: int, what: str) -> Iterator[Any]:
    """`make(indices [CHUNK])` for 0 … count − 1 and some more, one thread a core, in order."""
    blocks = [np.arange(start, start + CHUNK) for start in range(0, count, CHUNK)]
    # The first alone: threads that start together would all compile.
    first = make(blocks[0])
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield from logs.progress(
            itertools.chain([first], pool.map(make, blocks[1:])), what, total=len(blocks)
        )


def keys_of(seed: int, index: np.ndarray) -> Any:
    """A key a scene, by its number."""
    return jax.vmap(lambda i: jax.random.fold_in(jax.random.key(seed), i))(index.astype(np.uint32))


def cell(result: dict[str, Any]) -> str:
    """`0.712 (0.690–0.733) ± 0.021` for a table; the last only with several networks."""
    if np.isnan(result["recall"]):
        return "–"
    spread = "" if np.isnan(result["sd"]) else f" ± {result['sd']:.3f}"
    return f"{result['recall']:.3f} ({result['low']:.3f}–{result['high']:.3f}){spread}"
