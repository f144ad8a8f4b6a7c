"""Class activation maps without a gradient: from the activations alone, or from further forward passes.

Maps are on the layer's own grid [*grid], raw and signed; `layer` None takes the last one with the image's
axes.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lensjax.explain.engine.loops import Chunk, at_least_float32, map_chunks
from lensjax.explain.engine.postprocess import upsample
from lensjax.explain.engine.programs import jit_method
from lensjax.explain.engine.taps import Forward, spatial_layer
from lensjax.types import Array, Float, PRNGKeyArray


@jit_method(static=("layer",))
def eigen_cam(
    forward: Forward,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    layer: str | None = None,
) -> Float[Array, "*grid"]:
    """Project activations on their first principal component (Muhammad & Yeasin 2020).

    Channels are centred over positions. The sign of a component is arbitrary: here the map rises with the sum
    of the (centred) activations. It does not use the score. A constant layer gives zeros.
    """
    name = spatial_layer(forward, image, layer)
    a = at_least_float32(forward(image, None)[1][name])
    flat = a.reshape(-1, a.shape[-1])
    flat = flat - flat.mean(0)
    # The eigenvector of K × K numbers, not the decomposition of P × K.
    direction = jnp.linalg.eigh(jnp.matmul(flat.T, flat, precision="highest"))[1][:, -1]
    projected = flat @ direction
    sign = jnp.where(projected @ flat.sum(-1) < 0, -1.0, 1.0)
    return (sign * projected).reshape(a.shape[:-1])


def score_cam(
    forward: Forward,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    layer: str | None = None,
    chunk: Chunk = 16,
) -> Float[Array, "*grid"]:
    """Return Σₖ wₖ Aₖ, w the softmax over k of the score of the image times Aₖ's map (Wang et al. 2020).

    Each channel, scaled to [0, 1] and brought to the image's grid, masks the image; a constant one masks it
    all. As many forward passes as channels, `chunk` at a time.
    """
    name = spatial_layer(forward, image, layer)
    channels = _channels(forward, image, name=name)  # [k *grid]
    scores = map_chunks(lambda channel: _masked_score(forward, image, channel), channels, chunk)
    return _weighted(jax.nn.softmax(scores), channels)


def ablation_cam(
    forward: Forward,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    layer: str | None = None,
    divide: bool = False,
    chunk: Chunk = 16,
) -> Float[Array, "*grid"]:
    """Return Σₖ wₖ Aₖ, wₖ the score lost when channel k is set to 0 (Desai & Ramaswamy 2020).

    The paper divides the loss by the score, which turns the map's sign where the score is negative, as log
    odds often are: `divide` does so. As many forward passes as channels, `chunk` at a time.
    """
    name = spatial_layer(forward, image, layer)
    channels, whole = _channels(forward, image, name=name), _score(forward, image)
    number = jnp.arange(len(channels))
    scores = map_chunks(lambda k: _score_without(forward, image, k, channels[k], name=name), number, chunk)
    lost = whole - scores
    return _weighted(lost / jnp.where(whole == 0, 1, whole) if divide else lost, channels)


@jit_method(static=("name",))
def _channels(forward: Forward, image: Array, *, name: str) -> Float[Array, "k *grid"]:
    return jnp.moveaxis(at_least_float32(forward(image, None)[1][name]), -1, 0)


@jit_method
def _score(forward: Forward, image: Array) -> Array:
    return at_least_float32(forward(image, None)[0])


@jit_method
def _masked_score(forward: Forward, image: Array, channel: Array) -> Array:
    low, span = channel.min(), jnp.ptp(channel)
    mask = jnp.where(span > 0, (channel - low) / jnp.where(span > 0, span, 1), 0)
    return at_least_float32(forward(image * upsample(mask, image.shape[:-1])[..., None], None)[0])


@jit_method(static=("name",))
def _score_without(forward: Forward, image: Array, k: Array, channel: Array, *, name: str) -> Array:
    shape = jax.eval_shape(lambda x: forward(x, None)[1][name], image)
    tap = -channel[..., None] * (jnp.arange(shape.shape[-1]) == k)
    return at_least_float32(forward(image, {name: tap.astype(shape.dtype)})[0])


@jax.jit
def _weighted(weights: Float[Array, " k"], channels: Float[Array, "k *grid"]) -> Float[Array, "*grid"]:
    return jnp.tensordot(weights, channels, 1, precision="highest")
