"""Scenes with one source plane, lenses and look-alikes: draw until a lens is found, then take the image.

To add a kind: name it in `kinds`, draw its parameters in `scene_parameters`, render what it adds in `render`.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.simulate.lenses import evidence, optics, render
from lensjax.simulate.lenses.artefacts import EVERY, add_artefacts, draw_artefact
from lensjax.simulate.lenses.evidence import TRUTH, LensRule
from lensjax.simulate.lenses.instruments import Instrument
from lensjax.simulate.lenses.kinds import LENS_KINDS, LENS_WEIGHTS, is_lens, pick
from lensjax.simulate.lenses.scene import Scene
from lensjax.simulate.lenses.scene_parameters import draw_lens, draw_scene, lens_galaxy
from lensjax.types import Array, Bool, Float, PRNGKeyArray

MAX_ATTEMPTS = 10_000  # draws of a lens until one is found


def _found_lens(
    key: PRNGKeyArray, lens_kind: Array, view: render.Camera, quick_view: render.Camera, rule: LensRule
) -> tuple[dict[str, Array], Float[Array, "h w c"], Bool[Array, "h w"]]:
    """Draw lenses until one is found by the rule: its parameters, the flux of its images, its arc mask.

    The glare of the lens galaxy is seen through `quick_view`, which need not be supersampled.
    """
    instrument = view.instrument

    def draw(attempt: Array) -> tuple:
        s = draw_lens(jax.random.fold_in(key, attempt), lens_kind, instrument)
        return attempt + 1, s, evidence.may_be_found(s, instrument, rule)

    def look(attempt: Array) -> tuple:
        attempt, s, _ = repeat_until_found(draw, attempt)
        source_flux, magnification = render.lensed_source(view, s)
        glare = render.galaxies(quick_view, lens_galaxy(s))
        noise = evidence.pixel_noise(background_sigma(s, instrument), glare, instrument)
        mask = evidence.arc_mask(source_flux, noise)
        s |= {
            "magnification": magnification,
            "snr": evidence.signal_to_noise(source_flux, noise),
            "n_pix_source": mask.sum(),
        }
        return attempt, s, source_flux, mask, evidence.is_found(s, instrument, rule)

    return repeat_until_found(look, jnp.zeros((), jnp.int32))[1:4]


def repeat_until_found(step: Callable[[Array], tuple], attempt: Array, limit: int = MAX_ATTEMPTS) -> tuple:
    """Repeat `step: attempt -> (next attempt, …, whether it succeeded)` until it did; return its last result.

    After `limit` attempts it stops, and the result reports the failure.
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
    """Return the standard deviation of a scene's background in every band."""
    return s["noise_factor"] * np.array([band.sigma for band in instrument.bands], np.float32)


def simulate_single(
    key: PRNGKeyArray, kind: Array, instrument: Instrument, size: int, supersampling: int, rule: LensRule,
    allowed: Array | np.ndarray = EVERY,
) -> Scene:  # fmt: skip
    """Simulate a scene of a number of `KINDS`; to be jitted, the kind may be traced."""
    keys = jax.random.split(key, 5)
    side = size * instrument.pixel_scale
    lensed = kind < len(LENS_KINDS)
    # A non-lens is drawn as one of the lens kinds, in their proportions, so that the galaxies agree.
    u = jax.random.uniform(keys[0], (1 + len(instrument.bands),))
    twin = pick(u[0], LENS_WEIGHTS)
    lens_kind = jnp.where(lensed, kind, twin)
    fwhm = optics.draw_fwhm(u[1:], instrument)
    view = render.camera(fwhm, instrument, size, supersampling)
    quick_view = render.camera(fwhm, instrument, size, 1)
    lens, source_flux, mask = _found_lens(keys[1], lens_kind, view, quick_view, rule)
    s = draw_scene(keys[2], kind, lens, side) | draw_artefact(keys[3], instrument, size, allowed)
    source_flux = jnp.where(lensed, source_flux, 0.0)
    return photograph(keys[4], kind, s, view, source_flux, mask & lensed, fwhm)


def photograph(
    key: PRNGKeyArray, kind: Array, s: dict[str, Array], view: render.Camera,
    source_flux: Float[Array, "h w c"], mask: Bool[Array, "h w"], fwhm: Float[Array, "c"],
) -> Scene:  # fmt: skip
    """Take the image of a scene of known parameters, lensed light and arc mask; `key` is of its noise."""
    instrument = view.instrument
    sigma = background_sigma(s, instrument)
    flux = render.foreground(view, s) + source_flux
    star = render.starlight(view, s)
    noisy = optics.add_noise(key, flux + star, sigma, instrument)
    noisy, artefact_mask = add_artefacts(noisy, s, star, sigma, instrument)

    s = s | _derive_truth(s, kind, instrument) | {"fwhm": fwhm, "psf_fwhm": fwhm[0]}
    centre = 0.5 + jnp.stack([s["y"], s["x"]]) / (mask.shape[0] * instrument.pixel_scale)
    return Scene(
        image=jnp.arcsinh(noisy / sigma),
        flux=flux,
        source_flux=source_flux,
        mask=mask,
        artefact_mask=artefact_mask,
        position=jnp.where(is_lens(kind), centre, jnp.nan),
        sigma=sigma,
        fwhm=fwhm,
        truth={name: jnp.asarray(s[name], jnp.float32) for name in TRUTH},
        parameters=s,
    )


def _derive_truth(s: dict[str, Array], kind: Array, instrument: Instrument) -> dict[str, Array]:
    """Return the truths that follow from the parameters."""
    zero_point = instrument.bands[0].zero_point

    def first(magnitude: Array, old: Array, redshift: Array) -> Array:
        return zero_point - 2.5 * jnp.log10(render.band_flux(magnitude, old, redshift, instrument)[0])

    return {
        "kind": kind,
        "mag_lens_first": first(s["mag_lens"], s["old_lens"], s["z_l"]),
        "mag_source_first": first(s["mag_source"], s["old_source"], s["z_s"]),
        "beta_ratio": s["beta"] / s["theta_e"],
    }
