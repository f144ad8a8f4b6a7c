"""Return the gate by which the network multiplies its features."""

from __future__ import annotations

from lensjax.explain.engine.loops import at_least_float32
from lensjax.explain.engine.programs import jit_method
from lensjax.explain.engine.taps import GATE, Forward, choose_layer, layers
from lensjax.types import Array, Float, PRNGKeyArray


@jit_method(static=("layer", "centre"))
def attention(
    forward: Forward,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    layer: str | None = None,
    centre: bool = True,
) -> Float[Array, "*grid"]:
    """Return the gate at a place, `ends["attention:PLACE"]`, less its mean over positions.

    Positive where the network looks more than on average, so a gate that is the same everywhere, and tells
    nothing, gives a map of zeros. `centre=False` gives the gate itself. It says where the network looks,
    whatever the score. `layer` is the place, with or without the prefix; None takes the last.
    """
    gates = [name.removeprefix(GATE) for name in layers(forward, image) if name.startswith(GATE)]
    place = choose_layer(gates, layer and layer.removeprefix(GATE), "attention gate")
    gate = at_least_float32(forward(image, None)[1][GATE + place])
    return gate - gate.mean() if centre else gate
