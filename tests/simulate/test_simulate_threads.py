"""Programs for threads: the numbers of `jax.jit`. That they do not wait is seen in the simulators' tests."""

import time
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.simulate import threads


def spectra(x, size, scale=1.0):
    return jax.lax.map(lambda row: jnp.abs(jnp.fft.rfft(row @ x.T, size)) * scale, x)


def test_threads_get_the_numbers_of_jit():
    x = np.random.default_rng(0).normal(size=(64, 512)).astype(np.float32)
    fast = threads.jit_for_threads(static_argnums=1)(spectra)
    expected = jax.jit(spectra, static_argnums=1)(x, 64, scale=2.0)
    with ThreadPoolExecutor(4) as pool:
        found = [job.result() for job in [pool.submit(fast, x, 64, scale=2.0) for _ in range(16)]]
    for one in found:
        np.testing.assert_allclose(one, expected, rtol=1e-5)


@pytest.mark.parametrize(("backend", "options"), [("cpu", threads.ONE_CORE), ("gpu", None), ("tpu", None)])
def test_only_a_cpu_is_asked_for_threads(backend, options):
    with patch.object(jax, "default_backend", lambda: backend), patch.object(jax, "jit") as jit:
        threads.jit_for_threads(static_argnums=1)(spectra)(1, 2)
    jit.assert_called_once_with(spectra, compiler_options=options, static_argnums=1)


def test_chunks_come_in_order_and_the_first_is_computed_alone():
    running, most = set(), []

    def make(start):
        running.add(start)
        most.append((start, len(running)))
        time.sleep(0.002 * (start == 2))
        running.discard(start)
        return -start

    found = list(threads.iterate_chunks(make, 9, 2, workers=4))
    assert found == [(0, 0), (2, -2), (4, -4), (6, -6), (8, -8)]
    assert most[0] == (0, 1) and not list(threads.iterate_chunks(make, 0, 2))


def test_a_chunk_that_fails_ends_the_iteration():
    def make(start):
        return 1 // (start - 4)

    with pytest.raises(ZeroDivisionError):
        list(threads.iterate_chunks(make, 9, 2, workers=2))
