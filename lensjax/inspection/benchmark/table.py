"""Every method × every score for one trained network, beside trivial maps, and what each method costs.

Parameters are arguments of everything compiled here, so the trained network, its randomised twins, and the
same architecture with other seeds share one compilation a method.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from lensjax.explain import METHODS, ON_FEATURES, cascade, incremental_occlusion, map_chunks, max_sensitivity
from lensjax.explain.engine.jaxprs import count_passes as passes
from lensjax.explain.engine.jaxprs import peak_bytes
from lensjax.explain.scores.similarity import similarity
from lensjax.inspection import result_files
from lensjax.inspection.benchmark import scores as score_with
from lensjax.inspection.benchmark.methods import parameter_groups
from lensjax.inspection.fast_occlusion import reason, stack_of
from lensjax.inspection.maps import Item, Method, Predicted, on_image_grid, unwritten_options
from lensjax.inspection.restore import Trained, blank_state
from lensjax.inspection.targets import single, target_score
from lensjax.runtime.errors import UserError

Maps = dict[str, np.ndarray]  # [n *s] under the name of each method as it is written
Progress = Callable[..., Any]
IN_CASCADE = ("attention", "grad_cam", "gradient", "input_x_gradient", "guided_backprop")
FRESH_SEED = 1000
"""Added to the seed of the run: parameters that were never trained."""


@dataclass(frozen=True)
class Subject:
    """A network and the examples it is asked about."""

    trained: Trained
    target: str
    images: np.ndarray  # [n *s c]
    classes: np.ndarray  # [n], predicted
    keys: Any  # [n], of the methods that draw numbers
    chunk: int
    forward: Callable  # (params, class, image, taps) -> (score, ends)
    score: Callable  # (params, class, image) -> score
    stack: Callable | None  # (params, class) -> Stack, where occlusion can be computed from changed patches

    @property
    def few(self) -> slice:
        """The examples that are explained again and again: with other images, with other parameters."""
        return slice(few(len(self.images)))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.images.shape[1:]

    def one(self, method: Method, params: Any) -> Callable[[dict[str, Any]], Any]:
        """The method for ONE example {"image", "class", "key"}, raw."""
        _, name, options = method
        how, function = METHODS[name], self.forward if name in ON_FEATURES else self.score
        if name == "occlusion" and self.stack is not None:
            how, function = incremental_occlusion, self.stack

        def explain(sample: dict[str, Any]) -> Any:
            score = Partial(function, params, sample["class"])
            return how(score, sample["image"], key=sample["key"], **options)

        return explain

    def samples(self, rows: slice) -> dict[str, Any]:
        return {"image": self.images[rows], "class": self.classes[rows], "key": self.keys[rows]}

    def maps(self, method: Method, params: Any, rows: slice) -> np.ndarray:
        """One value a pixel [n *s]."""
        raw = map_chunks(self.one(method, params), self.samples(rows), self.chunk)
        return on_image_grid(self.trained, method[1], method[2], raw, self.shape)


@dataclass(frozen=True)
class Benchmark:
    """What is found: a row a method, the maps, the scores of every example, curves of the cascades."""

    rows: list[dict[str, Any]]
    maps: Maps
    scores: dict[str, dict[str, np.ndarray]]
    cascades: dict[str, Any]


def few(count: int) -> int:
    """A third of the examples."""
    return min(count, max(4, count // 3))


def run(
    trained: Trained,
    items: Sequence[Item],
    predicted: Predicted,
    methods: Sequence[Method],
    *,
    target: str,
    chunk: int,
    seed: int,
    progress: Progress,
    shuffled: Trained | None = None,
) -> Benchmark:
    """All scores of all methods; `shuffled` is the same network trained on shuffled labels.

    Raises:
      UserError: the shuffled network is of another architecture.
    """
    check_twin(trained, shuffled)
    chunk = min(
        chunk, few(len(items))
    )  # so that a chunk is never padded for a few, and one shape is compiled
    of = subject(trained, items, predicted, target, chunk, seed)
    methods = [(w, n, o | unwritten_options(trained, n, o, of.images)) for w, n, o in methods]
    fresh = blank_state(trained.config, trained.config.seed + FRESH_SEED).params
    others = {"randomised": fresh} | ({} if shuffled is None else {"labels_shuffled": shuffled.params})
    maps: Maps = {}
    again: dict[str, dict[str, np.ndarray]] = {}
    costs: dict[str, dict[str, float]] = {}
    for method in progress(methods, "explaining", total=len(methods)):
        written = method[0]
        maps[written], costs[written] = timed(of, method)
        again[written] = {"max_sensitivity": sensitivity(of, method)}
        for name, params in others.items():
            found = of.maps(method, params, of.few)
            again[written][name] = np.asarray(similarity(jnp.asarray(maps[written][of.few]), found))
    truth = score_with.truth(trained, items, maps)
    faithful = score_with.faithfulness(of, maps, progress)
    scores = {w: truth[w] | faithful[w] | _padded(again[w], len(items)) for w in maps}
    rows = [row | {"cost": costs[row["method"]]} for row in result_files.score_table(scores, seed)]
    return Benchmark(rows, maps, scores, cascades(of, methods, fresh, progress))


def subject(
    trained: Trained, items: Sequence[Item], predicted: Predicted, target: str, chunk: int, seed: int
) -> Subject:
    """The network as functions of its parameters."""

    def forward(params: Any, predicted: Any, image: Any, taps: Any = None) -> Any:
        outputs = single(trained.model, params)(image, taps)
        return target_score(outputs, target, trained.classes, predicted), outputs.ends

    def score(params: Any, predicted: Any, image: Any) -> Any:
        return forward(params, predicted, image)[0]

    keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(seed)))(jnp.arange(len(items)))
    images = np.stack([item.image for item in items])
    stack = None if reason(trained, target) else stack_of(trained, target)
    return Subject(trained, target, images, predicted.classes, keys, chunk, forward, score, stack)


def check_twin(trained: Trained, shuffled: Trained | None) -> None:
    """A network to compare with must have the parameters of the first, in shape.

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


