"""From rays to pixels: PSF kernels, convolution, correlated noise."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.shapes import Array, Float, PRNGKeyArray
from lensjax.simulate.instruments import Band, Instrument


def kernel(band: Band, fwhm: Array, instrument: Instrument, supersampling: int) -> Float[Array, "k k"]:
    """PSF at the rays, an odd square of sum 1, `fwhm` in arcseconds."""
    half = instrument.kernel_radius * supersampling
    axis = np.arange(-half, half + 1, dtype=np.float32) * (instrument.pixel_scale / supersampling)
    r2 = axis[:, None] ** 2 + axis[None, :] ** 2
    if math.isinf(band.beta):
        shape = jnp.exp(-4 * jnp.log(2.0) * r2 / fwhm**2)
    else:
        core = fwhm / (2 * math.sqrt(2 ** (1 / band.beta) - 1))
        shape = (1 + r2 / core**2) ** (-band.beta)
    return shape / shape.sum()


def kernels(fwhm: Float[Array, "c"], instrument: Instrument, supersampling: int) -> Float[Array, "c k k"]:
    """The kernels of all bands."""
    pairs = zip(instrument.bands, fwhm, strict=True)
    return jnp.stack([kernel(band, width, instrument, supersampling) for band, width in pairs])


def transform_length(rays: int, half_width: int, supersampling: int) -> int:
    """Smallest even length for the FFT with factors 2, 3, 5 only, whole pixels, and no wrap into the image."""
    length = rays + half_width
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1 and length % (2 * supersampling) == 0:
            return length
        length += 1


def transformed(images: Float[Array, "*b m m"], length: int) -> Float[Array, "*b n l"]:
    """Real FFT of images, zero-padded to `length`."""
    return jnp.fft.rfft2(images, s=(length, length))


def pixels(
    spectrum: Array, kernel_spectrum: Array, rays: int, half_width: int, supersampling: int
) -> Float[Array, "*b h w"]:
    """Inverse of the product of two spectra, cropped to the image and summed over the rays of a pixel.

    The same numbers as jaxtronomy's `PixelKernelConvolution` and a sum (a test compares them), three
    times faster: the spectra are shared, the padding is half, and rows are summed before their
    transform, where the sum over a pixel is a product and taking each pixel once a fold.
    """
    s, length = supersampling, 2 * (spectrum.shape[-1] - 1)
    k = np.arange(length)
    # The sum over s rows, and the shift by the kernel's middle, as one factor.
    phase = np.exp(2j * np.pi * np.outer(k, half_width + np.arange(s)) / length).sum(-1)
    product = spectrum * kernel_spectrum * jnp.asarray(phase[:, None], jnp.complex64)
    folded = product.reshape(*product.shape[:-2], s, length // s, product.shape[-1]).sum(-3) / s
    rows = jnp.fft.ifft(folded, axis=-2)[..., : rays // s, :]
    shift = jnp.asarray(np.exp(2j * np.pi * k[: length // 2 + 1] * half_width / length), jnp.complex64)
    image = jnp.fft.irfft(rows * shift, n=length, axis=-1)[..., :rays]
    return image.reshape(*image.shape[:-1], rays // s, s).sum(-1)


def correlation_kernel(width: float) -> np.ndarray:
    """One axis of the Gaussian that correlates the noise; [1.0] for white noise. Sum 1."""
    if width <= 0:
        return np.ones(1)
    half = math.ceil(3 * width)
    taps = np.exp(-0.5 * (np.arange(-half, half + 1) / width) ** 2)
    return taps / taps.sum()


def variance_kept(width: float) -> float:
    """Variance of white noise of unit variance after the correlating Gaussian."""
    return float((correlation_kernel(width) ** 2).sum() ** 2)


def unit_noise(key: PRNGKeyArray, size: int, band: Band) -> Float[Array, "h w"]:
    """Normal noise of unit variance with the band's correlation."""
    taps = correlation_kernel(band.correlation)
    wide = jax.random.normal(key, (size + len(taps) - 1,) * 2)
    if len(taps) == 1:
        return wide
    # Shifted sums: two rows of a few multiplications are faster than a convolution call on the CPU.
    rows = sum(float(t) * wide[i : i + size] for i, t in enumerate(taps))
    both = sum(float(t) * rows[:, i : i + size] for i, t in enumerate(taps))  # type: ignore[index]
    return both / math.sqrt(variance_kept(band.correlation))


def noisy(
    key: PRNGKeyArray, flux: Float[Array, "h w c"], sigma: Float[Array, "c"], instrument: Instrument
) -> Float[Array, "h w c"]:
    """Flux with background and source noise: variance sigma² + flux / (gain · exposure).

    Resampling that correlated the background lowered the variance of a pixel by `variance_kept`; the
    noise of sources went through the same resampling.
    """
    planes = []
    for c, (band, band_key) in enumerate(
        zip(instrument.bands, jax.random.split(key, len(instrument.bands)), strict=True)
    ):
        kept = variance_kept(band.correlation)
        electrons = band.gain * band.exposure
        scale = jnp.sqrt(sigma[c] ** 2 + kept * jnp.maximum(flux[..., c], 0) / electrons)
        planes.append(flux[..., c] + scale * unit_noise(band_key, flux.shape[0], band))
    return jnp.stack(planes, -1)
