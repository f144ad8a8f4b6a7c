"""Programs for threads: the numbers of `jax.jit`, from several threads at once."""

from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.simulate.one_core import jit_for_threads


def spectra(x, size, scale=1.0):
    """As in the simulators: Fourier transforms and products within a loop."""
    return jax.lax.map(lambda row: jnp.abs(jnp.fft.rfft(row @ x.T, size)) * scale, x)


def test_threads_get_the_numbers_of_jit_and_do_not_wait_for_each_other():
    x = np.random.default_rng(0).normal(size=(64, 512)).astype(np.float32)
    fast = jit_for_threads(static_argnums=1)(spectra)
    expected = jax.jit(spectra, static_argnums=1)(x, 64, scale=2.0)
    fast(x, 64, scale=2.0)
    with ThreadPoolExecutor(4) as pool:
        found = [job.result(60) for job in [pool.submit(fast, x, 64, scale=2.0) for _ in range(16)]]
    for one in found:
        np.testing.assert_allclose(one, expected, rtol=1e-5)
