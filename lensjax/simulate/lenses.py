"""Strong lenses and what resembles them: scenes as multi-band images with their truth.

`simulate` makes one scene from a key and a kind, `examples` a data set. Physics by jaxtronomy; the
population, look-alikes, artefacts and truth are in the modules beside this one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.shapes import Array, Bool, Float, PRNGKeyArray
from lensjax.simulate import kinds as K
from lensjax.simulate import light, optics
from lensjax.simulate.artefacts import add_artefacts, draw_artefact
from lensjax.simulate.colours import magnitudes
from lensjax.simulate.instruments import Instrument, instrument_named
from lensjax.simulate.kinds import KINDS, LENS_KINDS, NON_LENS_KINDS, kind_index
from lensjax.simulate.scene import draw_scene
from lensjax.simulate.truth import TRUTH, arc_mask, is_found, signal_to_noise
from lensjax.types import Example

__all__ = ["KINDS", "LENS_KINDS", "NON_LENS_KINDS", "TRUTH", "Scene", "examples", "render", "simulate"]


class Scene(NamedTuple):
    """One simulated image and its truth."""

    image: Float[Array, "h w c"]
    """asinh(flux / sigma), with noise and artefacts."""
    flux: Float[Array, "h w c"]
    """Noise-free flux of everything but artefacts, in the bands' units."""
    source_flux: Float[Array, "h w c"]
    """Noise-free flux of the lensed source; of a non-lens: that the lens it was drawn as had."""
    mask: Bool[Array, "h w"]
    artefact_mask: Bool[Array, "h w"]
    position: Float[Array, "2"]
    """Lens centre (row, column) as fractions of the image; NaN in a non-lens."""
    sigma: Float[Array, "c"]
    fwhm: Float[Array, "c"]
    accepted: Bool[Array, ""]
    """Whether the rule in `lensjax.simulate.truth` keeps the scene."""
    truth: dict[str, Array]


def _band_flux(magnitude: Array, old: Array, redshift: Array, instrument: Instrument) -> Float[Array, "c"]:
    """Flux in every band of a galaxy of a VIS magnitude; 0 for an infinite one."""
    wavelengths = np.array([band.wavelength for band in instrument.bands])
    zero_points = np.array([band.zero_point for band in instrument.bands])
    return 10 ** (-0.4 * (magnitudes(magnitude, redshift, old, wavelengths) - zero_points))


def lensed_source(rays: light.Grid, pitch: float, s: dict[str, Array]) -> Array:
    """Image-plane shape of the source for an unlensed flux of 1: a Sérsic galaxy with one knot."""
    beta = light.lens_plane_to_source_plane(rays, s, s["x"], s["y"])
    x, y = s["beta"] * jnp.cos(s["beta_angle"]), s["beta"] * jnp.sin(s["beta_angle"])
    host = light.sersic(beta, pitch, s["r_source"], s["n_source"], s["q_source"], s["phi_source"], x, y)
    knot_x = x + s["clump_distance"] * jnp.cos(s["clump_angle"])
    knot_y = y + s["clump_distance"] * jnp.sin(s["clump_angle"])
    one = jnp.ones(())

    def with_knot() -> Array:
        knot = light.sersic(beta, pitch, 0.3 * s["r_source"] + 0.01, one, 0.9 * one, 0 * one, knot_x, knot_y)
        return (1 - s["clump_share"]) * host + s["clump_share"] * knot

    return jax.lax.cond(s["clump_share"] > 0, with_knot, lambda: host)


def _galaxies(rays: light.Grid, pitch: float, s: dict[str, Array], instrument: Instrument) -> Array:
    """Everything that is not lensed, [c m m], in flux a ray before the PSF.

    An absent component costs nothing where scenes run one by one (`lax.map` on the CPU): `cond` skips it.
    """
    bands = len(instrument.bands)

    def add(total: Array, magnitude: Array, old: Array, z: Array, shape: Callable[[], Array]) -> Array:
        flux = _band_flux(magnitude, old, z, instrument)
        return jax.lax.cond(
            jnp.isfinite(magnitude), lambda: total + flux[:, None, None] * shape(), lambda: total
        )

    def one_row(total: Array, row: Array) -> tuple[Array, None]:
        magnitude, old, z, *profile = row
        return add(total, magnitude, old, z, lambda: light.sersic(rays, pitch, *profile)), None

    total = jnp.zeros((bands, *rays[0].shape))
    total, _ = jax.lax.scan(one_row, total, s["rows"])
    spiral = functools.partial(
        light.spiral_disc, rays, s["spiral_radius"], s["spiral_q"], s["phi"], s["x"], s["y"],
        s["spiral_arms"], s["spiral_pitch"],
    )  # fmt: skip
    total = add(total, s["spiral_magnitude"], s["old_spiral"], s["z_l"], spiral)
    annulus = functools.partial(light.ring_or_arc, rays, *(
        s[f"annulus_{name}"] for name in ("radius", "width", "q", "phi", "x", "y", "extent")
    ))  # fmt: skip
    return add(total, s["annulus_magnitude"], s["annulus_old"], s["z_l"], annulus)


