"""No method answers with old weights, and a fresh function each call costs neither time nor memory."""

import contextlib
import gc
import itertools
import weakref
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from lensjax.explain import (
    METHODS,
    ON_FEATURES,
    TRIVIAL,
    Pointwise,
    Stack,
    ascend,
    batched,
    incremental_occlusion,
)
from lensjax.explain.engine import programs
from lensjax.explain.scores.faithfulness import FAITHFULNESS

KEY = jax.random.key(0)
IMAGE = jax.random.uniform(jax.random.key(1), (6, 6, 1)) + 0.5
WEIGHTS = jax.random.uniform(jax.random.key(2), (6, 6, 1)) + 0.5
OPTIONS = {
    "smooth_grad": {"samples": 2},
    "smooth_grad_squared": {"samples": 2},
    "var_grad": {"samples": 2},
    "integrated_gradients": {"steps": 2},
    "expected_gradients": {"samples": 2, "background": np.zeros((2, 6, 6, 1), np.float32)},
    "occlusion": {"window": 3},
    "rise": {"cells": 2, "samples": 20},
    "lime": {"segments": 4, "samples": 16, "alpha": 0.0},
    "kernel_shap": {"segments": 4, "samples": 16},
}
# Weights of Score-CAM sum to 1; Eigen-CAM and the gate depend on other weights than those of the score.
BY_FEATURES = {"score_cam", "eigen_cam", "attention", "ablation_cam"}
LEARNED = [name for name in METHODS if name not in TRIVIAL]


class Store:
    """Weights in an object that a training step writes to, as NNX has them."""

    def __init__(self, value):
        self.value = value


def functions(read):
    """`score` and `forward` of a network whose weights are what `read()` gives now."""

    def forward(image, taps=None):
        stage = jax.nn.relu(image * read()) + (taps or {}).get("stage", 0)
        gate = jax.nn.sigmoid((image * read())[..., 0])
        return (stage**3).sum(), {"attention:input": gate, "stage": stage}

    return (lambda image: forward(image)[0]), forward


def explain(name, read_functions, many):
    score, forward = read_functions
    subject = forward if name in ON_FEATURES else score
    options = OPTIONS.get(name, {})
    if many:
        return np.asarray(batched(METHODS[name])(subject, IMAGE[None], key=KEY, **options))[0]
    return np.asarray(METHODS[name](subject, IMAGE, key=KEY, **options))


def expected(name, many):
    """The map of functions that nothing has seen before, with the weights 2 · WEIGHTS."""
    return explain(name, functions(lambda: WEIGHTS * 2), many)


def closed_over(weights):
    """A name of the function around, bound anew."""

    def change():
        nonlocal weights
        weights = weights * 2

    return (lambda: weights), change


def numpy_in_place(weights):
    own = np.array(weights)

    def change():
        own[...] *= 2

    return (lambda: own), change


def attribute(weights):
    store = Store(weights)

    def change():
        store.value = store.value * 2

    return (lambda: store.value), change


def in_a_dict(weights):
    params = {"stage": {"kernel": weights}}

    def change():
        params["stage"]["kernel"] *= 2

    return (lambda: params["stage"]["kernel"]), change


def scalar(weights):
    factor = 1.0

    def change():
        nonlocal factor
        factor = 2.0

    return (lambda: weights * factor), change


GLOBAL = WEIGHTS


def a_global(weights):
    global GLOBAL
    GLOBAL = weights

    def change():
        global GLOBAL
        GLOBAL = GLOBAL * 2

    return (lambda: GLOBAL), change


KINDS = [closed_over, numpy_in_place, attribute, in_a_dict, scalar, a_global]


@pytest.mark.parametrize("many", [False, True], ids=["direct", "batched"])
@pytest.mark.parametrize("name", LEARNED)
def test_every_method_answers_with_the_new_weights(name, many):
    read, change = closed_over(WEIGHTS)
    subject = functions(read)
    before = explain(name, subject, many)
    np.testing.assert_allclose(explain(name, subject, many), before, rtol=1e-6)
    change()
    after = explain(name, subject, many)
    np.testing.assert_allclose(after, expected(name, many), rtol=2e-5, atol=1e-5)
    if name not in BY_FEATURES:
        assert not np.allclose(after, before, rtol=1e-2)


