"""What fools finders on real images: stars with spikes, saturation, chip gaps, hot columns, cosmic rays."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.shapes import Array, PRNGKeyArray
from lensjax.simulate.instruments import Instrument

ARTEFACTS: tuple[str, ...] = ("star", "saturated_neighbour", "chip_gap", "hot_column", "cosmic_rays")
STAR, SATURATED, GAP, COLUMN, COSMIC = range(1, len(ARTEFACTS) + 1)
ARTEFACT_FRACTION = 0.2
RAYS = 6  # tracks of cosmic rays at most


def draw_artefact(key: PRNGKeyArray, instrument: Instrument, size: int) -> dict[str, Array]:
    """Which artefact a scene has, if any, and the parameters of all of them."""
    keys = jax.random.split(key, 5)
    present = jax.random.bernoulli(keys[0], ARTEFACT_FRACTION)
    which = jnp.where(present, jax.random.randint(keys[1], (), 1, len(ARTEFACTS) + 1), 0)
    u = jax.random.uniform(keys[2], (8,))
    side = size * instrument.pixel_scale
    saturated = which == SATURATED
    # A star stands clear of the middle; a saturated one near the edge.
    distance = jnp.where(saturated, 0.36 + 0.12 * u[0], 0.22 + 0.26 * u[0]) * side
    angle = 2 * jnp.pi * u[1]
    bright = (which == STAR) | saturated
    magnitude = jnp.where(saturated, 13.5 + 2.0 * u[2], 17.0 + 4.5 * u[2])
    bands = len(instrument.bands)
    some = jax.random.bernoulli(keys[3], 0.5, (bands,)) | (jnp.arange(bands) == jnp.floor(u[3] * bands))
    one = jnp.arange(bands) == jnp.floor(u[3] * bands)
    return {
        "artefact": which,
        "star_magnitude": jnp.where(bright, magnitude, jnp.inf),
        "star_x": distance * jnp.cos(angle),
        "star_y": distance * jnp.sin(angle),
        "star_angle": jnp.deg2rad(instrument.spike_angle + 10 * (u[4] - 0.5)),
        "star_share": 0.03 + 0.04 * u[5],
        "gap_start": jnp.floor(size * (0.05 + 0.9 * u[0])),
        "gap_width": jnp.floor(size * (0.04 + 0.12 * u[1])) + 1,
        "gap_tilt": 0.06 * (u[2] - 0.5),
        "gap_rows": u[4] < 0.5,
        "hot_column": jnp.floor(size * u[0]),
        "hot_level": 10 ** (0.7 + 1.5 * u[1]),
        "hot_start": size * jnp.where(u[2] < 0.5, 0.0, u[2] - 0.5),
        "bands_some": some,
        "bands_one": one,
        "rays": jax.random.uniform(keys[4], (RAYS, 5)),
        "rays_number": 2 + jnp.floor(u[5] * (RAYS - 1)),
    }


def _cosmic_rays(scene: dict[str, Array], size: int) -> Array:
    """Level of the tracks in each pixel, in sigma: straight, sharp (no PSF), tapering in brightness."""
    column, row = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    level = jnp.zeros((size, size))
    for k in range(RAYS):
        u = scene["rays"][k]
        angle = jnp.pi * u[2]
        dx, dy = column - size * u[0], row - size * u[1]
        along = dx * jnp.cos(angle) + dy * jnp.sin(angle)
        across = jnp.abs(dy * jnp.cos(angle) - dx * jnp.sin(angle))
        length = 1 + 12 * u[3] ** 3
        hit = (across < 0.55) & (jnp.abs(along) < length) & (k < scene["rays_number"])
        level = jnp.maximum(level, jnp.where(hit, 10 ** (0.9 + 1.6 * u[4]), 0.0))
    return level


def add_artefacts(
    image: Array, scene: dict[str, Array], star_flux: Array, sigma: Array, instrument: Instrument
) -> tuple[Array, Array]:
    """The noisy flux [h w c] with its artefacts, and their mask [h w].

    `star_flux` is already in the image: it marks the star's pixels, and where it saturates the column bleeds.
    """
    size = image.shape[0]
    column, row = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    which = scene["artefact"]

    full = instrument.full_well * sigma
    over = (star_flux > 0.5 * full) & (which == SATURATED)
    tall = jax.lax.reduce_window(over, False, jnp.logical_or, (2 * (size // 6) + 1, 1, 1), (1, 1, 1), "SAME")
    image = jnp.where(tall, full, jnp.minimum(image, full))
    mask = jnp.any(tall | (star_flux > sigma), -1)

    across = jnp.where(scene["gap_rows"], row + scene["gap_tilt"] * column, column + scene["gap_tilt"] * row)
    depth = across - scene["gap_start"]
    gap = (depth >= 0) & (depth < scene["gap_width"]) & (which == GAP)
    image = jnp.where(gap[..., None] & scene["bands_some"], 0.0, image)

    hot = (column == scene["hot_column"]) & (row >= scene["hot_start"]) & (which == COLUMN)
    image = image + jnp.where(hot[..., None] & scene["bands_one"], scene["hot_level"] * sigma, 0.0)

    rays = _cosmic_rays(scene, size) * (which == COSMIC)
    image = image + rays[..., None] * sigma * scene["bands_one"]
    return image, mask | gap | hot | (rays > 0)
