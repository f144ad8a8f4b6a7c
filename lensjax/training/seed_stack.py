"""Several seeds of one experiment as one state: a leading axis `s` on every array, one step for all.

What a seed goes through is what a run of its own goes through: its initial parameters, its dropout and its
batches are functions of the seed and the step. A seed that stopped early stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.training.state import TrainState, with_validation
from lensjax.types import Array, Batch, Bool, Float

Step = Callable[..., tuple[TrainState, dict[str, Array]]]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Stacked:
    """The state of every seed [s …], now and where its validation score was best."""

    now: TrainState
    best: TrainState

    @property
    def step(self) -> Array:
        """Of the seeds that are still trained, the step of all; int32 []."""
        return self.now.step.max()


def all_at_once() -> bool:
    """Whether the seeds share one vmapped step, as they do wherever it pays: not on the CPU.

    A convolution over stacked kernels is a grouped one: with three seeds on a (shared) CPU core a vmapped
    step took twice as long a seed as one alone for the lens demo (0.99 s and 0.49 s), and several times as
    long for the demo of events (2.5 s and 0.3 s). `lax.map` is no way out, 6.1 s and 4.7 s a seed: XLA leaves
    convolutions in a loop to slow code. So there one compiled step takes the seeds in turn.
    """
    return jax.default_backend() != "cpu"


def member(stack: Any, k: Any) -> Any:
    """One seed of a stack; `k` may be traced."""
    return jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, k, keepdims=False), stack)


def fresh(states: Sequence[TrainState], sharding: Any) -> Stacked:
    """Initial states of the seeds, stacked; nothing has been best yet."""
    stack = jax.jit(lambda *each: jax.tree.map(lambda *x: jnp.stack(x), *each), out_shardings=sharding)
    # Other buffers, not the same twice: the step donates those of `now`.
    return Stacked(stack(*states), stack(*states))


def make_step(step: Step, together: bool, sharding: Any) -> Step:
    """`(states, batch, seeds, active) -> (states, values)` of the step of one seed, everything [s …].

    `active` bool [s] tells which seeds go on; the values of others mean nothing.
    """

    def vmapped(states: TrainState, batch: Batch, seeds: Array, active: Array) -> Any:
        new, values = jax.vmap(step)(states, batch, seeds)
        return choose(active, new, states), values

    def nth(states: TrainState, batch: Batch, seeds: Array, k: Array) -> Any:
        new, values = step(member(states, k), member(batch, k), seeds[k])
        return jax.tree.map(lambda old, one: old.at[k].set(one), states, new), values

    if together:
        return jax.jit(vmapped, donate_argnums=0, out_shardings=sharding)
    jitted = jax.jit(nth, donate_argnums=0, out_shardings=sharding)

    def in_turn(states: TrainState, batch: Batch, seeds: Array, active: np.ndarray) -> Any:
        found = []
        for k in np.flatnonzero(active):
            states, values = jitted(states, batch, seeds, np.int32(k))
            found.append(values)
        place = np.cumsum(active) - 1  # where the k-th seed is among those found
        return states, {name: jnp.stack([found[i][name] for i in place.clip(0)]) for name in found[0]}

    return in_turn


def make_prediction_step(step: Callable, together: bool) -> Callable[[Any, Batch], dict[str, Array]]:
    """The prediction step of one network for stacked parameters: one batch [b …] in, [b s …] out."""
    if together:
        return jax.jit(jax.vmap(step, in_axes=(0, None), out_axes=1))
    jitted = jax.jit(lambda params, batch, k: step(member(params, k), batch))

    def in_turn(params: Any, batch: Batch) -> dict[str, Array]:
        count = jax.tree.leaves(params)[0].shape[0]
        each = [jitted(params, batch, np.int32(k)) for k in range(count)]
        return {name: jnp.stack([one[name] for one in each], 1) for name in each[0]}

    return in_turn


@jax.jit
def judged(stack: Stacked, scores: Float[Array, "s"], active: Bool[Array, "s"]) -> Stacked:
    """Record validation scores, larger is better; of equal ones the later is the best, as of a run."""
    now = choose(active, jax.vmap(with_validation)(stack.now, scores), stack.now)
    better = active & (scores >= stack.best.best)
    return Stacked(now, choose(better, now, stack.best))


def choose(which: Bool[Array, "s"], one: Any, other: Any) -> Any:
    """Seed by seed the arrays of `one` or of `other`."""

    def pick(x: Array, y: Array) -> Array:
        return jnp.where(which.reshape(-1, *[1] * (x.ndim - 1)), x, y)

    return jax.tree.map(pick, one, other)
