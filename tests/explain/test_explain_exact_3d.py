"""C16: the cases in 2D have twins with depth, beside those in `test_explain_exact` and `test_explain_rules`.

Where the literature gives no number, the expectation is the definition, in NumPy loops over M3's units.
"""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.explain import METHODS, activations_and_gradients
from lensjax.explain.methods.gradient import gradient, input_x_gradient
from lensjax.explain.methods.guided_backprop import deconvnet, guided_grad_cam
from lensjax.explain.methods.integrated_gradients import integrated_gradients
from lensjax.explain.methods.perturbation import occlusion
from tests.oracles.explain_oracles import column, m1, m1_forward, m1_image, m2, m2_forward

close = partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6)
IMAGE = m1_image(3)
X = np.asarray(IMAGE, np.float64)[..., 0]
DENSE = np.array([1] * 10 + [-1] * 6).reshape(2, 2, 2, 2)  # M3's, channels first
PLANE = np.array([[0] * 4] + [[1, 2, 2, 1]] * 3)


def units():
    """M3's sixteen: dense weight, bias, and the window that each sees."""
    for channel, b in enumerate((600, 900)):
        for corner in itertools.product(range(2), repeat=3):
            yield DENSE[(channel, *corner)], b, tuple(slice(i, i + 3) for i in corner)


