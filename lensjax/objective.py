"""The objective: a weighted sum of named loss terms, averaged over the valid rows of a batch."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp

from lensjax.config import LossConfig
from lensjax.losses import LOSSES, Context
from lensjax.shapes import Array, Float
from lensjax.types import Batch, Outputs


def objective(
    forward: Callable[..., Outputs], batch: Batch, config: LossConfig
) -> tuple[Float[Array, ""], tuple[dict[str, Array], Context]]:
    """Σ weight · mean(term), each term's mean, and the context they were computed in."""
    context = Context(forward, batch["image"], config)
    terms = {
        name: masked_mean(LOSSES[name](context, batch), batch["valid"])
        for name, weight in config.weights.items()
        if weight
    }
    total = sum((config.weights[name] * value for name, value in terms.items()), start=jnp.zeros(()))
    return total, (terms, context)


def masked_mean(values: Float[Array, "b"], valid: Array) -> Float[Array, ""]:
    """Mean over valid rows; 0 when there are none."""
    return jnp.where(valid, values, 0.0).sum() / jnp.maximum(valid.sum(), 1)


def check_weights(config: LossConfig) -> None:
    """Refuse unknown terms and an empty objective before anything is traced.

    Raises:
      ValueError: with the known terms.
    """
    unknown = sorted(set(config.weights) - set(LOSSES))
    if unknown:
        raise ValueError(f"unknown loss {', '.join(unknown)}; known: {', '.join(LOSSES)}.")
    if not any(config.weights.values()):
        raise ValueError(f"all loss weights are 0; give one of {', '.join(LOSSES)} a weight.")
