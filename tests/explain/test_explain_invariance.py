"""What must not change a map (chunks, batches, jit, a flip, an axis of one) and what must leave it zero."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.explain import (
    METHODS,
    ON_FEATURES,
    TRIVIAL,
    batched,
    completeness_error,
    map_chunks,
    options_of,
    sum_chunks,
)
from lensjax.explain.engine import programs
from lensjax.explain.methods.gradient import smooth_grad
from lensjax.explain.methods.integrated_gradients import integrated_gradients
from lensjax.explain.methods.perturbation import occlusion
from lensjax.explain.methods.registry import REGISTRY
from tests.oracles.explain_oracles import network, score_of

KEY = jax.random.key(3)
FORWARD = network()
SCORE = score_of(FORWARD)
GUIDED = ("guided_backprop", "deconvnet", "guided_grad_cam")  # rules for ReLUs
RELU = network(activation=jax.nn.relu)
RELU_SCORE = score_of(RELU)
IMAGES = jax.random.normal(jax.random.key(1), (4, 8, 12, 2))
KEYS = jax.vmap(partial(jax.random.fold_in, KEY))(jnp.arange(len(IMAGES)))
OPTIONS = {
    "smooth_grad": {"samples": 5},
    "smooth_grad_squared": {"samples": 5},
    "var_grad": {"samples": 5},
    "expected_gradients": {"samples": 5, "background": np.asarray(IMAGES[:2]) + 1},
    "integrated_gradients": {"steps": 5},
    "occlusion": {"window": 4, "stride": 3},
    "rise": {"cells": 3, "samples": 40},
    "lime": {"segments": 6, "samples": 40},
    "kernel_shap": {"segments": 4, "samples": 16},
}
CHUNKED = [name for name in METHODS if "chunk" in options_of(name)]
# What multiplies the image, or compares it with a baseline of zeros.
ZERO_OF_ZERO = [name for name, method in REGISTRY.items() if method.zero_of_baseline]
# These differ in one line, with tests of its own, from a method that is always tested.
ALIKE = (
    "smooth_grad_squared",
    "var_grad",
    "deconvnet",
    "grad_cam_pp",
    "layer_cam",
    "x_grad_cam",
    "abs_input",
)
ALL = [pytest.param(name, marks=[pytest.mark.slow] if name in ALIKE else []) for name in METHODS]
close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)


def subject(name, forward=None, score=None):
    own = (RELU, RELU_SCORE) if name in GUIDED else (FORWARD, SCORE)
    return (forward or own[0]) if name in ON_FEATURES else (score or own[1])


def other(name, **changes):
    """Another network of the kind the method explains."""
    forward = network(**changes, **({"activation": jax.nn.relu} if name in GUIDED else {}))
    return subject(name, forward, score_of(forward))


def explain(name, image, **options):
    return METHODS[name](subject(name), image, key=KEY, **OPTIONS.get(name, {}), **options)


@pytest.mark.parametrize("name", [p for p in ALL if p.values[0] in CHUNKED])
@pytest.mark.parametrize("chunk", [1, 100])
def test_chunk_of_samples_does_not_matter(name, chunk):
    close(explain(name, IMAGES[0], chunk=chunk), explain(name, IMAGES[0], chunk=3))


@pytest.mark.parametrize("name", ALL)
def test_batch_and_chunk_of_examples_do_not_matter(name):
    options = OPTIONS.get(name, {})
    one_by_one = [
        METHODS[name](subject(name), x, key=k, **options) for x, k in zip(IMAGES, KEYS, strict=True)
    ]
    for chunk in (1, 3):
        close(batched(METHODS[name], chunk=chunk)(subject(name), IMAGES, key=KEY, **options), one_by_one)


@pytest.mark.parametrize("name", ["smooth_grad", "grad_cam"])
def test_part_of_a_batch_with_keys_of_its_own(name):
    options = OPTIONS.get(name, {})
    whole = batched(METHODS[name], chunk=50)(subject(name), IMAGES, key=KEY, **options)
    part = batched(METHODS[name])(subject(name), np.asarray(IMAGES[3:]), key=KEYS[3:], **options)
    close(part, whole[3:])


@pytest.mark.parametrize("name", ALL)
def test_jit_changes_nothing(name):
    close(jax.jit(partial(explain, name))(IMAGES[0]), explain(name, IMAGES[0]))


@pytest.mark.parametrize("name", ["smooth_grad", "occlusion"])
def test_jit_of_a_batch_changes_nothing(name):
    many = partial(batched(METHODS[name], chunk=2), subject(name), key=KEY, **OPTIONS[name])
    close(jax.jit(many)(IMAGES), many(IMAGES))


@pytest.fixture
def accelerator(monkeypatch):
    """Loops as on an accelerator, which compiles a chunk of examples whole."""
    monkeypatch.setattr("lensjax.explain.engine.batch.loops_on_host", lambda: False)


@pytest.mark.parametrize("name", [*CHUNKED, "grad_cam"])
def test_one_program_for_a_chunk_of_examples_changes_nothing(name, accelerator):
    options = OPTIONS.get(name, {})
    one_by_one = [
        METHODS[name](subject(name), x, key=k, **options) for x, k in zip(IMAGES, KEYS, strict=True)
    ]
    close(batched(METHODS[name], chunk=3)(subject(name), IMAGES, key=KEY, **options), one_by_one)


def test_a_program_is_compiled_once_for_the_same_computation(accelerator):
    def method(score, image, *, key=None, samples=1, background=None):
        return samples * score(image) * (image + background.sum())

    def score(label, image):
        return label * image.sum()

    programs._PROGRAMS.clear()
    programs._TRACES.clear()
    many, background = batched(method, chunk=2), np.zeros(3)
    first = many(score, IMAGES, given=jnp.arange(4.0), background=background)
    again = many(score, IMAGES + 1, given=jnp.ones(4), background=background)
    close(first[1], IMAGES[1].sum() * IMAGES[1])
    close(again[0], (IMAGES[0] + 1).sum() * (IMAGES[0] + 1))
    assert len(programs._PROGRAMS) == 1
    background[0] = 1  # other numbers in the same array
    moved = many(score, IMAGES, given=jnp.arange(4.0), background=background)
    close(moved[1], IMAGES[1].sum() * (IMAGES[1] + 1))
    assert len(programs._PROGRAMS) == 1
    options = {"background": np.zeros(3)}
    with_weight = [
        many(jax.tree_util.Partial(score, jnp.asarray(w)), IMAGES, **options)[0] for w in (1.0, 2.0)
    ]
    close(with_weight[1], 2 * with_weight[0])
    assert len(programs._PROGRAMS) == 2  # the arrays of a Partial are arguments


@pytest.mark.parametrize("name", ALL)
def test_same_key_same_bytes(name):
    assert np.asarray(explain(name, IMAGES[0])).tobytes() == np.asarray(explain(name, IMAGES[0])).tobytes()


@pytest.mark.parametrize("name", ["smooth_grad", "random"])
def test_another_key_another_map(name):
    options = OPTIONS.get(name, {})
    first, second = (METHODS[name](SCORE, IMAGES[0], key=jax.random.key(i), **options) for i in (0, 1))
    assert not np.allclose(first, second)


def constant(image, taps=None):
    """A network that looks at nothing: its score does not move, its gate is the same everywhere."""
    stage = jax.nn.relu(image * 0 + 1) + (taps or {}).get("stage1", 0)
    return (stage * 0).sum() + 3.0, {"stage1": stage, "attention:input": image[..., 0] * 0 + 0.5}


@pytest.mark.parametrize("name", ALL)
def test_an_image_that_is_its_own_baseline_gives_no_nan_and_zero_where_it_must(name):
    zero = jnp.zeros_like(IMAGES[0])
    options = OPTIONS.get(name, {})
    if "background" in options:
        options = options | {"background": np.zeros((2, *zero.shape), np.float32)}
    found = np.asarray(METHODS[name](subject(name), zero, key=KEY, **options))
    assert np.isfinite(found).all()
    if name in ZERO_OF_ZERO:
        close(found, 0)


# Weights of Score-CAM sum to 1 whatever the score, and the trivial maps take no notice of it.
@pytest.mark.parametrize("name", [p for p in ALL if p.values[0] not in ("score_cam", *TRIVIAL)])
def test_a_network_that_looks_at_nothing_gives_zero(name):
    score = score_of(constant)
    found = METHODS[name](subject(name, constant, score), IMAGES[0], key=KEY, **OPTIONS.get(name, {}))
    assert (np.asarray(found) == 0).all()


@pytest.mark.parametrize("name", ["gradient", "integrated_gradients", "grad_cam", "attention", "sobel"])
@pytest.mark.parametrize("axis", [1])
def test_flip_equivariance(name, axis):
    """Of the method: the flipped network of the flipped image."""

    def flipped(image, taps=None):
        back = {k: jnp.flip(v, axis) for k, v in (taps or {}).items()}
        score, ends = FORWARD(jnp.flip(image, axis), back)
        return score, {k: jnp.flip(v, axis) for k, v in ends.items()}

    there = METHODS[name](
        subject(name, flipped, score_of(flipped)), jnp.flip(IMAGES[0], axis), key=KEY, **OPTIONS.get(name, {})
    )
    close(jnp.flip(there, axis), explain(name, IMAGES[0]))


@pytest.mark.parametrize("axis", [0])
def test_flip_equivariance_of_occlusion_where_windows_tile(axis):
    def flipped(image):
        return SCORE(jnp.flip(image, axis))

    there = occlusion(flipped, jnp.flip(IMAGES[0], axis), window=4, stride=2)
    close(jnp.flip(there, axis), occlusion(SCORE, IMAGES[0], window=4, stride=2))


@pytest.mark.parametrize("name", ALL)
def test_3d_with_one_window_is_2d(name):
    options = OPTIONS.get(name, {})
    if "background" in options:
        options = options | {"background": options["background"][:, None]}
    found = METHODS[name](other(name, dims=3), IMAGES[0][None], key=KEY, **options)
    close(found[0], explain(name, IMAGES[0]))


@pytest.mark.parametrize("name", ALL)
def test_chunks_batches_and_jit_change_nothing_in_3d(name):
    """Three windows: a batch on the host, two images and two samples at a time, and one image under jit."""
    images = jax.random.normal(KEY, (3, 3, 4, 8, 2))
    options = OPTIONS.get(name, {})
    if "background" in options:
        options = options | {"background": np.asarray(images[:2]) + 1}
    inner = {"chunk": 2} if name in CHUNKED else {}
    there = other(name, dims=3)
    many = batched(METHODS[name], chunk=2)(there, images, key=KEY, **options, **inner)
    one = jax.jit(lambda x, key: METHODS[name](there, x, key=key, **options))(images[2], KEYS[2])
    assert one.shape[0] == 3
    close(many[2], one)


@pytest.mark.parametrize("name", ALL)
def test_maps_of_a_bfloat16_network_are_float32(name):
    found = METHODS[name](other(name, dtype=jnp.bfloat16), IMAGES[0], key=KEY, **OPTIONS.get(name, {}))
    assert found.dtype == jnp.float32
    exact = explain(name, IMAGES[0])
    assert np.linalg.norm(found - exact) < 0.15 * np.linalg.norm(exact)


def test_bfloat16_terms_are_summed_in_float32():
    ones = jnp.ones(4096, jnp.bfloat16)
    assert sum_chunks(lambda x: x, ones, 1000) == 4096  # bfloat16 would stick at 256


def test_chunks_hold_no_more_than_they_say():
    widths = []

    def note(x):
        widths.append(x.shape[0])
        return x

    noted = jax.custom_batching.custom_vmap(lambda x: x)
    noted.def_vmap(lambda size, batched, x: (note(x), True))
    close(sum_chunks(noted, jnp.arange(10.0), 4), 45)
    assert widths == [4, 4, 4]
    close(map_chunks(lambda x: 2 * x, jnp.arange(10), 4), 2 * np.arange(10))


def test_smooth_grad_of_integrated_gradients_is_bounded_by_both_chunks():
    inner = partial(integrated_gradients, steps=4, chunk=2)
    found = smooth_grad(SCORE, IMAGES[0], key=KEY, samples=3, chunk=2, method=inner)
    at_once = partial(integrated_gradients, steps=4, chunk=4)
    close(found, smooth_grad(SCORE, IMAGES[0], key=KEY, samples=3, chunk=3, method=at_once))


def test_integrated_gradients_are_complete_for_a_network():
    for baseline in (0.0, "mean", lambda x: x / 2, np.ones(2, np.float32)):
        found = integrated_gradients(SCORE, IMAGES[0], baseline=baseline, steps=64)
        change = abs(float(completeness_error(SCORE, IMAGES[0], jnp.zeros_like(found), baseline=baseline)))
        assert abs(float(completeness_error(SCORE, IMAGES[0], found, baseline=baseline))) < 0.02 * change


def test_a_map_can_be_differentiated_for_training():
    """Second order, C17: smooth_grad at σ = 0 is s(1 − s), one midpoint step is s(x/2)·x."""

    def softplus(x):
        return jax.nn.softplus(x).sum()

    x = IMAGES[0]
    found = jax.grad(lambda x: smooth_grad(softplus, x, key=KEY, samples=1, sigma=0.0).sum())(x)
    s = jax.nn.sigmoid(x)
    close(found, s * (1 - s))
    found = jax.grad(lambda x: integrated_gradients(softplus, x, steps=1, rule="midpoint").sum())(x)
    h = jax.nn.sigmoid(x / 2)
    close(found, h + x * h * (1 - h) / 2)


@pytest.mark.parametrize("name", ["gradient", "integrated_gradients", "occlusion"])
def test_a_score_of_its_own_for_each_example_equals_one_by_one(name):
    images = jax.random.normal(jax.random.key(3), (3, 5, 6, 2))
    weights = jnp.array([0.5, -1.0, 2.0])

    def score(weight, image):
        return jnp.tanh(weight * image).sum()

    together = batched(METHODS[name], chunk=2)(score, images, given=weights)
    for weight, image, found in zip(weights, images, together, strict=True):
        close(found, METHODS[name](lambda x, w=weight: score(w, x), image))


def test_one_compilation_explains_every_class():
    traced = []

    def score(which, image):
        traced.append(which)
        return image.ravel()[which]

    images = jnp.ones((4, 3, 3, 1))
    maps = batched(METHODS["gradient"], chunk=2)(score, images, given=jnp.arange(4))
    assert len(traced) == 1
    close(maps.reshape(4, 9), jnp.eye(9)[:4])
