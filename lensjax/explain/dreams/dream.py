"""Make images from the network: Deep Dream, class images, and images that excite one channel.

They show what a score reacts to, not what the data look like: ascent has no prior but its regularisation, and
finds images that no telescope takes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from lensjax.explain.dreams.ascent import Dream, ascend
from lensjax.explain.engine.taps import Forward, layers, spatial_layer
from lensjax.explain.methods.gradient import Score
from lensjax.runtime.errors import UserError
from lensjax.specs import suggest_name
from lensjax.types import Array, Float, PRNGKeyArray

WHERE = ("mean", "centre")


def deep_dream(
    forward: Forward,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    layer: str | None = None,
    steps: int = 64,
    **process: Any,
) -> Dream:
    """Raise the score, or a layer's mean squared activation, from an image (Mordvintsev et al. 2015).

    `process` are the options of `ascend`. Wilde et al. 2022 raise the class logit, by 99 plain steps.

    Raises:
      UserError: no such layer (lists them), or as `ascend`.
    """
    if layer is not None:
        layer = spatial_layer(forward, image, layer)
    return ascend(_make_objective(forward, layer, None, "mean"), image, key=key, steps=steps, **process)


def class_image(
    score: Score,
    shape: tuple[int, ...],
    *,
    key: PRNGKeyArray | None = None,
    noise: float = 0.1,
    **process: Any,
) -> Dream:
    """Make the image that a class (any score) wants most, from noise around 0 (Simonyan et al. 2013).

    Raises:
      UserError: no key, noise that is not positive, or as `ascend`.
    """
    start, key = _noise(shape, key, noise)
    return ascend(score, start, key=key, **process)


def activation_image(
    forward: Forward,
    shape: tuple[int, ...],
    *,
    key: PRNGKeyArray | None = None,
    layer: str | None = None,
    channel: int = 0,
    where: str = "mean",
    noise: float = 0.1,
    **process: Any,
) -> Dream:
    """Make the image that excites one channel of a layer, the last if none is named (Erhan et al. 2009).

    `where`: mean over all positions, a texture; or at the centre (of every window), one feature.

    Raises:
      UserError: no such layer (lists them) or channel, or as `class_image`.
    """
    start, key = _noise(shape, key, noise)
    name = spatial_layer(forward, start, layer)
    found = layers(forward, start)[name]
    if isinstance(channel, bool) or not isinstance(channel, int) or not 0 <= channel < found.shape[-1]:
        raise UserError(f"channel (={channel!r}) of {name} must be one of 0 … {found.shape[-1] - 1}.")
    if where not in WHERE:
        raise UserError(f"unknown where '{where}'; choose from {', '.join(WHERE)}.")
    return ascend(_make_objective(forward, name, channel, where), start, key=key, **process)


DREAMS: dict[str, Callable[..., Dream]] = {
    "deep_dream": deep_dream,
    "class_image": class_image,
    "activation_image": activation_image,
}


def dream_options(name: str) -> dict[str, Any]:
    """Return a dream's options and their defaults, those of `ascend` included, as `parse` takes them.

    Raises:
      UserError: there is no such dream; lists those there are.
    """
    if name not in DREAMS:
        raise UserError(
            f"unknown dream '{name}'{suggest_name(name, DREAMS)}; choose from {', '.join(DREAMS)}."
        )
    both = [
        *inspect.signature(ascend).parameters.values(),
        *inspect.signature(DREAMS[name]).parameters.values(),
    ]
    return {p.name: p.default for p in both if p.kind is p.KEYWORD_ONLY and p.name != "key"}


def _noise(shape: tuple[int, ...], key: Array | None, noise: float) -> tuple[Array, Array]:
    """Return a start, and the key for what follows."""
    if key is None:
        raise UserError("the start is noise; pass key=jax.random.key(seed).")
    if not noise > 0:
        raise UserError(f"noise (={noise}) must be positive: the standard deviation of the start.")
    first, then = jax.random.split(key)
    return noise * jax.random.normal(first, shape), then


def _make_objective(forward: Forward, layer: str | None, channel: int | None, where: str) -> Score:
    def objective(forward: Forward, image: Array) -> Array:
        score, ends = forward(image, None)
        if layer is None:
            return score
        if channel is None:
            return (ends[layer].astype(jnp.float32) ** 2).mean()
        one = ends[layer][..., channel].astype(jnp.float32)
        if where == "centre" and one.ndim > 1:
            one = one[..., one.shape[-2] // 2, one.shape[-1] // 2]
        return one.mean()

    return Partial(objective, forward if isinstance(forward, Partial) else Partial(forward))
