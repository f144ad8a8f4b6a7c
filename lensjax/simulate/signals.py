"""Shapes that glitches are made of, in whitened strain. Every component has its optimal SNR, sqrt(Σ g²)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.shapes import Array, Float, PRNGKeyArray
from lensjax.simulate.detector import FREQUENCIES, LOWEST, SAMPLE_RATE, SAMPLES, design_asd, times

_WHITE = np.where(FREQUENCIES < LOWEST, 0.0, 1e-24 / design_asd(FREQUENCIES)).astype(np.float32)
_LOG_FREQUENCY = np.log(np.maximum(FREQUENCIES, LOWEST))


def between(u: Array, low: float, high: float) -> Array:
    """u in [0, 1) brought to [low, high)."""
    return low + (high - low) * u


def log_between(u: Array, low: float, high: float) -> Array:
    """The same, uniform in the logarithm."""
    return low * (high / low) ** u


def scaled(signal: Float[Array, "n"], snr: Array | float) -> Float[Array, "n"]:
    """The signal with that optimal SNR; silence stays silent."""
    return signal * (snr / jnp.sqrt(jnp.maximum((signal**2).sum(), 1e-20)))


def sine_gaussians(
    time: Float[Array, "m"], frequency: Float[Array, "m"], q: Float[Array, "m"], phase: Float[Array, "m"],
    snr: Float[Array, "m"], span: float,
) -> Float[Array, "n"]:  # fmt: skip
    """Sum of exp(-((t - t0) / s)²) cos(2 pi f (t - t0) + phase), s = q / (sqrt(2) pi f).

    Each is built over `span` seconds alone, which must hold it; times in seconds, frequencies in Hz.
    """
    length = int(span * SAMPLE_RATE)
    local = jnp.arange(length)

    def add(total: Array, one: tuple[Array, ...]) -> tuple[Array, None]:
        t0, f, quality, ph, rho = one
        start = jnp.round(t0 * SAMPLE_RATE).astype(jnp.int32) + (SAMPLES - length) // 2
        start = jnp.clip(start, 0, SAMPLES - length)
        t = (start + local - SAMPLES // 2) / SAMPLE_RATE - t0
        g = jnp.exp(-((t * f * (np.sqrt(2) * np.pi) / quality) ** 2)) * jnp.cos(2 * np.pi * f * t + ph)
        here = jax.lax.dynamic_slice(total, (start,), (length,))
        return jax.lax.dynamic_update_slice(total, here + scaled(g, rho), (start,)), None

    columns = (time, frequency, q, phase, snr)
    return jax.lax.scan(add, jnp.zeros(SAMPLES), jnp.broadcast_arrays(*columns))[0]


def log_normals(
    time: Float[Array, "m"], frequency: Float[Array, "m"], width: Float[Array, "m"], phase: Float[Array, "m"],
    snr: Float[Array, "m"],
) -> Float[Array, "n"]:  # fmt: skip
    """Sum of blips exp(-(g/2) ln²(f/f0)) e^(i phase) / ASD(f) in frequency (github andrew-lundgren/antiglitch).

    `frequency` f0 is that of the strain's peak, before the division by the ASD; `width` is g.
    """

    def add(total: Array, one: tuple[Array, ...]) -> tuple[Array, None]:
        t0, f0, g, ph, rho = one
        size = _WHITE * jnp.exp(-0.5 * g * (_LOG_FREQUENCY - jnp.log(f0)) ** 2)
        # Parseval: Σ g² over n samples is (2/n) Σ |G|² over the positive frequencies.
        size *= rho / jnp.sqrt((size**2).sum() * 2 / SAMPLES)
        return total + size * jnp.exp(1j * (ph - 2 * np.pi * _wrapped(t0))), None

    columns = jnp.broadcast_arrays(time, frequency, width, phase, snr)
    spectrum = jax.lax.scan(add, jnp.zeros(len(FREQUENCIES), jnp.complex64), columns)[0]
    return jnp.fft.fftshift(jnp.fft.irfft(spectrum, SAMPLES))


def _wrapped(t0: Array) -> Array:
    """f · t0 modulo 1 at the block's frequencies, exact enough in float32 for a few seconds."""
    return jnp.mod(FREQUENCIES * t0, 1.0)


def line(frequency: Float[Array, "n"], envelope: Float[Array, "n"], phase: Array, snr: Array) -> Array:
    """envelope · cos(2 pi ∫ f dt + phase), f in Hz along the block."""
    # In turns modulo 1, second by second: float32 would lose the phase of 16 000 turns.
    turns = jnp.cumsum(frequency.reshape(-1, 512) / SAMPLE_RATE, 1)
    before = jnp.concatenate([jnp.zeros(1), jnp.mod(turns[:-1, -1], 1.0)])
    start = jnp.mod(jnp.cumsum(before), 1.0)
    angle = 2 * np.pi * jnp.mod(turns + start[:, None], 1.0).reshape(-1) + phase
    return scaled(envelope * jnp.cos(angle), snr)


def plateau(duration: Array | float, time: Array | float = 0.0) -> Float[Array, "n"]:
    """exp(-|2 (t - time) / duration|⁴): flat in the middle."""
    return jnp.exp(-((2 * (times() - time) / duration) ** 4))


def noise_burst(
    key: PRNGKeyArray, low: Array | float, high: Array | float, envelope: Float[Array, "n"], snr: Array | float
) -> Float[Array, "n"]:
    """Gaussian noise between two frequencies in Hz, with a slope of 1/f and steep sides, under an envelope."""
    f = np.maximum(FREQUENCIES, LOWEST)
    band = (low / f) / ((1 + (low / f) ** 8) * (1 + (f / high) ** 8)) * (FREQUENCIES >= LOWEST)
    noise = jnp.fft.irfft(jnp.fft.rfft(jax.random.normal(key, (SAMPLES,))) * band, SAMPLES)
    return scaled(noise * envelope, snr)
