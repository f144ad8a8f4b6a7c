"""Chunks given in bytes: how many samples fit, and that what runs stays below."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.explain import METHODS, batched, sum_chunks
from lensjax.explain.engine.jaxprs import peak_bytes
from lensjax.explain.engine.loops import items_within, parse_bytes
from lensjax.explain.methods.gradient import smooth_grad
from lensjax.explain.methods.integrated_gradients import integrated_gradients
from tests.oracles.explain_oracles import network, score_of

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


def watched(sizes):
    """A score that notes how many images run through it at once; its gradient is 1."""

    def host(images):
        sizes.append(int(np.prod(images.shape[:-3])))
        return np.asarray(images, np.float32).sum((-3, -2, -1))

    def note(image):
        return jax.pure_callback(host, jnp.zeros(()), image, vmap_method="broadcast_all")

    score = jax.custom_vjp(note)
    score.defvjp(lambda x: (note(x), x), lambda x, g: (g + 0 * note(x) + jnp.zeros_like(x),))
    return score


SMALL = jax.random.normal(jax.random.key(1), (3, 4, 6, 2))
NESTED = partial(smooth_grad, samples=5, chunk=2, method=partial(integrated_gradients, steps=7, chunk=3))


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize(
    ("method", "options", "most"),
    [
        ("occlusion", {"window": 2, "chunk": 4}, 8),
        ("rise", {"cells": 2, "samples": 11, "chunk": 3}, 6),
        ("lime", {"segments": 6, "samples": 20, "chunk": 5}, 10),
        ("kernel_shap", {"segments": 6, "samples": 20, "chunk": 5}, 10),
        ("integrated_gradients", {"steps": 7, "chunk": 3}, 6),
        (NESTED, {}, 12),  # examples × noisy copies × steps
    ],
)
def test_the_bound_is_the_product_of_the_chunks(method, options, most, jitted):
    sizes = []
    explain = batched(METHODS.get(method, method), chunk=2)
    score = watched(sizes)
    run = lambda images: explain(score, images, key=jax.random.key(0), **options)  # noqa: E731
    jax.block_until_ready((jax.jit(run) if jitted else run)(SMALL))
    assert max(sizes) == most


def test_more_samples_need_no_more_memory():
    """SmoothGrad of integrated gradients, compiled: what is alive does not grow with samples and steps."""

    def needed(samples, steps):
        inner = partial(integrated_gradients, steps=steps, chunk=2)
        method = partial(smooth_grad, score_of(network()), samples=samples, chunk=2, method=inner)
        compiled = jax.jit(lambda x: method(x, key=jax.random.key(0))).lower(IMAGE).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert needed(64, 64) < 1.1 * needed(4, 4)
