"""The optimiser: AdamW under a warm-up and cosine schedule, gradients clipped by norm; frozen parameters."""

from __future__ import annotations

from typing import Any

import jax
import optax

from lensjax.config import OptimConfig
from lensjax.runtime.errors import UserError


def make_schedule(config: OptimConfig, steps: int) -> optax.Schedule:
    """Return the learning rate by step."""
    warmup = max(1, round(config.warmup * steps))
    if config.schedule == "constant":
        return optax.linear_schedule(0.0, config.learning_rate, warmup)
    return optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warmup, max(steps, warmup + 1))


def make_optimiser(config: OptimConfig, steps: int) -> optax.GradientTransformation:
    """Return AdamW: decay on kernels (two axes or more), never on biases; no change of what is frozen."""
    adamw = optax.adamw(
        make_schedule(config, steps),
        weight_decay=config.weight_decay,
        mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params),
    )
    chain = [optax.clip_by_global_norm(config.clip_norm)] * bool(config.clip_norm) + [adamw]
    if config.frozen:
        chain.append(optax.masked(optax.set_to_zero(), lambda params: find_frozen(config, params)))
    return optax.chain(*chain) if len(chain) > 1 else adamw


def find_frozen(config: OptimConfig, params: Any) -> Any:
    """Tell for each parameter whether its name, such as "head/hidden/kernel", begins as one of `frozen` does.

    Raises:
      UserError: one of them is the beginning of no name, or all parameters are frozen.
    """
    names = jax.tree_util.tree_map_with_path(lambda path, _: parameter_name(path), params)
    each = jax.tree.leaves(names)
    for start in config.frozen:
        if not any(name.startswith(start) for name in each):
            raise UserError(
                f"optim.frozen '{start}' begins no parameter's name; there are {', '.join(each)}."
            )
    found = jax.tree.map(lambda name: name.startswith(config.frozen), names)
    if all(jax.tree.leaves(found)):
        raise UserError(f"optim.frozen {config.frozen} leaves nothing to train: freeze less.")
    return found


def hold(config: OptimConfig, params: Any) -> Any:
    """Stop the gradient of what is frozen: it costs nothing, and has no part in the norm."""
    if not config.frozen:
        return params
    return jax.tree.map(
        lambda leaf, still: jax.lax.stop_gradient(leaf) if still else leaf,
        params,
        find_frozen(config, params),
    )


def parameter_name(path: tuple[Any, ...]) -> str:
    """Return a parameter's name from its keys in the tree: "head/hidden/kernel"."""
    return "/".join(str(entry.key) for entry in path)