def render(
    s: dict[str, Array], instrument: Instrument, size: int, supersampling: int
) -> tuple[Float[Array, "h w c"], Float[Array, "h w c"], Float[Array, "h w c"], Float[Array, ""]]:
    """Noise-free flux of all galaxies, of the lensed source, and of a star; and the magnification."""
    rays = light.ray_grid(size, instrument.pixel_scale, supersampling)
    pitch = instrument.pixel_scale / supersampling
    grid = (jnp.asarray(rays[0]), jnp.asarray(rays[1]))
    number, half = size * supersampling, instrument.kernel_radius * supersampling
    length = optics.transform_length(number, half, supersampling)
    psf = optics.transformed(optics.kernels(s["fwhm"], instrument, supersampling), length)

    def observed(spectrum: Array) -> Float[Array, "h w c"]:
        image = optics.pixels(spectrum, psf, number, half, supersampling)
        return jnp.moveaxis(jnp.maximum(image, 0.0), 0, -1)

    shape = lensed_source(grid, pitch, s)
    magnification = shape.sum()
    source = _band_flux(s["mag_source"], s["old_source"], s["z_s"], instrument)
    source_flux = source * observed(optics.transformed(shape / magnification, length)[None])
    galaxies = observed(optics.transformed(_galaxies(grid, pitch, s, instrument), length))

    def starlight() -> Array:
        point = light.star(
            grid, pitch, s["star_x"], s["star_y"], instrument.spikes, s["star_angle"], s["star_share"]
        )
        zero_points = jnp.asarray([band.zero_point for band in instrument.bands])
        return 10 ** (-0.4 * (s["star_magnitude"] - zero_points)) * observed(
            optics.transformed(point, length)[None]
        )

    star = jax.lax.cond(jnp.isfinite(s["star_magnitude"]), starlight, lambda: jnp.zeros_like(galaxies))
    return galaxies, source_flux, star, magnification


def _simulate(key: PRNGKeyArray, kind: Array, instrument: Instrument, size: int, supersampling: int) -> Scene:
    keys = jax.random.split(key, 5)
    s = draw_scene(keys[0], kind, instrument, size) | draw_artefact(keys[1], instrument, size)
    u = jax.random.uniform(keys[2], (len(instrument.bands) + 1,))
    noise_factor = instrument.noise_factor[0] + u[0] * (
        instrument.noise_factor[1] - instrument.noise_factor[0]
    )
    sigma = noise_factor * jnp.asarray([band.sigma for band in instrument.bands])
    s["fwhm"] = jnp.stack([
        band.fwhm * (1 + band.fwhm_jitter * (2 * v - 1))
        for band, v in zip(instrument.bands, u[1:], strict=True)
    ])  # fmt: skip
    galaxies, source_flux, star, magnification = render(s, instrument, size, supersampling)

    is_lens = kind < len(LENS_KINDS)
    flux = galaxies + jnp.where(is_lens, source_flux, 0.0)
    mask = arc_mask(source_flux, sigma)
    measured = {
        **s,
        "mag_lens_first": s["mag_lens"] + _colour(s["mag_lens"], s["old_lens"], s["z_l"], instrument),
        "mag_source_first": s["mag_source"] + _colour(s["mag_source"], s["old_source"], s["z_s"], instrument),
        "beta_ratio": s["beta"] / s["theta_e"],
        "magnification": magnification,
        "snr": signal_to_noise(source_flux, sigma, instrument),
        "n_pix_source": mask.sum(),
        "psf_fwhm": s["fwhm"][0],
        "noise_factor": noise_factor,
    }
    noisy = optics.noisy(keys[3], flux + star, sigma, instrument)
    noisy, artefact_mask = add_artefacts(noisy, s, star, sigma, instrument)
    side = size * instrument.pixel_scale
    centre = 0.5 + jnp.stack([s["y"], s["x"]]) / side
    return Scene(
        image=jnp.arcsinh(noisy / sigma),
        flux=flux,
        source_flux=source_flux,
        mask=mask & is_lens,
        artefact_mask=artefact_mask,
        position=jnp.where(is_lens, centre, jnp.nan),
        sigma=sigma,
        fwhm=s["fwhm"],
        accepted=is_found(measured, instrument),
        truth={name: jnp.asarray(measured[name], jnp.float32) for name in TRUTH},
    )


