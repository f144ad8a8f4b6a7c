"""Turn uniform numbers into the parts of a noise-free event around the trigger, by one recipe per class.

`u` is [12 160]: row 0 for the event, the others for its components, one a column. Ranges: published means of
SNR, frequency and duration of the Gravity Spy training set v1.1, the fits of antiglitch (github
andrew-lundgren) for Blip, Koi_Fish and Tomte, and the look of one public example of each class.
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
from lensjax.simulate.events.signals import BLIPS, DOTS, EventParts, log_uniform, table, uniform
from lensjax.types import Array, Float

UNIFORM = (12, DOTS)
_DOT, _BLIP = np.arange(DOTS), np.arange(BLIPS)


def no_glitch(u: Array) -> EventParts:
    """Make nothing."""
    return EventParts()


def blip(u: Array) -> EventParts:
    """Make one short log-normal."""
    s = u[0]
    f, g = log_uniform(s[0], 25, 140), log_uniform(s[1], 0.35, 1.3)
    return EventParts(blips=table(0, f, g, s[2], log_uniform(s[3], 10, 45), rows=BLIPS))


def tomte(u: Array) -> EventParts:
    """Make one log-normal, lower and narrower than a blip."""
    s = u[0]
    f, g = uniform(s[0], 12, 19), log_uniform(s[1], 1.5, 3.5)
    return EventParts(blips=table(0, f, g, s[2], log_uniform(s[3], 10, 40), rows=BLIPS))


def koi_fish(u: Array) -> EventParts:
    """Make a loud blip; fins of one pitch that thin out with distance; scales about the body."""
    s = u[0]
    snr = log_uniform(s[0], 50, 500)
    body = table(0, log_uniform(s[1], 13, 70), log_uniform(s[2], 0.5, 2.5), s[3], snr, rows=BLIPS)
    some = _DOT[:24]
    reach = uniform(s[4], 0.1, 0.36)
    away = reach * u[1, :24]
    time = jnp.where(some % 2 == 0, away, -away)
    pitch = log_uniform(s[5], 28, 60) * log_uniform(u[2, :24], 0.8, 1.3)
    f = jnp.where(away < 0.35 * reach, log_uniform(u[2, :24], 20, 110), pitch)
    loudness = snr * log_uniform(s[6], 0.05, 0.2) * jnp.exp(-1.5 * away / reach)
    fins = table(time, f, uniform(u[3, :24], 3, 7), u[4, :24], loudness, 0, rows=DOTS)
    return EventParts(dots=fins, blips=body)


def extremely_loud(u: Array) -> EventParts:
    """Make a mound of broad-band noise, steeper before than after, or one that lasts after a sharp start."""
    s = u[0]
    lasting = s[0] < 0.35
    start = jnp.where(lasting, uniform(s[1], -0.1, 0.35), uniform(s[1], -0.15, 0.05))
    fall = jnp.where(lasting, log_uniform(s[3], 0.6, 3.5), log_uniform(s[3], 0.06, 0.6))
    snr = log_uniform(s[4], 800, 8000)
    rise = log_uniform(s[2], 0.01, 0.15)
    mound = table(start, log_uniform(s[5], 9, 40), log_uniform(s[6], 1000, 3500), rise, fall, 1, snr, rows=2)
    peak = table(start, log_uniform(s[7], 20, 60), uniform(s[8], 0.2, 0.5), s[9], snr, rows=BLIPS)
    return EventParts(bursts=mound, blips=peak)


def repeating_blips(u: Array) -> EventParts:
    """Make two to five blips that are alike; any of them may be the trigger."""
    s, v = u[0], u[1:, :BLIPS]
    number = jnp.floor(uniform(s[0], 2, 6))
    first = jnp.floor(s[1] * number)
    time = (_BLIP - first) * log_uniform(s[2], 0.14, 0.6) + uniform(v[0], -0.03, 0.03) * (first != _BLIP)
    snr = log_uniform(s[3], 12, 40) * uniform(v[1], 0.6, 1.0) * (number > _BLIP)
    pitch = log_uniform(s[4], 40, 120) * uniform(v[2], 0.85, 1.15)
    return EventParts(blips=table(time, pitch, log_uniform(s[5], 0.4, 1.3), s[6], snr, rows=BLIPS))


def light_modulation(u: Array) -> EventParts:
    """Make spikes close together, with low-frequency noise that outlasts them."""
    s, v = u[0], u[1:, :4]
    snr = log_uniform(s[0], 40, 160)
    time = log_uniform(s[1], 0.02, 0.3) * (v[0] - 0.5) * (_BLIP[:4] > 0)
    loudness = snr * uniform(v[1], 0.4, 1.0) * (jnp.floor(uniform(s[2], 2, 5)) > _BLIP[:4])
    f, g = log_uniform(v[2], 20, 60), log_uniform(v[3], 0.15, 0.6)
    spikes = table(time, f, g, v[4], loudness, rows=BLIPS)
    top, fall = log_uniform(s[3], 20, 60), log_uniform(s[4], 0.3, 1.8)
    low = table(-uniform(s[5], 0.0, 0.25), 10, top, 0.06, fall, 2, snr * uniform(s[6], 0.5, 1.3), rows=2)
    return EventParts(blips=spikes, bursts=low)


def low_frequency_burst(u: Array) -> EventParts:
    """Make a short burst, or a loud mound of low-frequency noise that fills the bottom."""
    s = u[0]
    short = s[0] < 0.5
    one = table(
        0, uniform(s[1], 11, 18), uniform(s[2], 3, 7), s[3], log_uniform(s[4], 14, 60) * short, 0, rows=1
    )
    snr = log_uniform(s[5], 40, 500) * ~short
    high, width = (
        jnp.stack([uniform(s[6], 12, 18), uniform(s[7], 20, 40)]),
        jnp.sort(log_uniform(s[8:10], 0.15, 1.5))[::-1],
    )
    mound = table(0, 9, high, width, width, jnp.array([1.0, 2.0]), snr, rows=2)
    return EventParts(tone=one, bursts=mound)


def _make_tone(u: Array, f: tuple, q: tuple, snr: tuple) -> EventParts:
    """Make one sine-Gaussian of frequency, Q and SNR within these ranges."""
    s = u[0]
    row = table(0, uniform(s[0], *f), uniform(s[1], *q), s[2], uniform(s[3], *snr), 0, rows=1)
    return EventParts(tone=row)


def power_line(u: Array) -> EventParts:
    """Make a tone at 60 Hz."""
    return _make_tone(u, (59, 61.5), (25, 110), (9, 16))


def air_compressor(u: Array) -> EventParts:
    """Make a tone at 50 Hz."""
    return _make_tone(u, (46, 53), (20, 45), (8, 14))


def ripples(u: Array) -> EventParts:
    """Make a tone about 1400 Hz."""
    return _make_tone(u, (1340, 1640), (120, 400), (9, 14))


def lines_1080(u: Array) -> EventParts:
    """Make dots along one frequency, the loudest at the trigger, denser about it."""
    s, v, some = u[0], u[1:, :81], _DOT[:81]
    about = jnp.where(v[0] < 0.4, 0.4, 1.0) * uniform(s[0], 0.6, 2.3)
    time = about * uniform(v[1], -1, 1) * (some > 0)
    f = uniform(s[1], 1065, 1090) + uniform(v[2], -7, 7)
    snr = jnp.where(some == 0, 9.0, uniform(v[3], 4, 8) * (some < uniform(s[2], 25, 81)))
    return EventParts(dots=table(time, f, uniform(v[4], 50, 160), v[5], snr, 0, rows=DOTS))


def violin_mode(u: Array) -> EventParts:
    """Make harmonics of 500 Hz at some echoes of the trigger, and at least one at the trigger itself."""
    s, v = u[0], u[1:, :15]
    echo, harmonic = np.divmod(np.arange(15), 3)
    side = uniform(v[0, :5], 0.15, 0.45) * np.array([0.0, -1, 1, -2, 2])
    f = (1 + harmonic) * uniform(s[0], 494, 516) * uniform(v[1], 0.99, 1.01)
    there = (v[2] < 0.75) & (v[3, :5] < np.array([1.0, 0.8, 0.8, 0.3, 0.3]))[echo]
    always = np.arange(15) == jnp.floor(s[1] * 3)
    snr = uniform(v[4], 7, 12) * uniform(s[2], 0.9, 1.6) / np.where(echo == 0, 1.0, 1.3) * (there | always)
    q = uniform(v[5], 70, 130) * (1 + harmonic)
    return EventParts(dots=table(jnp.asarray(side)[echo], f, q, v[6], snr, 0, rows=DOTS))


def helix(u: Array) -> EventParts:
    """Make stacks of four blobs, left and right in turn, one of them the loudest; often several stacks."""
    s, v = u[0], u[1:, :40]
    stack, rung = np.divmod(np.arange(40), 4)
    place = uniform(v[0, :10], -2, 2) * (np.arange(10) > 0)
    sway = np.where(rung % 2 == 0, 0.012, -0.012) + uniform(v[1], -0.006, 0.006)
    f = uniform(s[0], 55, 95) * uniform(s[1], 1.35, 1.6) ** rung * uniform(v[2], 0.95, 1.05)
    loudest = jnp.where(rung == jnp.floor(s[2] * 3), uniform(s[3], 1, 4), 0.0)
    snr = (uniform(v[3], 4, 7) + loudest) * jnp.where(stack == 0, 1.0, uniform(v[4], 0.7, 1.0))
    snr *= stack < jnp.floor(log_uniform(s[4], 1, 11))
    return EventParts(dots=table(place[stack] + sway, f, uniform(v[5], 5, 8), v[6], snr, 0, rows=DOTS))


def scratchy(u: Array) -> EventParts:
    """Make a train of short dots of one kind, one of them at the trigger."""
    s, v = u[0], u[1:]
    step = uniform(s[0], 0.03, 0.07)
    # Outwards: 0, 1, -1, 2, -2, … so that those within reach come first.
    place = np.where(_DOT % 2 == 0, -(_DOT // 2), _DOT // 2 + 1)
    time = (step * place + uniform(v[0], -0.01, 0.01)) * (_DOT > 0)
    f = log_uniform(s[1], 90, 280) * log_uniform(v[1], 0.8, 1.25)
    there = (jnp.abs(time) < uniform(s[2], 1.2, 2.4)) & (v[2] < 0.85)
    snr = jnp.where(_DOT == 0, 8.0, uniform(v[3], 3, 8) * there)
    return EventParts(dots=table(time, f, uniform(v[4], 5, 12), v[5], snr, 0, rows=DOTS))


def paired_doves(u: Array) -> EventParts:
    """Make chirps about a second apart: pairs that fall and rise, or one at a time, directions in turn."""
    s, v = u[0], u[1:, :6]
    group, second = np.divmod(np.arange(6), 2)
    paired = s[0] < 0.4
    apart = jnp.where(paired, uniform(s[1], 0.02, 0.06) * np.where(second == 0, -1.0, 1.0), 0.0)
    time = np.array([0.0, -1.0, 1.0])[group] * uniform(v[0, :3], 0.85, 1.4)[group] + apart
    flip = jnp.where(s[2] < 0.5, 1.0, -1.0)
    way = jnp.where(paired, np.where(second == 0, -1.0, 1.0), flip * np.where(group == 0, 1.0, -1.0))
    f = uniform(s[3], 36, 55) * uniform(v[1], 0.9, 1.1)
    width = uniform(s[4], 0.045, 0.09)
    snr = log_uniform(s[5], 11, 45) * uniform(v[2], 0.6, 1.0) * (paired | (second == 0))
    snr *= (group == 0) | (v[3, :3] < 0.85)[group]
    # The sweep over ±width stays between 20 and 90 Hz.
    rate = way * f * uniform(s[6], 0.15, 0.32) / width
    return EventParts(dots=table(time, f, np.sqrt(2) * np.pi * f * width, v[4], snr, rate, rows=DOTS))


def odd_one(u: Array) -> EventParts:
    """Make something of no class: a comb of spikes at high frequency, uneven in time and loudness."""
    s, v, some = u[0], u[1:, :96], _DOT[:96]
    place = np.where(some % 2 == 0, -(some // 2), some // 2 + 1)
    time = log_uniform(s[0], 0.03, 0.12) * (place + 0.6 * (v[0] - 0.5))
    f = log_uniform(s[1], 300, 1500) * uniform(v[1], 0.9, 1.3)
    there = (v[2] < uniform(s[2], 0.5, 1.0)) & (jnp.abs(time) < 3)
    snr = log_uniform(s[3], 8, 18) * uniform(v[3], 0.5, 1.0) * there
    return EventParts(dots=table(time, f, uniform(s[4], 2, 4), v[4], snr, 0, rows=DOTS))


RECIPES: dict[str, Callable[[Float[Array, "12 160"]], EventParts]] = {
    "1080Lines": lines_1080,
    "1400Ripples": ripples,
    "Air_Compressor": air_compressor,
    "Blip": blip,
    "Chirp": lambda u: EventParts(rest=chirp(u[0])),
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
