"""Define the block of whitened strain that holds an event, and the design sensitivity of Advanced LIGO."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from lensjax.types import Array, Float

SAMPLE_RATE = 8192.0
"""Hz: enough for the widest tile at 2048 Hz."""
DURATION = 16.0
"""Seconds; the trigger is in the middle."""
SAMPLES = int(SAMPLE_RATE * DURATION)
FREQUENCIES = np.fft.rfftfreq(SAMPLES, 1 / SAMPLE_RATE).astype(np.float32)
"""Hz, of the real Fourier transform of a block."""
LOWEST = 9.0
"""Hz; there is no signal below it."""


def times() -> Float[Array, "n"]:
    """Return the seconds of the samples from the trigger."""
    return (jnp.arange(SAMPLES) - SAMPLES // 2) / SAMPLE_RATE


def design_asd(frequency: Float[Array, "n"] | np.ndarray) -> Float[Array, "n"] | np.ndarray:
    """Return the design amplitude spectral density in 1/sqrt(Hz).

    The Advanced LIGO fit of Sathyaprakash and Schutz (arXiv:0903.0338), x = f / 215 Hz; frequencies below
    9 Hz are taken as 9 Hz.
    """
    x = np.clip(frequency, LOWEST, None) / 215.0
    shape = x**-4.14 - 5 * x**-2 + 111 * (1 - x**2 + 0.5 * x**4) / (1 + 0.5 * x**2)
    # In units of the smallest float32 that matters: 1e-49 would underflow.
    return np.float32(3.1622777e-25) * np.sqrt(np.abs(shape))
