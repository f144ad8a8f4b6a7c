"""Training state and the step: a flat frozen pytree, and one pure function from state to state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from lensjax.config import Config
from lensjax.losses.objective import objective
from lensjax.models import Network
from lensjax.models.cnn import grids
from lensjax.runtime.errors import UserError
from lensjax.training.optim import hold, parameter_name
from lensjax.types import Array, Batch, Bool, Float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """The state of a run. It holds no random keys: randomness is `fold_in(seed, step)`.

    A pytree also carries shapes and shardings in place of arrays, so shapes stand in comments.
    """

    step: Any  # int32 []
    params: Any
    opt_state: Any
    best: Any  # float32 [], best validation score so far, larger is better
    stale: Any  # int32 [], epochs since then


def init_state(
    config: Config,
    model: Network,
    optimiser: optax.GradientTransformation,
    image: Array,
    seed: Any = None,
) -> TrainState:
    """Fresh state for images of the shape of `image` [1 *s c].

    A `seed` given as an argument of a jitted function, instead of that of the configuration, is no part of
    what is compiled: other seeds find it in the cache. The same goes for the step.
    """
    params = model.init(jax.random.key(config.seed if seed is None else seed), image)["params"]
    # Two zeros, not one twice: the step donates its buffers.
    step, stale = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
    return TrainState(step, params, optimiser.init(params), jnp.full((), -jnp.inf), stale)


def make_train_step(
    config: Config, model: Network, optimiser: optax.GradientTransformation
) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
    """Return the pure step `(state, batch, seed) -> (state, values)`; jit it with the state donated."""

    def train_step(state: TrainState, batch: Batch, seed: Any = None) -> tuple[TrainState, dict[str, Array]]:
        key = jax.random.fold_in(jax.random.key(config.seed if seed is None else seed), state.step)

        def loss(params: Any) -> tuple[Array, dict[str, Array]]:
            def forward(images: Array, taps: Any = None, train: bool = True) -> Any:
                held = {"params": hold(config.optim, params)}
                return model.apply(held, images, taps, train=train, rngs={"dropout": key})

            total, (terms, context) = objective(
                forward,
                batch,
                config.loss,
                still=partial(forward, train=False),
                places=grids(config.model, batch["image"].shape[1:-1]),
                step=state.step,
                key=key,
            )
            right = context.outputs.logits.argmax(-1) == batch["label"]
            return total, {**terms, "accuracy": right.mean()}

        (total, terms), gradient = jax.value_and_grad(loss, has_aux=True)(state.params)
        updates, opt_state = optimiser.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        state = replace(state, step=state.step + 1, params=params, opt_state=opt_state)
        return state, {"loss": total, **terms, "grad_norm": optax.tree.norm(gradient)}

    return train_step


def start_from(params: Any, other: Any, where: str) -> tuple[Any, list[str]]:
    """Replace parameters by those of the same name of another network; return them and these names.

    Raises:
      UserError: none has the same name, or one that has has another shape.
    """
    given = {parameter_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(other)}
    taken: list[str] = []

    def choose(path: tuple[Any, ...], leaf: Array) -> Array:
        name = parameter_name(path)
        if name not in given:
            return leaf
        if given[name].shape != leaf.shape:
            raise UserError(
                f"init: '{name}' has shape {given[name].shape} in '{where}' and {leaf.shape} here; use the "
                "same model."
            )
        taken.append(name)
        return given[name]

    params = jax.tree_util.tree_map_with_path(choose, params)
    if not taken:
        raise UserError(
            f"init: '{where}' has no parameter of this network; give a run of the same kind of model."
        )
    return params, taken


def record_score(state: TrainState, score: float | Float[Array, ""]) -> TrainState:
    """Record a validation score (larger is better); the best so far resets the early-stopping counter."""
    better: Bool[Array, ""] = jnp.asarray(score) > state.best
    best = jnp.where(better, jnp.asarray(score, jnp.float32), state.best)
    return replace(state, best=best, stale=jnp.where(better, 0, state.stale + 1).astype(jnp.int32))
