"""Test whether a map depends on the trained weights: repeat it with random ones (Adebayo et al. 2018).

    maps_of(params) -> maps [b *s]      anything that explains a batch with a pytree of parameters
    full_randomisation(maps_of, params, key)                        all at once
    cascade(maps_of, params, key, groups, order="top_down")         layer after layer, those so far together

Similarity is Spearman's correlation of signed maps: 0 where nothing of the map was left, 1 where it did not
care. Absolute values, normalised maps and structural similarity raise it (Hedström et al. 2024), and a
top-down cascade keeps the lower layers, so a method can look robust: both orders are here. Labels that were
shuffled in training need a second network: `similarity(maps_of(params), maps_of(other))`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from lensjax.ops.map_statistics import rank_correlation
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, PRNGKeyArray

Params = Any
Group = str | Callable[[str], bool]
"""Which leaves: those at or under a key path, `stage1` or `head/logits`, or those whose path it accepts."""
Redraw = Callable[[Params, PRNGKeyArray], Params]


@jax.jit
def similarity(first: Float[Array, "b *s"], second: Float[Array, "b *s"]) -> Float[Array, "b"]:
    """Return the correlation of the ranks of each pair of maps' pixels, signs kept (`rank_correlation`)."""
    return jax.vmap(rank_correlation)(first, second)


def redraw_parameters(params: Params, key: PRNGKeyArray) -> Params:
    """Draw every leaf anew: Gaussian with the leaf's own mean and standard deviation.

    Where there is an initialiser, pass that in its place.
    """
    leaves, form = jax.tree.flatten(params)
    keys = jax.random.split(key, max(1, len(leaves)))
    fresh = [
        leaf.mean() + leaf.std() * jax.random.normal(k, leaf.shape, leaf.dtype)
        for leaf, k in zip(map(jnp.asarray, leaves), keys, strict=False)
    ]
    return jax.tree.unflatten(form, fresh)


def full_randomisation(
    maps_of: Callable[[Params], Array],
    params: Params,
    key: PRNGKeyArray,
    *,
    redraw: Redraw = redraw_parameters,
) -> Float[Array, "b"]:
    """Return the similarity of each map to that of a network with no parameter left."""
    return similarity(maps_of(params), maps_of(redraw(params, key)))


def cascade(
    maps_of: Callable[[Params], Array],
    params: Params,
    key: PRNGKeyArray,
    groups: Sequence[Group],
    *,
    order: str = "top_down",
    redraw: Redraw = redraw_parameters,
) -> Float[Array, "g b"]:
    """Compare with the first maps after the first, the first two … all groups are random.

    `groups` are in the order of the network, from the image up; `top_down` begins with the last, `bottom_up`
    with the first.

    Raises:
      UserError: another order, or a group without parameters.
    """
    if order not in ("top_down", "bottom_up"):
        raise UserError(f"unknown order '{order}'; choose top_down or bottom_up.")
    before, fresh, now, found = maps_of(params), redraw(params, key), params, []
    for group in groups if order == "bottom_up" else list(groups)[::-1]:
        now = replace_group(now, fresh, group)
        found.append(similarity(before, maps_of(now)))
    return jnp.stack(found)


def replace_group(params: Params, fresh: Params, group: Group) -> Params:
    """Return `params`, of which the leaves of a group are those of `fresh`.

    Raises:
      UserError: no leaf belongs to the group; lists the paths.
    """
    paths = [
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, _ in jax.tree_util.tree_leaves_with_path(params)
    ]
    chosen = [_belongs(path, group) for path in paths]
    if not any(chosen):
        raise UserError(f"no parameter belongs to group '{group}'; there are {', '.join(paths)}.")
    leaves, form = jax.tree.flatten(params)
    mixed = [new if c else old for c, old, new in zip(chosen, leaves, jax.tree.leaves(fresh), strict=True)]
    return jax.tree.unflatten(form, mixed)


def _belongs(path: str, group: Group) -> bool:
    if callable(group):
        return group(path)
    return path == group or path.startswith(group + "/")
