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
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, PRNGKeyArray

Rule = Callable[[Array, Array], Array]  # activations [*grid k], gradients [*grid k] -> map [*grid]


def mean_gradient(a: Float[Array, "*grid k"], g: Float[Array, "*grid k"]) -> Float[Array, "*grid"]:
    """Σₖ wₖ Aₖ, wₖ the mean over positions of ∂score/∂Aₖ (Grad-CAM, Selvaraju et al. 2017, eq. 1)."""
    return jnp.sum(a * g.mean(_positions(g), keepdims=True), axis=-1)


def higher_order(a: Float[Array, "*grid k"], g: Float[Array, "*grid k"]) -> Float[Array, "*grid"]:
    """wₖ = Σₚ α relu(g), α = g² / (2g² + g³ Σ A), 0 where g is 0 (Grad-CAM++, Chattopadhay et al. 2018)."""
    denominator = 2 * g**2 + g**3 * a.sum(_positions(a), keepdims=True)
    safe = jnp.where(denominator == 0, 1, denominator)
    alpha = jnp.where((g == 0) | (denominator == 0), 0, g**2 / safe)
    return jnp.sum(a * (alpha * jnp.maximum(g, 0)).sum(_positions(g), keepdims=True), axis=-1)


def elementwise(a: Float[Array, "*grid k"], g: Float[Array, "*grid k"]) -> Float[Array, "*grid"]:
    """Σₖ gₖ Aₖ at every position (HiResCAM, Draelos & Carin 2020).

    Of a linear head it sums to the score, up to the bias: no other CAM is exact there.
    """
    return jnp.sum(a * g, axis=-1)


def positive_gradient(a: Float[Array, "*grid k"], g: Float[Array, "*grid k"]) -> Float[Array, "*grid"]:
    """Σₖ relu(gₖ) Aₖ at every position (LayerCAM, Jiang et al. 2021, eq. 4)."""
    return jnp.sum(a * jnp.maximum(g, 0), axis=-1)


def axiomatic(a: Float[Array, "*grid k"], g: Float[Array, "*grid k"]) -> Float[Array, "*grid"]:
    """wₖ = Σₚ g A / Σₚ A (XGrad-CAM, Fu et al. 2020, eq. 7): the map has the sum of HiResCAM's.

    A channel whose activations sum to 0 has weight 0.
    """
    total = a.sum(_positions(a), keepdims=True)
    share = jnp.where(
        total == 0, 0, (a * g).sum(_positions(a), keepdims=True) / jnp.where(total == 0, 1, total)
    )
    return jnp.sum(a * share, axis=-1)


RULES: dict[str, Rule] = {
    "grad_cam": mean_gradient,
    "grad_cam_pp": higher_order,
    "hires_cam": elementwise,
    "layer_cam": positive_gradient,
    "x_grad_cam": axiomatic,
}


def cams(
    forward: Forward, image: Float[Array, "*s c"], layers: Sequence[str], rule: str = "grad_cam"
) -> dict[str, Float[Array, "..."]]:
    """One map a layer, all from one forward and one backward pass.

    Raises:
      UserError: an unknown rule or layer; lists the choices.
    """
    if rule not in RULES:
        raise UserError(f"unknown rule '{rule}'; choose {', '.join(RULES)}.")
    names = tuple(spatial_layer(forward, image, layer) for layer in layers)
    activations, gradients = activations_and_gradients(forward, image, names)
    return {name: RULES[rule](activations[name], gradients[name]) for name in names}


def _method(rule: str) -> Callable:
    @jit_method(static=("layer",))
    def method(
        forward: Forward,
        image: Float[Array, "*s c"],
        *,
        key: PRNGKeyArray | None = None,
        layer: str | None = None,
    ) -> Float[Array, "*grid"]:
        name = spatial_layer(forward, image, layer)
        return cams(forward, image, (name,), rule)[name]

    method.__name__, method.__doc__ = rule, RULES[rule].__doc__
    return method


grad_cam, grad_cam_pp, hires_cam, layer_cam, x_grad_cam = map(_method, RULES)


def _positions(x: Array) -> tuple[int, ...]:
    return tuple(range(x.ndim - 1))
