"""Surface brightness on the supersampled grid. Each profile is a shape of total flux 1, in flux a ray.

Deflections and Sérsic profiles are jaxtronomy's; arms, rings and tidal arcs, which it lacks, are ours.
Frames: x along columns, y along rows, arcseconds from the middle of the image; angles in radians.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtronomy.LensModel.Profiles.shear import Shear
from jaxtronomy.LensModel.Profiles.sie import SIE
from jaxtronomy.LightModel.Profiles.sersic_ellipse import SersicElliptic

from lensjax.simulate.lenses.population import ellipticity
from lensjax.types import Array

RayGrid = tuple[Array, Array]


def ray_grid(size: int, pixel_scale: float, supersampling: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates (x, y) of the rays, [size · supersampling]² each."""
    number = size * supersampling
    axis = ((np.arange(number) + 0.5) / number - 0.5) * size * pixel_scale
    x, y = np.meshgrid(axis.astype(np.float32), axis.astype(np.float32))
    return x, y


def core(pitch: float) -> float:
    """Return the radius inside which a Sérsic profile is held flat, for rays `pitch` arcseconds apart.

    A ray that happens to fall on the cusp of an n = 4 profile would count far too bright for its cell.
    """
    return 0.4 * pitch


def lens_plane_to_source_plane(grid: RayGrid, system: dict[str, Array], x: Array, y: Array) -> RayGrid:
    """Return the source coordinates, relative to the lens at (x, y), of every ray: SIE and external shear."""
    # q stays below 0.98: jaxtronomy's SIE is NaN at zero ellipticity in float32.
    e1, e2 = ellipticity(jnp.minimum(system["q_mass"], 0.98), system["phi_mass"])
    ax, ay = SIE().derivatives(*grid, system["theta_e"], e1, e2, x, y)
    sx, sy = Shear().derivatives(*grid, system["gamma1"], system["gamma2"], x, y)
    return grid[0] - x - ax - sx, grid[1] - y - ay - sy


def sersic(
    grid: RayGrid, pitch: float, radius: Array, n: Array, q: Array, phi: Array, x: Array, y: Array
) -> Array:
    """Return an elliptical Sérsic profile of half-light `radius` (product average of the axes)."""
    profile = SersicElliptic(smoothing=core(pitch))
    e1, e2 = ellipticity(q, phi)
    shape = profile.function(*grid, 1.0, radius, n, e1, e2, x, y)
    return shape * (pitch**2 / profile.total_flux(1.0, radius, n))


def _disc_coordinates(grid: RayGrid, q: Array, phi: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """Return radius and azimuth in the plane of a disc seen at axis ratio q."""
    dx, dy = grid[0] - x, grid[1] - y
    along = dx * jnp.cos(phi) + dy * jnp.sin(phi)
    across = (dy * jnp.cos(phi) - dx * jnp.sin(phi)) / q
    return jnp.hypot(along, across) + 1e-6, jnp.arctan2(across, along)


def spiral_disc(
    grid: RayGrid, radius: Array, q: Array, phi: Array, x: Array, y: Array, arms: Array, pitch_angle: Array
) -> Array:
    """Return an exponential disc with a two-armed logarithmic spiral of contrast `arms` in [0, 1].

    The contrast rises from the centre (the bulge has no arms) and arms are narrower than the gaps.
    """
    r, azimuth = _disc_coordinates(grid, q, phi, x, y)
    phase = 2 * (azimuth - jnp.log(r / radius) / jnp.tan(pitch_angle))
    crest = jnp.exp(2.0 * (jnp.cos(phase) - 1.0))
    strength = arms * (1 - jnp.exp(-((r / (0.5 * radius)) ** 2)))
    shape = jnp.exp(-1.678 * r / radius) * (1 - strength + 3.2 * strength * crest)
    return shape / jnp.maximum(shape.sum(), 1e-30)


def ring_or_arc(
    grid: RayGrid, radius: Array, width: Array, q: Array, phi: Array, x: Array, y: Array, extent: Array
) -> Array:
    """Return a Gaussian annulus, a whole ring for a large `extent`, else an arc of ±extent radians around φ.

    Its ends fade as a Gaussian does; brightness varies by a third around a whole ring.
    """
    r, azimuth = _disc_coordinates(grid, q, phi, x, y)
    ends = jnp.exp(-0.5 * (azimuth / extent) ** 2)
    shape = jnp.exp(-0.5 * ((r - radius) / width) ** 2) * ends * (1 + 0.3 * jnp.cos(2 * azimuth + 1.0))
    return shape / jnp.maximum(shape.sum(), 1e-30)


def star(grid: RayGrid, pitch: float, x: Array, y: Array, spikes: int, angle: Array, share: Array) -> Array:
    """Return a point source, before the PSF, with `share` of its flux in straight diffraction spikes."""
    dx, dy = grid[0] - x, grid[1] - y
    point = jnp.exp(-0.5 * (dx**2 + dy**2) / (0.6 * pitch) ** 2)
    width = 0.7 * pitch
    rays = jnp.zeros_like(dx)
    for k in range(spikes // 2):  # a line through the star makes two spikes
        turn = angle + 2 * jnp.pi * k / spikes
        along = jnp.abs(dx * jnp.cos(turn) + dy * jnp.sin(turn))
        across = dy * jnp.cos(turn) - dx * jnp.sin(turn)
        rays = rays + jnp.exp(-0.5 * (across / width) ** 2) / (0.15 + along) ** 1.5
    return point * (1 - share) / jnp.maximum(point.sum(), 1e-30) + share * rays / rays.sum()
