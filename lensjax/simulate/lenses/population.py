"""Lens and source properties of the Euclid-discoverable lenses of LensPop.

A Gaussian copula over the published percentiles (Collett 2015, arXiv:1507.02657; `tcollett/LensPop`):
each property keeps its distribution, and the correlations are ours, chosen so that the Einstein radii,
which follow from redshifts and velocity dispersion, have theirs too. The *lensed* magnitude of the
source is drawn and the source is scaled to it, so that what LensPop calls discoverable stays so.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from lensjax.simulate.lenses.cosmology import einstein_radius, interpolate_distance
from lensjax.simulate.lenses.instruments import Instrument
from lensjax.simulate.lenses.interpolation import piecewise_linear
from lensjax.simulate.lenses.kinds import QUAD, RING
from lensjax.types import Array, Float

RED_SOURCES = 0.2  # share of the drawn; about 0.3 of the found, as red ones are bright in more bands
LENS_DISCS = 0.3  # share of lens galaxies with a disc beside the bulge

# Values at the percentiles 0.1, 5, 16, 50, 84, 95, 99.9; the inner five are LensPop's.
QUANTILES = np.array([-3.09, -1.645, -0.994, 0.0, 0.994, 1.645, 3.09])
TABLES: dict[str, tuple[float, ...]] = {
    "z_l": (0.10, 0.23, 0.36, 0.64, 1.08, 1.43, 1.95),
    "z_s": (0.45, 0.77, 1.10, 1.82, 2.79, 3.60, 5.00),
    "sigma_v": (105.0, 145.0, 172.0, 220.0, 272.0, 306.0, 370.0),
    "mag_lens": (15.8, 17.1, 18.6, 20.9, 23.6, 25.5, 26.3),
    "r_lens": (0.15, 0.27, 0.35, 0.53, 0.82, 1.14, 1.90),
    "r_source": (0.012, 0.02, 0.04, 0.11, 0.27, 0.44, 0.80),
    "mag_source": (20.5, 21.9, 22.7, 23.7, 24.4, 24.8, 25.2),
    "beta_ratio": (0.02, 0.09, 0.18, 0.39, 0.64, 0.77, 0.95),
    "q": (0.25, 0.39, 0.52, 0.71, 0.85, 0.92, 0.98),
}
CORRELATIONS: dict[tuple[str, str], float] = {
    ("z_l", "z_s"): 0.7,
    ("z_s", "sigma_v"): -0.2,
    ("z_l", "mag_lens"): 0.88,
    ("z_s", "mag_lens"): 0.6,
    ("sigma_v", "mag_lens"): -0.35,
    ("sigma_v", "r_lens"): 0.5,
    ("z_l", "r_lens"): -0.35,
    ("mag_lens", "r_lens"): -0.5,
    ("r_source", "mag_source"): -0.3,
    ("sigma_v", "q"): 0.2,
}


def _copula() -> np.ndarray:
    names = list(TABLES)
    matrix = np.eye(len(names))
    for (a, b), value in CORRELATIONS.items():
        matrix[names.index(a), names.index(b)] = matrix[names.index(b), names.index(a)] = value
    return np.linalg.cholesky(matrix)


_CHOLESKY = _copula()


def ellipticity(q: Array, phi: Array) -> tuple[Array, Array]:
    """Return the components (e1, e2) of axis ratio q and position angle φ, as lenstronomy defines them."""
    modulus = (1 - q) / (1 + q)
    return modulus * jnp.cos(2 * phi), modulus * jnp.sin(2 * phi)


NUMBERS = len(TABLES) + 3 + 14  # uniform numbers that `draw_system` takes


def draw_system(u: Float[Array, "n"], lens_kind: Array, instrument: Instrument) -> dict[str, Array]:
    """Draw a lens galaxy, its mass and a source behind it; lengths in arcseconds, angles in radians.

    `u` are `NUMBERS` uniform numbers in (0, 1).
    """
    shape = instrument.population
    normal = ndtri(u[14:])
    latent = jnp.asarray(_CHOLESKY, jnp.float32) @ normal[3:]
    columns = piecewise_linear(latent, QUANTILES, np.array(list(TABLES.values())))
    value = dict(zip(TABLES, columns, strict=True))
    z_l, z_s = value["z_l"] * shape.z_lens, value["z_s"] * shape.z_source
    sigma_v = value["sigma_v"] * shape.sigma_v
    theta_e = einstein_radius(sigma_v, interpolate_distance(z_l), interpolate_distance(z_s))
    q = value["q"]
    phi = jnp.pi * u[0]
    q_mass = jnp.clip(q + 0.06 * normal[0], 0.3, 0.97)
    # A ring closes where the lens is nearly round and the source covers the astroid caustic; otherwise
    # it is a cross.
    ring = lens_kind == RING
    q_mass = jnp.where(ring, 0.5 + 0.5 * q_mass, q_mass)
    phi_mass = phi + 0.1 * normal[1]
    shear = jnp.minimum(0.035 * jnp.sqrt(-2 * jnp.log(jnp.maximum(u[1], 1e-6))), 0.15)
    shear = jnp.where(ring, 0.5 * shear, shear)

    # Where the source lies behind the lens: by LensPop, inside the astroid caustic, or behind the centre.
    angle = 2 * jnp.pi * u[3]
    astroid = 0.6 * (1 - q_mass) * theta_e
    cusp = (jnp.abs(jnp.cos(angle)) ** (2 / 3) + jnp.abs(jnp.sin(angle)) ** (2 / 3)) ** -1.5
    inside = jnp.sqrt(u[4])
    quad = lens_kind == QUAD
    beta = jnp.where(quad, 0.85 * astroid * cusp * inside, value["beta_ratio"] * theta_e)
    r_source = jnp.where(ring, jnp.maximum(value["r_source"], 1.3 * astroid), value["r_source"])
    beta = jnp.where(ring, 0.3 * r_source * inside, beta)
    red = u[5] < RED_SOURCES
    return {
        "lens_kind": lens_kind,
        "z_l": z_l,
        "z_s": z_s,
        "sigma_v": sigma_v,
        "theta_e": theta_e,
        "q_mass": q_mass,
        "phi_mass": phi_mass,
        "gamma1": shear * jnp.cos(2 * jnp.pi * u[2]),
        "gamma2": shear * jnp.sin(2 * jnp.pi * u[2]),
        "mag_lens": value["mag_lens"] + shape.lens_magnitude,
        "r_lens": value["r_lens"] * shape.r_lens,
        "n_lens": jnp.clip(4 * jnp.exp(0.2 * normal[2]), 2.0, 6.5),
        "q": q,
        "phi": phi,
        "bulge_fraction": jnp.where(u[9] < LENS_DISCS, 0.4 + 0.5 * u[10], 1.0),
        "old_lens": 0.85 + 0.2 * u[11],
        "mag_source": value["mag_source"] + shape.source_magnitude,
        "r_source": r_source,
        "n_source": 0.8 + 0.8 * u[6],
        "q_source": 0.35 + 0.6 * jnp.sqrt(u[7]),
        "phi_source": jnp.pi * u[8],
        "beta": beta,
        "beta_angle": angle + jnp.where(quad, phi_mass, 0.0),
        "source_red": red.astype(jnp.float32),
        "old_source": jnp.where(red, 0.4 + 0.4 * u[12], 0.15 * u[13]),
    }
