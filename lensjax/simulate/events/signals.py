"""Shapes that glitches are made of, in whitened strain. Every component has its optimal SNR, sqrt(Σ g²).

A recipe fills the tables of `EventParts`, drawn once for all classes, which is quick to compile. Rows of SNR
0 at the end of a table cost little: put the others first.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.simulate.events.detector import FREQUENCIES, LOWEST, SAMPLE_RATE, SAMPLES, design_asd, times
from lensjax.types import Array, Float, PRNGKeyArray

DOTS, BLIPS = 160, 5
_WHITE = np.where(FREQUENCIES < LOWEST, 0.0, 1e-24 / design_asd(FREQUENCIES)).astype(np.float32)
_LOG_FREQUENCY = np.log(np.maximum(FREQUENCIES, LOWEST))
TURN = 2 * np.pi
Number = Array | np.ndarray | float | int


class EventParts(NamedTuple):
    """Components of an event. Times in seconds from the trigger, frequencies in Hz."""

    dots: Array = np.zeros((DOTS, 6), np.float32)  # type: ignore[assignment]
    """Sine-Gaussians within ±0.25 s: time, frequency, q, turns, SNR, chirp rate in Hz/s."""
    tone: Array = np.zeros((1, 6), np.float32)  # type: ignore[assignment]
    """The same within ±1.5 s."""
    blips: Array = np.zeros((BLIPS, 5), np.float32)  # type: ignore[assignment]
    """Log-normals: time, frequency, width g, turns, SNR."""
    bursts: Array = np.zeros((2, 7), np.float32)  # type: ignore[assignment]
    """Noise: time, lowest frequency, highest frequency, rise, fall, power of the envelope, SNR."""
    rest: Array = np.zeros(SAMPLES, np.float32)  # type: ignore[assignment]
    """A signal that is added without scaling."""


def to_float32(parts: EventParts) -> EventParts:
    """Convert the parts to float32, so that all recipes agree."""
    return EventParts(*(jnp.asarray(part, jnp.float32) for part in parts))


def uniform(u: Array, low: float | int, high: float | int) -> Array:
    """Scale u in [0, 1) to [low, high)."""
    return low + (high - low) * u


def log_uniform(u: Array, low: float | int, high: float | int) -> Array:
    """Scale u in [0, 1) to [low, high), uniform in the logarithm."""
    return low * (high / low) ** u


def scale_to_snr(signal: Float[Array, "n"], snr: Number) -> Float[Array, "n"]:
    """Scale a signal to that optimal SNR; silence stays silent."""
    return signal * (snr / jnp.sqrt(jnp.maximum((signal**2).sum(), 1e-20)))


def table(*columns: Number, rows: int) -> Float[Array, "rows columns"]:
    """Join columns of `EventParts`, each a number or one number a row; missing rows are 0."""
    widest = max(jnp.shape(c)[0] if jnp.ndim(c) else 1 for c in columns)
    known = jnp.stack([jnp.broadcast_to(c, (widest,)) for c in columns], -1)
    return jnp.zeros((rows, len(columns))).at[:widest].set(known)


def plateau(duration: Number, time: Number = 0.0) -> Float[Array, "n"]:
    """Return exp(-|2 (t - time) / duration|⁴): flat in the middle."""
    return jnp.exp(-((2 * (times() - time) / duration) ** 4))


def line(frequency: Float[Array, "n"], envelope: Float[Array, "n"], turns: Array, snr: Array) -> Array:
    """Return envelope · cos(2 pi (∫ f dt + turns)), f in Hz along the block."""
    # In turns modulo 1, block by block: float32 would lose the phase of 16 000 turns.
    inner = jnp.cumsum(frequency.reshape(-1, 512) / SAMPLE_RATE, 1)
    before = jnp.concatenate([jnp.zeros(1), jnp.mod(inner[:-1, -1], 1.0)])
    start = jnp.mod(jnp.cumsum(before), 1.0)
    angle = TURN * (jnp.mod(inner + start[:, None], 1.0).reshape(-1) + turns)
    return scale_to_snr(envelope * jnp.cos(angle), snr)


def draw(parts: EventParts, key: PRNGKeyArray) -> Float[Array, "n"]:
    """Draw the whitened strain of an event; `key` makes the noise of its bursts."""
    total = sine_gaussians(parts.rest, parts.dots, 0.5)
    total = sine_gaussians(total, parts.tone, 3.0)
    total = total + log_normals(parts.blips)
    return noise_bursts(total, parts.bursts, key)


def _count_used(snr: Array) -> Array:
    """Count the rows up to the last that is not silent."""
    return jnp.max(jnp.where(snr > 0, jnp.arange(1, len(snr) + 1), 0))


def sine_gaussians(total: Float[Array, "n"], dots: Float[Array, "m 6"], span: float) -> Float[Array, "n"]:
    """Add exp(-((t - t0) / s)²) cos(2 pi (f (t - t0) + rate (t - t0)² + turns)), s = q / (sqrt(2) pi f)."""
    length = int(span * SAMPLE_RATE)
    local = jnp.arange(length)

    def add(number: Array, total: Array) -> Array:
        t0, f, q, turns, snr, rate = dots[number]
        start = jnp.round(t0 * SAMPLE_RATE).astype(jnp.int32) + (SAMPLES - length) // 2
        start = jnp.clip(start, 0, SAMPLES - length)
        t = (start + local - SAMPLES // 2) / SAMPLE_RATE - t0
        width = jnp.maximum(q, 1e-3) / (np.sqrt(2) * np.pi * jnp.maximum(f, 1.0))
        g = jnp.exp(-((t / width) ** 2)) * jnp.cos(TURN * (f * t + rate * t**2 + turns))
        here = jax.lax.dynamic_slice(total, (start,), (length,)) + scale_to_snr(g, snr)
        return jax.lax.dynamic_update_slice(total, here, (start,))

    return jax.lax.fori_loop(0, _count_used(dots[:, 4]), add, total)


def log_normals(blips: Float[Array, "m 5"]) -> Float[Array, "n"]:
    """Return the sum of exp(-(g/2) ln²(f/f0)) e^(-2 pi i (f t0 - turns)) / ASD(f) over the blips.

    In frequency, the form of github andrew-lundgren/antiglitch; f0 is that of the strain's peak, before the
    division by the ASD.
    """

    def add(number: Array, spectrum: Array) -> Array:
        t0, f0, g, turns, snr = blips[number]
        size = _WHITE * jnp.exp(-0.5 * g * (_LOG_FREQUENCY - jnp.log(f0)) ** 2)
        # Parseval: Σ g² over n samples is (2/n) Σ |G|² over the positive frequencies.
        size *= snr / jnp.sqrt((size**2).sum() * 2 / SAMPLES)
        return spectrum + size * jnp.exp(1j * TURN * (turns - jnp.mod(FREQUENCIES * t0, 1.0)))

    used = _count_used(blips[:, 4])
    empty = jnp.zeros(len(FREQUENCIES), jnp.complex64)

    def some() -> Array:
        return jnp.fft.fftshift(jnp.fft.irfft(jax.lax.fori_loop(0, used, add, empty), SAMPLES))

    return jax.lax.cond(used > 0, some, lambda: jnp.zeros(SAMPLES))


def noise_bursts(
    total: Float[Array, "n"], bursts: Float[Array, "m 7"], key: PRNGKeyArray
) -> Float[Array, "n"]:
    """Add Gaussian noise with a slope of 1/f and steep sides.

    Its envelope is exp(-(t / rise)^p) before its time and exp(-(t / fall)^p) after.
    """
    f = np.maximum(FREQUENCIES, LOWEST)

    def add(number: Array, total: Array) -> Array:
        t0, low, high, rise, fall, power, snr = bursts[number]
        band = (low / f) / ((1 + (low / f) ** 8) * (1 + (f / high) ** 8)) * (FREQUENCIES >= LOWEST)
        white = jax.random.normal(jax.random.fold_in(key, number), (SAMPLES,))
        noise = jnp.fft.irfft(jnp.fft.rfft(white) * band, SAMPLES)
        t = times() - t0
        envelope = jnp.exp(-((jnp.abs(t) / jnp.where(t < 0, rise, fall)) ** power))
        return total + scale_to_snr(noise * envelope, snr)

    return jax.lax.fori_loop(0, _count_used(bursts[:, 6]), add, total)
