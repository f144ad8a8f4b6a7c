"""Convolution, noise and lensing against independent ways to compute them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.simulate.lenses import optics, render
from lensjax.simulate.lenses.instruments import INSTRUMENTS
from lensjax.simulate.lenses.kinds import ARC, COMPANIONS
from lensjax.simulate.lenses.scene_parameters import draw_lens, draw_scene
from tests.oracles.lenstronomy_images import lenstronomy_image, scene_arguments

pytestmark = pytest.mark.filterwarnings("ignore")  # lenstronomy's own


SIZE, SUPERSAMPLING = 48, 2


@pytest.fixture(scope="module")
def parameters():
    """A found-or-not lens with companions and field galaxies around it, as drawn."""

    @jax.jit
    def draw(key):
        lens = draw_lens(jax.random.fold_in(key, 0), jnp.asarray(ARC), INSTRUMENTS["euclid"])
        return draw_scene(jax.random.fold_in(key, 1), jnp.asarray(COMPANIONS), lens, 4.8)

    return draw(jax.random.key(5))


# Those of lensjax.studies.lenses.real_variants have the optics of hst_f814w.
VARIED = ("hst_f814w_noise", "hst_f814w_psf")
NAMES = [pytest.param(name, marks=pytest.mark.slow if name in VARIED else ()) for name in INSTRUMENTS]


@pytest.mark.parametrize("name", NAMES)
def test_noise_free_image_agrees_with_lenstronomy(name, parameters):
    instrument = INSTRUMENTS[name]
    fwhm = jnp.asarray([band.fwhm for band in instrument.bands])

    @jax.jit
    def image(s):
        view = render.camera(fwhm, instrument, SIZE, SUPERSAMPLING)
        source_flux, magnification = render.lensed_source(view, s)
        return render.foreground(view, s), source_flux, magnification

    galaxies, source_flux, magnification = image(parameters)
    s = parameters | {"fwhm": fwhm, "magnification": magnification}
    for got, lensed in ((galaxies, False), (galaxies + source_flux, True), (source_flux, None)):
        arguments = scene_arguments(s, instrument, SUPERSAMPLING, lensed=lensed is not False)
        if lensed is None:
            arguments["galaxies"] = [[] for _ in instrument.bands]
        expected = lenstronomy_image(arguments, instrument, SIZE, SUPERSAMPLING)
        error = np.abs(np.asarray(got) - expected).max((0, 1))
        assert (error < 1e-4 * expected.max((0, 1))).all()


@pytest.mark.parametrize("supersampling", [1, 2, 3])
def test_observe_is_jaxtronomys_convolution_and_a_sum(supersampling):
    from jaxtronomy.ImSim.Numerics.convolution import PixelKernelConvolution

    instrument, size = INSTRUMENTS["euclid"], 32
    fwhm = jnp.array([0.2, 0.4, 0.5, 0.6])
    rays = jax.random.uniform(jax.random.key(0), (4, size * supersampling, size * supersampling))
    kernels = optics.kernels(fwhm, instrument, supersampling)
    np.testing.assert_allclose(kernels.sum((1, 2)), 1, rtol=1e-5)
    half = kernels.shape[-1] // 2
    length = optics.transform_length(rays.shape[-1], half, supersampling)
    spectra = optics.kernel_spectra(fwhm, instrument, supersampling, length)
    got = optics.observe(rays, spectra, supersampling)
    convolved = jax.vmap(PixelKernelConvolution().convolution2d)(rays, kernels)
    expected = convolved.reshape(4, size, supersampling, size, supersampling).sum((2, 4))
    np.testing.assert_allclose(got, expected, atol=2e-5 * float(expected.max()))


def test_kernel_has_the_width_it_is_asked_for():
    instrument = INSTRUMENTS["hsc_gri"]
    kernel = np.asarray(optics.kernels(jnp.array([0.8, 0.7, 0.6]), instrument, 3))[0]
    middle = kernel[kernel.shape[0] // 2]
    above = (middle > middle.max() / 2).sum() * instrument.pixel_scale / 3
    assert above == pytest.approx(0.8, abs=2 * instrument.pixel_scale / 3)


def test_background_has_the_stated_sigma_and_correlation():
    instrument = INSTRUMENTS["euclid"]
    noise = np.asarray(optics.unit_noise(jax.random.key(1), 256, instrument))
    np.testing.assert_allclose(noise.std((0, 1)), 1, atol=0.04)
    lag = [(noise[:, 1:, c] * noise[:, :-1, c]).mean() for c in range(4)]
    assert 0.1 < lag[0] < 0.35  # measured on a Euclid Q1 cutout: 0.2 to 0.3 in VIS
    assert all(0.75 < value < 0.88 for value in lag[1:])  # and 0.72 to 0.88 in NISP


def test_source_noise_adds_to_the_background():
    instrument = INSTRUMENTS["hst_f814w"]
    band = instrument.bands[0]
    flux, sigma = jnp.full((256, 256, 1), 2.0), jnp.array([band.sigma])
    got = np.asarray(optics.add_noise(jax.random.key(2), flux, sigma, instrument))
    kept = optics.variance_factor(band.correlation)
    expected = np.sqrt(band.sigma**2 + kept * 2.0 / (band.exposure * band.gain))
    assert got.std() == pytest.approx(expected, rel=0.05)
    assert got.mean() == pytest.approx(2.0, rel=0.01)
