"""Guided back-propagation and deconvnet against Captum's numbers, and ReLUs wherever they may stand."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from lensjax.config import AttentionConfig, ModelConfig
from lensjax.explain import METHODS, batched
from lensjax.explain.engine.targets import log_odds
from lensjax.explain.methods.guided_backprop import deconvnet, guided_backprop, guided_grad_cam
from lensjax.models import Apply, build
from tests.oracles.explain_oracles import m1, m1_forward, m1_image

close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)


def test_c3_guided_backprop():
    found = guided_backprop(m1, m1_image())
    close(found[..., 0], [[0, 1, 1, 1], [1, 3, 3, 2], [1, 3, 3, 2], [1, 2, 2, 1]])
    assert not np.allclose(found, METHODS["gradient"](m1, m1_image()))  # the rule is active


def test_c4_deconvnet():
    close(deconvnet(m1, m1_image())[..., 0], [[2, 3, 3, 1], [3, 5, 5, 2], [3, 5, 5, 2], [1, 2, 2, 1]])


def test_c6_guided_grad_cam():
    found = guided_grad_cam(m1_forward, m1_image(), layer="relu", upsampling="nearest")[..., 0]
    close(found, [[0, 0, 4, 4], [0, 0, 12, 8], [28, 84, 97.5, 65], [28, 56, 65, 32.5]])


def test_c16_in_3d():
    plane = [[1, 2, 2, 1], [3, 6, 6, 3], [3, 6, 6, 3], [2, 4, 4, 2]]
    first = [[0] * 4, *[[1, 2, 2, 1]] * 3]
    last = [[1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]
    found = guided_backprop(m1, m1_image(3))[..., 0]
    close(found, [first, plane, plane, last])
    found = guided_grad_cam(m1_forward, m1_image(3), layer="relu", upsampling="nearest")
    close(found.sum(), 38371.5)


def test_c18_the_rule_on_one_unit_leaves_the_function_alone():
    def f(x):
        return -(jax.nn.relu(x) ** 2).sum()

    x = jnp.array([5.0, 0, -5, 10])[:, None]
    before = f(x)
    assert (guided_backprop(f, x) == 0).all()
    close(jax.grad(f)(x)[:, 0], [-10, 0, 0, -20])
    assert f(x) == before


WRAPPERS = {
    "relu": jax.nn.relu,
    "maximum": lambda z: jnp.maximum(z, 0),
    "zero first": lambda z: jnp.maximum(0.0, z),
    "jit": jax.jit(jax.nn.relu),
    "checkpoint": jax.checkpoint(lambda z: jax.nn.relu(z)),
    "scan": lambda z: jax.lax.scan(lambda c, _: (jax.nn.relu(c), None), z, None, length=1)[0],
    "cond": lambda z: jax.lax.cond(z.sum() > -1e9, jax.nn.relu, lambda z: z, z),
    "vmap": jax.vmap(jax.nn.relu),
    "mapped": lambda z: jax.lax.map(jax.nn.relu, z),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_it_finds_the_relu_wherever_it_stands(wrapper):
    x = jnp.array([[3.0], [-2.0], [1.0]])
    w = jnp.array([[1.0], [1.0], [-1.0]])
    score = lambda x: (w * WRAPPERS[wrapper](x)).sum()  # noqa: E731
    assert guided_backprop(score, x)[:, 0].tolist() == [1, 0, 0]
    assert deconvnet(score, x)[:, 0].tolist() == [1, 1, 0]


own_derivative = jax.custom_vjp(lambda z: jax.nn.relu(z) + 0)
own_derivative.defvjp(lambda z: (z, None), lambda _, g: (g,))


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (lambda x: x.sum(), "no ReLU"),
        (lambda x: jax.nn.logsumexp(x), "no ReLU"),  # its maximum is none
        (lambda x: jax.nn.leaky_relu(x).sum(), "leaky_relu, for which guided rules are undefined"),
        (lambda x: (jax.nn.relu(x) + jax.nn.softplus(x)).sum(), "softplus"),
        (lambda x: jax.nn.relu6(x).sum(), "relu6"),
        (lambda x: jax.lax.while_loop(lambda c: c.sum() > 1e9, jax.nn.relu, x).sum(), "inside 'while'"),
        (lambda x: own_derivative(x).sum(), "inside 'custom_vjp_call'"),
    ],
)
def test_it_refuses_what_it_cannot_replace(score, words):
    with pytest.raises(ValueError, match=words):
        guided_backprop(score, jnp.ones((3, 1)))


def test_what_the_score_does_not_use_is_no_matter():
    def score(x):
        jax.nn.softplus(x)  # say, the stated uncertainty of a position
        return jax.nn.relu(x).sum()

    close(guided_backprop(score, jnp.ones((3, 1))), 1)


@pytest.mark.parametrize("shape", [(9, 9, 1), pytest.param((4, 9, 9, 1), marks=pytest.mark.slow)])
def test_our_network_equals_itself_with_the_rule_written_in(shape, monkeypatch):
    """The same Flax network once with an activation that has the rule, once rewritten."""
    from lensjax.explain.methods import guided_backprop as rules
    from lensjax.models import cnn

    config = ModelConfig(features=(3, 4), pool=(2, 1), hidden=0, head="class", classes=("a", "b"))
    model = build(config)
    image = jax.random.normal(jax.random.key(0), shape)
    params = jax.jit(model.init)(jax.random.key(1), image[None])["params"]
    network = Partial(Apply(model), params)
    score = lambda x: log_odds(network(x).logits, 1)  # noqa: E731
    found, plain = guided_backprop(score, image), METHODS["gradient"](score, image)
    monkeypatch.setattr(cnn.nn, "relu", rules._guided)
    monkeypatch.setitem(cnn.ACTIVATIONS, "relu", rules._guided)
    written_in = Partial(Apply(build(config)), params)
    close(found, jax.grad(lambda x: log_odds(written_in(x).logits, 1))(image))
    assert not np.allclose(found, plain)


def test_one_compilation_serves_every_class():
    image = jax.random.normal(jax.random.key(0), (2, 8, 8, 1))
    config = ModelConfig(
        features=(3,), hidden=0, head="class", classes=("a", "b", "c"), attention=AttentionConfig(at=())
    )
    model = build(config)
    params = jax.jit(model.init)(jax.random.key(1), image)["params"]
    network = Partial(Apply(model), params)
    many = batched(guided_backprop)(
        lambda k, x: log_odds(network(x).logits, k), image, given=np.array([2, 0])
    )
    close(many[0], guided_backprop(lambda x: log_odds(network(x).logits, 2), image[0]))
