"""Class activation maps from one backward pass: a layer's channels, weighted by how they move the score.

All maps are on the layer's own grid [*grid], raw and signed. The papers' outer ReLU is
`postprocess.positive`; a ReLU inside a definition is kept. `layer` None takes the last one with the image's
axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax.numpy as jnp

from lensjax.explain.engine.programs import jit_method
from lensjax.explain.engine.taps import Forward, activations_and_gradients, spatial_layer
from lensjax.specs import check_names
from lensjax.types import Array, Float, PRNGKeyArray

Rule = Callable[[Array, Array], Array]  # activations [*grid k], gradients [*grid k] -> map [*grid]


def weigh_by_mean_gradient(a: Float[Array, "*grid k"], g: Float[Array, "*grid k"]) -> Float[Array, "*grid"]:
    """Return Σₖ wₖ Aₖ, wₖ the mean over positions of ∂score/∂Aₖ."""
    return jnp.sum(a * g.mean(_positions(g), keepdims=True), axis=-1)


def weigh_by_higher_order(a: Float[Array, "*grid k"], g: Float[Array, "*grid k"]) -> Float[Array, "*grid"]:
    """Return Σₖ wₖ Aₖ, wₖ = Σₚ α relu(g), α = g² / (2g² + g³ Σ A), 0 where g is 0."""
    denominator = 2 * g**2 + g**3 * a.sum(_positions(a), keepdims=True)
    safe = jnp.where(denominator == 0, 1, denominator)
    alpha = jnp.where((g == 0) | (denominator == 0), 0, g**2 / safe)
    return jnp.sum(a * (alpha * jnp.maximum(g, 0)).sum(_positions(g), keepdims=True), axis=-1)


def multiply_elementwise(a: Float[Array, "*grid k"], g: Float[Array, "*grid k"]) -> Float[Array, "*grid"]:
    """Return Σₖ gₖ Aₖ at every position."""
    return jnp.sum(a * g, axis=-1)


def multiply_positive(a: Float[Array, "*grid k"], g: Float[Array, "*grid k"]) -> Float[Array, "*grid"]:
    """Return Σₖ relu(gₖ) Aₖ at every position."""
    return jnp.sum(a * jnp.maximum(g, 0), axis=-1)


def weigh_by_share(a: Float[Array, "*grid k"], g: Float[Array, "*grid k"]) -> Float[Array, "*grid"]:
    """Return Σₖ wₖ Aₖ, wₖ = Σₚ g A / Σₚ A, 0 for a channel whose activations sum to 0."""
    total = a.sum(_positions(a), keepdims=True)
    share = jnp.where(
        total == 0, 0, (a * g).sum(_positions(a), keepdims=True) / jnp.where(total == 0, 1, total)
    )
    return jnp.sum(a * share, axis=-1)


RULES: dict[str, Rule] = {
    "grad_cam": weigh_by_mean_gradient,
    "grad_cam_pp": weigh_by_higher_order,
    "hires_cam": multiply_elementwise,
    "layer_cam": multiply_positive,
    "x_grad_cam": weigh_by_share,
}


def cams(
    forward: Forward, image: Float[Array, "*s c"], layers: Sequence[str], rule: str = "grad_cam"
) -> dict[str, Float[Array, "..."]]:
    """Return one map a layer, all from one forward and one backward pass.

    Raises:
      UserError: an unknown rule or layer; lists the choices.
    """
    check_names("rule", [rule], RULES)
    names = tuple(spatial_layer(forward, image, layer) for layer in layers)
    activations, gradients = activations_and_gradients(forward, image, names)
    return {name: RULES[rule](activations[name], gradients[name]) for name in names}


@jit_method(static=("layer",))
def grad_cam(
    forward: Forward,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    layer: str | None = None,
) -> Float[Array, "*grid"]:
    """Weigh channels by their mean gradient (Grad-CAM, Selvaraju et al. 2017, eq. 1)."""
    return _cam_of(forward, image, layer, "grad_cam")


@jit_method(static=("layer",))
def grad_cam_pp(
    forward: Forward,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    layer: str | None = None,
) -> Float[Array, "*grid"]:
    """Weigh channels by positive gradients of higher order (Grad-CAM++, Chattopadhay et al. 2018)."""
    return _cam_of(forward, image, layer, "grad_cam_pp")


@jit_method(static=("layer",))
def hires_cam(
    forward: Forward,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    layer: str | None = None,
) -> Float[Array, "*grid"]:
    """Multiply activations by gradients, position by position (HiResCAM, Draelos & Carin 2020).

    Of a linear head it sums to the score, up to the bias: no other CAM is exact there.
    """
    return _cam_of(forward, image, layer, "hires_cam")


@jit_method(static=("layer",))
def layer_cam(
    forward: Forward,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    layer: str | None = None,
) -> Float[Array, "*grid"]:
    """Multiply activations by positive gradients at each position (LayerCAM, Jiang et al. 2021, eq. 4)."""
    return _cam_of(forward, image, layer, "layer_cam")


@jit_method(static=("layer",))
def x_grad_cam(
    forward: Forward,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    layer: str | None = None,
) -> Float[Array, "*grid"]:
    """Weigh channels so that the map has the sum of HiResCAM's (XGrad-CAM, Fu et al. 2020, eq. 7).

    A channel whose activations sum to 0 has weight 0.
    """
    return _cam_of(forward, image, layer, "x_grad_cam")


def _cam_of(forward: Forward, image: Array, layer: str | None, rule: str) -> Array:
    name = spatial_layer(forward, image, layer)
    return cams(forward, image, (name,), rule)[name]


def _positions(x: Array) -> tuple[int, ...]:
    return tuple(range(x.ndim - 1))
