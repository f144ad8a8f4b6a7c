"""Draw the parameters of a scene of each kind; pixels are made of them in `render`.

Every scene begins as a lens. A non-lens keeps the lens's galaxy, loses the arcs, and is given something
else, often of the flux that the arcs had: so brightness, size and centring do not distinguish the classes.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.simulate.lenses import kinds as K
from lensjax.simulate.lenses.instruments import Instrument
from lensjax.simulate.lenses.population import NUMBERS, draw_system
from lensjax.types import Array, Float, PRNGKeyArray

FIELD_SLOTS = 4
FIELD_DENSITY = 0.017  # galaxies brighter than VIS 25.8 an arcsec²
COMPANION_SLOTS = 3
LENS_NUMBERS = 7 + NUMBERS
OFFSET = 1.0  # arcseconds, half-width of the uniform offset of the system from the middle


def draw_lens(key: PRNGKeyArray, lens_kind: Array, instrument: Instrument) -> dict[str, Array]:
    """Draw a lens that may or may not be found: galaxy, mass, source, place, and the depth of the image."""
    return derive_lens(jax.random.uniform(key, (LENS_NUMBERS,), minval=1e-6), lens_kind, instrument)


def derive_lens(u: Float[Array, "n"], lens_kind: Array, instrument: Instrument) -> dict[str, Array]:
    """Derive the lens of `draw_lens` from `LENS_NUMBERS` uniform numbers."""
    low, high = instrument.noise_factor
    galaxy_and_source = draw_system(u[7:], lens_kind, instrument)
    return {
        **galaxy_and_source,
        "x": OFFSET * (2 * u[0] - 1),
        "y": OFFSET * (2 * u[1] - 1),
        "noise_factor": low + (high - low) * u[2],
        # A star-forming knot in the source: its share of the flux, its place.
        "knot_share": jnp.where(u[3] < 0.5, 0.1 + 0.3 * u[4], 0.0),
        "knot_angle": 2 * jnp.pi * u[5],
        "knot_distance": (0.3 + u[6]) * galaxy_and_source["r_source"],
    }


def draw_scene(key: PRNGKeyArray, kind: Array, lens: dict[str, Array], side: float) -> dict[str, Array]:
    """Draw what else is in an image, `side` arcseconds wide, around the galaxy of `draw_lens`.

    `rows` holds its Sérsic galaxies, one a row: VIS magnitude (infinite for none), weight of the old
    spectrum, redshift, half-light radius, n, q, φ, x, y.
    """
    # One draw for all: every call of a random function compiles its generator again.
    edges = np.cumsum([13, 2, 7 * COMPANION_SLOTS, 10 * FIELD_SLOTS])
    special, central, company, field = jnp.split(
        jax.random.uniform(key, (int(edges[-1]),), minval=1e-6), edges[:-1]
    )
    s = {**lens, **_special(special, kind, lens)}
    rows = [
        _central(central, kind, s),
        _companions(company.reshape(7, COMPANION_SLOTS), kind, s),
        _field(field.reshape(10, FIELD_SLOTS), side),
    ]
    return {**s, "rows": jnp.concatenate(rows)}


def _magnitude_of(share: Array) -> Array:
    """Return the magnitudes to add for a share of the flux; infinite for none."""
    return jnp.where(share > 0, -2.5 * jnp.log10(jnp.maximum(share, 1e-10)), jnp.inf)


def lens_galaxy(s: dict[str, Array]) -> Array:
    """Return the rows (as in `draw_scene`) of the central galaxy of a lens: its bulge and disc."""
    none = jnp.zeros(())
    whole = {**s, "late_bulge": none, "second_share": none}
    return _central(jnp.zeros(2), jnp.zeros((), jnp.int32), whole)


def _central(u: Array, kind: Array, s: dict[str, Array]) -> Array:
    """Return bulge and disc of the central galaxy; a spiral's disc is drawn elsewhere, with its arms."""
    late = (kind == K.SPIRAL) | (kind == K.EDGE_ON)
    bulge = jnp.where(late, s["late_bulge"], s["bulge_fraction"])
    # A merger shares its light with the second galaxy (a companion slot).
    whole = jnp.where(kind == K.EMPTY, 0.0, jnp.where(kind == K.MERGER, 1 - s["second_share"], 1.0))
    disc_share = jnp.where(kind == K.SPIRAL, 0.0, (1 - bulge) * whole)
    edge_q = 0.1 + 0.15 * u[0]
    edge = kind == K.EDGE_ON
    bulge_row = [
        s["mag_lens"] + _magnitude_of(bulge * whole),
        s["old_lens"],
        s["z_l"],
        jnp.where(late, 0.5, 1.0) * s["r_lens"],
        s["n_lens"],
        jnp.where(kind == K.SPIRAL, 0.5 + 0.5 * s["q"], s["q"]),
        s["phi"],
        s["x"],
        s["y"],
    ]
    disc_row = [
        s["mag_lens"] + _magnitude_of(disc_share),
        jnp.where(edge, s["old_lens"] - 0.5 * u[1], s["old_lens"] - 0.2),
        s["z_l"],
        jnp.where(edge, jnp.maximum(1.6 * s["r_lens"], 0.5), 1.6 * s["r_lens"]),
        jnp.ones(()),
        jnp.where(edge, edge_q, jnp.clip(s["q"], 0.3, 0.95)),
        s["phi"],
        s["x"],
        s["y"],
    ]
    return jnp.stack([jnp.stack(bulge_row), jnp.stack(disc_row)])


