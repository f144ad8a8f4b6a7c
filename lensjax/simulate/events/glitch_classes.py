"""One recipe for each class: uniform numbers -> the parts of a noise-free event around the trigger.

`u` is [12 160]: row 0 for the event, the others for its components, one a column. Ranges: published means of
SNR, frequency and duration of the Gravity Spy training set v1.1, the fits of antiglitch (github
andrew-lundgren) for Blip, Koi_Fish and Tomte, and what the eye sees in one public example of each class.
Not modelled: non-Gaussian tails, spectral lines, a noise that changes.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from lensjax.event_axes import CLASSES
from lensjax.simulate.events.chirps import chirp
from lensjax.simulate.events.line_glitches import (
    low_frequency_lines,
    scattered_light,
    wandering_line,
    whistle,
)
from lensjax.simulate.events.signals import BLIPS, DOTS, Parts, between, log_between, table
from lensjax.types import Array, Float

UNIFORM = (12, DOTS)
_DOT, _BLIP = np.arange(DOTS), np.arange(BLIPS)


def no_glitch(u: Array) -> Parts:
    return Parts()


def blip(u: Array) -> Parts:
    s = u[0]
    f, g = log_between(s[0], 25, 140), log_between(s[1], 0.35, 1.3)
    return Parts(blips=table(0, f, g, s[2], log_between(s[3], 10, 45), rows=BLIPS))


def tomte(u: Array) -> Parts:
    s = u[0]
    f, g = between(s[0], 12, 19), log_between(s[1], 1.5, 3.5)
    return Parts(blips=table(0, f, g, s[2], log_between(s[3], 10, 40), rows=BLIPS))


def koi_fish(u: Array) -> Parts:
    """A loud blip; fins of one pitch that thin out with distance; scales about the body."""
    s = u[0]
    snr = log_between(s[0], 50, 500)
    body = table(0, log_between(s[1], 13, 70), log_between(s[2], 0.5, 2.5), s[3], snr, rows=BLIPS)
    some = _DOT[:24]
    reach = between(s[4], 0.1, 0.36)
    away = reach * u[1, :24]
    time = jnp.where(some % 2 == 0, away, -away)
    pitch = log_between(s[5], 28, 60) * log_between(u[2, :24], 0.8, 1.3)
    f = jnp.where(away < 0.35 * reach, log_between(u[2, :24], 20, 110), pitch)
    loudness = snr * log_between(s[6], 0.05, 0.2) * jnp.exp(-1.5 * away / reach)
    fins = table(time, f, between(u[3, :24], 3, 7), u[4, :24], loudness, 0, rows=DOTS)
    return Parts(dots=fins, blips=body)


def extremely_loud(u: Array) -> Parts:
    """A mound of broad-band noise, steeper before than after, or what goes on after a sharp start."""
    s = u[0]
    lasting = s[0] < 0.35
    start = jnp.where(lasting, between(s[1], -0.1, 0.35), between(s[1], -0.15, 0.05))
    fall = jnp.where(lasting, log_between(s[3], 0.6, 3.5), log_between(s[3], 0.06, 0.6))
    snr = log_between(s[4], 800, 8000)
    rise = log_between(s[2], 0.01, 0.15)
    mound = table(start, log_between(s[5], 9, 40), log_between(s[6], 1000, 3500), rise, fall, 1, snr, rows=2)
    peak = table(start, log_between(s[7], 20, 60), between(s[8], 0.2, 0.5), s[9], snr, rows=BLIPS)
    return Parts(bursts=mound, blips=peak)


def repeating_blips(u: Array) -> Parts:
    """Two to five alike; any of them may be the trigger."""
    s, v = u[0], u[1:, :BLIPS]
    number = jnp.floor(between(s[0], 2, 6))
    first = jnp.floor(s[1] * number)
    time = (_BLIP - first) * log_between(s[2], 0.14, 0.6) + between(v[0], -0.03, 0.03) * (first != _BLIP)
    snr = log_between(s[3], 12, 40) * between(v[1], 0.6, 1.0) * (number > _BLIP)
    pitch = log_between(s[4], 40, 120) * between(v[2], 0.85, 1.15)
    return Parts(blips=table(time, pitch, log_between(s[5], 0.4, 1.3), s[6], snr, rows=BLIPS))


def light_modulation(u: Array) -> Parts:
    """Spikes close together and low-frequency noise that comes with them and outlasts them."""
    s, v = u[0], u[1:, :4]
    snr = log_between(s[0], 40, 160)
    time = log_between(s[1], 0.02, 0.3) * (v[0] - 0.5) * (_BLIP[:4] > 0)
    loudness = snr * between(v[1], 0.4, 1.0) * (jnp.floor(between(s[2], 2, 5)) > _BLIP[:4])
    f, g = log_between(v[2], 20, 60), log_between(v[3], 0.15, 0.6)
    spikes = table(time, f, g, v[4], loudness, rows=BLIPS)
    top, fall = log_between(s[3], 20, 60), log_between(s[4], 0.3, 1.8)
    low = table(-between(s[5], 0.0, 0.25), 10, top, 0.06, fall, 2, snr * between(s[6], 0.5, 1.3), rows=2)
    return Parts(blips=spikes, bursts=low)


def low_frequency_burst(u: Array) -> Parts:
    """A short one, or a loud mound of low-frequency noise that fills the bottom."""
    s = u[0]
    short = s[0] < 0.5
    one = table(
        0, between(s[1], 11, 18), between(s[2], 3, 7), s[3], log_between(s[4], 14, 60) * short, 0, rows=1
    )
    snr = log_between(s[5], 40, 500) * ~short
    high, width = (
        jnp.stack([between(s[6], 12, 18), between(s[7], 20, 40)]),
        jnp.sort(log_between(s[8:10], 0.15, 1.5))[::-1],
    )
    mound = table(0, 9, high, width, width, jnp.array([1.0, 2.0]), snr, rows=2)
    return Parts(tone=one, bursts=mound)


def _one(u: Array, f: tuple, q: tuple, snr: tuple) -> Parts:
    s = u[0]
    row = table(0, between(s[0], *f), between(s[1], *q), s[2], between(s[3], *snr), 0, rows=1)
    return Parts(tone=row)


def power_line(u: Array) -> Parts:
    return _one(u, (59, 61.5), (25, 110), (9, 16))


def air_compressor(u: Array) -> Parts:
    return _one(u, (46, 53), (20, 45), (8, 14))


def ripples(u: Array) -> Parts:
    return _one(u, (1340, 1640), (120, 400), (9, 14))


def lines_1080(u: Array) -> Parts:
    """Dots along one frequency, the loudest at the trigger, denser about it."""
    s, v, some = u[0], u[1:, :81], _DOT[:81]
    about = jnp.where(v[0] < 0.4, 0.4, 1.0) * between(s[0], 0.6, 2.3)
    time = about * between(v[1], -1, 1) * (some > 0)
    f = between(s[1], 1065, 1090) + between(v[2], -7, 7)
    snr = jnp.where(some == 0, 9.0, between(v[3], 4, 8) * (some < between(s[2], 25, 81)))
    return Parts(dots=table(time, f, between(v[4], 50, 160), v[5], snr, 0, rows=DOTS))


def violin_mode(u: Array) -> Parts:
    """Harmonics of 500 Hz at the trigger and at some echoes of it; one of those at the trigger always."""
    s, v = u[0], u[1:, :15]
    echo, harmonic = np.divmod(np.arange(15), 3)
    side = between(v[0, :5], 0.15, 0.45) * np.array([0.0, -1, 1, -2, 2])
    f = (1 + harmonic) * between(s[0], 494, 516) * between(v[1], 0.99, 1.01)
    there = (v[2] < 0.75) & (v[3, :5] < np.array([1.0, 0.8, 0.8, 0.3, 0.3]))[echo]
    always = np.arange(15) == jnp.floor(s[1] * 3)
    snr = between(v[4], 7, 12) * between(s[2], 0.9, 1.6) / np.where(echo == 0, 1.0, 1.3) * (there | always)
    q = between(v[5], 70, 130) * (1 + harmonic)
    return Parts(dots=table(jnp.asarray(side)[echo], f, q, v[6], snr, 0, rows=DOTS))


def helix(u: Array) -> Parts:
    """Stacks of four blobs, left and right in turn, one of them the loudest; often several stacks."""
    s, v = u[0], u[1:, :40]
    stack, rung = np.divmod(np.arange(40), 4)
    place = between(v[0, :10], -2, 2) * (np.arange(10) > 0)
    sway = np.where(rung % 2 == 0, 0.012, -0.012) + between(v[1], -0.006, 0.006)
    f = between(s[0], 55, 95) * between(s[1], 1.35, 1.6) ** rung * between(v[2], 0.95, 1.05)
    loudest = jnp.where(rung == jnp.floor(s[2] * 3), between(s[3], 1, 4), 0.0)
    snr = (between(v[3], 4, 7) + loudest) * jnp.where(stack == 0, 1.0, between(v[4], 0.7, 1.0))
    snr *= stack < jnp.floor(log_between(s[4], 1, 11))
    return Parts(dots=table(place[stack] + sway, f, between(v[5], 5, 8), v[6], snr, 0, rows=DOTS))


def scratchy(u: Array) -> Parts:
    """A train of short dots of one kind, one of them at the trigger."""
    s, v = u[0], u[1:]
    step = between(s[0], 0.03, 0.07)
    # Outwards: 0, 1, -1, 2, -2, … so that those within reach come first.
    place = np.where(_DOT % 2 == 0, -(_DOT // 2), _DOT // 2 + 1)
    time = (step * place + between(v[0], -0.01, 0.01)) * (_DOT > 0)
    f = log_between(s[1], 90, 280) * log_between(v[1], 0.8, 1.25)
    there = (jnp.abs(time) < between(s[2], 1.2, 2.4)) & (v[2] < 0.85)
    snr = jnp.where(_DOT == 0, 8.0, between(v[3], 3, 8) * there)
    return Parts(dots=table(time, f, between(v[4], 5, 12), v[5], snr, 0, rows=DOTS))


def paired_doves(u: Array) -> Parts:
    """Chirps about a second apart: pairs that fall and rise, or one at a time, each the other way round."""
    s, v = u[0], u[1:, :6]
    group, second = np.divmod(np.arange(6), 2)
    paired = s[0] < 0.4
    apart = jnp.where(paired, between(s[1], 0.02, 0.06) * np.where(second == 0, -1.0, 1.0), 0.0)
    time = np.array([0.0, -1.0, 1.0])[group] * between(v[0, :3], 0.85, 1.4)[group] + apart
    flip = jnp.where(s[2] < 0.5, 1.0, -1.0)
    way = jnp.where(paired, np.where(second == 0, -1.0, 1.0), flip * np.where(group == 0, 1.0, -1.0))
    f = between(s[3], 36, 55) * between(v[1], 0.9, 1.1)
    width = between(s[4], 0.045, 0.09)
    snr = log_between(s[5], 11, 45) * between(v[2], 0.6, 1.0) * (paired | (second == 0))
    snr *= (group == 0) | (v[3, :3] < 0.85)[group]
    # The sweep over ±width stays between 20 and 90 Hz.
    rate = way * f * between(s[6], 0.15, 0.32) / width
    return Parts(dots=table(time, f, np.sqrt(2) * np.pi * f * width, v[4], snr, rate, rows=DOTS))


def odd_one(u: Array) -> Parts:
    """Something of no class: a comb of spikes at high frequency, uneven in time and loudness."""
    s, v, some = u[0], u[1:, :96], _DOT[:96]
    place = np.where(some % 2 == 0, -(some // 2), some // 2 + 1)
    time = log_between(s[0], 0.03, 0.12) * (place + 0.6 * (v[0] - 0.5))
    f = log_between(s[1], 300, 1500) * between(v[1], 0.9, 1.3)
    there = (v[2] < between(s[2], 0.5, 1.0)) & (jnp.abs(time) < 3)
    snr = log_between(s[3], 8, 18) * between(v[3], 0.5, 1.0) * there
    return Parts(dots=table(time, f, between(s[4], 2, 4), v[4], snr, 0, rows=DOTS))


RECIPES: dict[str, Callable[[Float[Array, "12 160"]], Parts]] = {
    "1080Lines": lines_1080,
    "1400Ripples": ripples,
    "Air_Compressor": air_compressor,
    "Blip": blip,
    "Chirp": lambda u: Parts(rest=chirp(u[0])),
    "Extremely_Loud": extremely_loud,
    "Helix": helix,
    "Koi_Fish": koi_fish,
    "Light_Modulation": light_modulation,
    "Low_Frequency_Burst": low_frequency_burst,
    "Low_Frequency_Lines": low_frequency_lines,
    "No_Glitch": no_glitch,
    "None_of_the_Above": odd_one,
    "Paired_Doves": paired_doves,
    "Power_Line": power_line,
    "Repeating_Blips": repeating_blips,
    "Scattered_Light": scattered_light,
    "Scratchy": scratchy,
    "Tomte": tomte,
    "Violin_Mode": violin_mode,
    "Wandering_Line": wandering_line,
    "Whistle": whistle,
}
"""In the order of lensjax.event_axes.CLASSES."""
NOT_IN_A_MIX = ("No_Glitch", "Extremely_Loud", "None_of_the_Above")
"""Classes that no None_of_the_Above is made of."""
assert tuple(RECIPES) == CLASSES
