"""Recipes of glitches that follow a frequency in time. `u` is explained in `glitch_classes`."""

from __future__ import annotations

import jax.numpy as jnp

from lensjax.simulate.events.detector import SAMPLES, times
from lensjax.simulate.events.signals import (
    TURN,
    EventParts,
    line,
    log_uniform,
    plateau,
    scale_to_snr,
    uniform,
)
from lensjax.types import Array


def low_frequency_lines(u: Array) -> EventParts:
    """Make a steady line between 10.5 and 24 Hz."""
    s = u[0]
    f = jnp.ones(SAMPLES) * log_uniform(s[0], 10.5, 24)
    return EventParts(rest=line(f, plateau(uniform(s[1], 1.5, 5.0)), s[2], log_uniform(s[3], 12, 28)))


def scattered_light(u: Array) -> EventParts:
    """Make arches n · ff |cos 2 pi fm t| of light scattered n times (Udall & Davis, arXiv:2211.15867)."""
    s = u[0]
    slow = uniform(s[0], 0.05, 0.16)
    turns = (
        log_uniform(s[1], 13, 26) / (TURN * slow) * jnp.sin(TURN * slow * times() + uniform(s[2], -0.2, 0.2))
    )
    envelope = plateau(jnp.minimum(0.45 / slow, uniform(s[3], 2.5, 5.0)))
    number = jnp.floor(uniform(s[4], 1.5, 5))
    loudness, fade = log_uniform(s[5], 14, 45), uniform(s[10], 0.3, 1.0)
    total = jnp.zeros(SAMPLES)
    for n in range(1, 5):
        arch = envelope * jnp.sin(TURN * (n * turns + s[5 + n]))
        total += scale_to_snr(arch, loudness / n**fade * (n <= number))
    return EventParts(rest=total)


def whistle(u: Array) -> EventParts:
    """Make the beat |f_VCO - f_RF| of two oscillators: V, U, or an arch with wings where it passes zero."""
    s, t = u[0], times()
    lowest = log_uniform(s[0], 200, 700)
    v = lowest + uniform(s[1], 2e3, 7e3) * jnp.abs(t)
    bowl = lowest + log_uniform(s[2], 8e3, 6e4) * t**2
    arch = jnp.abs(log_uniform(s[3], 600, 1700) * (1 - (t / log_uniform(s[4], 0.08, 0.35)) ** 2))
    kind = jnp.floor(3 * s[5]).astype(int)
    f = jnp.minimum(jnp.stack([v, bowl, arch])[kind], 3500)
    envelope = plateau(uniform(s[6], 0.35, 0.9), uniform(s[7], -0.05, 0.05)) * jnp.minimum(1, (f / 250) ** 2)
    return EventParts(rest=line(f, envelope, s[8], log_uniform(s[9], 26, 55)))


def wandering_line(u: Array) -> EventParts:
    """Make a line that strays, or one in pieces that each climb to the same frequency."""
    s, t = u[0], times()
    coarse = jnp.linspace(t[0], t[-1], 2048)
    pitch = log_uniform(u[1, :24], 0.2, 12)[:, None]
    walk = (jnp.sin(TURN * (pitch * coarse + u[2, :24, None])) * 40 / (1 + pitch)).sum(0)
    walk = jnp.interp(t, coarse, walk)
    centre = log_uniform(s[0], 700, 1600)
    period = uniform(s[4], 0.12, 0.3)
    since = jnp.mod(t / period + 0.15 * jnp.sin(TURN * t * uniform(s[5], 0.2, 0.9)), 1.0) * period
    hooked = centre * (1 - uniform(s[6], 0.2, 0.5) * jnp.exp(-since / 0.01))
    lit = jnp.where(since < period * uniform(s[7], 0.4, 0.9), 1.0, 0.15) * (1 + 0.5 * jnp.tanh(walk / 40))
    broken = s[8] < 0.4
    f = jnp.where(broken, hooked + 0.1 * walk, centre + uniform(s[1], 0.3, 1.2) * walk)
    envelope = plateau(uniform(s[9], 4.0, 9.0)) * jnp.where(broken, lit, 1.0)
    return EventParts(rest=line(f, envelope, s[3], log_uniform(s[10], 60, 150)))