@pytest.mark.parametrize("change_as", KINDS)
@pytest.mark.parametrize("name", ["gradient", "occlusion", "grad_cam"])
def test_however_the_weights_are_held(name, change_as):
    read, change = change_as(WEIGHTS)
    subject = functions(read)
    before = [explain(name, subject, many) for many in (False, True)]
    change()
    for many in (False, True):
        after = explain(name, subject, many)
        np.testing.assert_allclose(after, expected(name, many), rtol=2e-5, atol=1e-5)
        assert not np.allclose(after, before[many], rtol=1e-2)


def test_one_program_a_chunk_answers_with_the_new_weights(monkeypatch):
    monkeypatch.setattr("lensjax.explain.engine.batch.loops_on_host", lambda: False)
    read, change = numpy_in_place(WEIGHTS)
    subject = functions(read)
    explain("gradient", subject, True)
    change()
    np.testing.assert_allclose(explain("gradient", subject, True), expected("gradient", True), rtol=1e-5)


def test_a_score_of_its_own_for_each_example_has_the_new_weights():
    read, change = closed_over(WEIGHTS)
    score = lambda k, image: k * (image * read()).sum()  # noqa: E731
    explain_all = lambda: batched(METHODS["gradient"])(score, IMAGE[None], given=jnp.ones(1))[0]  # noqa: E731
    np.testing.assert_allclose(explain_all(), WEIGHTS)
    change()
    np.testing.assert_allclose(explain_all(), 2 * WEIGHTS)


def test_nnx_updated_in_place():
    nnx = pytest.importorskip("flax.nnx")
    net = nnx.Linear(4, 1, rngs=nnx.Rngs(0))
    x = jnp.ones((1, 1, 4))
    score = lambda x: net(x)[0, 0, 0]  # noqa: E731
    before = {many: explain_nnx(score, x, many) for many in (False, True)}
    net.kernel[...] = net.kernel[...] * 5
    for many in (False, True):
        np.testing.assert_allclose(explain_nnx(score, x, many), 5 * before[many], rtol=1e-5)


def explain_nnx(score, x, many):
    return np.asarray(
        batched(METHODS["gradient"])(score, x[None])[0] if many else METHODS["gradient"](score, x)
    )


@pytest.mark.parametrize("name", ["deletion", "infidelity"])
def test_scores_of_maps_ask_the_new_weights(name):
    read, change = closed_over(WEIGHTS)
    score = lambda x: jax.nn.sigmoid((x * read()).mean())  # noqa: E731
    ask = lambda: float(FAITHFULNESS[name](score, IMAGE, IMAGE[..., 0], key=KEY, **extra))  # noqa: E731
    extra = {"scaled": False} if name == "infidelity" else {}
    before = ask()
    change()
    assert abs(ask() - before) > 1e-3


def test_incremental_occlusion_and_dreams_ask_the_new_weights():
    read, change = closed_over(WEIGHTS)
    stack = Stack((Pointwise(jnp.tanh),), lambda features: (features * read()).sum())
    dream = partial(ascend, lambda x: (x * read()).sum(), IMAGE, steps=1)
    before, score = incremental_occlusion(stack, IMAGE, window=3), dream().scores[0]
    change()
    np.testing.assert_allclose(incremental_occlusion(stack, IMAGE, window=3), 2 * before, rtol=1e-5)
    np.testing.assert_allclose(dream().scores[0], 2 * score, rtol=1e-5)


@contextlib.contextmanager
def counted_compilations():
    """A list that grows by one for each program that XLA compiles (or finds on disk)."""
    found = []

    def listen(event, seconds, **_):
        if "backend_compile" in event:
            found.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        with contextlib.suppress(AttributeError):
            jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize("name", ["gradient", "occlusion", "smooth_grad", "grad_cam"])
