"""Chirps: gravitational waves of merging black holes, whitened by the design sensitivity."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.simulate.events.detector import FREQUENCIES, SAMPLE_RATE, SAMPLES, design_asd, times
from lensjax.simulate.events.signals import log_uniform, scale_to_snr, uniform
from lensjax.types import Array, Float

SUN = 4.925491e-6
"""G Msun / c³ in seconds."""
LONGEST = 6.0
"""Seconds of inspiral kept: what is older would wrap around the block."""
_BAND = slice(10 * SAMPLES // int(SAMPLE_RATE), SAMPLES // 4 + 1)
"""10 to 2048 Hz."""


@cache
def load_phenom_d() -> Any:
    """Load IMRPhenomD of ripplegw (Edwards et al., arXiv:2302.05329); jax's precision stays as it was.

    Raises:
      ImportError: ripplegw is not installed.
    """
    precision = jax.config.read("jax_enable_x64")
    try:
        import ripplegw
    except ImportError as error:
        raise ImportError('chirps need ripplegw, which is missing: pip install "lensjax[gw]".') from error
    finally:
        jax.config.update("jax_enable_x64", precision)
    return ripplegw.waveform("IMRPhenomD", f_ref=20.0)


def inspiral_frequency(time: Array, mass: Array) -> Array:
    """Return Hz at `time` seconds before coalescence, for a chirp mass in Msun (Newtonian order)."""
    return jnp.power(5 / (256 * time), 0.375) * (mass * SUN) ** -0.625 / np.pi


def newtonian(u: Float[Array, "8"]) -> Float[Array, "n"]:
    """Make a power-law inspiral that ends in a decaying tone; whitened, of unit SNR."""
    mass, top = uniform(u[0], 15, 35), uniform(u[1], 180, 350)
    left = 0.01 - times()
    before = jnp.minimum(inspiral_frequency(jnp.maximum(left, 1e-6), mass), top)
    # Integral of the frequency: (8/5) f · tau until the cap, which is reached at tau = `turn`.
    turn = 5 / 256 * (mass * SUN) ** (-5 / 3) * (np.pi * top) ** (-8 / 3)
    cycles = jnp.where(left > turn, -1.6 * before * left, -1.6 * top * turn + top * (turn - left))
    size = jnp.where(left > 0, before ** (2 / 3), top ** (2 / 3) * jnp.exp(250 * jnp.minimum(left, 0.0)))
    start = jnp.where((before > 15) & (left < LONGEST), 1.0, 0.0)
    spectrum = jnp.fft.rfft(start * size * jnp.cos(2 * np.pi * jnp.mod(cycles, 1.0) + 2 * np.pi * u[2]))
    spectrum = spectrum * _weight(uniform(u[3], 12, 40))
    return scale_to_snr(jnp.fft.irfft(spectrum, SAMPLES), 1.0)


def imr(u: Float[Array, "8"]) -> Float[Array, "n"]:
    """Make IMRPhenomD waves of spinning black holes; whitened, of unit SNR."""
    mass = log_uniform(u[0], 5, 40)
    parameters = {
        "M_c": mass, "eta": uniform(u[1], 0.17, 0.2499), "s1_z": uniform(u[2], -0.5, 0.7),
        "s2_z": uniform(u[3], -0.5, 0.7), "d_L": 400.0, "phase_c": 2 * np.pi * u[4], "iota": 0.0,
    }  # fmt: skip
    f = jnp.asarray(FREQUENCIES[_BAND])
    start = jnp.maximum(inspiral_frequency(jnp.asarray(LONGEST), mass), 12.0)
    # 1 / (1 + (start / f)³²), of which XLA may make start³² / f³², beyond float32.
    wave = load_phenom_d()(f, parameters)["p"] * 1e21 * jax.nn.sigmoid(32 * jnp.log(f / start))
    spectrum = jnp.zeros(len(FREQUENCIES), jnp.complex64).at[_BAND].set(wave)
    spectrum = spectrum * _weight(uniform(u[5], 12, 40))
    return scale_to_snr(jnp.fft.fftshift(jnp.fft.irfft(spectrum, SAMPLES)), 1.0)


def _weight(corner: Array) -> Float[Array, "m"]:
    """Return 1 / ASD with a corner in Hz below which a real detector is worse than its design."""
    f = np.maximum(FREQUENCIES, 1.0)
    return jnp.asarray(1e-24 / design_asd(f), jnp.float32) / (1 + (corner / f) ** 3)


def chirp(u: Float[Array, "m"]) -> Float[Array, "n"]:
    """Draw a chirp, IMRPhenomD or Newtonian, of optimal SNR 9 to 30; `u` holds 10 uniform numbers or more."""
    return log_uniform(u[0], 9, 30) * jax.lax.cond(u[1] < 0.5, imr, newtonian, u[2:10])