def timed(of: Subject, method: Method) -> tuple[np.ndarray, dict[str, float]]:
    """Maps of all examples, and the cost of one: passes, seconds once compiled, megabytes (estimated)."""
    first = of.maps(method, of.trained.params, slice(of.chunk))
    start = time.perf_counter()
    rest = slice(of.chunk, None) if len(of.images) > of.chunk else slice(of.chunk)
    found = of.maps(method, of.trained.params, rest)
    seconds = (time.perf_counter() - start) / len(found)
    maps = np.concatenate([first, found]) if len(of.images) > of.chunk else found
    sample = {name: values[0] for name, values in of.samples(slice(1)).items()}
    explain = of.one(method, of.trained.params)

    def forward(sample: dict[str, Any]) -> Any:
        return of.score(of.trained.params, sample["class"], sample["image"])

    cost = {"passes": passes(explain, forward, sample), "seconds": seconds}
    return maps, cost | {"megabytes": peak_bytes(explain, sample) / 2**20}


def sensitivity(of: Subject, method: Method) -> np.ndarray:
    """`max_sensitivity` of the first examples."""
    explain = of.one(method, of.trained.params)

    def one(sample: dict[str, Any]) -> Any:
        again = partial(_at, explain, sample)
        return max_sensitivity(again, sample["image"], key=jax.random.fold_in(sample["key"], 2), samples=2)

    return np.asarray(map_chunks(one, of.samples(of.few), of.chunk))


def _at(explain: Callable, sample: dict[str, Any], image: Any) -> Any:
    return explain(sample | {"image": image})


def cascades(of: Subject, methods: Sequence[Method], fresh: Any, progress: Progress) -> dict[str, Any]:
    """Mean similarity of maps as stage after stage is randomised, from the top and from the bottom."""
    groups = parameter_groups(of.trained.params)
    curves: dict[str, Any] = {"groups": list(groups), "top_down": {}, "bottom_up": {}}
    chosen = [method for method in methods if method[1] in IN_CASCADE]
    for method in progress(chosen, "randomising", total=len(chosen)):
        for order in ("top_down", "bottom_up"):
            found = cascade(
                partial(_few_maps, of, method),
                of.trained.params,
                jax.random.key(0),
                list(groups.values()),
                order=order,
                redraw=lambda params, key: fresh,
            )
            curves[order][method[0]] = [1.0, *map(float, found.mean(1))]
    return curves


def _few_maps(of: Subject, method: Method, params: Any) -> Any:
    return jnp.asarray(of.maps(method, params, of.few))


def _padded(scores: dict[str, np.ndarray], count: int) -> dict[str, np.ndarray]:
    """NaN for the examples that were not asked."""
    return {
        name: np.append(values, np.full(count - len(values), np.nan, np.float32))
        for name, values in scores.items()
    }
