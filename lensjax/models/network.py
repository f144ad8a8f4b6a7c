"""Apply a network as a function of parameters and images: ONE image for explanations, many for predictions.

Parameters are arguments, never closed over. Networks of equal configuration are equal (flax modules are), so
what was compiled for the parameters of one seed serves those of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import numpy as np

from lensjax.models.cnn import Network
from lensjax.types import Array, Float, Outputs


@dataclass(frozen=True)
class Apply:
    """The function `apply(params, image [*s c], taps=None) -> Outputs` of a network, without batch axes."""

    model: Network

    def __call__(
        self, params: Any, image: Float[Array, "*s c"], taps: Mapping[str, Array] | None = None
    ) -> Outputs:
        """Return the outputs for ONE example; `taps` are added at the ends of their names."""
        return apply_single(partial(self.model.apply, {"params": params}), image, taps)  # type: ignore[arg-type]


def apply_single(
    forward: Callable[..., Outputs], image: Float[Array, "*s c"], taps: Mapping[str, Array] | None = None
) -> Outputs:
    """Return the outputs for ONE example of a network's `forward(images [b *s c], taps)`."""
    lifted = None if taps is None else {name: value[None] for name, value in taps.items()}
    outputs = forward(image[None], lifted)
    first = jax.tree.map(lambda leaf: leaf[0], outputs)
    # A mapped dict is sorted by name; layers are wanted in the order of the network.
    return replace(first, ends={name: first.ends[name] for name in outputs.ends})


def predict(
    model: Network, params: Any, images: Sequence[np.ndarray] | Float[np.ndarray, "n *s c"], chunk: int
) -> Outputs:
    """Return the outputs of all images in NumPy, without `ends`, computed `chunk` images at a time.

    The last chunk is padded, so that one shape is compiled.
    """
    parts = []
    for start in range(0, len(images), chunk):
        some = np.stack([*images[start : start + chunk]])
        padding = [(0, chunk - len(some))] + [(0, 0)] * (some.ndim - 1)
        parts.append(jax.device_get(_outputs(model, params, np.pad(some, padding))))
    return jax.tree.map(lambda *rows: np.concatenate(rows)[: len(images)], *parts)


@partial(jax.jit, static_argnums=0)
def _outputs(model: Network, params: Any, images: Array) -> Outputs:
    outputs: Any = model.apply({"params": params}, images)
    return replace(outputs, ends={})
