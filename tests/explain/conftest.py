"""These tests compile hundreds of tiny programs, so they skip what makes compiled code fast."""

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def quick_compile():
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
