"""Scenes of chosen kinds, compound lenses among them: one scene by name, or a data set."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.simulate.lenses import lenses
from lensjax.simulate.lenses.artefacts import ARTEFACTS
from lensjax.simulate.lenses.compound_lenses import (
    one_double,
    refuse_unfound,
    simulate_double,
    with_compound_truth,
)
from lensjax.simulate.lenses.evidence import Rule
from lensjax.simulate.lenses.instruments import Instrument, instrument_named
from lensjax.simulate.lenses.kinds import ALL_KINDS, KINDS, kind_index, shares
from lensjax.simulate.lenses.scene_batches import Scene, in_order, stored
from lensjax.simulate.one_core import jit_for_threads
from lensjax.types import Array, Example, PRNGKeyArray


def simulate(
    key: PRNGKeyArray,
    kind: str | int,
    instrument: Instrument,
    size: int,
    supersampling: int = 2,
    rule: Rule = Rule(),  # noqa: B008
) -> Scene:
    """One scene of a kind of `ALL_KINDS`, as `lenses.simulate` with the compound kinds.

    Raises UserError for an unknown kind, a size below 16, a supersampling below 1, or a rule that no
    compound lens passes.
    """
    number = kind_index(kind, ALL_KINDS)
    if number < len(KINDS):
        return lenses.simulate(key, number, instrument, size, supersampling, rule)
    lenses.check(size, supersampling)
    made = one_double(key, jnp.asarray(number), instrument, size, supersampling, rule)
    refuse_unfound(made.truth, rule)
    return made


def examples(
    instrument: str, size: int, count: int, seed: int, kinds: Sequence[str], supersampling: int = 2,
    rule: Rule = Rule(), chunk: int = 64, light: bool = False,  # noqa: B008
    artefacts: Sequence[str] = ARTEFACTS,
) -> Iterator[Example]:  # fmt: skip
    """`count` examples that take the kinds (or `GROUPS`) in turn, so that there are as many of each.

    Example `i` depends on (seed, i) and the settings, not on count or chunk; `light`, `artefacts` are as in
    `lenses.examples`. `truth` has `double.ALL_TRUTH`, NaN for what only a compound lens has.

    Raises UserError for an unknown instrument or kind, a size below 16, or a rule that no compound lens
    passes.
    """
    named = instrument_named(instrument)
    lenses.check(size, supersampling, count, chunk)
    edges = np.cumsum(shares(tuple(kinds)), -1)[:, :-1].astype(np.float32)
    edges[edges > 1 - 1e-5] = 1.0  # not a hair below, where a uniform number may fall
    some = lenses.allowed_of(artefacts)
    make = functools.partial(_chunk, seed, edges, named, size, supersampling, rule, some, light)
    return in_order(make, f"{instrument}-{size}-{'-'.join(kinds)}-s{seed}", count, chunk)


def _chunk(
    seed: int, edges: np.ndarray, instrument: Instrument, size: int, supersampling: int, rule: Rule,
    allowed: np.ndarray, light: bool, start: int, chunk: int,
) -> Scene:  # fmt: skip
    index = np.arange(start, start + chunk, dtype=np.int32)
    single = edges[:, len(KINDS) - 1]  # share of all but the compound kinds
    static = instrument, size, supersampling, bool((single < 1).any()), bool((single > 0).any()), light
    scenes = jax.device_get(_batch(np.uint32(seed), index, edges, rule, allowed, *static))
    refuse_unfound(scenes.truth, rule)
    return scenes


@jit_for_threads(static_argnums=(5, 6, 7, 8, 9, 10))
def _batch(
    seed: Array, index: Array, edges: Array, rule: Rule, allowed: Array, instrument: Instrument, size: int,
    supersampling: int, compound: bool, others: bool, light: bool,
) -> Scene:  # fmt: skip
    """Scenes by index. `compound`, `others`: whether such kinds are among them, as they cost compilation."""

    def scene(i: Array) -> Scene:
        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), i))
        kind = (jax.random.uniform(keys[0]) >= edges[i % len(edges)]).sum()

        def double() -> Scene:
            made = simulate_double(keys[1], kind, instrument, size, supersampling, rule, allowed)
            return stored(made, light)

        def other() -> Scene:
            made = lenses.simulate_kind(keys[1], kind, instrument, size, supersampling, rule, allowed)
            return stored(with_compound_truth(made), light)

        if compound and others:
            return jax.lax.cond(kind >= len(KINDS), double, other)
        return double() if compound else other()

    # One by one on the CPU (`cond` skips what is absent), all at once on an accelerator.
    if jax.default_backend() == "cpu":
        return jax.lax.map(scene, index)
    return jax.vmap(scene)(index)
