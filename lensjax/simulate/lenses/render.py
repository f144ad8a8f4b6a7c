"""Noise-free images of a scene's parameters: the lensed source, everything else, and a star."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.simulate.lenses import light, optics
from lensjax.simulate.lenses.colours import band_magnitudes
from lensjax.simulate.lenses.instruments import Instrument
from lensjax.types import Array, Float

SPIRAL = ("spiral_radius", "spiral_q", "phi", "x", "y", "spiral_arms", "spiral_pitch")
ANNULUS = tuple(f"annulus_{name}" for name in ("radius", "width", "q", "phi", "x", "y", "extent"))


class Camera(NamedTuple):
    """The rays of an image and how they become pixels."""

    instrument: Instrument
    supersampling: int
    grid: light.RayGrid
    spectra: Array

    @property
    def pitch(self) -> float:
        """Arcseconds between rays."""
        return self.instrument.pixel_scale / self.supersampling

    def observe(self, rays: Array) -> Float[Array, "h w c"]:
        """Turn flux a ray into flux a pixel, through the PSF; the FFT's negative rounding is cut off."""
        return jnp.moveaxis(jnp.maximum(optics.observe(rays, self.spectra, self.supersampling), 0.0), 0, -1)


def camera(fwhm: Float[Array, "c"], instrument: Instrument, size: int, supersampling: int) -> Camera:
    """Return the camera of a scene whose PSFs have these widths (arcseconds)."""
    x, y = light.ray_grid(size, instrument.pixel_scale, supersampling)
    length = optics.transform_length(
        size * supersampling, instrument.kernel_radius * supersampling, supersampling
    )
    spectra = optics.kernel_spectra(fwhm, instrument, supersampling, length)
    return Camera(instrument, supersampling, (jnp.asarray(x), jnp.asarray(y)), spectra)


def band_flux(magnitude: Array, old: Array, redshift: Array, instrument: Instrument) -> Float[Array, "c"]:
    """Return the flux in every band of a galaxy of a VIS magnitude; 0 for an infinite one."""
    wavelengths = np.array([band.wavelength for band in instrument.bands])
    zero_points = np.array([band.zero_point for band in instrument.bands], np.float32)
    return 10 ** (-0.4 * (band_magnitudes(magnitude, redshift, old, wavelengths) - zero_points))


def source_rays(view: Camera, beta: light.RayGrid, s: dict[str, Array]) -> Array:
    """Return the image-plane shape of a source of unlensed flux 1: a Sérsic galaxy, half with a bright knot.

    `beta`: where the rays meet its plane, arcseconds from the axis through the lens.
    """
    x, y = s["beta"] * jnp.cos(s["beta_angle"]), s["beta"] * jnp.sin(s["beta_angle"])
    host = light.sersic(beta, view.pitch, s["r_source"], s["n_source"], s["q_source"], s["phi_source"], x, y)

    def with_knot() -> Array:
        at_x = x + s["knot_distance"] * jnp.cos(s["knot_angle"])
        at_y = y + s["knot_distance"] * jnp.sin(s["knot_angle"])
        one = jnp.ones(())
        knot = light.sersic(beta, view.pitch, 0.3 * s["r_source"] + 0.01, one, 0.9 * one, 0 * one, at_x, at_y)
        return (1 - s["knot_share"]) * host + s["knot_share"] * knot

    return jax.lax.cond(s["knot_share"] > 0, with_knot, lambda: host)


def lensed_source(view: Camera, s: dict[str, Array]) -> tuple[Float[Array, "h w c"], Float[Array, ""]]:
    """Return the flux of the source's images, `mag_source` together, and the magnification."""
    return image_source(view, light.lens_plane_to_source_plane(view.grid, s, s["x"], s["y"]), s)


def image_source(
    view: Camera, beta: light.RayGrid, s: dict[str, Array]
) -> tuple[Float[Array, "h w c"], Float[Array, ""]]:
    """Return the same for rays that meet the source's plane at `beta`."""
    rays = source_rays(view, beta, s)
    magnification = rays.sum()
    flux = band_flux(s["mag_source"], s["old_source"], s["z_s"], view.instrument)
    return flux * view.observe((rays / jnp.maximum(magnification, 1e-20))[None]), magnification


def galaxies(
    view: Camera, rows: Array, number: Array | int | None = None, others: Array | float = 0.0
) -> Float[Array, "h w c"]:
    """Return the flux of Sérsic galaxies, one a row as in `scene_parameters.draw_scene`.

    Of the first `number` rows (all where None), together with the `others`, flux a ray of every band.
    """

    def add_row(i: Array, total: Array) -> Array:
        magnitude, old, z, *profile = rows[i]
        flux = band_flux(magnitude, old, z, view.instrument)[:, None, None]
        return total + flux * light.sersic(view.grid, view.pitch, *profile)

    total = jnp.zeros((len(view.instrument.bands), *view.grid[0].shape)) + others
    return view.observe(jax.lax.fori_loop(0, len(rows) if number is None else number, add_row, total))


def foreground(view: Camera, s: dict[str, Array]) -> Float[Array, "h w c"]:
    """Return the flux of the central galaxy, its company, look-alike rings and arcs, and the field.

    An absent component costs nothing where scenes run one by one (`lax.map` on the CPU).
    """

    def flux(name: str) -> Array:
        magnitude, old = s[f"{name}_magnitude"], s[f"{name}_old"]
        return band_flux(magnitude, old, s["z_l"], view.instrument)[:, None, None]

    def spiral() -> Array:
        return flux("spiral") * light.spiral_disc(view.grid, *(s[name] for name in SPIRAL))

    def annulus() -> Array:
        return flux("annulus") * light.ring_or_arc(view.grid, *(s[name] for name in ANNULUS))

    nothing = jnp.zeros((len(view.instrument.bands), *view.grid[0].shape))
    # No kind has both a spiral disc and an annulus.
    which = jnp.isfinite(s["spiral_magnitude"]) + 2 * jnp.isfinite(s["annulus_magnitude"])
    disc_or_arc = jax.lax.switch(which, (lambda: nothing, spiral, annulus))
    present = jnp.isfinite(s["rows"][:, 0])
    rows = s["rows"][jnp.argsort(~present, stable=True)]
    return galaxies(view, rows, present.sum(), disc_or_arc)


def starlight(view: Camera, s: dict[str, Array]) -> Float[Array, "h w c"]:
    """Return the flux of the foreground star, with its spikes; zero where the scene has none."""
    instrument, size = view.instrument, view.grid[0].shape[0] // view.supersampling
    zero_points = np.array([band.zero_point for band in instrument.bands], np.float32)

    def present() -> Array:
        rays = light.star(
            view.grid, view.pitch, s["star_x"], s["star_y"],
            instrument.spikes, s["star_angle"], s["star_share"],
        )  # fmt: skip
        return 10 ** (-0.4 * (s["star_magnitude"] - zero_points)) * view.observe(rays[None])

    absent = jnp.zeros((size, size, len(instrument.bands)))
    return jax.lax.cond(jnp.isfinite(s["star_magnitude"]), present, lambda: absent)
