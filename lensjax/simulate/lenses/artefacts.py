"""Draw artefacts that mislead finders: stars with spikes, saturation, chip gaps, hot columns, cosmic rays."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.simulate.lenses.instruments import Instrument
from lensjax.types import Array, Bool, PRNGKeyArray

ARTEFACTS: tuple[str, ...] = ("star", "saturated_neighbour", "chip_gap", "hot_column", "cosmic_rays")
STAR, SATURATED, GAP, COLUMN, COSMIC = range(1, len(ARTEFACTS) + 1)
ARTEFACT_FRACTION = 0.2
RAYS = 6  # tracks of cosmic rays at most
EVERY = np.ones(len(ARTEFACTS) + 1, bool)
"""By the number of an artefact, whether a scene may have it."""


def allow_artefacts(names: Sequence[str]) -> Bool[np.ndarray, "n"]:
    """Return, by the number of an artefact, whether it is among those named."""
    return np.array([True, *(name in names for name in ARTEFACTS)])


def draw_artefact(
    key: PRNGKeyArray, instrument: Instrument, size: int, allowed: Array | np.ndarray = EVERY
) -> dict[str, Array]:
    """Draw which artefact a scene has, if any, and the parameters of all; one not allowed is left out."""
    bands = len(instrument.bands)
    u = jax.random.uniform(key, (8 + bands + RAYS * 5,))
    chosen = 1 + jnp.floor(u[6] / ARTEFACT_FRACTION * len(ARTEFACTS)).astype(jnp.int32)
    which = jnp.where(chosen <= len(ARTEFACTS), chosen, 0)
    which = jnp.where(jnp.asarray(allowed)[which], which, 0)
    side = size * instrument.pixel_scale
    saturated = which == SATURATED
    # A star stands clear of the middle; a saturated one near the edge.
    distance = jnp.where(saturated, 0.36 + 0.12 * u[0], 0.22 + 0.26 * u[0]) * side
    angle = 2 * jnp.pi * u[1]
    bright = (which == STAR) | saturated
    magnitude = jnp.where(saturated, 13.5 + 2.0 * u[2], 17.0 + 4.5 * u[2])
    one = jnp.arange(bands) == jnp.floor(u[3] * bands)
    some = one | (u[8 : 8 + bands] < 0.5)
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
        "rays": u[8 + bands :].reshape(RAYS, 5),
        "rays_number": 2 + jnp.floor(u[5] * (RAYS - 1)),
    }


def _cosmic_rays(scene: dict[str, Array], row: np.ndarray, column: np.ndarray) -> Array:
    """Return the level of the tracks in each pixel, in sigma: straight and sharp, without a PSF."""
    size = len(row)
    u = scene["rays"][:, :, None, None]
    angle = jnp.pi * u[:, 2]
    dx, dy = column - size * u[:, 0], row - size * u[:, 1]
    along = dx * jnp.cos(angle) + dy * jnp.sin(angle)
    across = dy * jnp.cos(angle) - dx * jnp.sin(angle)
    hit = (jnp.abs(across) < 0.55 + 0.6 * u[:, 4] * (u[:, 3] < 0.4)) & (
        jnp.abs(along) < 1 + 12 * u[:, 3] ** 3
    )
    hit &= np.arange(RAYS)[:, None, None] < scene["rays_number"]
    return jnp.where(hit, 10 ** (0.9 + 1.6 * u[:, 4]), 0.0).max(0)


def add_artefacts(
    image: Array, scene: dict[str, Array], star_flux: Array, sigma: Array, instrument: Instrument
) -> tuple[Array, Array]:
    """Add a scene's artefacts to its noisy flux [h w c]; return it with their mask [h w].

    `star_flux` is already in the image: it marks the star's pixels, and where it saturates the column bleeds.
    """
    size, which = image.shape[0], scene["artefact"]
    column, row = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))

    def present() -> tuple[Array, Array]:
        full = instrument.full_well * sigma
        over = (star_flux > 0.5 * full) & (which == SATURATED)
        window = (2 * (size // 6) + 1, 1, 1)
        tall = jax.lax.reduce_window(over, False, jnp.logical_or, window, (1, 1, 1), "SAME")
        changed = jnp.where(tall, full, jnp.minimum(image, full))
        mask = jnp.any(tall | (star_flux > sigma), -1)

        tilt = scene["gap_tilt"]
        depth = jnp.where(scene["gap_rows"], row + tilt * column, column + tilt * row) - scene["gap_start"]
        gap = (depth >= 0) & (depth < scene["gap_width"]) & (which == GAP)
        changed = jnp.where(gap[..., None] & scene["bands_some"], 0.0, changed)

        hot = (column == scene["hot_column"]) & (row >= scene["hot_start"]) & (which == COLUMN)
        changed = changed + jnp.where(hot[..., None] & scene["bands_one"], scene["hot_level"] * sigma, 0.0)

        rays = _cosmic_rays(scene, row, column) * (which == COSMIC)
        changed = changed + rays[..., None] * sigma * scene["bands_one"]
        return changed, mask | gap | hot | (rays > 0)

    return jax.lax.cond(which > 0, present, lambda: (image, jnp.zeros(image.shape[:2], bool)))
