"""Lens images a second, against lenstronomy, for the same scenes, PSFs, supersampling and noise.

    python benchmarks/simulate.py [--instrument euclid --size 64 --supersampling 2]

CPU seconds are counted, so neither other programs nor the number of cores decide. Arcs that lensjax drew
are made again by each: SIE and shear, galaxies, source, PSF, noise. lenstronomy in two ways: `a model a
band` as its own simulation tools do, and `rays shared`, every profile evaluated once for all bands and
its convolution a band. `examples` is the whole supply of training data beside it: drawing, drawing again
what is not found, look-alikes, artefacts, truth and copies come on top.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from scipy.ndimage import gaussian_filter

from lensjax.runtime.command_line import run_command
from lensjax.runtime.errors import UserError
from lensjax.simulate.lenses import optics, render
from lensjax.simulate.lenses.examples import examples, simulate
from lensjax.simulate.lenses.instruments import Instrument, get_instrument
from lensjax.simulate.lenses.scene import Scene
from tests.oracles.lenstronomy_images import lenstronomy_image, scene_arguments


@dataclass(frozen=True)
class SimulateBenchmarkOptions:
    instrument: str = "euclid"
    size: int = 64
    """Pixels on a side."""
    supersampling: int = 2
    scenes: int = 12


def add_noise(
    rng: np.random.Generator, flux: np.ndarray, sigma: np.ndarray, instrument: Instrument
) -> np.ndarray:
    """Add noise as lensjax adds it, in NumPy and SciPy."""
    planes = []
    for c, band in enumerate(instrument.bands):
        kept = optics.variance_factor(band.correlation)
        unit = gaussian_filter(rng.standard_normal(flux.shape[:2]), band.correlation) / np.sqrt(kept)
        scale = np.sqrt(sigma[c] ** 2 + kept * np.maximum(flux[..., c], 0) / (band.gain * band.exposure))
        planes.append(flux[..., c] + scale * unit)
    return np.arcsinh(np.stack(planes, -1) / sigma)


def render_with_shared_rays(
    arguments: dict, instrument: Instrument, size: int, supersampling: int
) -> np.ndarray:
    """Render lenstronomy's profiles, each evaluated once and scaled to the bands; its convolution a band."""
    from lenstronomy.ImSim.Numerics.convolution import PixelKernelConvolution
    from lenstronomy.LensModel.lens_model import LensModel
    from lenstronomy.LightModel.Profiles.sersic import SersicElliptic

    from lensjax.simulate.lenses import light

    pitch = instrument.pixel_scale / supersampling
    x, y = (
        axis.ravel().astype(float) for axis in light.ray_grid(size, instrument.pixel_scale, supersampling)
    )
    profile = SersicElliptic(smoothing=light.core(pitch))
    beta = LensModel(["SIE", "SHEAR"]).ray_shooting(x, y, arguments["lens"])
    total = np.zeros((len(instrument.bands), size * supersampling, size * supersampling))
    for rays, name in ((beta, "source"), ((x, y), "galaxies")):
        for components in zip(*arguments[name], strict=True):
            shape = profile.function(*rays, **(components[0] | {"amp": 1.0})).reshape(total.shape[1:])
            total += np.array([c["amp"] for c in components])[:, None, None] * shape * pitch**2
    convolved = np.stack([
        PixelKernelConvolution(kernel, convolution_type="fft_static").convolution2d(plane)
        for kernel, plane in zip(arguments["kernels"], total, strict=True)
    ])  # fmt: skip
    return np.moveaxis(convolved.reshape(-1, size, supersampling, size, supersampling).sum((2, 4)), 0, -1)


def measure_cpu_seconds(work: Callable[[int], object], number: int, repeats: int = 3) -> float:
    """Return the best CPU time a call over `repeats` rounds of `number` calls."""
    rounds = []
    for _ in range(repeats):
        start = time.process_time()
        for i in range(number):
            work(i)
        rounds.append((time.process_time() - start) / number)
    return min(rounds)


def compile_images(
    scenes: list[Scene], instrument: Instrument, size: int, fine: int
) -> Callable[[], jax.Array]:
    """Return a call that makes the images of the scenes again, one by one as `examples` does on the CPU."""

    def image(key: jax.Array, s: dict[str, jax.Array]) -> jax.Array:
        view = render.camera(s["fwhm"], instrument, size, fine)
        flux = render.foreground(view, s) + render.lensed_source(view, s)[0]
        sigma = s["noise_factor"] * jnp.asarray([band.sigma for band in instrument.bands])
        return jnp.arcsinh(optics.add_noise(key, flux, sigma, instrument) / sigma)

    keys = jax.random.split(jax.random.key(1), len(scenes))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[scene.parameters for scene in scenes])
    compiled = jax.jit(lambda keys, s: jax.lax.map(lambda one: image(*one), (keys, s)))
    jax.block_until_ready(compiled(keys, stacked))
    return lambda: compiled(keys, stacked)


def measure_supply(
    instrument: str, size: int, fine: int, chunk: int = 64, chunks: int = 10
) -> tuple[float, float]:
    """Return CPU seconds an example, and examples a second of wall time, once compiled and running."""
    supply = examples(instrument, size, 10**6, 0, supersampling=fine, chunk=chunk)
    for _ in range(4 * chunk):
        next(supply)
    start, wall = time.process_time(), time.perf_counter()
    for _ in range(chunks * chunk):
        next(supply)
    used, passed = time.process_time() - start, time.perf_counter() - wall
    supply.close()
    return used / (chunks * chunk), chunks * chunk / passed


def main(options: SimulateBenchmarkOptions) -> None:
    """Print one line a method."""
    instrument, size, fine = get_instrument(options.instrument), options.size, options.supersampling

    keys = jax.random.split(jax.random.key(0), options.scenes)
    scenes = [jax.device_get(simulate(key, "arc", instrument, size, fine)) for key in keys]
    arguments = [scene_arguments(scene.parameters, instrument, fine, lensed=True) for scene in scenes]
    for scene, given in zip(scenes, arguments, strict=True):  # the same images, before any timing
        for image in (lenstronomy_image, render_with_shared_rays):
            error = np.abs(image(given, instrument, size, fine) - scene.flux).max() / scene.flux.max()
            if error > 1e-4:
                raise UserError(f"images differ by {error:.1e} of the peak: nothing to compare")

    rng = np.random.default_rng(0)

    def by(image: Callable) -> Callable[[int], np.ndarray]:
        return lambda i: add_noise(
            rng, image(arguments[i], instrument, size, fine), scenes[i].sigma, instrument
        )

    again = compile_images(scenes, instrument, size, fine)
    ours = measure_cpu_seconds(lambda _: jax.block_until_ready(again()), 4) / options.scenes
    supply, a_second = measure_supply(options.instrument, size, fine)

    print(f"{options.instrument}, {size} px, {len(instrument.bands)} bands, supersampling {fine}, CPU")
    print(f"lensjax, same scenes          {1 / ours:6.0f} images a CPU second")
    for name, image in (("a model a band", lenstronomy_image), ("rays shared", render_with_shared_rays)):
        theirs = measure_cpu_seconds(by(image), options.scenes)
        print(
            f"lenstronomy, {name:16s} {1 / theirs:6.0f} images a CPU second: lensjax is {theirs / ours:.1f} x"
        )
    print(
        f"lensjax, examples             {1 / supply:6.0f} images a CPU second, {a_second:.0f} a second as run"
    )


if __name__ == "__main__":
    run_command(main, SimulateBenchmarkOptions, prog="python benchmarks/simulate.py", description=__doc__)