def _colour(magnitude: Array, old: Array, z: Array, instrument: Instrument) -> Array:
    """Magnitude in the first band minus the reference magnitude."""
    return magnitudes(magnitude, z, old, np.array([instrument.bands[0].wavelength]))[0] - magnitude


_one = jax.jit(_simulate, static_argnums=(2, 3, 4))


def simulate(
    key: PRNGKeyArray, kind: str | int, instrument: Instrument, size: int, supersampling: int = 2
) -> Scene:
    """One scene of a kind (a name or number of `KINDS`), the same for the same key. See `Scene`.

    It may fail the rule of a findable lens: then `accepted` is False and `examples` would draw it again.
    Raises ValueError for an unknown kind and for a size or supersampling below 1.
    """
    _check(size, supersampling)
    return _one(key, jnp.asarray(kind_index(kind)), instrument, size, supersampling)


def _check(size: int, supersampling: int) -> None:
    if size < 16:
        raise ValueError(f"image size {size} is too small for a lens: use at least 16 pixels")
    if supersampling < 1:
        raise ValueError(f"supersampling {supersampling} is not positive: use 1, 2 or 3")


def _sequential() -> bool:
    """Scenes one by one on the CPU (caches, skipped components), all at once on an accelerator."""
    return jax.default_backend() == "cpu"


@functools.partial(jax.jit, static_argnums=(3, 4, 5, 6))
def _batch(
    seed: Array, index: Array, attempt: Array, lens_fraction: float, instrument: Instrument, size: int,
    supersampling: int,
) -> Scene:  # fmt: skip
    """Scenes of a data set by index; which kind, and everything else, follows from (seed, index, attempt)."""

    def scene(pair: tuple[Array, Array]) -> Scene:
        key = jax.random.fold_in(jax.random.key(seed), pair[0])
        keys = jax.random.split(key, 3)
        is_lens = jax.random.uniform(keys[0]) < lens_fraction
        lens = jax.random.choice(keys[1], len(LENS_KINDS), p=jnp.asarray(K.LENS_WEIGHTS))
        other = jax.random.choice(keys[1], len(NON_LENS_KINDS), p=jnp.asarray(K.NON_LENS_WEIGHTS))
        kind = jnp.where(is_lens, lens, len(LENS_KINDS) + other)
        return _simulate(jax.random.fold_in(keys[2], pair[1]), kind, instrument, size, supersampling)

    if _sequential():
        return jax.lax.map(scene, (index, attempt))
    return jax.vmap(lambda *pair: scene(pair))(index, attempt)


def examples(
    instrument: str, size: int, count: int, seed: int, lens_fraction: float = 0.5, supersampling: int = 2,
    chunk: int = 64,
) -> Iterator[Example]:  # fmt: skip
    """`count` examples; example `i` depends on (seed, i) and the physical settings, not on count or chunk.

    Raises ValueError for an unknown instrument, a size too small, a fraction outside [0, 1].
    """
    named = instrument_named(instrument)
    _check(size, supersampling)
    if not 0 <= lens_fraction <= 1:
        raise ValueError(f"lens_fraction {lens_fraction} is not a fraction: use a number from 0 to 1")
    if chunk < 1 or count < 0:
        raise ValueError(f"count {count} and chunk {chunk} must be positive")
    make = functools.partial(_batch, lens_fraction=lens_fraction, instrument=named, size=size,
                             supersampling=supersampling)  # fmt: skip
    return _in_order(make, f"{instrument}-{size}", count, seed, chunk)


def _in_order(make: Callable[..., Scene], name: str, count: int, seed: int, chunk: int) -> Iterator[Example]:
    """Draws scenes in batches of `chunk`, draws the refused ones again, and gives them in order."""
    waiting: list[tuple[int, int]] = []  # (index, attempt) of scenes refused so far
    done: dict[int, Example] = {}
    fresh, given = 0, 0
    while given < count:
        work = waiting[:chunk]
        waiting = waiting[chunk:]
        while len(work) < chunk and fresh < count:
            work.append((fresh, 0))
            fresh += 1
        padded = np.array(work + [work[-1]] * (chunk - len(work)), np.int32)
        scenes = jax.device_get(make(np.uint32(seed), padded[:, 0], padded[:, 1]))
        for row, (index, attempt) in enumerate(work):
            if scenes.accepted[row]:
                done[index] = _example(scenes, row, f"{name}-s{seed}-{index:06d}")
            else:
                waiting.append((index, attempt + 1))
        while given in done:
            yield done.pop(given)
            given += 1


def _example(scenes: Scene, row: int, name: str) -> Example:
    return Example(
        image=scenes.image[row],
        label=int(scenes.truth["kind"][row] < len(LENS_KINDS)),
        position=scenes.position[row],
        mask=scenes.mask[row],
        id=name,
        truth={key: np.float32(value[row]) for key, value in scenes.truth.items()},
    )
