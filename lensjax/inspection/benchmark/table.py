"""Every method × every score for one trained network, beside trivial maps, and what each method costs.

Parameters are arguments of everything compiled here, so the trained network, its randomised twins, and the
same architecture with other seeds share one compilation a method.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from lensjax.explain import cascade, map_chunks, max_sensitivity
from lensjax.explain.engine.jaxprs import count_passes as passes
from lensjax.explain.engine.jaxprs import peak_bytes
from lensjax.explain.scores.sanity import similarity
from lensjax.inspection import result_files
from lensjax.inspection.benchmark import scores as score_with
from lensjax.inspection.maps import (
    Item,
    Predicted,
    method_and_score,
    on_image_grid,
    unwritten_options,
)
from lensjax.inspection.restore import Trained
from lensjax.inspection.targets import bind
from lensjax.runtime.errors import UserError
from lensjax.specs import MethodSpec
from lensjax.training.restore_run import blank_state

Maps = dict[str, np.ndarray]  # [n *s] under the name of each method as it is written
Progress = Callable[..., Any]
IN_CASCADE = ("attention", "grad_cam", "gradient", "input_x_gradient", "guided_backprop")
FRESH_SEED = 1000
"""Added to the seed of the run: parameters that were never trained."""


@dataclass(frozen=True)
class Subject:
    """A network and the examples to explain."""

    trained: Trained
    target: str
    images: np.ndarray  # [n *s c]
    classes: np.ndarray  # [n], predicted
    keys: Any  # [n], of the methods that draw numbers
    chunk: int

    @property
    def score(self) -> Partial:
        """`score(predicted class, image)`."""
        return self.trained.score(self.target)

    @property
    def repeated(self) -> slice:
        """The examples that are explained repeatedly: with other images, with other parameters."""
        return slice(count_repeated(len(self.images)))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.images.shape[1:]

    def explain_one(self, method: MethodSpec, params: Any) -> Callable[[dict[str, Any]], Any]:
        """Return the method for ONE example {"image", "class", "key"}, raw."""
        how, function = method_and_score(self.trained, method.name, self.target)
        unbound = Partial(function.func, params)  # the same function of other parameters

        def explain(sample: dict[str, Any]) -> Any:
            score = bind(unbound, sample["class"])
            return how(score, sample["image"], key=sample["key"], **method.options)

        return explain

    def samples(self, rows: slice) -> dict[str, Any]:
        return {"image": self.images[rows], "class": self.classes[rows], "key": self.keys[rows]}

    def maps(self, method: MethodSpec, params: Any, rows: slice) -> np.ndarray:
        """Return the maps of some examples, one value a pixel [n *s]."""
        raw = map_chunks(self.explain_one(method, params), self.samples(rows), self.chunk)
        return on_image_grid(self.trained, method.name, method.options, raw, self.shape)


@dataclass(frozen=True)
class Benchmark:
    """The result: a row a method, the maps, the scores of every example, curves of the cascades."""

    rows: list[dict[str, Any]]
    maps: Maps
    scores: dict[str, dict[str, np.ndarray]]
    cascades: dict[str, Any]


def count_repeated(count: int) -> int:
    """Return a third of a number of examples, at least 4."""
    return min(count, max(4, count // 3))


def run(
    trained: Trained,
    items: Sequence[Item],
    predicted: Predicted,
    methods: Sequence[MethodSpec],
    *,
    target: str,
    chunk: int,
    seed: int,
    progress: Progress,
    shuffled: Trained | None = None,
    background: np.ndarray | None = None,
) -> Benchmark:
    """Compute all scores of all methods.

    `shuffled` is the same network trained on shuffled labels, `background` the images that expected gradients
    compare with.

    Raises:
      UserError: the shuffled network is of another architecture.
    """
    check_twin(trained, shuffled)
    chunk = min(chunk, count_repeated(len(items)))  # so that no chunk is padded, and one shape is compiled
    keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(jnp.arange(len(items)))
    images = np.stack([item.image for item in items])
    of = Subject(trained, target, images, predicted.classes, keys, chunk)
    methods = [
        MethodSpec(written, name, options | unwritten_options(trained, name, options, of.shape, background))
        for written, name, options in methods
    ]
    fresh = blank_state(trained.config, trained.config.seed + FRESH_SEED).params
    others = {"randomised": fresh} | ({} if shuffled is None else {"labels_shuffled": shuffled.params})
    maps: Maps = {}
    again: dict[str, dict[str, np.ndarray]] = {}
    costs: dict[str, dict[str, float]] = {}
    for method in progress(methods, "explaining", total=len(methods)):
        written = method.written
        maps[written], costs[written] = measure_cost(of, method)
        again[written] = {"max_sensitivity": sensitivity(of, method)}
        for name, params in others.items():
            found = of.maps(method, params, of.repeated)
            again[written][name] = np.asarray(similarity(jnp.asarray(maps[written][of.repeated]), found))
    truth = score_with.truth(trained, items, maps)
    faithful = score_with.faithfulness(of, maps, progress)
    scores = {w: truth[w] | faithful[w] | _pad(again[w], len(items)) for w in maps}
    rows = [row | {"cost": costs[row["method"]]} for row in result_files.score_table(scores, seed)]
    return Benchmark(rows, maps, scores, cascades(of, methods, fresh, progress))


def check_run(trained: Trained) -> None:
    """Refuse networks whose held-out truth and initial parameters cannot be made again.

    Raises:
      UserError: it is a published network.
    """
    if not trained.domain.can_benchmark:
        raise UserError("--benchmark wants a run of train.py, with simulations like those it learned from.")


def check_twin(trained: Trained, shuffled: Trained | None) -> None:
    """Refuse a network to compare with whose parameters have other shapes, or that saw the true labels.

    Raises:
      UserError: it has others, or was not trained on shuffled labels.
    """
    if shuffled is None:
        return
    if shuffled.config.model != trained.config.model:
        raise UserError(f"--shuffled '{shuffled.workdir}' is another network: train it with the same config.")
    if not shuffled.config.data.shuffle_labels:
        raise UserError(
            f"--shuffled '{shuffled.workdir}' saw the true labels: train it with --data.shuffle-labels."
        )


def measure_cost(of: Subject, method: MethodSpec) -> tuple[np.ndarray, dict[str, float]]:
    """Return all maps, and the cost of one: passes, seconds once compiled, megabytes (estimated)."""
    first = of.maps(method, of.trained.params, slice(of.chunk))
    start = time.perf_counter()
    rest = slice(of.chunk, None) if len(of.images) > of.chunk else slice(of.chunk)
    found = of.maps(method, of.trained.params, rest)
    seconds = (time.perf_counter() - start) / len(found)
    maps = np.concatenate([first, found]) if len(of.images) > of.chunk else found
    sample = {name: values[0] for name, values in of.samples(slice(1)).items()}
    explain = of.explain_one(method, of.trained.params)

    def forward(sample: dict[str, Any]) -> Any:
        return of.score(sample["class"], sample["image"])

    cost = {"passes": passes(explain, forward, sample), "seconds": seconds}
    return maps, cost | {"megabytes": peak_bytes(explain, sample) / 2**20}


def sensitivity(of: Subject, method: MethodSpec) -> np.ndarray:
    """Return `max_sensitivity` of the first examples."""
    explain = of.explain_one(method, of.trained.params)

    def one(sample: dict[str, Any]) -> Any:
        again = partial(_at, explain, sample)
        return max_sensitivity(again, sample["image"], key=jax.random.fold_in(sample["key"], 2), samples=2)

    return np.asarray(map_chunks(one, of.samples(of.repeated), of.chunk))


def _at(explain: Callable, sample: dict[str, Any], image: Any) -> Any:
    return explain(sample | {"image": image})


def cascades(of: Subject, methods: Sequence[MethodSpec], fresh: Any, progress: Progress) -> dict[str, Any]:
    """Return mean similarities of maps as stage after stage is randomised, from the top and the bottom."""
    groups = parameter_groups(of.trained.params)
    curves: dict[str, Any] = {"groups": list(groups), "top_down": {}, "bottom_up": {}}
    chosen = [method for method in methods if method.name in IN_CASCADE]
    for method in progress(chosen, "randomising", total=len(chosen)):
        for order in ("top_down", "bottom_up"):
            found = cascade(
                partial(_repeated_maps, of, method),
                of.trained.params,
                jax.random.key(0),
                list(groups.values()),
                order=order,
                redraw=lambda params, key: fresh,
            )
            curves[order][method.written] = [1.0, *map(float, found.mean(1))]
    return curves


def _repeated_maps(of: Subject, method: MethodSpec, params: Any) -> Any:
    return jnp.asarray(of.maps(method, params, of.repeated))


def _pad(scores: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """Append NaN for the examples that were not asked."""
    return {
        name: np.append(values, np.full(count - len(values), np.nan, np.float32))
        for name, values in scores.items()
    }


def parameter_groups(params: Any) -> dict[str, Callable[[str], bool]]:
    """Group parameters by stage, from the image up, each group as a function of a key path; the head last."""
    named: dict[str, list[str]] = {}
    for name in sorted(params, key=_stage):
        stage = _stage(name)
        named.setdefault(f"stage{stage:.0f}" if math.isfinite(stage) else "head", []).append(name)
    return {group: _under(tuple(names)) for group, names in named.items()}


def _stage(name: str) -> float:
    found = re.search(r"stage(\d+)", name)
    return float(found[1]) if found else 1.0 if "input" in name else math.inf


def _under(names: tuple[str, ...]) -> Callable[[str], bool]:
    return lambda path: path.split("/")[0] in names
