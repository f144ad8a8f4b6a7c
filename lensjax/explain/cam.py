"""Class activation maps: a layer's channels, weighted by how they move the score."""

from __future__ import annotations

import jax.numpy as jnp

from lensjax.explain.chunked import jit_method
from lensjax.explain.features import GATE, Forward, activations_and_gradients, choose_layer, layers
from lensjax.shapes import Array, Float, PRNGKeyArray


@jit_method(static=("layer",))
def grad_cam(
    forward: Forward,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    layer: str | None = None,
) -> Float[Array, "*grid"]:
    """Σₖ wₖ Aₖ on the layer's own grid, wₖ the mean over positions of ∂score/∂Aₖ (Selvaraju et al. 2017).

    Signed: the paper's ReLU is `postprocess.positive`. `layer` None takes the last one with the image's axes.
    """
    found = layers(forward, image)
    gates = [name for name in found if name.startswith(GATE)]
    spatial = [n for n, end in found.items() if n not in gates and end.ndim == image.ndim]
    named = [n for n in found if n not in gates]
    name = choose_layer(spatial if layer is None else named, layer, "spatial layer")
    activations, gradients = activations_and_gradients(forward, image, (name,))
    a, g = activations[name], gradients[name]
    return jnp.sum(a * g.mean(tuple(range(g.ndim - 1)), keepdims=True), axis=-1)
