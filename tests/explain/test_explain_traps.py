"""Traps that other libraries fell into, a test for each (issue numbers are theirs).

Those with a home elsewhere: weights that sum to 1, windows at the edge (exact), functional ReLUs, counted
(rules), images beside each other in a batch (cams), half a cell of shift (frame, cams), an empty mask that
counts as a hit (localisation), units of a network in 3D (exact_3d).
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from lensjax.explain import METHODS, ON_FEATURES, TRIVIAL, batched, normalise, positive, to_image_grid
from lensjax.explain.methods.gradient import smooth_grad, smooth_grad_squared
from lensjax.explain.methods.guided_backprop import guided_backprop
from lensjax.explain.methods.perturbation import occlusion
from tests.oracles.explain_oracles import network, score_of

close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
KEY = jax.random.key(0)
SMALL = {
    "smooth_grad": {"samples": 2},
    "integrated_gradients": {"steps": 2},
    "rise": {"cells": 2, "samples": 60},
    "lime": {"segments": 4, "samples": 16},
    "kernel_shap": {"segments": 4, "samples": 16},
}
# Squares have no sign; these know nothing of the score, pass it through a softmax, or keep one of its signs.
NOT_ODD = {"smooth_grad_squared", "var_grad", "eigen_cam", "attention", "score_cam", "layer_cam"}
NOT_ODD |= {"grad_cam_pp", "guided_backprop", "deconvnet", "guided_grad_cam", "expected_gradients"}
ODD = [name for name in METHODS if name not in NOT_ODD | TRIVIAL.keys()]


def quarter(sign, image, taps=None):
    """What supports this score is light in the upper left quarter."""
    x = image + (taps or {}).get("layer", 0)
    return sign * x[:4, :4].sum(), {"layer": x}


def quarter_light(sign, image):
    return quarter(sign, image)[0]


@pytest.mark.parametrize("name", ODD)
def test_positive_supports_the_score_and_a_negated_score_negates_the_map(name):
    """MONAI inverts maps by default; others show p(occluded) − p(clean), or flip with the score's sign."""
    image = jax.random.uniform(KEY, (8, 8, 1)) + 0.5

    def explain(sign):  # as a Partial, both are compiled at once
        subject = Partial(quarter if name in ON_FEATURES else quarter_light, sign)
        found = METHODS[name](subject, image, key=KEY, **SMALL.get(name, {}))
        return np.asarray(to_image_grid(found, image.shape))

    found = explain(1.0)
    assert found[:4, :4].mean() > 0
    assert found[:4, :4].mean() >= 0.99 * found.mean()
    close(explain(-1.0), -found, atol=1e-4)


@pytest.mark.parametrize("name", ["gradient", "occlusion", "lime", "rise", "grad_cam", "guided_backprop"])
@pytest.mark.parametrize("shape", [(8, 12, 1), (3, 4, 8, 5)])
def test_other_channels_than_three_sides_that_differ_and_depth(name, shape):
    """tf-explain takes squares only, lime#661 three channels; pgc#583 breaks on depth, #497 loses it."""
    forward = network(dims=len(shape) - 1, channels=shape[-1], activation=jax.nn.relu)
    image = jax.random.normal(KEY, shape)
    subject = forward if name in ON_FEATURES else score_of(forward)
    found = to_image_grid(METHODS[name](subject, image, key=KEY, **SMALL.get(name, {})), shape)
    assert found.shape == shape[:-1] and np.isfinite(found).all()
    assert (np.abs(found).reshape(shape[0], -1).max(1) > 0).all()  # every row, every window


def test_a_channel_more_does_not_change_what_is_explained():
    """MONAI's occlusion takes a sigmoid or a softmax by the number of channels of the image."""
    image = jax.random.normal(KEY, (4, 6, 1))
    score = lambda x: jnp.tanh(x[..., 0]).sum()  # noqa: E731
    alone = occlusion(score, image, window=2)
    for extra in (1, 4):
        more = jnp.concatenate([image, jnp.ones((4, 6, extra))], -1)
        close(occlusion(score, more, window=2), alone)


@pytest.mark.parametrize("scale", [1e-3, 255.0])
def test_noise_and_fill_are_in_the_images_own_units(scale):
    """Captum's NoiseTunnel adds noise of 1.0 at any scale; tf-explain fills with 127.5."""
    image = jax.random.normal(KEY, (6, 7, 2))
    score = lambda x: jnp.tanh(x).sum()  # noqa: E731
    scaled = lambda x: score(x / scale)  # noqa: E731
    for method, options in ((smooth_grad, {"samples": 8}), (occlusion, {"window": 3, "baseline": "mean"})):
        found = method(scaled, image * scale, key=KEY, **options)
        power = scale if method is smooth_grad else 1  # a gradient is per unit of the image
        close(found * power, method(score, image, key=KEY, **options))


def test_the_mean_of_squares_is_no_length_over_n():
    """MONAI's magnitude is √(Σg²)/n: it falls as samples are added. Of a linear score every g is the same."""
    image = jax.random.normal(KEY, (4, 5, 1))
    for samples in (1, 2, 9):
        close(smooth_grad_squared(lambda x: 3 * x.sum(), image, key=KEY, samples=samples), 9)


def test_all_that_is_negative_stays_so():
    """pytorch-grad-cam scales a map to [0, 1] after a ReLU: all-negative ones go flat, all-zero ones NaN."""
    found = jnp.array([[-4.0, -1.0], [-2.0, -3.0]])
    close(normalise(found), found / 4)
    close(positive(found), 0)
    close(normalise(positive(found)), 0)
    for faint in (1e-30, 1e30):  # no constant is added below the line
        close(normalise(faint * found), found / 4)


def test_grad_cam_keeps_its_sign():
    """captum#179: with or without a ReLU? Here `positive` is a step of its own."""
    forward = partial(quarter, -1)
    found = METHODS["grad_cam"](forward, jnp.ones((8, 8, 1)))
    close(found, -0.25)  # the mean gradient: a quarter of the pixels have −1


@pytest.mark.parametrize("name", ["gradient", "guided_backprop", "grad_cam", "guided_grad_cam"])
def test_no_image_is_explained_by_its_neighbours(name):
    """pgc#264: the second of two all zero; flax_gradcam: the gradient of a maximum over the batch."""
    forward = network(activation=jax.nn.relu)
    subject = forward if name in ON_FEATURES else score_of(forward)
    images = jax.random.normal(KEY, (3, 8, 12, 2)) * jnp.array([1.0, 100.0, 0.01])[:, None, None, None]
    found = batched(METHODS[name])(subject, images)
    for image, one in zip(images, found, strict=True):
        assert np.abs(one).max() > 0
        alone = METHODS[name](subject, image)
        close(one / np.abs(alone).max(), alone / np.abs(alone).max())


def test_a_function_used_twice_is_ruled_twice():
    """captum#1082: a module that is used again is hooked once. Here each call is an equation of its own."""
    layer = jax.jit(lambda x: jax.nn.relu(x - 1))  # the same compiled function
    x = jnp.array([[3.0], [1.5]])
    score = lambda x: (layer(layer(x)) * jnp.array([[1.0], [-1.0]])).sum() - layer(x).sum()  # noqa: E731
    # Second application: 1 at row 0, inactive at row 1; the −1 of the third branch is cut.
    close(guided_backprop(score, x)[:, 0], [1, 0])
    close(METHODS["gradient"](score, x)[:, 0], [0, -1])
