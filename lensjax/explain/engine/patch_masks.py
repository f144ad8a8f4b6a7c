"""Make masks z ∈ {0, 1}ᴷ, bool [n k], that say which patches are kept; the first mask keeps all."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.types import Array, Bool, Float, PRNGKeyArray


def all_masks(count: int) -> Bool[Array, "n k"]:
    """Return all masks, bool [2ᵏ k]: the first keeps everything, mask i is the complement of mask −1 − i."""
    return jnp.asarray((np.arange(2**count)[::-1, None] >> np.arange(count)) % 2 == 1)


@functools.partial(jax.jit, static_argnames=("count", "samples"))
def coin_masks(key: PRNGKeyArray, count: int, samples: int) -> Bool[Array, "n k"]:
    """Keep every patch with probability ½; the first mask is full. Draws depend on a patch's label alone."""
    return (_uniform(key, count, samples) < 0.5).at[0].set(True)


@functools.partial(jax.jit, static_argnames=("pairs",))
def paired_masks(key: PRNGKeyArray, there: Bool[Array, "k"], pairs: int) -> Bool[Array, "n k"]:
    """Return the full mask, `pairs` of sizes from the Shapley kernel, and complements in reverse order."""
    for_size, for_members = jax.random.split(key)
    sizes, number = jnp.arange(1, len(there)), there.sum()
    likely = jnp.where(sizes < number, 1 / (sizes * jnp.maximum(number - sizes, 1)), 0)
    steps = jnp.cumsum(likely)
    drawn = jax.random.uniform(for_size, (max(0, pairs),)) * steps[-1]
    size = 1 + jnp.searchsorted(steps, drawn, side="right")
    order = jnp.where(there, _uniform(for_members, len(there), max(0, pairs)), jnp.inf)
    masks = order.argsort(axis=1).argsort(axis=1) < size[:, None]
    masks = jnp.concatenate([jnp.ones((1, len(there)), bool), masks])
    return jnp.concatenate([masks, ~masks[::-1]])


def _uniform(key: PRNGKeyArray, count: int, samples: int) -> Float[Array, "n k"]:
    keys = jax.vmap(functools.partial(jax.random.fold_in, key))(jnp.arange(count))
    return jax.vmap(lambda k: jax.random.uniform(k, (samples,)), out_axes=1)(keys)
