"""Compute the truth of every simulated image: the mask of the arcs, and every parameter.

Arc mask: pixels where the lensed source, convolved with the PSF and without noise, is brighter than one
standard deviation of the noise of that pixel in any band: of the background and of the light of the galaxy in
front, whose photons hide the arcs as much as the sky's do. Only a lens has one. Where noise is
correlated (resampled mosaics) that noise is the one before the correlation, as the survey's RMS maps
state it: `pixel_noise`. The artefact mask holds the pixels that an artefact changed: by replacing them, or
by a star's light above the background's sigma.

A lens is kept if its lensed source has a signal-to-noise above `LensRule.snr` and more than `MIN_PIXELS` mask
pixels of 0.1" x 0.1", and is magnified more than `MIN_MAGNIFICATION` times, or is a ring. Its Einstein radius
exceeds `LensRule.theta_e`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from lensjax.simulate.lenses.instruments import Instrument
from lensjax.simulate.lenses.kinds import KINDS, RING
from lensjax.simulate.lenses.optics import variance_factor
from lensjax.types import Array, Bool, Float

MIN_PIXELS, MIN_MAGNIFICATION = 20, 3.0


class LensRule(NamedTuple):
    """The minimum properties of a lens in a data set."""

    theta_e: float | Array = 0.25
    """Einstein radius, arcsec."""
    snr: float | Array = 20.0
    """Signal-to-noise of the lensed source."""


TRUTH: dict[str, str] = {
    "kind": f"kind of scene, index into KINDS ({', '.join(KINDS)})",
    "z_l": "redshift of the central galaxy",
    "z_s": "redshift of the source (of a non-lens: of the lens it was drawn as)",
    "sigma_v": "velocity dispersion of the central galaxy, km/s",
    "theta_e": "Einstein radius, arcsec (of a non-lens: that the galaxy would have)",
    "q_mass": "axis ratio of the lens mass",
    "phi_mass": "position angle of the lens mass, rad, from +x (columns) to +y (rows)",
    "gamma1": "external shear along the axes",
    "gamma2": "external shear along the diagonals",
    "x": "central galaxy, arcsec from the middle of the image along columns",
    "y": "central galaxy, arcsec from the middle of the image along rows",
    "mag_lens": "VIS magnitude of the central galaxy",
    "mag_lens_first": "magnitude of the central galaxy in the first band",
    "r_lens": "half-light radius of the central galaxy, arcsec",
    "n_lens": "Sérsic index of its bulge",
    "q": "axis ratio of its light",
    "phi": "position angle of its light, rad",
    "bulge_fraction": "share of the light in its bulge, where the kind is neither spiral nor edge-on",
    "mag_source": "VIS magnitude of the lensed source, or of what stands in for it in a non-lens",
    "mag_source_first": "the same in the first band",
    "r_source": "half-light radius of the source, unlensed, arcsec",
    "n_source": "Sérsic index of the source",
    "q_source": "axis ratio of the source",
    "source_red": "colour class of the source: 0 blue, 1 red",
    "beta": "distance of the source from the axis through the lens, arcsec",
    "beta_angle": "its direction in the source plane, rad",
    "beta_ratio": "beta / theta_e",
    "magnification": "lensed flux over unlensed flux of the source",
    "snr": "signal-to-noise of the lensed source in its mask pixels, all bands together",
    "n_pix_source": "pixels of the arc mask (of a non-lens: that the lens it was drawn as had)",
    "psf_fwhm": "FWHM of the PSF in the first band, arcsec",
    "noise_factor": "background sigma over the instrument's best",
    "artefact": "0 none, else the index of the artefact in ARTEFACTS plus 1",
}


def pixel_noise(
    sigma: Float[Array, "c"], glare: Float[Array, "h w c"], instrument: Instrument
) -> Float[Array, "h w c"]:
    """Return the noise of a pixel as if its neighbours' were independent: what an RMS map of a survey holds.

    `sigma` is that of the background, `glare` the flux of the lens galaxy, which adds its photon noise.

    A flux summed over N pixels has noise √N times this, correlated or not.
    """
    kept = np.array([variance_factor(band.correlation) for band in instrument.bands], np.float32)
    electrons = np.array([band.gain * band.exposure for band in instrument.bands], np.float32)
    return jnp.sqrt(sigma**2 / kept + glare / electrons)


def arc_mask(source_flux: Float[Array, "h w c"], noise: Float[Array, "h w c"]) -> Bool[Array, "h w"]:
    """Return the pixels where the noise-free lensed source exceeds the noise of a pixel in any band."""
    return jnp.any(source_flux > noise, axis=-1)


def signal_to_noise(source_flux: Float[Array, "h w c"], noise: Float[Array, "h w c"]) -> Float[Array, ""]:
    """Return flux over noise of the source in the pixels above one noise, bands added in quadrature."""
    above = source_flux > noise
    flux = jnp.where(above, source_flux, 0.0).sum((0, 1))
    variance = jnp.where(above, noise**2, 0.0).sum((0, 1))
    return jnp.sqrt((flux**2 / jnp.where(variance > 0, variance, 1.0)).sum())


def may_be_found(s: dict[str, Array], instrument: Instrument, rule: LensRule) -> Bool[Array, ""]:
    """Apply what of the rule is known before an image is made: it spares the images of hopeless draws."""
    fwhm = min(band.fwhm for band in instrument.bands)
    ring = s["lens_kind"] == RING
    # A source further out is hardly ever magnified three times: an isothermal lens gives 2 / (β/θE).
    near = s["beta"] < 2 / MIN_MAGNIFICATION * s["theta_e"] + s["r_source"]
    return (s["theta_e"] > rule.theta_e) & jnp.where(ring, s["theta_e"] > 2 * fwhm, near)


def is_found(s: dict[str, Array], instrument: Instrument, rule: LensRule) -> Bool[Array, ""]:
    """Return whether a lens fulfils the rule for a data set: `rule`, its magnification and its number of
    pixels."""
    area = s["n_pix_source"] * (instrument.pixel_scale / 0.1) ** 2
    magnified = (s["lens_kind"] == RING) | (s["magnification"] > MIN_MAGNIFICATION)
    return may_be_found(s, instrument, rule) & magnified & (s["snr"] > rule.snr) & (area > MIN_PIXELS)
