"""Double source planes: two sources at different redshifts behind one lens, the nearer with light and mass.

Known as compound lenses, and as Jackpot lenses after SDSSJ0946+1006 (Gavazzi et al. 2008, arXiv:0801.1555).
Rays are shot through both planes. With θ from the lens, α_L the deflection of the lens reduced to the first
source and α_1 that of the first source's mass reduced to the second,

    β1 = θ − α_L(θ),    β2 = θ − f α_L(θ) − α_1(β1),    f = [(χ2 − χl) / χ2] · [χ1 / (χ1 − χl)]

(`cosmology.distance_ratio`), so θE2 = f θE1 for an isothermal lens and a first source without mass.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtronomy.LensModel.Profiles.sie import SIE

from lensjax.runtime.errors import UserError
from lensjax.simulate.lenses import cosmology, evidence, light, optics, render
from lensjax.simulate.lenses.artefacts import EVERY, draw_artefact
from lensjax.simulate.lenses.evidence import TRUTH, LensRule
from lensjax.simulate.lenses.instruments import Instrument
from lensjax.simulate.lenses.kinds import ARC, DOUBLE_RING
from lensjax.simulate.lenses.population import ellipticity
from lensjax.simulate.lenses.scene import Scene
from lensjax.simulate.lenses.scene_parameters import LENS_NUMBERS, derive_lens, draw_scene, lens_galaxy
from lensjax.simulate.lenses.single_lenses import background_sigma, photograph, repeat_until_found
from lensjax.types import Array, Bool, Float, PRNGKeyArray

MIN_GAP = 0.1  # of redshift, from the lens to the nearer source and from that to the further
MIN_RATIO = 1.15  # f: below it the two sources make one set of images
MIN_RATIO_RING = 1.3
DISPERSION = (100.0, 200.0)  # km/s, of the nearer source
MIN_SNR_SECOND = 10.0  # the further source must be seen, but need not be found without the nearer

MAX_DRAWS = 1_000_000  # a double ring of θE > 0.5″ and S/N > 40 takes a thousand or so

SOURCE = (
    *("z_s", "mag_source", "r_source", "n_source", "q_source", "phi_source", "source_red", "old_source"),
    *("beta_angle", "knot_share", "knot_angle", "knot_distance"),
)
"""Parameters of a source; the further one's names end in `_2`."""

COMPOUND_TRUTH: dict[str, str] = {
    "distance_ratio": "f = D_l2 D_1 / (D_2 D_l1), the further source's deflection over the nearer's",
    "theta_e_2": "Einstein radius for the further source, f θE, arcsec",
    "z_s_2": "redshift of the further source",
    "sigma_v_source": "velocity dispersion of the nearer source, km/s",
    "theta_e_source": "Einstein radius of the nearer source as a lens of the further, arcsec",
    "mag_source_2": "VIS magnitude of the further source, lensed",
    "r_source_2": "half-light radius of the further source, unlensed, arcsec",
    "source_red_2": "colour class of the further source: 0 blue, 1 red",
    "beta_2": "distance of the further source from the axis through the lens, arcsec",
    "beta_angle_2": "its direction in the further source plane, rad",
    "magnification_2": "of the further source",
    "snr_1": "signal-to-noise of the nearer source alone",
    "snr_2": "signal-to-noise of the further source alone",
    "n_pix_1": "mask pixels of the nearer source",
    "n_pix_2": "mask pixels of the further source",
}


def source_planes(grid: light.RayGrid, s: dict[str, Array]) -> tuple[light.RayGrid, light.RayGrid]:
    """Return where rays meet the planes of the nearer and of the further source, arcseconds from the lens."""
    theta = grid[0] - s["x"], grid[1] - s["y"]
    first = light.lens_plane_to_source_plane(grid, s, s["x"], s["y"])
    # The first source's mass is rounder than its light, as haloes are; SIE is NaN at q = 1 in float32.
    e1, e2 = ellipticity(jnp.minimum(0.5 + 0.5 * s["q_source"], 0.98), s["phi_source"])
    x, y = s["beta"] * jnp.cos(s["beta_angle"]), s["beta"] * jnp.sin(s["beta_angle"])
    own = SIE().derivatives(*first, s["theta_e_source"], e1, e2, x, y)
    second = [t - s["distance_ratio"] * (t - b) - a for t, b, a in zip(theta, first, own, strict=True)]
    return first, (second[0], second[1])


