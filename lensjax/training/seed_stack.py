"""Stack the states of seeds that train together, with a leading axis `s` on every array; one seed has none.

Each seed is trained exactly as it would be in a run of its own: its initial parameters, its dropout and its
batches are functions of the seed and the step. A seed that stopped early stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.training.state import TrainState, record_score
from lensjax.types import Array, Batch, Bool, Float

Step = Callable[..., tuple[TrainState, dict[str, Array]]]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class SeedStates:
    """The states that the loop advances: of one seed, or [s …] of several."""

    now: TrainState
    best: TrainState | None
    """Of several seeds, where the validation score of each was best; that of one seed is a checkpoint."""

    @property
    def step(self) -> int:
        """The step of the seeds that are still trained."""
        return int(np.max(np.asarray(self.now.step)))

    @property
    def saved(self) -> Any:
        """The content of a checkpoint."""
        return self.now if self.best is None else self

    def active(self, patience: int) -> np.ndarray:
        """Tell which seeds early stopping has not ended, bool [s]; a patience of 0 ends none."""
        stale = np.atleast_1d(self.now.stale)
        return (stale < patience) | (patience <= 0)

    def record_scores(self, scores: Sequence[float], active: np.ndarray) -> SeedStates:
        """Record validation scores, larger is better; of equal ones the later is the best."""
        if self.best is None:
            return SeedStates(record_score(self.now, scores[0]), None)
        return _record(self.now, self.best, jnp.asarray(scores, jnp.float32), jnp.asarray(active))


@jax.jit
def _record(
    now: TrainState, best: TrainState, scores: Float[Array, "s"], active: Bool[Array, "s"]
) -> SeedStates:
    now = select_members(active, jax.vmap(record_score)(now, scores), now)
    return SeedStates(now, select_members(active & (scores >= best.best), now, best))


def stack(states: Sequence[TrainState], sharding: Any) -> SeedStates:
    """Stack initial states, with no best one recorded; a single one stays as it is."""
    if len(states) == 1:
        return SeedStates(states[0], None)
    join = jax.jit(lambda *each: jax.tree.map(lambda *x: jnp.stack(x), *each), out_shardings=sharding)
    # Other buffers, not the same twice: the step donates those of `now`.
    return SeedStates(join(*states), join(*states))


def share_one_step() -> bool:
    """Tell whether several seeds share one vmapped step, as they do wherever it pays: not on the CPU.

    A convolution over stacked kernels is a grouped one: with three seeds on a (shared) CPU core a vmapped
    step took twice as long a seed as one alone for the lens demo (0.99 s and 0.49 s), and several times as
    long for the demo of events (2.5 s and 0.3 s). `lax.map` is no way out, 6.1 s and 4.7 s a seed: XLA leaves
    convolutions in a loop to slow code. So there one compiled step takes the seeds in turn.
    """
    return jax.default_backend() != "cpu"


def make_step(step: Step, seeds: Sequence[int], sharding: Any, together: bool | None = None) -> Step:
    """Compile the step of one seed for all: `(states, batch, active) -> (states, values)`.

    Of several seeds everything is [s …]. `active` bool [s] tells which go on; values of others mean nothing.
    `together` is `share_one_step()` unless it is given.
    """
    # Seeds are arguments: those of another run find the step compiled.
    compiled = partial(jax.jit, donate_argnums=0, out_shardings=sharding)
    if len(seeds) == 1:
        alone, number = compiled(step), jnp.uint32(seeds[0])
        return lambda state, batch, active: alone(state, batch, number)
    numbers = jnp.asarray(seeds, jnp.uint32)

    def step_all(states: TrainState, batch: Batch, numbers: Array, active: Array) -> Any:
        new, values = jax.vmap(step)(states, batch, numbers)
        return select_members(active, new, states), values

    def step_one(states: TrainState, batch: Batch, numbers: Array, k: Array) -> Any:
        new, values = step(take_member(states, k), take_member(batch, k), numbers[k])
        return jax.tree.map(lambda old, one: old.at[k].set(one), states, new), values

    if share_one_step() if together is None else together:
        vmapped = compiled(step_all)
        return lambda states, batch, active: vmapped(states, batch, numbers, active)
    jitted = compiled(step_one)

    def step_in_turn(states: TrainState, batch: Batch, active: np.ndarray) -> Any:
        found = []
        for k in np.flatnonzero(active):
            states, values = jitted(states, batch, numbers, np.int32(k))
            found.append(values)
        place = np.cumsum(active) - 1  # where the k-th seed is among those found
        return states, {name: jnp.stack([found[i][name] for i in place.clip(0)]) for name in found[0]}

    return step_in_turn


def make_prediction_step(step: Callable, count: int) -> Callable[[Any, Batch], dict[str, Array]]:
    """Compile the prediction step of one network for `count` seeds: one batch [b …] in, [b s …] out."""
    if count == 1:
        return jax.jit(step)
    if share_one_step():
        return jax.jit(jax.vmap(step, in_axes=(0, None), out_axes=1))
    jitted = jax.jit(lambda params, batch, k: step(take_member(params, k), batch))

    def predict_in_turn(params: Any, batch: Batch) -> dict[str, Array]:
        each = [jitted(params, batch, np.int32(k)) for k in range(count)]
        return {name: jnp.stack([one[name] for one in each], 1) for name in each[0]}

    return predict_in_turn


def take_member(states: Any, k: Any) -> Any:
    """Take one seed of a stack; `k` may be traced."""
    return jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, k, keepdims=False), states)


def select_members(which: Bool[Array, "s"], one: Any, other: Any) -> Any:
    """Take seed by seed the arrays of `one`, or of `other`."""

    def pick(x: Array, y: Array) -> Array:
        return jnp.where(which.reshape(-1, *[1] * (x.ndim - 1)), x, y)

    return jax.tree.map(pick, one, other)
