"""The CAM family: each formula written out in NumPy, axioms, and layers that say nothing."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.explain import METHODS, activations_and_gradients, batched, cams, to_image_grid
from lensjax.explain.methods.cam import RULES
from tests.oracles.explain_oracles import m1_forward, m1_image, network

close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
FAMILY = [*RULES, "eigen_cam", "score_cam", "ablation_cam"]
IMAGE = jax.random.normal(jax.random.key(1), (8, 12, 2))


def by_formula(name, a, g):
    """The definitions of section 2 of the papers' notation, a and g of shape [positions k]."""
    if name == "grad_cam":
        return a @ g.mean(0)
    if name == "hires_cam":
        return (a * g).sum(1)
    if name == "layer_cam":
        return (a * np.maximum(g, 0)).sum(1)
    if name == "x_grad_cam":
        return a @ ((a * g).sum(0) / a.sum(0))
    alpha = g**2 / np.where(g == 0, 1, 2 * g**2 + g**3 * a.sum(0))
    return a @ (alpha * np.maximum(g, 0)).sum(0)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", RULES)
def test_each_rule_is_its_formula(name, dims):
    image = m1_image(dims)
    activations, gradients = activations_and_gradients(m1_forward, image, ("conv",))
    a, g = (np.asarray(x["conv"], np.float64).reshape(-1, 2) for x in (activations, gradients))
    close(METHODS[name](m1_forward, image, layer="conv").ravel(), by_formula(name, a, g), rtol=1e-4)


def linear_head(weights):
    """Features 2x and -x; the score is linear in their means."""

    def forward(image, taps):
        x = jnp.concatenate([2 * image, -image], -1) + (taps or {}).get("conv", 0)
        return (x.mean(tuple(range(x.ndim - 1))) * weights).sum() + 7, {"conv": x}

    return forward


@pytest.mark.parametrize("name", ["grad_cam", "hires_cam", "x_grad_cam"])
def test_of_a_mean_and_a_linear_head_they_are_one(name):
    image = m1_image()
    close(METHODS[name](linear_head(jnp.array([3.0, 1.0])), image), (6 - 1) * image[..., 0] / image.size)


def test_hires_cam_and_x_grad_cam_sum_to_the_score_of_a_head_without_biases():
    forward = network()  # a linear head on the mean of a pooled layer
    whole = forward(IMAGE)[0]
    close(METHODS["hires_cam"](forward, IMAGE).sum(), whole, rtol=1e-4)
    close(METHODS["x_grad_cam"](forward, IMAGE).sum(), whole, rtol=1e-4)


def test_grad_cam_plus_plus_without_a_gradient_is_zero():
    close(METHODS["grad_cam_pp"](linear_head(jnp.zeros(2)), m1_image()), 0)


def test_eigen_cam_is_the_first_principal_component():
    forward = network()
    a = np.asarray(forward(IMAGE)[1]["stage2"], np.float64)
    flat = a.reshape(-1, a.shape[-1])
    flat = flat - flat.mean(0)
    expected = flat @ np.linalg.svd(flat)[2][0]
    expected *= np.sign(expected @ flat.sum(1))
    close(METHODS["eigen_cam"](forward, IMAGE).ravel(), expected, atol=1e-4)


def test_score_cam_masks_with_each_channel():
    def forward(image, taps):
        x = jnp.concatenate([image, jnp.ones_like(image), -image], -1) + (taps or {}).get("conv", 0)
        return image.sum() / 100, {"conv": x}

    image = m1_image()
    x = np.asarray(image)[..., 0]
    # The first channel's own map as mask, a constant one masks everything, the third is the first reversed.
    scores = np.array([(x * x / 15).sum(), 0, (x * (15 - x) / 15).sum()]) / 100
    w = np.exp(scores) / np.exp(scores).sum()
    close(METHODS["score_cam"](forward, image), w[0] * x + w[1] - w[2] * x, rtol=1e-4)


def test_ablation_cam_weighs_a_channel_with_what_it_adds():
    image = m1_image()
    forward = linear_head(jnp.array([3.0, 1.0]))
    mean = float(image.mean())
    raw = 6 * mean * 2 * image[..., 0] + (-mean) * -image[..., 0]
    close(METHODS["ablation_cam"](forward, image), raw, rtol=1e-4)
    close(METHODS["ablation_cam"](forward, image, divide=True), raw / (5 * mean + 7), rtol=1e-4)


@pytest.mark.parametrize("name", FAMILY)
def test_an_empty_layer_gives_zeros_and_no_nan(name):
    def forward(image, taps):
        x = image * 0 + (taps or {}).get("conv", 0)
        return x.sum(), {"conv": x}

    assert (METHODS[name](forward, IMAGE) == 0).all()


def test_several_layers_share_a_backward_pass():
    forward = network()
    found = cams(forward, IMAGE, ("stage1", "stage2"), "layer_cam")
    for layer in ("stage1", "stage2"):
        close(found[layer], METHODS["layer_cam"](forward, IMAGE, layer=layer))
    primitives = str(jax.make_jaxpr(lambda x: cams(forward, x, ("stage1", "stage2")))(IMAGE))
    alone = str(jax.make_jaxpr(lambda x: cams(forward, x, ("stage1",)))(IMAGE))
    assert primitives.count("conv_general_dilated[") == alone.count("conv_general_dilated[")
    with pytest.raises(ValueError, match="choose from grad_cam, grad_cam_pp"):
        cams(forward, IMAGE, ("stage1",), "gradcam")
    with pytest.raises(ValueError, match="no spatial layer is called 'stage3'"):
        cams(forward, IMAGE, ("stage3",))


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_a_delta_off_the_centre_stays_where_it_is(dims, method):
    at = (1, 2, 7)[3 - dims :]
    image = jnp.zeros((*(3, 12, 10)[3 - dims :], 1)).at[*at].set(1.0)

    def unpadded(image, taps):
        """3 × 3 convolution without padding: cell i is centred on pixel i + 1 of rows and columns."""
        x = jnp.stack([image[..., 1:-1, 1:-1, 0]], -1) + (taps or {}).get("conv", 0)
        return x.sum(), {"conv": x}

    raw = METHODS["hires_cam"](unpadded, image)
    h, w = image.shape[-3:-1]
    time = dims - 2
    origin = (0.5 / 3,) * time + (1.5 / h, 1.5 / w)
    step = (1 / 3,) * time + (1 / h, 1 / w)
    found = to_image_grid(raw, image.shape, method=method, origin=origin, step=step)
    assert np.unravel_index(found.argmax(), found.shape) == at
    close(found.sum(), 1)


def test_no_image_of_a_batch_is_left_out():
    images = jax.random.normal(jax.random.key(2), (4, 8, 12, 2))
    maps = batched(METHODS["grad_cam"])(network(), images)
    assert (np.abs(maps).max((1, 2)) > 0).all()
