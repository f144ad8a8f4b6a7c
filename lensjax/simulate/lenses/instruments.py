"""Instruments as data: bands with their PSF, noise and zero point on one common pixel grid.

Fluxes are in a band's own unit, in which a source of magnitude `zero_point` has flux 1. To add an
instrument, add an entry to `INSTRUMENTS`; nothing else knows their names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lensjax.runtime.errors import UserError


@dataclass(frozen=True)
class Band:
    """One filter on the common grid."""

    name: str
    wavelength: float
    """Pivot wavelength, micrometres: it gives the colours of every galaxy
    (`lensjax.simulate.lenses.colours`)."""
    zero_point: float
    """AB magnitude of a source of flux 1."""
    sigma: float
    """Standard deviation of the background of a pixel as it is in the file, before `noise_factor`."""
    exposure: float
    """Seconds; with `gain` it turns flux into electrons for the Poisson noise of sources."""
    fwhm: float
    """Full width at half maximum of the PSF, arcseconds."""
    beta: float = 3.0
    """Moffat index of the PSF; infinite for a Gaussian."""
    fwhm_jitter: float = 0.1
    """The FWHM of a scene is drawn from fwhm · U(1 - jitter, 1 + jitter)."""
    gain: float = 1.0
    """Electrons a second for a flux of 1."""
    correlation: float = 0.0
    """Width (standard deviation, pixels) of the Gaussian that correlates the noise; 0 for white noise."""


@dataclass(frozen=True)
class Population:
    """How the lenses of a survey differ from Euclid's, whose tables `lensjax.simulate.lenses.population`
    has."""

    z_lens: float = 1.0
    z_source: float = 1.0
    sigma_v: float = 1.0
    r_lens: float = 1.0
    """Factors."""
    lens_magnitude: float = 0.0
    source_magnitude: float = 0.0
    """Magnitudes added."""


@dataclass(frozen=True)
class Instrument:
    """Bands on one grid. The first band is the reference of magnitudes and signal-to-noise in `truth`."""

    name: str
    pixel_scale: float
    """Arcseconds a pixel."""
    bands: tuple[Band, ...]
    noise_factor: tuple[float, float] = (1.0, 2.5)
    """Every sigma of a scene is multiplied by one U(low, high): depth varies over a survey."""
    kernel_radius: int = 16
    """Half-width of the PSF kernel, pixels."""
    spikes: int = 4
    """Diffraction spikes of a bright star."""
    spike_angle: float = 45.0
    """Degrees, of the first spike to the rows of the image; the roll of a scene is drawn around it."""
    full_well: float = 3e4
    """Flux over sigma at which a pixel saturates and bleeds along its column."""
    population: Population = Population()


# Euclid: exposures and zero points as in lenstronomy's Euclid.py. PSF widths, the correlation of the
# noise and its pixel standard deviation are measured on a Q1 cutout (MER mosaics, NISP resampled from
# 0.3" to 0.1"): VIS 0.0030 at zero point 24.6; Y, J, H 0.50, 0.53, 0.50 at 29.8, 30.0, 29.9; lag-one
# correlation 0.25 in VIS, and 0.80, 0.50, 0.22 at lags one to three in NISP.
EUCLID = Instrument(
    "euclid",
    0.1,
    (
        Band("VIS", 0.72, 25.72, 0.0085, 2264.0, 0.145, beta=2.2, correlation=0.5),
        Band("Y", 1.08, 25.04, 0.0062, 348.8, 0.42, beta=3.5, correlation=1.15),
        Band("J", 1.37, 25.26, 0.0067, 348.8, 0.46, beta=3.5, correlation=1.15),
        Band("H", 1.77, 25.21, 0.0066, 348.8, 0.47, beta=3.0, correlation=1.15),
    ),
    spikes=6,
    spike_angle=30.0,
)

# HST ACS/WFC F814W drizzled to 0.05": sigma, exposure and correlation (lag one 0.23) measured on SLACS
# images of one orbit, PSF on an empirical F814W star (FWHM 0.086", broad wings). Snapshots of massive
# nearby lenses, so galaxies are brighter and larger than Euclid's.
HST_F814W = Instrument(
    "hst_f814w",
    0.05,
    (Band("F814W", 0.81, 25.94, 0.0060, 2100.0, 0.085, beta=2.0, correlation=0.48),),
    kernel_radius=24,
    spike_angle=45.0,
    population=Population(
        z_lens=0.5, z_source=0.7, sigma_v=1.1, r_lens=1.7, lens_magnitude=-1.6, source_magnitude=-0.6
    ),
)

# HSC Wide coadds: sigma from the 5σ depths 26.5, 26.2, 26.2 and the seeing; gain x exposure follows from
# sigma and the dark-sky brightness. Medians of the lenses as of an LSST-like survey.
HSC_GRI = Instrument(
    "hsc_gri",
    0.168,
    (
        Band("g", 0.48, 27.0, 0.045, 600.0, 0.79, fwhm_jitter=0.15, gain=1.9, correlation=0.5),
        Band("r", 0.62, 27.0, 0.062, 600.0, 0.75, fwhm_jitter=0.15, gain=2.5, correlation=0.5),
        Band("i", 0.77, 27.0, 0.079, 1200.0, 0.59, fwhm_jitter=0.15, gain=1.8, correlation=0.5),
    ),
    population=Population(
        z_lens=0.77, z_source=1.1, sigma_v=1.17, r_lens=1.2, lens_magnitude=-0.8, source_magnitude=-1.0
    ),
)

# The same camera with what a network may rely on varied more than it varies in the archive: what that
# changes on real images is measured by `lensjax study real-variants`.
HST_F814W_NOISE = replace(HST_F814W, name="hst_f814w_noise", noise_factor=(0.7, 6.0))
HST_F814W_PSF = replace(
    HST_F814W, name="hst_f814w_psf", bands=(replace(HST_F814W.bands[0], fwhm=0.12, fwhm_jitter=0.5),)
)

ALL = (EUCLID, HST_F814W, HSC_GRI, HST_F814W_NOISE, HST_F814W_PSF)
INSTRUMENTS = {instrument.name: instrument for instrument in ALL}


def get_instrument(name: str) -> Instrument:
    """Return the instrument of that name; a UserError lists the choices."""
    if name not in INSTRUMENTS:
        raise UserError(f"unknown instrument {name!r}: choose one of {', '.join(INSTRUMENTS)}")
    return INSTRUMENTS[name]
