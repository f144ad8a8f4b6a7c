"""A scene made again with one thing changed: the same galaxies, noise and artefacts, another colour or PSF.

The noise of a pixel keeps its random number; its photon noise follows the light that is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.simulate.lenses import compound_lenses, lenses, render
from lensjax.simulate.lenses.colours import magnitudes
from lensjax.simulate.lenses.evidence import Rule
from lensjax.simulate.lenses.instruments import Instrument
from lensjax.simulate.lenses.scene import COMPANION_SLOTS
from lensjax.simulate.one_core import jit_for_threads
from lensjax.types import Array, Float, PRNGKeyArray

BLUE, RED = 0.075, 0.6  # weight of the old spectrum, the middle of what sources of either class have
Parameters = dict[str, Array]


def with_psf(s: Parameters, factor: float) -> Parameters:
    """Every band's PSF `factor` times as wide."""
    return s | {"fwhm": factor * s["fwhm"]}


def with_source_colour(s: Parameters, old: float) -> Parameters:
    """The source's spectrum at `BLUE` or `RED`, its VIS magnitude unchanged."""
    return s | {"old_source": jnp.full_like(s["old_source"], old)}


def at_distance(s: Parameters, distance: float) -> Parameters:
    """The lens and its source `distance` arcseconds from the middle, in the direction they are in."""
    place = jnp.stack([s["x"], s["y"]])
    new = distance * place / jnp.maximum(jnp.hypot(*place), 1e-6)
    own = jnp.arange(len(s["rows"])) < 2 + COMPANION_SLOTS  # not the field
    rows = s["rows"].at[:, -2:].add(jnp.where(own[:, None], new - place, 0.0))
    return s | {"x": new[0], "y": new[1], "rows": rows}


def without_galaxy(s: Parameters) -> Parameters:
    """The light of the lens galaxy gone, its mass not."""
    return s | {"rows": s["rows"].at[:2, 0].set(jnp.inf)}


def alone(s: Parameters) -> Parameters:
    """The companions' light gone."""
    return s | {"rows": s["rows"].at[2 : 2 + COMPANION_SLOTS, 0].set(jnp.inf)}


def colour(s: Parameters, which: str, instrument: Instrument) -> Float[Array, ""]:
    """First band minus last of the lens or the source ("lens", "source"), AB magnitudes."""
    redshift = s["z_l" if which == "lens" else "z_s"]
    wavelengths = np.array([band.wavelength for band in instrument.bands])
    bands = magnitudes(jnp.zeros(()), redshift, s[f"old_{which}"], wavelengths)
    return bands[0] - bands[-1]


def again(
    key: PRNGKeyArray, s: Parameters, sources: Float[Array, "n"], instrument: Instrument, size: int,
    supersampling: int,
) -> Float[Array, "h w c"]:  # fmt: skip
    """The image of a lens from the key and the `parameters` of its `Scene`.

    `sources` scales the light of the source, of a compound lens of each of the two: 0 removes it.
    """
    view = render.camera(s["fwhm"], instrument, size, supersampling)
    if "distance_ratio" in s:
        flux = jnp.tensordot(sources, compound_lenses.sources(view, s)[0], 1)
    else:
        flux = sources[0] * render.lensed_source(view, s)[0]
    noise = jax.random.split(key, 5)[4]
    nowhere = jnp.zeros((size, size), bool)
    return lenses.photograph(noise, s["kind"], s, view, flux, nowhere, s["fwhm"]).image


@jit_for_threads(static_argnums=(3, 4, 5))
def images(
    keys: Array, s: Parameters, sources: Array, instrument: Instrument, size: int, supersampling: int
) -> Float[Array, "n h w c"]:
    """`again` for every key and row of `s`."""
    return _each(lambda key, one: again(key, one, sources, instrument, size, supersampling), keys, s)


@jit_for_threads(static_argnums=(3, 4, 5, 6))
def parameters(
    keys: Array, kinds: Array, rule: Rule, instrument: Instrument, size: int, supersampling: int,
    compound: bool = False,
) -> tuple[Parameters, dict[str, Array]]:  # fmt: skip
    """Parameters and truth of a scene a key, of numbers in `KINDS`, or of compound kinds (`compound`)."""
    simulate = compound_lenses.simulate_double if compound else lenses.simulate_kind

    def one(key: PRNGKeyArray, kind: Array) -> tuple[Parameters, dict[str, Array]]:
        made = simulate(key, kind, instrument, size, supersampling, rule)
        return made.parameters, made.truth

    return _each(one, keys, kinds)


def _each(one: Callable, *columns: Any) -> Any:
    """One by one on the CPU (`cond` skips what is absent), all at once on an accelerator."""
    if jax.default_backend() == "cpu":
        return jax.lax.map(lambda row: one(*row), columns)
    return jax.vmap(one)(*columns)
