"""Interpolate tabulated functions inside traced code."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from lensjax.types import Array


def piecewise_linear(x: Array, nodes: np.ndarray, values: np.ndarray) -> Array:
    """Interpolate `values` [*t n] at `nodes` [n] for x [*t], constant beyond the ends.

    As a sum of clipped ramps: no search, so it compiles to one small loop where `jnp.interp` makes many.
    """
    widths = np.diff(nodes)
    slopes = np.diff(values, axis=-1) / widths
    ramps = jnp.clip(
        jnp.asarray(x)[..., None] - nodes[:-1].astype(np.float32), 0.0, widths.astype(np.float32)
    )
    return (ramps * slopes.astype(np.float32)).sum(-1) + values[..., 0].astype(np.float32)
