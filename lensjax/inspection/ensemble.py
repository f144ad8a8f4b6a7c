"""Treat several trained seeds as one: mean prediction, disagreement, and maps with their spread over seeds.

A folder of seed0, seed1 … (what `train.py --ablate` and the studies make of a variant) is an ensemble; a run
alone is one of one member.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import entr

from lensjax.config_io import changes
from lensjax.explain import TRIVIAL
from lensjax.inspection import maps
from lensjax.inspection.maps import Item, Predicted
from lensjax.inspection.restore import Trained, restore
from lensjax.runtime.errors import UserError
from lensjax.specs import MethodSpec
from lensjax.training import run_folder
from lensjax.types import Array, Float

Members = tuple[Trained, ...]


def load_ensemble(folders: Sequence[Path]) -> Members:
    """Restore runs of one configuration that differ in the seed.

    Raises:
      UserError: no run given, one is none or has not been trained, or their configurations differ.
    """
    if not folders:
        raise UserError("an ensemble needs one run or more: give folders of train.py.")
    members = tuple(restore(folder) for folder in folders)
    wanted = run_folder.comparable_dict(replace(members[0].config, seed=0))
    for folder, member in zip(folders, members, strict=True):
        differing = changes(wanted, run_folder.comparable_dict(replace(member.config, seed=0)))
        if differing:
            raise UserError(
                f"'{folder}' and '{folders[0]}' are of other configurations ({'; '.join(differing[:5])}): an "
                "ensemble is of one, over seeds."
            )
    return members


def restore_all(folder: Path, weights: Path | None = None) -> Members:
    """Restore the seeds in a folder, or the one run (or published network) that it is.

    Raises:
      UserError: as `load_ensemble` and `restore`.
    """
    seeds = sorted(folder.glob("seed[0-9]*/config.json"), key=lambda path: (len(path.parent.name), path))
    if seeds and weights is None and not (folder / "config.json").exists():
        return load_ensemble([path.parent for path in seeds])
    return (restore(folder, weights),)


def describe_members(members: Members, folder: Path) -> Trained:
    """Return what the members share, for a report: the first's network and grid, no numbers of one seed."""
    if len(members) == 1:
        return members[0]
    return replace(members[0], workdir=folder, summary={"networks": len(members)}, history=[])


def predictor(members: Members) -> Callable[[Float[Array, "b *s c"]], dict[str, Array]]:
    """Return a function of images: mean `probabilities` [b k], `disagreement` [b] (nats), `each` [m b k]."""
    model = members[0].model
    # The parameters are an argument, so that one compilation serves all.
    probabilities = jax.jit(lambda params, x: jax.nn.softmax(model.apply({"params": params}, x).logits))  # type: ignore[union-attr]

    def predict(images: Float[Array, "b *s c"]) -> dict[str, Array]:
        each = jnp.stack([probabilities(member.params, images) for member in members])
        return {"probabilities": each.mean(0), "disagreement": mutual_information(each), "each": each}

    return predict


def mutual_information(each: Float[Array, "m b k"]) -> Float[Array, "b"]:
    """Return the entropy of the mean minus the mean entropy, in nats: 0 where members agree, at most log m.

    Unlike the entropy it is 0 where all members are equally unsure (Houlsby et al. 2011, arXiv:1112.5745,
    eq. 2).
    """
    return jnp.maximum(entr(each.mean(0)).sum(-1) - entr(each).sum(-1).mean(0), 0.0)


def predict(
    members: Members, items: Sequence[Item], chunk: int
) -> tuple[Predicted, Float[np.ndarray, " n"] | None]:
    """Return the mean prediction of all items and the members' disagreement, which is None for one network.

    Logits are then logs of mean probabilities; σ of a position holds the spread of the members' positions.
    """
    each = [maps.predict(member, items, chunk) for member in members]
    if len(each) == 1:
        return each[0], None

    def stack(name: str) -> np.ndarray | None:
        values = [getattr(one, name) for one in each]
        return None if values[0] is None else np.stack(values)

    def log_mean(logits: np.ndarray | None) -> Any:
        return None if logits is None else jax.nn.logsumexp(jax.nn.log_softmax(logits), 0) - np.log(len(each))

    position, sigma, weights = stack("position"), stack("position_sigma"), stack("window_weights")
    if position is not None and sigma is not None:
        sigma = np.sqrt((sigma**2).mean(0) + position.var(0))
    found = Predicted(
        logits=np.asarray(log_mean(stack("logits"))),
        position=None if position is None else position.mean(0),
        position_sigma=sigma,
        window_logits=log_mean(stack("window_logits")),
        window_weights=None if weights is None else weights.mean(0),
    )
    return found, np.asarray(mutual_information(jnp.stack([one.probabilities for one in each])))


def explain(
    members: Members,
    items: Sequence[Item],
    predicted: Predicted,
    methods: Sequence[MethodSpec],
    **options: Any,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the mean over the members of every method's maps [n *s], and the standard deviation over them.

    Maps are raw, in units of the score, which is of the class that all together predict. One network has no
    standard deviation. `options` are those of `maps.explain`.
    """
    means = maps.explain(members[0], items, predicted, methods, **options)
    learned = [method for method in methods if method[1] not in TRIVIAL]
    if len(members) == 1 or not learned:
        return means, {}
    others = [maps.explain(one, items, predicted, learned, **options) for one in members[1:]]
    spread = {}
    for written, _, _ in learned:
        each = np.stack([means[written], *(other[written] for other in others)])
        means[written], spread[name_spread(written)] = each.mean(0), each.std(0, ddof=1)
    return means, spread


def name_spread(written: str) -> str:
    """Turn `grad_cam` into `grad_cam(spread)`, `occlusion(window=8)` into `occlusion(window=8,spread)`."""
    return f"{written[:-1]},spread)" if written.endswith(")") else f"{written}(spread)"


def note_disagreement(items: Sequence[Item], disagreement: np.ndarray | None) -> list[Item]:
    """Add a note on how far the networks disagree to each item, for the page."""
    if disagreement is None:
        return list(items)
    return [
        replace(item, notes=(*item.notes, f"The networks disagree by {value:.3f} nats."))
        for item, value in zip(items, disagreement, strict=True)
    ]
