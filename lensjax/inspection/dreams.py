"""Make the images of `--dreams` from a trained network: choose the classes and the images to start from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lensjax.explain import DREAMS, Dream
from lensjax.explain.engine.targets import read_target
from lensjax.inspection.maps import Item, Predicted
from lensjax.inspection.restore import Trained
from lensjax.inspection.targets import bind
from lensjax.report.figures.film import Film
from lensjax.report.figures.save_figures import save_film
from lensjax.runtime.errors import UserError
from lensjax.specs import MethodSpec

STARTS = 3
"""Deep Dream starts from as many images, the first ones."""
MOST_CLASSES = 4
"""Up to this many classes, each gets a class image where no target is named."""
SMOOTH = {"jitter": 4, "octaves": 3, "tv": 0.2}
"""Without these, class images of our networks are noise."""


@dataclass(frozen=True)
class NamedDream:
    """The result of one request: the subject is a score, an image and where it was driven, or a channel."""

    spec: str
    subject: str
    dream: Dream


@dataclass(frozen=True)
class Job:
    """One image to make."""

    request: MethodSpec
    subject: str
    target: str
    index: int
    """Class for "predicted"."""
    row: int | None
    """The image to start from; None for noise."""


def dream(
    trained: Trained,
    items: Sequence[Item],
    predicted: Predicted,
    requests: Sequence[MethodSpec],
    *,
    target: str | None,
    seed: int,
    progress: Callable,
) -> list[NamedDream]:
    """Make every image asked for.

    Unless a request has its own `norm`, no image has a larger norm than the one it starts from, or than the
    median of all images explained: so none gains its score by brightness alone.

    Raises:
      UserError: an option out of range, no such layer or channel; names the request.
    """
    key, shape = jax.random.key(seed), items[0].image.shape
    norms = [float(np.linalg.norm(item.image)) for item in items]
    jobs = [job for request in requests for job in plan_jobs(trained, items, predicted, request, target)]
    made = []
    for job in progress(jobs, "dreaming", total=len(jobs)):
        spec, name, asked = job.request
        score = trained.score(job.target) if name == "class_image" else trained.score_with_ends(job.target)
        norm = float(np.median(norms)) if job.row is None else norms[job.row]
        options = trained.domain.dream_limits | SMOOTH | {"norm": norm} | asked
        start = shape if job.row is None else items[job.row].image
        try:
            found = DREAMS[name](bind(score, np.int32(job.index)), start, key=key, **options)
        except UserError as error:
            raise UserError(f"--dreams '{spec}': {error}") from error
        made.append(NamedDream(spec, job.subject, jax.tree.map(np.asarray, found)))
    return made


def write(out: Path, trained: Trained, made: Sequence[NamedDream]) -> list[tuple[Film, bytes]]:
    """Write dreams.npz and figures/dream_*.png and .pdf; return the strips for the page.

    The arrays of a request are named `REQUEST/subject`, `/image` [n *s c], `/frames` [n f *s c], `/scores`
    [n f], `/steps` [n f] and `/curve` [n steps].
    """
    arrays: dict[str, Any] = {}
    for spec in dict.fromkeys(one.spec for one in made):
        same = [one for one in made if one.spec == spec]
        arrays[f"{spec}/subject"] = np.array([one.subject for one in same])
        for field in ("image", "frames", "scores", "steps", "curve"):
            arrays[f"{spec}/{field}"] = np.stack([getattr(one.dream, field) for one in same])
    np.savez_compressed(out / "dreams.npz", **arrays)
    strips = []
    for one in made:
        d, name, log = one.dream, f"{one.spec}: {one.subject}", trained.domain.is_log
        film = Film(name, d.frames, d.scores, d.steps, d.curve, log)
        path = save_film(out / "figures", film, bands=trained.bands, events=trained.events)
        strips.append((film, path.read_bytes()))
    return strips


def lines(out: Path, made: Sequence[NamedDream]) -> str:
    """Say how far each score rose, and where the files are, for a terminal."""
    rows = [
        f"{one.spec}, {one.subject}: score {one.dream.scores[0]:.2f} → {one.dream.scores[-1]:.2f}"
        for one in made
    ]
    return "\n".join([*rows, f"dreams:      {out / 'dreams.npz'} and {out / 'figures'}/dream_*"])


def plan_jobs(
    trained: Trained, items: Sequence[Item], predicted: Predicted, request: MethodSpec, target: str | None
) -> list[Job]:
    """Return the images that one request is made of."""
    default = target or trained.domain.default_target(trained.classes)
    classes, options = [int(k) for k in predicted.classes[:STARTS]], request.options
    if request.name == "deep_dream":
        towards = "" if options.get("layer") else f" towards {default}"
        return [Job(request, items[i].id + towards, default, k, i) for i, k in enumerate(classes)]
    if request.name == "activation_image":
        layer = options.get("layer") or "last layer"
        return [Job(request, f"{layer}, channel {options.get('channel', 0)}", default, 0, None)]
    if target is None and len(trained.classes) <= MOST_CLASSES:
        return [Job(request, one, "predicted", k, None) for k, one in enumerate(trained.classes)]
    if "predicted" in read_target(default, trained.classes)[1]:
        return [
            Job(request, name_subject(trained, default, k), default, k, None) for k in dict.fromkeys(classes)
        ]
    return [Job(request, default, default, 0, None)]


def name_subject(trained: Trained, target: str, index: int) -> str:
    """Name the score of a class that a target with "predicted" stands for."""
    name = trained.classes[index]
    return target.replace("predicted", name) if "predicted" in target else f"{target}({name})"
