"""Class activation maps: a layer's channels, weighted by how they move the score.

From one backward pass (`RULES`); without a gradient, from the activations alone, or from further forward
passes. All maps are on the layer's own grid [*grid], raw and signed. The papers' outer ReLU is
`postprocess.positive`; a ReLU inside a definition is kept. `layer` None takes the last one with the image's
axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from lensjax.explain.engine.loops import Chunk, at_least_float32, map_chunks
from lensjax.explain.engine.postprocess import upsample
from lensjax.explain.engine.programs import jit_method, name_as
from lensjax.explain.engine.taps import Forward, activations_and_gradients, spatial_layer
from lensjax.specs import check_names
from lensjax.types import Array, Float, PRNGKeyArray

Rule = Callable[[Array, Array], Array]  # activations [*grid k], gradients [*grid k] -> map [*grid]
RULES: dict[str, Rule] = {}
"""Of every method from one backward pass, the rule."""


def make_cam(rule: Rule) -> Callable[..., Array]:
    """Make the method of a rule, `name(forward, image, *, key=None, layer=None) -> map [*grid]`."""
    RULES[rule.__name__] = rule

    @jit_method(static=("layer",))
    @name_as(rule)
    def method(
        forward: Forward,
        image: Float[Array, "*s c"],
        *,
        key: PRNGKeyArray | None = None,
        layer: str | None = None,
    ) -> Float[Array, "*grid"]:
        (found,) = cams(forward, image, (layer,), rule.__name__).values()
        return found

    return method


def cams(
    forward: Forward, image: Float[Array, "*s c"], layers: Sequence[str | None], rule: str = "grad_cam"
) -> dict[str, Float[Array, "..."]]:
    """Return one map a layer, all from one forward and one backward pass.

    Raises:
      UserError: an unknown rule or layer; lists the choices.
    """
    check_names("rule", [rule], RULES)
    names = tuple(spatial_layer(forward, image, layer) for layer in layers)
    activations, gradients = activations_and_gradients(forward, image, names)
    return {name: RULES[rule](activations[name], gradients[name]) for name in names}


@make_cam
def grad_cam(a: Float[Array, "*grid k"], g: Float[Array, "*grid k"]) -> Float[Array, "*grid"]:
    """Weigh channels by their mean gradient (Grad-CAM, Selvaraju et al. 2017, eq. 1).

    Σₖ wₖ Aₖ, wₖ the mean over positions of ∂score/∂Aₖ.
    """
    return jnp.sum(a * g.mean(_positions(g), keepdims=True), axis=-1)


@make_cam
def grad_cam_pp(a: Float[Array, "*grid k"], g: Float[Array, "*grid k"]) -> Float[Array, "*grid"]:
    """Weigh channels by positive gradients of higher order (Grad-CAM++, Chattopadhay et al. 2018).

    Σₖ wₖ Aₖ, wₖ = Σₚ α relu(g), α = g² / (2g² + g³ Σ A), 0 where g is 0.
    """
    denominator = 2 * g**2 + g**3 * a.sum(_positions(a), keepdims=True)
    safe = jnp.where(denominator == 0, 1, denominator)
    alpha = jnp.where((g == 0) | (denominator == 0), 0, g**2 / safe)
    return jnp.sum(a * (alpha * jnp.maximum(g, 0)).sum(_positions(g), keepdims=True), axis=-1)


@make_cam
def hires_cam(a: Float[Array, "*grid k"], g: Float[Array, "*grid k"]) -> Float[Array, "*grid"]:
    """Multiply activations by gradients, position by position: Σₖ gₖ Aₖ (HiResCAM, Draelos & Carin 2020).

    Of a linear head it sums to the score, up to the bias: no other CAM is exact there.
    """
    return jnp.sum(a * g, axis=-1)


@make_cam
def layer_cam(a: Float[Array, "*grid k"], g: Float[Array, "*grid k"]) -> Float[Array, "*grid"]:
    """Multiply activations by positive gradients at each position, Σₖ relu(gₖ) Aₖ.

    LayerCAM, Jiang et al. 2021, eq. 4.
    """
    return jnp.sum(a * jnp.maximum(g, 0), axis=-1)


@make_cam
def x_grad_cam(a: Float[Array, "*grid k"], g: Float[Array, "*grid k"]) -> Float[Array, "*grid"]:
    """Weigh channels so that the map has the sum of HiResCAM's (XGrad-CAM, Fu et al. 2020, eq. 7).

    Σₖ wₖ Aₖ, wₖ = Σₚ g A / Σₚ A, 0 for a channel whose activations sum to 0.
    """
    total = a.sum(_positions(a), keepdims=True)
    share = jnp.where(
        total == 0, 0, (a * g).sum(_positions(a), keepdims=True) / jnp.where(total == 0, 1, total)
    )
    return jnp.sum(a * share, axis=-1)


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
    of the (centred) activations. It knows nothing of the score. A constant layer gives zeros.
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


def _positions(x: Array) -> tuple[int, ...]:
    return tuple(range(x.ndim - 1))
