"""Programs for threads: the numbers of `jax.jit`. That they do not wait is seen in the simulators' tests."""

from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.simulate import one_core


def spectra(x, size, scale=1.0):
    return jax.lax.map(lambda row: jnp.abs(jnp.fft.rfft(row @ x.T, size)) * scale, x)


def test_threads_get_the_numbers_of_jit():
    x = np.random.default_rng(0).normal(size=(64, 512)).astype(np.float32)
    fast = one_core.jit_for_threads(static_argnums=1)(spectra)
    expected = jax.jit(spectra, static_argnums=1)(x, 64, scale=2.0)
    with ThreadPoolExecutor(4) as pool:
        found = [job.result() for job in [pool.submit(fast, x, 64, scale=2.0) for _ in range(16)]]
    for one in found:
        np.testing.assert_allclose(one, expected, rtol=1e-5)


@pytest.mark.parametrize(("backend", "options"), [("cpu", one_core.ONE_CORE), ("gpu", None), ("tpu", None)])
def test_only_a_cpu_is_asked_for_one_core(backend, options):
    with patch.object(jax, "default_backend", lambda: backend), patch.object(jax, "jit") as jit:
        one_core.jit_for_threads(static_argnums=1)(spectra)(1, 2)
    jit.assert_called_once_with(spectra, compiler_options=options, static_argnums=1)