def test_a_fresh_lambda_compiles_nothing(name):
    def ask(k):  # other weights, another number, another function each time
        weights = WEIGHTS + k
        subject = functions(lambda: weights * (k + 0.5))
        return explain(name, subject, False), explain(name, subject, True)

    for k in range(3):
        ask(k)
    with counted_compilations() as compiled:
        maps = [ask(k)[0] for k in range(3, 23)]
    assert not compiled
    assert all(not np.allclose(one, other) for one, other in itertools.pairwise(maps))


def test_fresh_lambdas_leave_nothing_behind():
    ask = lambda weights, k: METHODS["gradient"](lambda x: jnp.tanh((x * weights).sum()) * k, IMAGE)  # noqa: E731
    dead = []
    for k in range(programs.TRACES_KEPT + 40):
        weights = WEIGHTS + k
        dead.append(weakref.ref(weights))
        ask(weights, k).block_until_ready()
    del weights
    gc.collect()
    assert not any(reference() is not None for reference in dead)
    assert len(programs._TRACES) <= programs.TRACES_KEPT and len(programs._PROGRAMS) <= programs.PROGRAMS_KEPT


@pytest.mark.parametrize("host", [True, False])
@pytest.mark.parametrize("name", ["gradient", "integrated_gradients", "occlusion", "grad_cam"])
def test_five_seeds_of_parameters_compile_once(name, host, monkeypatch):
    monkeypatch.setattr("lensjax.explain.engine.batch.loops_on_host", lambda: host)
    images = jnp.stack([IMAGE, IMAGE + 1])

    def forward(params, image, taps=None):
        stage = jax.nn.relu(image * params["kernel"] + params["bias"]) + (taps or {}).get("stage", 0)
        return (stage**2).sum(), {"stage": stage}

    def ask(seed):
        params = {"kernel": WEIGHTS + seed, "bias": jnp.full((1,), 0.1 * seed)}
        subject = forward if name in ON_FEATURES else lambda params, image: forward(params, image)[0]
        return batched(METHODS[name], chunk=2)(Partial(subject, params), images, **OPTIONS.get(name, {}))

    first = ask(0)
    with counted_compilations() as compiled:
        others = [ask(seed) for seed in range(1, 5)]
    assert not compiled
    assert all(not np.allclose(first, other) for other in others)


def test_a_known_function_is_not_traced_again():
    traced = []

    def score(image):
        return (image * WEIGHTS).sum()

    def method(score, image):
        traced.append(1)
        return score(image)

    compiled = programs.jit_method(method)
    for _ in range(3):
        compiled(score, IMAGE)
    assert len(traced) == 1
    store = Store(WEIGHTS)
    for _ in range(3):  # an object of a class of ours may change: looked at every time
        compiled(lambda image: (image * store.value).sum(), IMAGE)
    assert len(traced) == 4


def test_other_rules_of_a_derivative_are_told_apart():
    def make(factor):
        @jax.custom_jvp
        def f(x):
            return x.sum()

        f.defjvp(lambda primals, tangents: (primals[0].sum(), factor * tangents[0].sum()))
        return f

    for factor in (1.0, 3.0):
        score = make(factor)
        np.testing.assert_allclose(METHODS["gradient"](score, IMAGE), factor)
        total = lambda x, f=score: METHODS["occlusion"](f, x, window=6).sum()  # noqa: E731
        np.testing.assert_allclose(jax.grad(total)(IMAGE), 36 * factor)


def test_weights_closed_over_and_weights_as_arguments_are_two_programs():
    score = lambda weights, image: (image * weights).sum() * 7  # noqa: E731
    for _ in range(2):
        np.testing.assert_allclose(
            METHODS["gradient"](Partial(score, WEIGHTS), IMAGE), 7 * WEIGHTS, rtol=1e-6
        )
        np.testing.assert_allclose(
            METHODS["gradient"](partial(score, WEIGHTS), IMAGE), 7 * WEIGHTS, rtol=1e-6
        )
