"""Simulate a scene again with one change, such as another colour or PSF; the rest stays the same.

The noise of a pixel keeps its random number; its photon noise follows the light that is there.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.simulate.lenses import compound_lenses, render
from lensjax.simulate.lenses.colours import band_magnitudes
from lensjax.simulate.lenses.evidence import LensRule
from lensjax.simulate.lenses.instruments import Instrument
from lensjax.simulate.lenses.scene_parameters import COMPANION_SLOTS
from lensjax.simulate.lenses.single_lenses import photograph, simulate_single
from lensjax.simulate.threads import jit_for_threads, map_rows
from lensjax.types import Array, Float, PRNGKeyArray

BLUE, RED = 0.075, 0.6  # weight of the old spectrum, the middle of what sources of either class have
Parameters = dict[str, Array]


def scale_psf(s: Parameters, factor: float) -> Parameters:
    """Make every band's PSF `factor` times as wide."""
    return s | {"fwhm": factor * s["fwhm"]}


def set_source_colour(s: Parameters, old: float) -> Parameters:
    """Set the source's spectrum to `BLUE` or `RED`, its VIS magnitude unchanged."""
    return s | {"old_source": jnp.full_like(s["old_source"], old)}


def move_lens(s: Parameters, distance: float) -> Parameters:
    """Move the lens and its source to `distance` arcseconds from the middle, in the direction they are in."""
    place = jnp.stack([s["x"], s["y"]])
    new = distance * place / jnp.maximum(jnp.hypot(*place), 1e-6)
    own = jnp.arange(len(s["rows"])) < 2 + COMPANION_SLOTS  # not the field
    rows = s["rows"].at[:, -2:].add(jnp.where(own[:, None], new - place, 0.0))
    return s | {"x": new[0], "y": new[1], "rows": rows}


def remove_galaxy(s: Parameters) -> Parameters:
    """Remove the light of the lens galaxy, not its mass."""
    return s | {"rows": s["rows"].at[:2, 0].set(jnp.inf)}


def remove_companions(s: Parameters) -> Parameters:
    """Remove the companions' light."""
    return s | {"rows": s["rows"].at[2 : 2 + COMPANION_SLOTS, 0].set(jnp.inf)}


def measure_colour(s: Parameters, which: str, instrument: Instrument) -> Float[Array, ""]:
    """Return the first band minus the last of the lens or the source ("lens", "source"), AB magnitudes."""
    redshift = s["z_l" if which == "lens" else "z_s"]
    wavelengths = np.array([band.wavelength for band in instrument.bands])
    bands = band_magnitudes(jnp.zeros(()), redshift, s[f"old_{which}"], wavelengths)
    return bands[0] - bands[-1]


def remake_image(
    key: PRNGKeyArray, s: Parameters, sources: Float[Array, "n"], instrument: Instrument, size: int,
    supersampling: int,
) -> Float[Array, "h w c"]:  # fmt: skip
    """Make the image of a lens from the key and the `parameters` of its `Scene`.

    `sources` scales the light of the source, of a compound lens of each of the two: 0 removes it.
    """
    view = render.camera(s["fwhm"], instrument, size, supersampling)
    if "distance_ratio" in s:
        flux = jnp.tensordot(sources, compound_lenses.sources(view, s)[0], 1)
    else:
        flux = sources[0] * render.lensed_source(view, s)[0]
    noise = jax.random.split(key, 5)[4]
    nowhere = jnp.zeros((size, size), bool)
    return photograph(noise, s["kind"], s, view, flux, nowhere, s["fwhm"]).image


@jit_for_threads(static_argnums=(3, 4, 5))
def remake_images(
    keys: Array, s: Parameters, sources: Array, instrument: Instrument, size: int, supersampling: int
) -> Float[Array, "n h w c"]:
    """Return `remake_image` for every key and row of `s`."""
    return map_rows(
        lambda key, one: remake_image(key, one, sources, instrument, size, supersampling), keys, s
    )


@jit_for_threads(static_argnums=(3, 4, 5, 6))
def draw_parameters(
    keys: Array, kinds: Array, rule: LensRule, instrument: Instrument, size: int, supersampling: int,
    compound: bool = False,
) -> tuple[Parameters, dict[str, Array]]:  # fmt: skip
    """Draw parameters and truth of a scene a key; kinds are of `KINDS`, or compound ones (`compound`)."""
    simulate = compound_lenses.simulate_compound if compound else simulate_single

    def one(key: PRNGKeyArray, kind: Array) -> tuple[Parameters, dict[str, Array]]:
        made = simulate(key, kind, instrument, size, supersampling, rule)
        return made.parameters, made.truth

    return map_rows(one, keys, kinds)
