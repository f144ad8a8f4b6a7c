"""Amplitude spectral density and whitening of strain.

Median-Welch with Hann windows and half overlap (Allen et al. 2012, gr-qc/0509116), a 2 s filter by
inverse-spectrum truncation. Strain of 1e-21 underflows float32 when squared, so everything is in units of its
largest value.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float

StrainArray = Float[Array | np.ndarray, " n"]


def _refuse(strain: StrainArray, sample_rate: float, segment: float) -> None:
    if sample_rate <= 0 or segment <= 0:
        raise UserError(f"sample rate {sample_rate} Hz and segment {segment} s must be positive.")
    if len(strain) < round(2 * segment * sample_rate):
        raise UserError(
            f"{len(strain) / sample_rate:g} s of strain are too short for segments of {segment:g} s; "
            f"give {2 * segment:g} s or more."
        )
    if not isinstance(strain, jax.core.Tracer) and not np.isfinite(strain).all():
        bad = int(np.sum(~np.isfinite(strain)))
        raise UserError(f"strain holds {bad} samples that are no numbers; choose a stretch without a gap.")


def measure_asd(
    strain: StrainArray, sample_rate: float, segment: float = 2.0
) -> tuple[Float[Array, " f"], Float[Array, " f"]]:
    """Return frequencies (Hz) and one-sided amplitude spectral density (strain/√Hz) by median-Welch.

    Raises:
      UserError: fewer than two segments of strain, or values that are no numbers.
    """
    _refuse(strain, sample_rate, segment)
    strain = jnp.asarray(strain, jnp.float32)
    length = round(segment * sample_rate)
    number = (len(strain) - length) // (length // 2) + 1
    unit = _largest(strain)
    starts = np.arange(number)[:, None] * (length // 2)
    pieces = (strain / unit)[starts + np.arange(length)]
    window = jnp.asarray(np.hanning(length + 1)[:-1], jnp.float32)
    spectra = jnp.fft.rfft((pieces - pieces.mean(-1, keepdims=True)) * window)
    power = 2 * (spectra.real**2 + spectra.imag**2) / (sample_rate * jnp.sum(window**2))
    terms = np.arange(1, number - 1 + number % 2 + 1)  # an odd number, as the bias of the median is known for
    bias = np.sum((-1.0) ** (terms + 1) / terms)
    return jnp.asarray(np.fft.rfftfreq(length, 1 / sample_rate), jnp.float32), unit * jnp.sqrt(
        jnp.median(power, axis=0) / bias
    )


def _largest(strain: Float[Array, " n"]) -> Float[Array, ""]:
    largest = jnp.max(jnp.abs(strain))
    return jnp.where(largest > 0, largest, 1.0)


def whiten(
    strain: StrainArray,
    sample_rate: float,
    asd: tuple[Float[Array, " f"], Float[Array, " f"]] | None = None,
    segment: float = 2.0,
) -> Float[Array, " n"]:
    """Filter strain to unit variance a sample; discard 1 s (half a segment) at each end.

    `asd`: result of `measure_asd` for this or for other strain; measured on the strain itself by default.

    Raises:
      UserError: fewer than two segments of strain, or values that are no numbers.
    """
    _refuse(strain, sample_rate, segment)
    strain = jnp.asarray(strain, jnp.float32)
    frequencies, amplitude = measure_asd(strain, sample_rate, segment) if asd is None else asd
    n, unit = len(strain), _largest(strain)
    grid = jnp.asarray(np.fft.rfftfreq(n, 1 / sample_rate), jnp.float32)
    relative = jnp.interp(grid, frequencies, amplitude / unit)
    inverse = jnp.where((relative > 0) & (grid > 0), 1 / jnp.where(relative > 0, relative, 1.0), 0.0)
    taps = round(segment * sample_rate)
    taper = np.zeros(n, np.float32)
    taper[np.arange(-(taps // 2), taps // 2)] = np.hanning(taps + 1)[:-1]
    impulse = jnp.fft.irfft(inverse, n) * taper
    impulse = jnp.where(taper > 0, impulse - jnp.sum(impulse) / jnp.sum(taper > 0), 0.0)
    # The ends do not meet, and their jump would ring through lines of the noise for seconds.
    ramp = np.ones(n, np.float32)
    ramp[: taps // 2] = np.hanning(taps + 1)[: taps // 2]
    ramp[n - taps // 2 :] = ramp[: taps // 2][::-1]
    detrended = (strain / unit - jnp.mean(strain / unit)) * ramp
    return jnp.fft.irfft(jnp.fft.rfft(detrended) * jnp.fft.rfft(impulse), n) * np.sqrt(2 / sample_rate)
