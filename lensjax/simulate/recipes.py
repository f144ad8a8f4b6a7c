"""One recipe for each class: key -> noise-free whitened strain around the trigger.

Ranges: published means of SNR, frequency and duration of the Gravity Spy training set v1.1, the fits of
github andrew-lundgren/antiglitch for Blip, Koi_Fish and Tomte, and what the eye sees in one public example of each
class. Not modelled: non-Gaussian tails, spectral lines, a noise that changes.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.events import CLASSES
from lensjax.shapes import Array, Float, PRNGKeyArray
from lensjax.simulate.chirps import chirp
from lensjax.simulate.detector import SAMPLES, times
from lensjax.simulate.signals import (
    between,
    line,
    log_between,
    log_normals,
    noise_burst,
    plateau,
    scaled,
    sine_gaussians,
)

Signal = Float[Array, "n"]
TURN = 2 * np.pi


def no_glitch(key: PRNGKeyArray) -> Signal:
    return jnp.zeros(SAMPLES)


def blip(key: PRNGKeyArray) -> Signal:
    u = jax.random.uniform(key, (4, 1))
    return log_normals(
        jnp.zeros(1), log_between(u[0], 35, 140), log_between(u[1], 0.4, 1.3), TURN * u[2],
        log_between(u[3], 10, 45),
    )  # fmt: skip


def tomte(key: PRNGKeyArray) -> Signal:
    u = jax.random.uniform(key, (4, 1))
    return log_normals(
        jnp.zeros(1), between(u[0], 12, 19), log_between(u[1], 1.5, 3.5), TURN * u[2],
        log_between(u[3], 10, 40),
    )  # fmt: skip


def koi_fish(key: PRNGKeyArray) -> Signal:
    """A loud blip; fins at 25 to 70 Hz that thin out with distance, a tail below."""
    keys = jax.random.split(key)
    u = jax.random.uniform(keys[0], (6, 1))
    snr = log_between(u[3], 50, 500)
    body = log_normals(
        jnp.zeros(1), log_between(u[0], 13, 70), log_between(u[1], 0.5, 2.5), TURN * u[2], snr
    )
    v = jax.random.uniform(keys[1], (4, 16))
    reach = between(u[4], 0.08, 0.3)
    away = reach * v[0] ** 0.7
    sides = jnp.where(jnp.arange(16) % 2 == 0, away, -away)
    loudness = snr * between(u[5], 0.06, 0.2) * jnp.exp(-1.5 * away / reach)
    fins = sine_gaussians(sides, log_between(v[1], 24, 70), between(v[2], 3, 7), TURN * v[3], loudness, 0.75)
    return body + fins


def extremely_loud(key: PRNGKeyArray) -> Signal:
    """A mound of broad-band noise, steeper before than after, or what never ends after a sharp start."""
    keys = jax.random.split(key, 3)
    u = jax.random.uniform(keys[0], (9,))
    lasting = u[0] < 0.3
    start = jnp.where(lasting, between(u[1], 0.0, 0.4), between(u[1], -0.15, 0.05))
    rise = log_between(u[2], 0.01, 0.15)
    fall = jnp.where(lasting, log_between(u[3], 0.6, 3.0), log_between(u[3], 0.06, 0.5))
    t = times() - start
    envelope = jnp.exp(-jnp.where(t < 0, -t / rise, t / fall))
    snr = log_between(u[4], 600, 6000)
    burst = noise_burst(keys[1], log_between(u[5], 15, 60), between(u[6], 500, 3000), envelope, snr)
    one = (start * jnp.ones(1), log_between(u[7:8], 20, 60), between(u[8:9], 0.2, 0.6), TURN * u[1:2])
    return burst + log_normals(*one, snr * jnp.ones(1))


def repeating_blips(key: PRNGKeyArray) -> Signal:
    """Two to five alike; any of them may be the trigger."""
    u = jax.random.uniform(key, (5 + 15,))
    number = jnp.floor(between(u[0], 2, 6))
    first = jnp.floor(u[1] * number)
    order = jnp.arange(5)
    jitter = between(u[5:10], -0.03, 0.03) * (order != first)
    time = (order - first) * log_between(u[2], 0.14, 0.6) + jitter
    snr = log_between(u[3], 12, 40) * between(u[10:15], 0.6, 1.0) * (order < number)
    pitch = log_between(u[4], 40, 120) * between(u[15:20], 0.85, 1.15)
    return log_normals(time, pitch, 0.4 + 0.8 * u[5:6] * jnp.ones(5), TURN * u[6:7] * jnp.ones(5), snr)


def light_modulation(key: PRNGKeyArray) -> Signal:
    """Spikes close together and low-frequency noise that comes with them and outlasts them."""
    keys = jax.random.split(key)
    u = jax.random.uniform(keys[0], (8 + 16,))
    order = jnp.arange(4)
    number = jnp.floor(between(u[0], 2, 5))
    spread = log_between(u[1], 0.02, 0.3)
    time = spread * (u[8:12] - 0.5) * (order > 0)
    snr = log_between(u[2], 40, 160)
    spikes = log_normals(
        time, log_between(u[12:16], 20, 50), between(u[16:20], 0.25, 0.6), TURN * u[20:24],
        snr * between(u[8:12], 0.4, 1.0) * (order < number),
    )  # fmt: skip
    t = times() + between(u[3], 0.0, 0.25)
    length = log_between(u[4], 0.3, 1.8)
    envelope = jnp.exp(-((jnp.maximum(t, 0) / length) ** 2) - (jnp.minimum(t, 0) / 0.06) ** 2)
    low = noise_burst(keys[1], 10.0, log_between(u[5], 20, 60), envelope, snr * between(u[6], 0.5, 1.3))
    return spikes + low


def low_frequency_burst(key: PRNGKeyArray) -> Signal:
    """A short one, or a loud mound of low-frequency noise that fills the bottom."""
    keys = jax.random.split(key, 3)
    u = jax.random.uniform(keys[0], (10,))
    short = sine_gaussians(
        jnp.zeros(1), between(u[0:1], 11, 18), between(u[1:2], 3, 7), TURN * u[2:3],
        log_between(u[3:4], 14, 60), 2.5,
    )  # fmt: skip
    t = jnp.abs(times())
    wide = jnp.exp(-t / log_between(u[4], 0.3, 1.5))
    narrow = jnp.exp(-((t / log_between(u[5], 0.1, 0.6)) ** 2))
    snr = log_between(u[6], 40, 500)
    mound = noise_burst(keys[1], 9.0, between(u[7], 12, 18), wide, snr)
    mound += noise_burst(keys[2], 9.0, between(u[8], 20, 40), narrow, snr)
    return jnp.where(u[9] < 0.6, short, mound)


def low_frequency_lines(key: PRNGKeyArray) -> Signal:
    u = jax.random.uniform(key, (4,))
    f = jnp.full(SAMPLES, 1.0) * log_between(u[0], 10.5, 20)
    return line(f, plateau(between(u[1], 1.5, 5.0)), TURN * u[2], log_between(u[3], 12, 28))


def power_line(key: PRNGKeyArray) -> Signal:
    u = jax.random.uniform(key, (4, 1))
    return sine_gaussians(
        jnp.zeros(1), between(u[0], 59, 61.5), between(u[1], 40, 110), TURN * u[2], between(u[3], 9, 16), 3.0
    )


def air_compressor(key: PRNGKeyArray) -> Signal:
    u = jax.random.uniform(key, (4, 1))
    return sine_gaussians(
        jnp.zeros(1), between(u[0], 46, 53), between(u[1], 20, 45), TURN * u[2], between(u[3], 8, 14), 1.5
    )


def ripples(key: PRNGKeyArray) -> Signal:
    u = jax.random.uniform(key, (4, 1))
    return sine_gaussians(
        jnp.zeros(1), between(u[0], 1340, 1640), between(u[1], 120, 400), TURN * u[2], between(u[3], 9, 14), 1.0
    )


def lines_1080(key: PRNGKeyArray) -> Signal:
    """Dots along one frequency, the loudest at the trigger, denser about it."""
    u = jax.random.uniform(key, (5, 81))
    middle = jnp.arange(81) == 80
    extent = between(u[0, 0], 0.6, 2.3)
    about = u[1] < 0.4
    time = jnp.where(about, 0.4, 1.0) * extent * between(u[0], -1, 1) * ~middle
    f = between(u[2, 0], 1065, 1090) + between(u[2], -7, 7)
    number = between(u[1, 80], 25, 80)
    snr = jnp.where(middle, 9.0, between(u[4], 4, 8) * (jnp.arange(81) < number))
    return sine_gaussians(time, f, between(u[3], 50, 160), TURN * u[4], snr, 0.25)


def violin_mode(key: PRNGKeyArray) -> Signal:
    """Harmonics of 500 Hz at the trigger and at some echoes of it."""
    u = jax.random.uniform(key, (8, 15))
    echo, harmonic = jnp.divmod(jnp.arange(15), 3)
    side = between(u[0, :5], 0.15, 0.45) * jnp.array([0.0, -1, 1, -2, 2])
    f = (1 + harmonic) * between(u[1, 0], 494, 516) * between(u[2], 0.99, 1.01)
    there = (u[3] < 0.75) & (u[4, :5] < jnp.array([1.0, 0.8, 0.8, 0.3, 0.3]))[echo]
    there |= jnp.arange(15) == jnp.floor(u[1, 1] * 3)
    snr = between(u[5], 6, 12) / jnp.where(echo == 0, 1.0, 1.3) * there
    return sine_gaussians(side[echo], f, between(u[6], 70, 130) * (1 + harmonic), TURN * u[7], snr, 0.5)


def helix(key: PRNGKeyArray) -> Signal:
    """Stacks of two to four blobs, left and right in turn; often several stacks."""
    u = jax.random.uniform(key, (8, 36))
    stack, rung = jnp.divmod(jnp.arange(36), 4)
    number = jnp.floor(log_between(u[0, 0], 1, 10))
    place = jnp.where(jnp.arange(9) == 0, 0.0, between(u[1, :9], -2, 2))
    sway = jnp.where(rung % 2 == 0, 0.012, -0.012) + between(u[2], -0.006, 0.006)
    f = between(u[3, 0], 55, 95) * between(u[3, 1], 1.35, 1.6) ** rung * between(u[4], 0.95, 1.05)
    loudest = jnp.floor(u[3, 2] * 3)
    snr = between(u[5], 4, 7) + jnp.where(rung == loudest, between(u[0, 1], 1, 4), 0.0)
    snr *= (stack < number) * jnp.where(stack == 0, 1.0, between(u[6], 0.7, 1.0))
    return sine_gaussians(place[stack] + sway, f, between(u[7], 5, 8), TURN * u[6], snr, 0.5)


def scratchy(key: PRNGKeyArray) -> Signal:
    """A train of short dots, the same kind all along."""
    keys = jax.random.split(key)
    u = jax.random.uniform(keys[0], (6, 160))
    step = between(u[0, 0], 0.03, 0.07)
    time = step * (jnp.arange(160) - 80) + 0.006 * jax.random.normal(keys[1], (160,))
    pitch = log_between(u[0, 1], 90, 280)
    f = pitch * log_between(u[1], 0.8, 1.25)
    snr = between(u[2], 3, 8) * (jnp.abs(time) < between(u[0, 2], 1.2, 2.4)) * (u[5] < 0.85)
    snr = jnp.where(jnp.arange(160) == 80, 8.0, snr)
    return sine_gaussians(time, f, between(u[3], 5, 10), TURN * u[4], snr, 0.4)


def scattered_light(key: PRNGKeyArray) -> Signal:
    """Arches n · ff |cos 2 pi fm t| of light scattered n times (Udall & Davis, arXiv:2211.15867)."""
    u = jax.random.uniform(key, (12,))
    slow = between(u[0], 0.05, 0.16)
    turns = (log_between(u[1], 13, 26) / slow) * jnp.sin(TURN * slow * times() + between(u[2], -0.15, 0.15))
    envelope = plateau(jnp.minimum(0.45 / slow, between(u[3], 2.5, 5.0)))
    number = jnp.floor(between(u[4], 1.5, 5))
    loudness = log_between(u[5], 14, 45)
    total = jnp.zeros(SAMPLES)
    for n in range(1, 5):
        arch = envelope * jnp.sin(n * turns + TURN * u[5 + n])
        total += scaled(arch, loudness / n ** between(u[10], 0.3, 1.0) * (n <= number))
    return total


def whistle(key: PRNGKeyArray) -> Signal:
    """The beat |f_VCO - f_RF| of two oscillators: V, U, or an arch with wings where it passes through zero."""
    u = jax.random.uniform(key, (10,))
    t = times()
    lowest = log_between(u[0], 200, 700)
    v = lowest + between(u[1], 2e3, 7e3) * jnp.abs(t)
    bowl = lowest + log_between(u[2], 8e3, 6e4) * t**2
    top = log_between(u[3], 600, 1700)
    arch = jnp.abs(top * (1 - (t / log_between(u[4], 0.08, 0.35)) ** 2))
    kind = jnp.floor(3 * u[5]).astype(int)
    f = jnp.minimum(jnp.stack([v, bowl, arch])[kind], 3500)
    envelope = plateau(between(u[6], 0.35, 0.9), between(u[7], -0.05, 0.05)) * jnp.minimum(1, (f / 250) ** 2)
    return line(f, envelope, TURN * u[8], log_between(u[9], 22, 45))


def wandering_line(key: PRNGKeyArray) -> Signal:
    """A line that strays, or one in pieces that each climb to the same frequency."""
    keys = jax.random.split(key)
    u = jax.random.uniform(keys[0], (10,))
    t = times()
    walk = jnp.cumsum(jax.random.normal(keys[1], (SAMPLES // 64,)))
    walk = walk - jnp.convolve(walk, jnp.full(401, 1 / 401), mode="same")
    walk = 8 * jnp.interp(jnp.arange(SAMPLES) / 64, jnp.arange(SAMPLES // 64), walk)
    centre = log_between(u[0], 700, 1600)
    sway = between(u[1], 20, 80) * jnp.sin(TURN * (log_between(u[2], 0.2, 1.0) * t + u[3]))
    period = between(u[4], 0.12, 0.3)
    since = jnp.mod(t / period + 0.15 * jnp.sin(TURN * t * between(u[5], 0.2, 0.9)), 1.0) * period
    hooked = centre * (1 - between(u[6], 0.2, 0.5) * jnp.exp(-since / 0.01))
    lit = jnp.where(since < period * between(u[7], 0.4, 0.9), 1.0, 0.15) * (1 + 0.5 * jnp.tanh(walk / 20))
    broken = u[8] < 0.4
    f = jnp.where(broken, hooked + 0.1 * walk, centre + walk + sway)
    envelope = plateau(between(u[9], 4.0, 9.0)) * jnp.where(broken, lit, 1.0)
    return line(f, envelope, TURN * u[3], log_between(u[4], 60, 150))


def paired_doves(key: PRNGKeyArray) -> Signal:
    """Pairs of chirps about a second apart, one sweeping up, one down."""
    u = jax.random.uniform(key, (6, 6))
    period, pair = between(u[0, 0], 0.9, 1.3), between(u[0, 1], 0.03, 0.06)
    middle, rate = between(u[0, 2], 36, 55), between(u[0, 3], 80, 200)
    group, second = jnp.divmod(jnp.arange(6), 2)
    time = (group - 1) * period + jnp.where(second == 0, -pair, pair)
    snr = log_between(u[0, 4], 11, 40) * between(u[1], 0.6, 1.0) * jnp.where(group == 1, 1.0, u[2] < 0.85)
    total = jnp.zeros(SAMPLES)
    for i in range(6):
        t = times() - time[i]
        sign = jnp.where(second[i] == 0, -1.0, 1.0)
        turns = middle * between(u[3, i], 0.85, 1.2) * t + sign * rate * t**2
        pulse = jnp.exp(-((2 * t / between(u[0, 5], 0.14, 0.24)) ** 4)) * jnp.cos(TURN * (turns + u[4, i]))
        total += scaled(jnp.where(jnp.abs(t) < 0.3, pulse, 0.0), snr[i])
    return total


def odd_one(key: PRNGKeyArray) -> Signal:
    """Something of no class: a comb of spikes that begin at some high frequency."""
    keys = jax.random.split(key)
    u = jax.random.uniform(keys[0], (6, 96))
    step = log_between(u[0, 0], 0.03, 0.12)
    time = step * (jnp.arange(96) - 48 + 0.6 * (u[1] - 0.5))
    f = log_between(u[0, 1], 300, 1500) * between(u[2], 0.9, 1.3)
    snr = log_between(u[0, 2], 8, 18) * between(u[3], 0.5, 1.0) * (u[4] < between(u[0, 3], 0.5, 1.0))
    return sine_gaussians(time, f, between(u[0, 4], 2, 4) * jnp.ones(96), TURN * u[5], snr, 0.1)


RECIPES: dict[str, Callable[[PRNGKeyArray], Signal]] = {
    "1080Lines": lines_1080,
    "1400Ripples": ripples,
    "Air_Compressor": air_compressor,
    "Blip": blip,
    "Chirp": chirp,
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
assert tuple(RECIPES) == CLASSES
NOT_IN_A_MIX = ("No_Glitch", "Extremely_Loud", "None_of_the_Above")
"""Classes that no None_of_the_Above is made of."""
