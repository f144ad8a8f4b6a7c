"""Read a network's features: `forward(image, taps) -> (score, ends)` for one example, no batch axis.

`ends` names the activations, in the order in which they are computed; `taps` is a dict of arrays added at
those names, or None. The gradient with respect to a zero tap is that with respect to the activation.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from lensjax.explain.engine.loops import at_least_float32
from lensjax.runtime.errors import UserError
from lensjax.specs import suggest_name
from lensjax.types import Array, Float

Forward = Callable[[Array, dict[str, Array] | None], tuple[Array, dict[str, Array]]]
GATE = "attention:"  # an end of this prefix is a gate [*s], not an activation [*s k]


def split(features: Callable[[Array], Array], head: Callable[[Array], Array]) -> Forward:
    """Make a `forward` of a network that can be cut in two: `head(features(image))` is the score.

    `features(image)` gives the activations [*grid k] that a CAM reads, under the name "features"; `head` one
    number. Both take one example, without a batch axis.
    """

    def forward(image: Array, taps: dict[str, Array] | None = None) -> tuple[Array, dict[str, Array]]:
        activations = features(image)
        if taps is not None:
            activations = activations + taps["features"]
        return head(activations), {"features": activations}

    return forward


def layers(forward: Forward, image: Float[Array, "*s c"]) -> dict[str, jax.ShapeDtypeStruct]:
    """Return every end's name and shape, in order; nothing is computed."""
    names: list[str] = []

    def ends(image: Array) -> dict[str, Array]:
        found = forward(image, None)[1]
        names.extend(found)  # a dict that leaves a trace is sorted by name
        return found

    shapes = jax.eval_shape(ends, image)
    return {name: shapes[name] for name in names}


def choose_layer(names: list[str], layer: str | None, what: str) -> str:
    """Return `layer`, or the last of `names` where it is None.

    Raises:
      UserError: there is none, or none of that name; lists the choices.
    """
    if not names:
        raise UserError(f"this network names no {what} among its ends.")
    if layer is None:
        return names[-1]
    if layer not in names:
        raise UserError(
            f"no {what} is called '{layer}'{suggest_name(layer, names)}; there are {', '.join(names)}."
        )
    return layer


def spatial_layer(forward: Forward, image: Float[Array, "*s c"], layer: str | None) -> str:
    """Return `layer`, or the last end with the image's axes; gates are no layers.

    Raises:
      UserError: there is none, or none of that name; lists the choices.
    """
    found = layers(forward, image)
    named = [name for name in found if not name.startswith(GATE)]
    spatial = [name for name in named if found[name].ndim == image.ndim]
    return choose_layer(spatial if layer is None else named, layer, "spatial layer")


def activations_and_gradients(
    forward: Forward, image: Float[Array, "*s c"], names: tuple[str, ...]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return activations at `names` and ∂score/∂activation, all from one forward and one backward pass."""

    def tapped(taps: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        score, ends = forward(image, taps)
        if jnp.shape(score) != ():
            raise UserError(f"forward's score has shape {jnp.shape(score)}; it must be one number.")
        return at_least_float32(score), {name: ends[name] for name in names}

    shapes = layers(forward, image)
    zeros = {name: jnp.zeros(shapes[name].shape, shapes[name].dtype) for name in names}
    gradients, activations = jax.grad(tapped, has_aux=True)(zeros)
    return jax.tree.map(at_least_float32, (activations, gradients))
