"""Describe one of our networks as a `Stack` of local layers, for methods that compute a part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from lensjax.config import ModelConfig
from lensjax.explain.incremental.local_layers import Convolution, Gate, Layer, MaxPool, Stack
from lensjax.models.cnn import ACTIVATIONS, classify_windows, geometry, standardise
from lensjax.models.heads import Head, mean_probability
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float


def describe(
    config: ModelConfig, params: Mapping[str, Any], score: Callable[[Float[Array, "k"]], Float[Array, ""]]
) -> Stack:
    """Describe the network and `score` of its logits as a `Stack`, which is a function of an image too.

    Raises:
      UserError: the network is no stack of local layers; says why.
    """
    why = refusal(config)
    if why:
        raise UserError(f"the network cannot be computed in parts: {why}.")
    layers: list[Layer] = []
    for stage in range(len(config.features)):
        name = f"stage{stage + 1}"
        for place in (["input"] if stage == 0 else []) + [name]:
            if place in config.attention.at:
                layers.append(Gate(gate_kernel(config, params[f"attention_{place}"]["kernel"])))
        kernel = jnp.asarray(params[f"{name}_kernel"])
        if config.standardise:
            kernel = jax.jit(standardise)(kernel) * params[f"{name}_gain"]
        bias = jnp.asarray(params[f"{name}_bias"]) if config.bias else 0.0
        layers.append(Convolution(kernel, bias, ACTIVATIONS[config.activation], config.padding))
        pool = geometry(config, stage, kernel.ndim - 2)[1]
        layers += [MaxPool(pool)] if max(pool) > 1 else []
    score = score if isinstance(score, Partial) else Partial(score)
    return Stack(
        tuple(layers), Partial(LogitsHead(config), params["head"], score), mean_over(config, kernel.ndim - 2)
    )


def refusal(config: ModelConfig) -> str:
    """Say why a network is no stack of local layers; empty if it is one."""
    if config.view != "event":
        return f"view {config.view} rearranges the event"
    if config.attention.kind != "sigmoid" and config.attention.at:
        return f"{config.attention.kind} attention looks at all positions at once"
    return ""


def gate_kernel(config: ModelConfig, kernel: Array) -> Array:
    """Turn a kernel for each window [t k k c 1] into outputs of one [1 k k c t]."""
    kernel = jnp.asarray(kernel)
    return jnp.moveaxis(kernel[..., 0], 0, -1)[None] if config.attention.per_window else kernel


def mean_over(config: ModelConfig, dims: int) -> tuple[int, ...]:
    """Return the axes that the head only averages; a position head sees them all."""
    if config.head != "class":
        return ()
    axes = {"rows": 1, "flatten": 0}.get(config.pooling, dims if config.pooling == "mean" else 2)
    alone = config.decide == "window" and config.pooling == "mean"  # each window has a mean of its own
    return tuple(range(dims))[dims - (2 if alone else axes) :]


@dataclass(frozen=True)
class LogitsHead:
    """A score of the logits, from the last map [*s c]; averaged axes have length 1."""

    config: ModelConfig

    def __call__(self, params: Mapping[str, Any], score: Callable, features: Array) -> Array:
        config = self.config
        # The grid of the map matters to positions alone, which are not asked for.
        head = Head(config.head, config.hidden, len(config.classes), pooling=config.pooling)

        def logits(head: Head, x: Array) -> Array:
            return mean_probability(classify_windows(head, x)) if config.decide == "window" else head(x)[0]

        return score(head.apply({"params": params}, features[None], method=logits)[0])