def draw_double(key: PRNGKeyArray, instrument: Instrument) -> dict[str, Array]:
    """Draw a lens and two sources of LensPop's distributions, the nearer first.

    `distance_ratio` is 0, and there is no system, unless lens and sources are apart.
    """
    u = jax.random.uniform(key, (2 * LENS_NUMBERS + 1,), minval=1e-6)
    arc = jnp.asarray(ARC)
    s, other = (derive_lens(some, arc, instrument) for some in (u[:LENS_NUMBERS], u[LENS_NUMBERS:-1]))
    swapped = other["z_s"] < s["z_s"]

    near = {name: jnp.where(swapped, other[name], s[name]) for name in SOURCE}
    far = {name: jnp.where(swapped, s[name], other[name]) for name in SOURCE}
    z_l, z_1, z_2 = s["z_l"], near["z_s"], far["z_s"]
    apart = (z_1 > z_l + MIN_GAP) & (z_2 > z_1 + MIN_GAP)
    ratio = jnp.where(apart, cosmology.distance_ratio(z_l, z_1, z_2), 0.0)
    distances = cosmology.interpolate_distance(z_l), cosmology.interpolate_distance(z_1)
    theta_e = cosmology.einstein_radius(s["sigma_v"], *distances)
    # 9 where a source was drawn in front of its own lens: such a system is not found.
    first, second = (
        jnp.where(one["theta_e"] > 0, one["beta"] / jnp.maximum(one["theta_e"], 1e-6), 9.0)
        for one in (s, other)
    )
    sigma_v = DISPERSION[0] + (DISPERSION[1] - DISPERSION[0]) * u[-1]
    return {
        **s,
        **near,
        **{f"{name}_2": value for name, value in far.items()},
        "theta_e": theta_e,
        "beta": jnp.where(swapped, second, first) * theta_e,
        "distance_ratio": ratio,
        "theta_e_2": ratio * theta_e,
        "beta_2": jnp.where(swapped, first, second) * ratio * theta_e,
        "sigma_v_source": sigma_v,
        "theta_e_source": cosmology.einstein_radius(sigma_v, *map(cosmology.comoving_distance, (z_1, z_2))),
    }


def is_double_ring(s: dict[str, Array]) -> Bool[Array, ""]:
    """Tell whether both sources cover the axis through the lens, and their rings are apart."""
    covered = (s["beta"] < s["r_source"]) & (s["beta_2"] < s["r_source_2"])
    return covered & (s["distance_ratio"] > MIN_RATIO_RING)


def second_source(s: dict[str, Array]) -> dict[str, Array]:
    """Return the further source under the names of a single one."""
    names = (*SOURCE, "theta_e", "beta")
    return {**s, **{name: s[f"{name}_2"] for name in names}}


def sources(view: render.Camera, s: dict[str, Array]) -> tuple[Float[Array, "2 h w c"], Float[Array, "2"]]:
    """Return the flux of the images of each source, and its magnification."""
    planes = source_planes(view.grid, s)
    near, far = (render.image_source(view, *a) for a in zip(planes, (s, second_source(s)), strict=True))
    return jnp.stack([near[0], far[0]]), jnp.stack([near[1], far[1]])