def _companions(u: Array, kind: Array, s: dict[str, Array]) -> Array:
    """Draw companions that share the flux of the arcs, at 0.5–2.5 θE; or a merger's second galaxy."""
    number = 1 + jnp.floor(u[0, 0] * COMPANION_SLOTS)
    slot = jnp.arange(COMPANION_SLOTS)
    merger = kind == K.MERGER
    weight = jnp.where(slot < number, 0.3 + u[1], 0.0)
    share = jnp.where(kind == K.COMPANIONS, weight / weight.sum(), 0.0)
    magnitude = s["mag_source"] + _magnitude_of(share)
    magnitude = jnp.where(merger & (slot == 0), s["mag_lens"] + _magnitude_of(s["second_share"]), magnitude)
    distance = (0.5 + 2.0 * u[2]) * s["theta_e"]
    distance = jnp.where(merger, (0.8 + 1.7 * u[2]) * s["r_lens"], distance)
    angle = 2 * jnp.pi * u[3]
    columns = [
        magnitude,
        jnp.where(merger, s["old_lens"], s["old_source"]),
        jnp.where(merger, s["z_l"], s["z_s"]),
        jnp.where(merger, 0.6 * s["r_lens"], jnp.maximum(s["r_source"] * (0.7 + 0.8 * u[4]), 0.06)),
        jnp.where(merger, s["n_lens"], 0.8 + 1.2 * u[5]),
        0.4 + 0.55 * u[5],
        jnp.pi * u[6],
        s["x"] + distance * jnp.cos(angle),
        s["y"] + distance * jnp.sin(angle),
    ]
    return jnp.stack([jnp.broadcast_to(c, (COMPANION_SLOTS,)) for c in columns], -1)


def _field(u: Array, side: float) -> Array:
    """Draw faint galaxies anywhere in the image."""
    present = u[0] < min(FIELD_DENSITY * side**2 / FIELD_SLOTS, 0.9)
    columns = [
        jnp.where(present, jnp.clip(25.8 + 1.2 * jnp.log(u[1]), 20.5, 25.8), jnp.inf),
        u[2] ** 2,
        0.3 + 2.0 * u[3],
        0.12 + 0.35 * u[4] ** 2,
        0.7 + 2.0 * u[5] ** 2,
        0.3 + 0.65 * u[6],
        jnp.pi * u[9],
        (u[7] - 0.5) * side,
        (u[8] - 0.5) * side,
    ]
    return jnp.stack(columns, -1)


def _special(u: Array, kind: Array, s: dict[str, Array]) -> dict[str, Array]:
    """Draw the spiral disc, and the ring or tidal arc that has about the flux of a lensed image."""
    bulge = 0.15 + 0.3 * u[12]
    ring, merger = kind == K.RING_GALAXY, kind == K.MERGER
    radius = jnp.where(ring, 0.5 + 2.0 * u[0] ** 1.5, jnp.clip(s["theta_e"] * (0.7 + 0.8 * u[0]), 0.4, 2.0))
    # A tidal arc curves around a point beside the galaxy, a lensed arc around the galaxy.
    away, direction = radius * (0.4 + 0.8 * u[1]), 2 * jnp.pi * u[2]
    return {
        "late_bulge": bulge,
        "second_share": 0.1 + 0.35 * u[3],
        "spiral_magnitude": jnp.where(kind == K.SPIRAL, s["mag_lens"] + _magnitude_of(1 - bulge), jnp.inf),
        "spiral_radius": jnp.maximum(1.5 * s["r_lens"], 0.6),
        "spiral_q": 0.65 + 0.33 * u[4],
        "spiral_arms": 0.5 + 0.45 * u[5],
        "spiral_pitch": jnp.where(u[6] < 0.5, 1.0, -1.0) * jnp.deg2rad(14 + 16 * u[7]),
        "spiral_old": 0.2 + 0.4 * u[8],
        "annulus_magnitude": jnp.where(ring | merger, s["mag_source"] - ring * u[4], jnp.inf),
        "annulus_radius": radius,
        "annulus_width": radius * (0.08 + 0.14 * u[9]),
        "annulus_q": jnp.where(ring, 0.55 + 0.43 * u[10], 0.7 + 0.3 * u[10]),
        "annulus_phi": 2 * jnp.pi * u[11],
        "annulus_extent": jnp.where(ring, 50.0, 0.3 + 0.5 * u[1]),
        "annulus_x": s["x"] + jnp.where(merger, away * jnp.cos(direction), 0.0),
        "annulus_y": s["y"] + jnp.where(merger, away * jnp.sin(direction), 0.0),
        "annulus_old": jnp.where(merger, 0.2 + 0.5 * u[8], s["old_source"]),
    }
