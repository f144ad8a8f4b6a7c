"""Images from a trained network, as explain.py asks for them: of which classes, from which images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.tree_util import Partial

from lensjax.config import LensChallengeData, LensData
from lensjax.explain import DREAMS, Dream, dream_options, parse
from lensjax.inspection.maps import Item, Method, Predicted, score_functions
from lensjax.inspection.restore import Trained
from lensjax.inspection.targets import read_target
from lensjax.report.figures.film import Film
from lensjax.report.figures.save_figures import save_film
from lensjax.runtime.errors import UserError

SHOWN = 3
"""Images that Deep Dream starts from: the first ones."""
MANY = 4
"""Classes beyond which not every one gets an image unasked."""
LIMITS: dict[str, dict[str, Any]] = {
    "lens": {"bounds": (-3.0, 12.0), "step_size": 0.1},  # asinh(flux / σ): sky to a saturated core
    "clipped": {"bounds": (0.0, 1.0), "step_size": 0.01},
    "rgb": {"bounds": (0.0, 1.0), "step_size": 0.01},
    "log": {"bounds": (0.0, 10.0), "step_size": 0.05},  # log(1 + energy), up to the loudest events
}
SMOOTH = {"jitter": 4, "octaves": 3, "tv": 0.2}
"""Without these, class images of our networks are grain."""


@dataclass(frozen=True)
class Dreamt:
    """What came of one request: the subject is a score, an image and where it was driven, or a channel."""

    spec: str
    subject: str
    dream: Dream


def read(texts: Sequence[str]) -> list[Method]:
    """Requests as `--dreams` takes them.

    Raises:
      UserError: no such dream or option; lists the choices.
    """
    return [(text, *parse(text, dream_options)) for text in texts]


def dream(
    trained: Trained,
    items: Sequence[Item],
    predicted: Predicted,
    requests: Sequence[Method],
    *,
    target: str | None,
    seed: int,
    progress: Callable,
) -> list[Dreamt]:
    """Every image asked for. Unless a request says otherwise, none has a larger norm than the image it starts
    from, or than the median of all images explained: so none gains its score by brightness alone.

    Raises:
      UserError: an option out of range, no such layer or channel; names the request.
    """
    found, key, shape = [], jax.random.key(seed), items[0].image.shape
    functions: dict[str, tuple[Callable, Callable]] = {}
    norms = [float(np.linalg.norm(item.image)) for item in items]
    jobs = [
        (request, *job) for request in requests for job in _jobs(trained, items, predicted, request, target)
    ]
    for (spec, name, options), subject, what, index, row in progress(jobs, "dreaming", total=len(jobs)):
        if what not in functions:  # once, so that what was compiled is found again
            functions[what] = score_functions(trained, what)
        score, forward = functions[what]
        function = Partial(score if name == "class_image" else forward, np.int32(index))
        norm = float(np.median(norms)) if row is None else norms[row]
        options = LIMITS[_kind(trained)] | SMOOTH | {"norm": norm} | options
        try:
            made = DREAMS[name](function, shape if row is None else items[row].image, key=key, **options)
        except (TypeError, ValueError) as error:
            raise UserError(f"--dreams '{spec}': {str(error).splitlines()[0]}") from error
        found.append(Dreamt(spec, subject, jax.tree.map(np.asarray, made)))
    return found


def write(out: Path, trained: Trained, dreamt: Sequence[Dreamt]) -> list[tuple[Film, bytes]]:
    """dreams.npz and figures/dream_*.png and .pdf; the strips for the page.

    The arrays of a request are named `REQUEST/subject`, `/image` [n *s c], `/frames` [n f *s c], `/scores`
    [n f], `/steps` [n f] and `/curve` [n steps].
    """
    arrays: dict[str, Any] = {}
    for spec in dict.fromkeys(one.spec for one in dreamt):
        same = [one for one in dreamt if one.spec == spec]
        arrays[f"{spec}/subject"] = np.array([one.subject for one in same])
        for field in ("image", "frames", "scores", "steps", "curve"):
            arrays[f"{spec}/{field}"] = np.stack([getattr(one.dream, field) for one in same])
    np.savez_compressed(out / "dreams.npz", **arrays)
    strips = []
    for one in dreamt:
        d, name, log = one.dream, f"{one.spec}: {one.subject}", _kind(trained) == "log"
        film = Film(name, d.frames, d.scores, d.steps, d.curve, log)
        path = save_film(out / "figures", film, bands=trained.bands, events=trained.events)
        strips.append((film, path.read_bytes()))
    return strips


def lines(out: Path, dreamt: Sequence[Dreamt]) -> str:
    """For a terminal: how far each score rose, and where to look."""
    rows = [
        f"{one.spec}, {one.subject}: score {one.dream.scores[0]:.2f} → {one.dream.scores[-1]:.2f}"
        for one in dreamt
    ]
    return "\n".join([*rows, f"dreams:      {out / 'dreams.npz'} and {out / 'figures'}/dream_*"])


Job = tuple[str, str, int, int | None]  # subject, target, class for "predicted", the image to start from


def _jobs(
    trained: Trained, items: Sequence[Item], predicted: Predicted, request: Method, target: str | None
) -> list[Job]:
    """What one request is made of."""
    _, name, options = request
    default = target or ("lens" if "lens" in trained.classes else "predicted")
    classes = [int(k) for k in predicted.classes[:SHOWN]]
    if name == "deep_dream":
        towards = "" if options.get("layer") else f" towards {default}"
        return [(items[i].id + towards, default, k, i) for i, k in enumerate(classes)]
    if name == "activation_image":
        layer = options.get("layer") or "last layer"
        return [(f"{layer}, channel {options.get('channel', 0)}", default, 0, None)]
    if target is None and len(trained.classes) <= MANY:
        return [(one, "predicted", k, None) for k, one in enumerate(trained.classes)]
    if "predicted" in read_target(default, trained.classes)[1]:
        return [(_subject(trained, default, k), default, k, None) for k in dict.fromkeys(classes)]
    return [(default, default, 0, None)]


def _subject(trained: Trained, target: str, index: int) -> str:
    name = trained.classes[index]
    return target.replace("predicted", name) if "predicted" in target else f"{target}({name})"


def _kind(trained: Trained) -> str:
    data = trained.config.data
    return "lens" if isinstance(data, LensData | LensChallengeData) else data.encoding
