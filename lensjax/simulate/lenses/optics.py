"""Turn rays into pixels: PSF kernels, convolution, correlated noise.

The convolution gives the same numbers as jaxtronomy's `PixelKernelConvolution` and a sum over the rays of
a pixel (a test compares them) at a fifth of the cost: a kernel that is symmetric in both axes has a real
spectrum, which two small matrix products give; spectra are shared; and the sum over rows of rays happens
before their inverse transform.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from scipy.fft import next_fast_len

from lensjax.simulate.lenses.instruments import Band, Instrument
from lensjax.types import Array, Float, PRNGKeyArray


def draw_fwhm(u: Float[Array, "c"], instrument: Instrument) -> Float[Array, "c"]:
    """Draw the width of the PSF of every band, arcseconds, by uniform numbers."""
    jitter = 2 * u - 1
    low_high = [(band.fwhm, band.fwhm_jitter) for band in instrument.bands]
    middle, share = np.array(low_high, np.float32).T
    return middle * (1 + share * jitter)


def _quadrant(band: Band, fwhm: Array, half: int, pitch: float) -> Float[Array, "r r"]:
    """Return the PSF at the rays with x, y ≥ 0, normalised so that the whole kernel sums to 1.

    It falls to 0 at the kernel's radius: a square cut would show around bright stars.
    """
    axis = np.arange(half + 1, dtype=np.float32) * pitch
    r2 = jnp.asarray(axis[:, None] ** 2 + axis[None, :] ** 2)
    shape: Array
    if math.isinf(band.beta):
        shape = jnp.exp(-4 * math.log(2.0) * r2 / fwhm**2)
    else:
        core = fwhm / (2 * math.sqrt(2 ** (1 / band.beta) - 1))
        shape = (1 + r2 / core**2) ** (-band.beta)
    shape = jnp.where(r2 < axis[-1] ** 2, jnp.maximum(shape - shape[0, -1], 0.0), 0.0)
    times = np.append(1.0, np.full(half, 2.0)).astype(np.float32)
    return shape / (times @ shape @ times)


def _quadrants(fwhm: Float[Array, "c"], instrument: Instrument, supersampling: int) -> Float[Array, "c r r"]:
    half, pitch = instrument.kernel_radius * supersampling, instrument.pixel_scale / supersampling
    pairs = zip(instrument.bands, fwhm, strict=True)
    return jnp.stack([_quadrant(band, width, half, pitch) for band, width in pairs])


def kernels(fwhm: Float[Array, "c"], instrument: Instrument, supersampling: int) -> Float[Array, "c k k"]:
    """Return the PSF kernel of every band at the rays: odd squares of sum 1, `fwhm` in arcseconds."""
    right = _quadrants(fwhm, instrument, supersampling)
    lower = jnp.concatenate([right[..., :0:-1], right], -1)
    return jnp.concatenate([lower[:, :0:-1], lower], -2)


def kernel_spectra(
    fwhm: Float[Array, "c"], instrument: Instrument, supersampling: int, length: int
) -> Float[Array, "c n l"]:
    """Return the real FFT of the centred kernels, padded to `length`: real, as the kernel is symmetric."""
    right = _quadrants(fwhm, instrument, supersampling)
    m = np.arange(right.shape[-1])
    cosines = np.cos(2 * np.pi * np.outer(np.arange(length), m) / length) * np.where(m == 0, 1, 2)
    waves = jnp.asarray(cosines, jnp.float32)
    return jnp.einsum("um,cmn,vn->cuv", waves, right, waves[: length // 2 + 1])


def transform_length(rays: int, half_width: int, supersampling: int) -> int:
    """Return the smallest even FFT length of factors 2, 3, 5 and whole pixels that does not wrap."""
    length = next_fast_len(rays + half_width, real=True)
    while length % (2 * supersampling):
        length = next_fast_len(length + 1, real=True)
    return length


def observe(
    rays: Float[Array, "*b m m"], spectra: Float[Array, "c n l"], supersampling: int
) -> Float[Array, "c h w"]:
    """Convolve flux a ray (one plane for all bands, or one each) with the PSF, and sum it over each pixel."""
    s, number, length = supersampling, rays.shape[-1], spectra.shape[-2]
    # The sum of s rows of rays as a factor; taking one of s rows then folds the spectrum.
    box = np.exp(2j * np.pi * np.outer(np.arange(length), np.arange(s)) / length).sum(-1) / s
    product = jnp.fft.rfft2(rays, s=(length, length)) * spectra * jnp.asarray(box[:, None], jnp.complex64)
    folded = product.reshape(*product.shape[:-2], s, length // s, product.shape[-1]).sum(-3)
    rows = jnp.fft.ifft(folded, axis=-2)[..., : number // s, :]
    image = jnp.fft.irfft(rows, n=length, axis=-1)[..., :number]
    return image.reshape(*image.shape[:-1], number // s, s).sum(-1)


def correlation_taps(width: float) -> np.ndarray:
    """Return one axis, of sum 1, of the Gaussian of `width` pixels that correlates the noise."""
    if width <= 0:
        return np.ones(1)
    half = math.ceil(3 * width)
    taps = np.exp(-0.5 * (np.arange(-half, half + 1) / width) ** 2)
    return taps / taps.sum()


def variance_factor(width: float) -> float:
    """Return the variance of white noise of unit variance after the correlating Gaussian."""
    return float((correlation_taps(width) ** 2).sum() ** 2)


def unit_noise(key: PRNGKeyArray, size: int, instrument: Instrument) -> Float[Array, "h w c"]:
    """Draw normal noise of unit variance with the correlation of each band."""
    taps = [correlation_taps(band.correlation) for band in instrument.bands]
    wide = size + max(map(len, taps)) - 1
    # Banded matrices along both axes: at this size faster than a convolution.
    bands = np.zeros((len(taps), size, wide), np.float32)
    for matrix, weights in zip(bands, taps, strict=True):
        for i in range(size):
            matrix[i, i : i + len(weights)] = weights / np.sqrt((weights**2).sum())
    white = jax.random.normal(key, (len(taps), wide, wide))
    return jnp.einsum("chi,cij,cwj->hwc", bands, white, bands)


def add_noise(
    key: PRNGKeyArray, flux: Float[Array, "h w c"], sigma: Float[Array, "c"], instrument: Instrument
) -> Float[Array, "h w c"]:
    """Add background and source noise to a flux: variance sigma² + flux / (gain · exposure).

    The resampling that correlated the background lowered the variance of a pixel by `variance_factor`; the
    noise of sources went through the same.
    """
    bands = instrument.bands
    electrons = np.array([b.gain * b.exposure / variance_factor(b.correlation) for b in bands], np.float32)
    scale = jnp.sqrt(sigma**2 + jnp.maximum(flux, 0) / electrons)
    return flux + scale * unit_noise(key, flux.shape[0], instrument)