def brute_occlusion(score, image, window, stride):
    """Mean over the windows that cover a pixel, one after the other; the last ones hang over the edge."""
    space = image.shape[:-1]
    total, covered, whole = np.zeros(space), np.zeros(space), float(score(image))
    starts = [range(0, s * (-(-(n - p) // s)) + 1, s) for n, p, s in zip(space, window, stride, strict=True)]
    for corner in itertools.product(*starts):
        inside = tuple(slice(i, i + p) for i, p in zip(corner, window, strict=True))
        total[inside] += whole - float(score(image.at[inside].set(0.0)))
        covered[inside] += 1
    return total / covered


def test_c2_input_x_gradient():
    slope = np.stack([PLANE] * 3 + [PLANE * 0])
    close(gradient(m1, IMAGE)[..., 0], slope)
    close(input_x_gradient(m1, IMAGE)[..., 0], slope * X)


def test_c4_deconvnet():
    expected = np.zeros((4, 4, 4))
    for weight, _, window in units():
        expected[window] += max(weight, 0)
    close(deconvnet(m1, IMAGE)[..., 0], expected)


def test_c5_each_channel_of_grad_cam():
    for dims, expected in (
        (2, [[[-3.75, 3], [23.25, 30]], [[15, 10.5], [-3, -7.5]]]),
        (3, None),
    ):
        a, g = (x["conv"] for x in activations_and_gradients(m1_forward, m1_image(dims), ("conv",)))
        parts = np.moveaxis(np.asarray(a * g.mean(tuple(range(dims)))), -1, 0)
        close(METHODS["grad_cam"](m1_forward, m1_image(dims), layer="conv"), parts.sum(0))
        if expected is not None:
            close(parts, expected)


def test_c6_guided_grad_cam():
    found = guided_grad_cam(m1_forward, IMAGE, layer="relu", upsampling="nearest")[..., 0]
    guided = METHODS["guided_backprop"](lambda x: m1_forward(x, None)[0], IMAGE)[..., 0]
    cam = np.array([[[0, 0], [75, 102]], [[349.5, 363], [403.5, 417]]])
    close(found, guided * cam.repeat(2, 0).repeat(2, 1).repeat(2, 2))


def test_c7_integrated_gradients():
    expected = np.zeros((4, 4, 4))
    for weight, b, window in units():
        expected[window] += weight * max(0, 1 - b / X[window].sum()) * X[window]
    close(expected.sum(), 1377)
    found = integrated_gradients(m1, IMAGE, steps=2000, rule="midpoint", chunk=1000)[..., 0]
    assert np.abs(found - expected).max() < 2e-3 * expected.max()
    close(found.sum(), 1377, rtol=1e-3)


@pytest.mark.parametrize("axes", [2, 3])
def test_c8_and_c10_have_no_care_for_axes(axes):
    shape = (1,) * (axes - 1) + (3, 1)
    one = (1,) * (axes - 1)

    def smooth(x):
        a, b, c = x.ravel()
        return 5 * a + b**2 + jnp.sin(c)

    x, base = (column(*numbers).reshape(shape) for numbers in ((1, 2, 3), (0.5, 1, 1)))
    found = integrated_gradients(smooth, x, baseline=base, steps=16)
    close(found.ravel(), [2.5, 3.0, np.sin(3) - np.sin(1)], rtol=1e-5)
    v = column(20, 50, 30).reshape(shape)
    close(occlusion(m2, v, window=1).ravel(), [80, 200, 120])
    close(occlusion(m2, v, window=(*one, 2), stride=(*one, 2)).ravel(), [280, 280, 120])
    close(occlusion(m2, v, window=2, stride=1, baseline=10.0).ravel(), [200, 220, 240])


@pytest.mark.parametrize(("window", "stride"), [((2, 3, 2), (2, 1, 1)), ((3, 2, 4), (2, 2, 3))])
def test_c11_occlusion_with_a_window_an_axis(window, stride):
    found = occlusion(m1, IMAGE, window=window, stride=stride)[..., 0]
    close(found, brute_occlusion(m1, IMAGE, window, stride), rtol=1e-5)


def test_c12_aggregation_and_edges():
    """Of 3·Σx each window counts the light in it: along every axis on its own."""
    at = jnp.array([1, 3])
    image = jnp.zeros((5, 5, 5, 1)).at[at, at, at].set(1.0)
    score = lambda x: 3 * x.sum()  # noqa: E731
    total, mean = (occlusion(score, image, window=3, stride=1, aggregate=a)[..., 0] for a in ("sum", "mean"))
    one = [np.array(line) for line in ((1, 2, 2, 1, 0), (0, 1, 2, 2, 1))]  # windows with pixel and light
    close(total, 3 * sum(np.multiply.outer(np.multiply.outer(line, line), line) for line in one))
    count = np.array([1, 2, 3, 2, 1])
    close(total, mean * np.multiply.outer(np.outer(count, count), count), atol=1e-4)
    corner = image.at[4, 4, 4].set(1.0)
    clip, valid = (occlusion(score, corner, window=2, stride=2, edges=e)[..., 0] for e in ("clip", "valid"))
    close(clip[4, 4, 4], 3)
    for axis in range(3):
        close(np.moveaxis(np.asarray(valid), axis, 0)[4], 0)
    close(clip[:4, :4, :4], valid[:4, :4, :4])


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_c20_ablation_and_integrated_gradients_account_for_every_subset(axes):
    """Each subset's map sums to what the score loses without it: infidelity 0, sensitivity-n exact."""
    image = column(1, 2.5, 3.3).reshape(*(1,) * (axes - 1), 3, 1)
    ablation = occlusion(m2, image, window=1)
    path = integrated_gradients(m2, image, steps=8)
    for found in (ablation, path):
        close(found.ravel(), [3, 7.5, 9.9], rtol=1e-5)
        close(found.sum(), 20.4, rtol=1e-5)
        for size in (1, 2, 3):
            for subset in map(list, itertools.combinations(range(3), size)):
                without = image.ravel().at[jnp.array(subset)].set(0.0).reshape(image.shape)
                close(found.ravel()[jnp.array(subset)].sum(), m2(image) - m2(without), rtol=1e-5)


def test_c5_on_features_without_space():
    """M2 has no grid: one position, so Grad-CAM is what ablation is."""
    close(METHODS["grad_cam"](m2_forward, column(0, 100, 0), layer="linear0"), 400)
    ends = jax.eval_shape(lambda x: m2_forward(x, None)[1], column(0, 100, 0))
    assert ends["linear0"].shape == (3,)
