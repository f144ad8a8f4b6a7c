"""Strong lenses and what resembles them: scenes as multi-band images with their truth.

`simulate` makes one scene from a key and a kind, `examples` a data set. Lensing and light by jaxtronomy;
the population, look-alikes, artefacts and truth are in the modules beside this one.

To add a kind: name it in `kinds`, draw its parameters in `scene`, and render what it adds in `render`.
Compound lenses are in `double`, data sets of chosen kinds in `chosen`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.runtime.errors import UserError
from lensjax.simulate.lenses import optics, render
from lensjax.simulate.lenses.artefacts import ARTEFACTS, EVERY, add_artefacts, draw_artefact
from lensjax.simulate.lenses.evidence import (
    TRUTH,
    Rule,
    arc_mask,
    is_found,
    may_be_found,
    pixel_noise,
    signal_to_noise,
)
from lensjax.simulate.lenses.instruments import Instrument, instrument_named
from lensjax.simulate.lenses.kinds import (
    KINDS,
    LENS_KINDS,
    LENS_WEIGHTS,
    NON_LENS_KINDS,
    NON_LENS_WEIGHTS,
    kind_index,
    pick,
)
from lensjax.simulate.lenses.kinds import is_lens as is_lens_kind
from lensjax.simulate.lenses.scene import draw_lens, draw_scene, lens_galaxy
from lensjax.simulate.lenses.scene_batches import Scene, in_order, stored
from lensjax.simulate.one_core import jit_for_threads
from lensjax.types import Array, Bool, Example, Float, PRNGKeyArray

__all__ = ["KINDS", "LENS_KINDS", "NON_LENS_KINDS", "TRUTH", "Scene", "examples", "simulate"]

MAX_ATTEMPTS = 10_000  # draws of a lens until one is found


def simulate(
    key: PRNGKeyArray,
    kind: str | int,
    instrument: Instrument,
    size: int,
    supersampling: int = 2,
    rule: Rule = Rule(),  # noqa: B008
) -> Scene:
    """One scene of a kind (a name or number of `KINDS`), the same bit for bit for the same key.

    Raises UserError for an unknown kind, a size below 16, or a supersampling below 1.
    """
    check(size, supersampling)
    return _one(key, jnp.asarray(kind_index(kind)), instrument, size, supersampling, rule)


def examples(
    instrument: str, size: int, count: int, seed: int, lens_fraction: float = 0.5, supersampling: int = 2,
    rule: Rule = Rule(), chunk: int = 64, light: bool = False,  # noqa: B008
    artefacts: Sequence[str] = ARTEFACTS,
) -> Iterator[Example]:  # fmt: skip
    """`count` examples; example `i` depends on (seed, i) and the settings, not on count or chunk.

    With `light` each has the noise-free light of its lensed source, asinh(flux / sigma). A scene that would
    have an artefact which is not among `artefacts` is the same without it.

    Raises UserError for an unknown instrument, a size below 16, a fraction outside [0, 1].
    """
    named = instrument_named(instrument)
    check(size, supersampling, count, chunk)
    if not 0 <= lens_fraction <= 1:
        raise UserError(f"lens_fraction {lens_fraction} is not a fraction: use a number from 0 to 1")
    make = functools.partial(
        _chunk, seed, lens_fraction, named, size, supersampling, rule, allowed_of(artefacts), light
    )
    return in_order(make, f"{instrument}-{size}-s{seed}", count, chunk)


def allowed_of(artefacts: Sequence[str]) -> Bool[np.ndarray, "n"]:
    """By the number of an artefact, whether it is among those named."""
    return np.array([True, *(name in artefacts for name in ARTEFACTS)])


def check(size: int, supersampling: int, count: int = 1, chunk: int = 1) -> None:
    """Refuse what cannot be simulated, by a UserError."""
    if size < 16:
        raise UserError(f"image size {size} is too small for a lens: use at least 16 pixels")
    if supersampling < 1:
        raise UserError(f"supersampling {supersampling} is not positive: use 1, 2 or 3")
    if chunk < 1 or count < 0:
        raise UserError(f"chunk {chunk} must be positive and count {count} not negative: change them")


def _found_lens(
    key: PRNGKeyArray, lens_kind: Array, view: render.Camera, quick_view: render.Camera, rule: Rule
) -> tuple[dict[str, Array], Float[Array, "h w c"], Bool[Array, "h w"]]:
    """Draws lenses until one is found by the rule; its parameters, the flux of its images, its arc mask.

    The glare of the lens galaxy is seen through `quick_view`, which need not be supersampled.
    """
    instrument = view.instrument

    def draw(attempt: Array) -> tuple:
        s = draw_lens(jax.random.fold_in(key, attempt), lens_kind, instrument)
        return attempt + 1, s, may_be_found(s, instrument, rule)

    def look(attempt: Array) -> tuple:
        attempt, s, _ = until(draw, attempt)
        source_flux, magnification = render.lensed_source(view, s)
        glare = render.galaxies(quick_view, lens_galaxy(s))
        noise = pixel_noise(background_sigma(s, instrument), glare, instrument)
        mask = arc_mask(source_flux, noise)
        s |= {
            "magnification": magnification,
            "snr": signal_to_noise(source_flux, noise),
            "n_pix_source": mask.sum(),
        }
        return attempt, s, source_flux, mask, is_found(s, instrument, rule)

    return until(look, jnp.zeros((), jnp.int32))[1:4]


def until(step: Callable[[Array], tuple], attempt: Array, limit: int = MAX_ATTEMPTS) -> tuple:
    """Repeats `step: attempt -> (next attempt, …, whether it succeeded)` until it did; its last result.

    After `limit` attempts it gives up, and the result says that it did not succeed.
    One copy of the loop's body to compile: it starts from zeros that no rule has seen.
    """
    shapes = jax.eval_shape(step, attempt)
    empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.while_loop(
        lambda state: ~state[-1] & (state[0] < limit),
        lambda state: step(state[0]),
        (attempt, *empty[1:]),
    )


def background_sigma(s: dict[str, Array], instrument: Instrument) -> Float[Array, "c"]:
    return s["noise_factor"] * np.array([band.sigma for band in instrument.bands], np.float32)


def simulate_kind(
    key: PRNGKeyArray, kind: Array, instrument: Instrument, size: int, supersampling: int, rule: Rule,
    allowed: Array | np.ndarray = EVERY,
) -> Scene:  # fmt: skip
    """What `simulate` jits, for a kind that may be traced."""
    keys = jax.random.split(key, 5)
    side = size * instrument.pixel_scale
    is_lens = kind < len(LENS_KINDS)
    # A non-lens is drawn as one of the lens kinds, in their proportions, so that the galaxies agree.
    u = jax.random.uniform(keys[0], (1 + len(instrument.bands),))
    twin = pick(u[0], LENS_WEIGHTS)
    lens_kind = jnp.where(is_lens, kind, twin)
    fwhm = optics.jittered_fwhm(u[1:], instrument)
    view = render.camera(fwhm, instrument, size, supersampling)
    quick_view = render.camera(fwhm, instrument, size, 1)
    lens, source_flux, mask = _found_lens(keys[1], lens_kind, view, quick_view, rule)
    s = draw_scene(keys[2], kind, lens, side) | draw_artefact(keys[3], instrument, size, allowed)
    source_flux = jnp.where(is_lens, source_flux, 0.0)
    return photograph(keys[4], kind, s, view, source_flux, mask & is_lens, fwhm)


def photograph(
    key: PRNGKeyArray, kind: Array, s: dict[str, Array], view: render.Camera,
    source_flux: Float[Array, "h w c"], mask: Bool[Array, "h w"], fwhm: Float[Array, "c"],
) -> Scene:  # fmt: skip
    """The image of a scene whose parameters, lensed light and arc mask are known; `key` is of its noise."""
    instrument = view.instrument
    sigma = background_sigma(s, instrument)
    flux = render.unlensed(view, s) + source_flux
    star = render.starlight(view, s)
    noisy = optics.noisy(key, flux + star, sigma, instrument)
    noisy, artefact_mask = add_artefacts(noisy, s, star, sigma, instrument)

    s = s | _measured(s, kind, instrument) | {"fwhm": fwhm, "psf_fwhm": fwhm[0]}
    centre = 0.5 + jnp.stack([s["y"], s["x"]]) / (mask.shape[0] * instrument.pixel_scale)
    return Scene(
        image=jnp.arcsinh(noisy / sigma),
        flux=flux,
        source_flux=source_flux,
        mask=mask,
        artefact_mask=artefact_mask,
        position=jnp.where(is_lens_kind(kind), centre, jnp.nan),
        sigma=sigma,
        fwhm=fwhm,
        truth={name: jnp.asarray(s[name], jnp.float32) for name in TRUTH},
        parameters=s,
    )


def _measured(s: dict[str, Array], kind: Array, instrument: Instrument) -> dict[str, Array]:
    """Truths that follow from the parameters."""
    zero_point = instrument.bands[0].zero_point

    def first(magnitude: Array, old: Array, redshift: Array) -> Array:
        return zero_point - 2.5 * jnp.log10(render.band_flux(magnitude, old, redshift, instrument)[0])

    return {
        "kind": kind,
        "mag_lens_first": first(s["mag_lens"], s["old_lens"], s["z_l"]),
        "mag_source_first": first(s["mag_source"], s["old_source"], s["z_s"]),
        "beta_ratio": s["beta"] / s["theta_e"],
    }


_one = jax.jit(simulate_kind, static_argnums=(2, 3, 4))


@jit_for_threads(static_argnums=(3, 4, 5, 8))
def _batch(
    seed: Array, index: Array, lens_fraction: Array, instrument: Instrument, size: int, supersampling: int,
    rule: Rule, allowed: Array, light: bool,
) -> Scene:  # fmt: skip
    """Scenes of a data set by index: which kind, and everything else, follows from (seed, index)."""

    def scene(i: Array) -> Scene:
        keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), i))
        u = jax.random.uniform(keys[0], (2,))
        lens, other = pick(u[1], LENS_WEIGHTS), len(LENS_KINDS) + pick(u[1], NON_LENS_WEIGHTS)
        kind = jnp.where(u[0] < lens_fraction, lens, other)
        made = simulate_kind(keys[1], kind, instrument, size, supersampling, rule, allowed)
        return stored(made, light)

    # One by one on the CPU (caches; `cond` skips what is absent), all at once on an accelerator.
    if jax.default_backend() == "cpu":
        return jax.lax.map(scene, index)
    return jax.vmap(scene)(index)


def _chunk(
    seed: int, lens_fraction: float, instrument: Instrument, size: int, supersampling: int, rule: Rule,
    allowed: np.ndarray, light: bool, start: int, chunk: int,
) -> Scene:  # fmt: skip
    index = np.arange(start, start + chunk, dtype=np.int32)
    fraction = np.float32(lens_fraction)
    scenes = _batch(np.uint32(seed), index, fraction, instrument, size, supersampling, rule, allowed, light)
    return jax.device_get(scenes)
