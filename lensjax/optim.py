"""The optimiser: AdamW under a warm-up and cosine schedule, gradients clipped by norm."""

from __future__ import annotations

import jax
import optax

from lensjax.config import OptimConfig


def make_schedule(config: OptimConfig, steps: int) -> optax.Schedule:
    """Learning rate by step."""
    warmup = max(1, round(config.warmup * steps))
    if config.schedule == "constant":
        return optax.linear_schedule(0.0, config.learning_rate, warmup)
    return optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warmup, max(steps, warmup + 1))


def make_optimiser(config: OptimConfig, steps: int) -> optax.GradientTransformation:
    """AdamW; decay on kernels (two axes or more), never on biases."""
    adamw = optax.adamw(
        make_schedule(config, steps),
        weight_decay=config.weight_decay,
        mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params),
    )
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adamw) if config.clip_norm else adamw