def _found(
    key: PRNGKeyArray, kind: Array, view: render.Camera, quick_view: render.Camera, rule: LensRule
) -> tuple[dict[str, Array], Float[Array, "2 h w c"], Bool[Array, "2 h w"]]:
    """Draw until the kind is right and both sources are seen: parameters, flux and arcs of each source.

    The nearer source alone passes the rule of a single lens; the further is magnified as much, with a
    signal-to-noise above `MIN_SNR_SECOND` and as many pixels. `snr` is NaN where none was found.
    """
    instrument = view.instrument
    faint = LensRule(0.0, MIN_SNR_SECOND)
    sharpest = min(band.fwhm for band in instrument.bands)

    def draw(attempt: Array) -> tuple:
        s = draw_double(jax.random.fold_in(key, attempt), instrument)
        ring = kind == DOUBLE_RING
        right = (s["distance_ratio"] > MIN_RATIO) & (is_double_ring(s) == ring)
        # Like the ring of a single source: a smaller one has no hole to be seen.
        right &= ~ring | (s["theta_e"] > 2 * sharpest)
        right &= evidence.may_be_found(s, instrument, rule)
        return attempt + 1, s, right & evidence.may_be_found(second_source(s), instrument, faint)

    def look(attempt: Array) -> tuple:
        attempt, s, _ = repeat_until_found(draw, attempt, MAX_DRAWS)
        flux, magnification = sources(view, s)
        glare = render.galaxies(quick_view, lens_galaxy(s))
        noise = evidence.pixel_noise(background_sigma(s, instrument), glare, instrument)
        mask = jax.vmap(lambda one: evidence.arc_mask(one, noise))(flux)
        snr, pixels = jax.vmap(lambda one: evidence.signal_to_noise(one, noise))(flux), mask.sum((1, 2))
        near = {"magnification": magnification[0], "snr": snr[0], "n_pix_source": pixels[0]}
        far = {"magnification": magnification[1], "snr": snr[1], "n_pix_source": pixels[1]}
        found = evidence.is_found(s | near, instrument, rule)
        found &= evidence.is_found(second_source(s) | far, instrument, faint)
        s |= {
            "magnification": magnification[0],
            "magnification_2": magnification[1],
            "snr": evidence.signal_to_noise(flux.sum(0), noise),
            "snr_1": snr[0],
            "snr_2": snr[1],
            "n_pix_source": mask.any(0).sum(),
            "n_pix_1": pixels[0],
            "n_pix_2": pixels[1],
        }
        return attempt, s, flux, mask, found

    _, s, flux, mask, found = repeat_until_found(look, jnp.zeros((), jnp.int32), MAX_DRAWS)
    return s | {"snr": jnp.where(found, s["snr"], jnp.nan)}, flux, mask


def refuse_unfound(truth: dict[str, Any], rule: LensRule) -> None:
    """Raise a UserError if a compound lens of these scenes was not found: a traced loop can only give up."""
    if np.isnan(np.asarray(truth["snr"])).any():
        raise UserError(
            f"no compound lens with θE above {float(rule.theta_e):g}″ and a signal-to-noise above "
            f"{float(rule.snr):g} was found in {MAX_DRAWS:,} draws: lower min_theta_e (data.min_theta_e) or "
            "min_snr (data.min_snr)."
        )


def simulate_compound(
    key: PRNGKeyArray, kind: Array, instrument: Instrument, size: int, supersampling: int, rule: LensRule,
    allowed: Array | np.ndarray = EVERY,
) -> Scene:  # fmt: skip
    """Simulate a scene of a compound kind (a number of `ALL_KINDS`); its truth has `COMPOUND_TRUTH` as well.

    `mag_source`, `beta` and their like are of the nearer source, `snr` of both together, and `mask` is the
    union of the masks of both.
    """
    keys = jax.random.split(key, 5)
    fwhm = optics.draw_fwhm(jax.random.uniform(keys[0], (len(instrument.bands),)), instrument)
    view = render.camera(fwhm, instrument, size, supersampling)
    quick_view = render.camera(fwhm, instrument, size, 1)
    lens, flux, masks = _found(keys[1], kind, view, quick_view, rule)
    side = size * instrument.pixel_scale
    s = draw_scene(keys[2], kind, lens, side) | draw_artefact(keys[3], instrument, size, allowed)
    made = photograph(keys[4], kind, s, view, flux.sum(0), masks.any(0), fwhm)
    return add_compound_truth(made)._replace(source_masks=masks)


def add_compound_truth(scene: Scene) -> Scene:
    """Add `COMPOUND_TRUTH` to the truth of a scene: NaN where there is no further source."""
    known, none = scene.parameters, jnp.full((), jnp.nan)
    further = {name: jnp.asarray(known.get(name, none), jnp.float32) for name in COMPOUND_TRUTH}
    return scene._replace(truth=scene.truth | further)


ALL_TRUTH = TRUTH | COMPOUND_TRUTH
