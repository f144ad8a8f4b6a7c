"""Chunks given in bytes: how many samples fit, and that what runs stays below."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from explain_oracles import network, score_of

from lensjax.explain import METHODS, batched, sum_chunks
from lensjax.explain.memory import items_within, parse_bytes, peak_bytes

IMAGE = jax.random.normal(jax.random.key(1), (32, 32, 2))


@pytest.mark.parametrize(
    ("text", "number"), [("256MB", 256 * 2**20), ("1.5 gb", 3 * 2**29), ("2k", 2048), ("7", 7), ("10B", 10)]
)
def test_amounts(text, number):
    assert parse_bytes(text) == number


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "0GB", "1 parsec", "1e9"])
def test_other_amounts_are_refused(text):
    with pytest.raises(ValueError, match="write a number and a unit"):
        parse_bytes(text)


def test_what_is_alive_at_once_is_counted():
    x = jnp.zeros(1000)  # 4,000 bytes
    assert peak_bytes(lambda x: x.sum(), x) == 4004
    assert peak_bytes(lambda x: jnp.sin(jnp.sin(jnp.sin(x))), x) == 8000  # one goes as the next comes
    assert peak_bytes(lambda x: x + jnp.sin(jnp.sin(x)), x) == 12000
    assert peak_bytes(lambda x: jax.jit(lambda y: jnp.exp(y) * y)(x).sum(), x) >= 8000
    assert items_within(lambda x: x.sum(), x, 40_040) == 10
    assert items_within(lambda x: x.sum(), x, 1) == 1


def test_the_compiled_program_needs_no_more():
    gradient = jax.grad(score_of(network()))
    each = peak_bytes(gradient, IMAGE)
    for n in (1, 8):
        compiled = jax.jit(jax.vmap(gradient)).lower(jnp.stack([IMAGE] * n)).compile()
        assert compiled.memory_analysis().temp_size_in_bytes <= n * each


def test_bytes_are_as_good_as_items():
    score, key = score_of(network()), jax.random.key(0)
    images = jnp.stack([IMAGE, -IMAGE, 2 * IMAGE])
    by_items = batched(METHODS["occlusion"], chunk=2)(score, images, chunk=4)
    by_bytes = batched(METHODS["occlusion"], chunk="3MB")(score, images, chunk="500KB")
    np.testing.assert_allclose(by_bytes, by_items, atol=1e-5)
    options = {"key": key, "samples": 6}
    few = METHODS["smooth_grad"](score, IMAGE, chunk="200KB", **options)
    np.testing.assert_allclose(few, METHODS["smooth_grad"](score, IMAGE, chunk=6, **options), atol=1e-5)
    jitted = jax.jit(lambda x: METHODS["smooth_grad"](score, x, chunk="200KB", **options))
    np.testing.assert_allclose(jitted(IMAGE), few, atol=1e-5)
    with pytest.raises(ValueError, match="no amount of memory"):
        sum_chunks(lambda x: x, jnp.arange(3.0), "many")
