"""Simulate one scene of a named kind, or the examples of a data set. This module calls the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.fft import next_fast_len

from lensjax.runtime.errors import UserError
from lensjax.simulate.lenses import kinds as K
from lensjax.simulate.lenses.artefacts import ARTEFACTS, allow_artefacts
from lensjax.simulate.lenses.compound_lenses import add_compound_truth, refuse_unfound, simulate_compound
from lensjax.simulate.lenses.evidence import LensRule
from lensjax.simulate.lenses.instruments import Instrument, get_instrument
from lensjax.simulate.lenses.scene import Scene, drop_unsaved, to_example
from lensjax.simulate.lenses.single_lenses import simulate_single
from lensjax.simulate.threads import iterate_chunks, jit_for_threads, map_rows
from lensjax.types import Array, Example, PRNGKeyArray

_SINGLE, _COMPOUND = (
    jax.jit(function, static_argnums=(2, 3, 4)) for function in (simulate_single, simulate_compound)
)


class _Settings(NamedTuple):
    """The settings that a chunk is compiled for."""

    instrument: Instrument
    size: int
    supersampling: int
    light: bool
    in_turn: bool
    """The named kinds in turn; else the usual mix."""
    compound: bool = False
    single: bool = True
    """Whether kinds of two source planes, and of one, are among them, as each costs compilation."""


def simulate(
    key: PRNGKeyArray,
    kind: str | int,
    instrument: Instrument,
    size: int,
    supersampling: int = 2,
    rule: LensRule = LensRule(),  # noqa: B008
) -> Scene:
    """Simulate one scene of a kind (a name or number of `ALL_KINDS`), the same bit for bit for the same key.

    Raises:
      UserError: an unknown kind, a size below 16, a supersampling below 1 or with a prime factor above 5, or
        a rule that no compound lens passes.
    """
    check_settings(size, supersampling)
    number = K.kind_index(kind, K.ALL_KINDS)
    compiled = _SINGLE if number < len(K.KINDS) else _COMPOUND
    made = compiled(key, jnp.asarray(number), instrument, size, supersampling, rule)
    if number >= len(K.KINDS):
        refuse_unfound(made.truth, rule)
    return made


def examples(
    instrument: str, size: int, count: int, seed: int, lens_fraction: float = 0.5, supersampling: int = 2,
    rule: LensRule = LensRule(), chunk: int = 64, light: bool = False,  # noqa: B008
    artefacts: Sequence[str] = ARTEFACTS, kinds: Sequence[str] = (),
) -> Iterator[Example]:  # fmt: skip
    """Simulate `count` examples; example `i` depends on (seed, i) and the settings, not on count or chunk.

    Args:
      instrument: a key of `INSTRUMENTS`.
      size: pixels on a side.
      count: number of examples.
      seed: of everything that is drawn.
      lens_fraction: share of lenses in the usual mix of kinds.
      supersampling: rays across a pixel.
      rule: the least a lens must have.
      chunk: examples computed at once by one thread.
      light: give each example the noise-free light of its lensed source too, asinh(flux / sigma).
      artefacts: a scene that would have another one is the same without it.
      kinds: instead of the usual mix, these kinds (or `GROUPS`) in turn, so that there are as many of each.
        `truth` then has `compound_lenses.ALL_TRUTH`, NaN for what only a compound lens has.

    Raises:
      UserError: an unknown instrument or kind, a size below 16, a fraction outside [0, 1], or a rule that no
        compound lens passes.
    """
    named = get_instrument(instrument)
    check_settings(size, supersampling, count, chunk)
    if not 0 <= lens_fraction <= 1:
        raise UserError(f"lens_fraction {lens_fraction} is not a fraction: use a number from 0 to 1")
    weights = np.asarray(lens_fraction, np.float32)
    settings = _Settings(named, size, supersampling, light, bool(kinds))
    if kinds:
        weights = np.cumsum(K.shares(tuple(kinds)), -1)[:, :-1].astype(np.float32)
        weights[weights > 1 - 1e-5] = 1.0  # rounding must not leave room for a number above
        single = weights[:, len(K.KINDS) - 1]  # share of all but the compound kinds
        settings = settings._replace(compound=bool((single < 1).any()), single=bool((single > 0).any()))
    allowed = allow_artefacts(artefacts)

    def make(start: int) -> Scene:
        index = np.arange(start, start + chunk, dtype=np.int32)
        scenes = jax.device_get(_simulate_batch(np.uint32(seed), index, weights, rule, allowed, settings))
        if settings.compound:
            refuse_unfound(scenes.truth, rule)
        return scenes

    name = "-".join([instrument, str(size), *kinds, f"s{seed}"])
    return (
        to_example(scenes, row, f"{name}-{start + row:06d}")
        for start, scenes in iterate_chunks(make, count, chunk)
        for row in range(min(chunk, count - start))
    )


def check_settings(size: int, supersampling: int, count: int = 1, chunk: int = 1) -> None:
    """Refuse what cannot be simulated, by a UserError."""
    if size < 16:
        raise UserError(f"image size {size} is too small for a lens: use at least 16 pixels")
    if supersampling < 1:
        raise UserError(f"supersampling {supersampling} is not positive: use 1, 2 or 3")
    if next_fast_len(supersampling, real=True) != supersampling:
        raise UserError(f"supersampling {supersampling} has a prime factor above 5: use 1, 2 or 3")
    if chunk < 1 or count < 0:
        raise UserError(f"chunk {chunk} must be positive and count {count} not negative: change them")


@jit_for_threads(static_argnums=5)
def _simulate_batch(
    seed: Array, index: Array, weights: Array, rule: LensRule, allowed: Array, settings: _Settings
) -> Scene:
    """Simulate scenes of a data set by index: the kind, and everything else, follows from (seed, index).

    `weights`: the share of lenses, or, of kinds in turn, the cumulative shares of `ALL_KINDS` in each [n k].
    """
    instrument, size, supersampling, light = settings[:4]

    def scene(i: Array) -> Scene:
        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), i))
        if settings.in_turn:
            kind = (jax.random.uniform(keys[0]) >= weights[i % len(weights)]).sum()
        else:
            u = jax.random.uniform(keys[0], (2,))
            lens, other = K.pick(u[1], K.LENS_WEIGHTS), len(K.LENS_KINDS) + K.pick(u[1], K.NON_LENS_WEIGHTS)
            kind = jnp.where(u[0] < weights, lens, other)

        def compound() -> Scene:
            made = simulate_compound(keys[1], kind, instrument, size, supersampling, rule, allowed)
            return drop_unsaved(made, light)

        def single() -> Scene:
            made = simulate_single(keys[1], kind, instrument, size, supersampling, rule, allowed)
            return drop_unsaved(add_compound_truth(made) if settings.in_turn else made, light)

        if settings.compound and settings.single:
            return jax.lax.cond(kind >= len(K.KINDS), compound, single)
        return compound() if settings.compound else single()

    return map_rows(scene, index)
