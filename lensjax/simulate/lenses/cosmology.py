"""Distances in a flat universe (Ω_m = 0.3, units of c/H0) and the Einstein radii that follow from them."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.integrate import cumulative_trapezoid

from lensjax.simulate.lenses.interpolation import piecewise_linear
from lensjax.types import Array, Float

SPEED_OF_LIGHT = 299_792.458  # km/s
ARCSECONDS = 206_264.806  # a radian
_NODES, _WEIGHTS = (x.astype(np.float32) for x in np.polynomial.legendre.leggauss(16))


def hubble_squared(z: Any) -> Any:
    """Return (H(z)/H0)²."""
    return 0.3 * (1 + z) ** 3 + 0.7


def comoving_distance(z: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """Return ∫ dz / E(z) by 16 nodes: differences of distances need the digits."""
    at = 0.5 * z[..., None] * (1 + _NODES)
    return 0.5 * z * (_WEIGHTS / jnp.sqrt(hubble_squared(at))).sum(-1)


_REDSHIFT = np.linspace(0, 7, 281)
_COMOVING = cumulative_trapezoid(1 / np.sqrt(hubble_squared(_REDSHIFT)), _REDSHIFT, initial=0)


def interpolate_distance(z: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """Return the comoving distance from a table, to 1e-5: quick, for ratios of two distances, z up to 7.

    The lenses of all data sets are drawn with it, so its digits decide their bytes.
    """
    return piecewise_linear(z, _REDSHIFT, _COMOVING)


def einstein_radius(sigma_v: Array, lens: Array, source: Array) -> Array:
    """Return θE = 4π (σ/c)² D_ls/D_s of an isothermal lens, arcseconds; 0 where the source is in front.

    `lens` and `source` are comoving distances, `sigma_v` km/s.
    """
    share = jnp.maximum(1 - lens / jnp.maximum(source, 1e-6), 0.0)
    return 4 * jnp.pi * (sigma_v / SPEED_OF_LIGHT) ** 2 * ARCSECONDS * share


def distance_ratio(z_l: Array, z_1: Array, z_2: Array) -> Array:
    """Return f = [(χ2 − χl) / χ2] · [χ1 / (χ1 − χl)], the second source's deflection over the first's.

    0 unless the second source is behind the first, and that behind the lens.
    """
    lens, near, far = comoving_distance(z_l), comoving_distance(z_1), comoving_distance(z_2)
    behind = (near > lens) & (far > near)
    return jnp.where(behind, (far - lens) / far * near / jnp.where(behind, near - lens, 1.0), 0.0)
