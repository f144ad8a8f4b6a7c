"""Methods against closed forms: the cases C1 to C20 of the literature's own tests, channels last.

Relative tolerance 1e-6 unless said (float32); `3d` is `test_explain_exact_3d`, `rules` is
`test_explain_rules`, and so on.

    case                              2D, or free of axes           3D twin (C16)
    C1   gradient                     here                          here
    C2   input × gradient             here                          3d
    C3   guided backprop, 1e-5        rules                         rules
    C4   deconvnet, 1e-5              rules                         3d
    C5   Grad-CAM                     here; by channel in 3d        here; by channel in 3d
    C6   guided Grad-CAM, 1e-5        rules                         rules (sum), 3d (every pixel)
    C7   integrated gradients, M1     here, errors as in the table  3d, 2e-3 of the largest (kinks)
    C8   the same, smooth             here, 1e-9 in float64         3d, 1e-5
    C9   implementation invariance    here, 1e-3                    free of axes
    C10  occlusion, M2                here                          3d
    C11  a window an axis             here                          3d, against NumPy loops, 1e-5
    C12  aggregation and edges        here                          3d
    C13  KernelSHAP                   surrogates, 1 to 3 axes       surrogates
    C14  LIME, eight masks            surrogates, to the digits     surrogates
    C15  kernel conventions           surrogates                    free of axes
    C17  differentiable, 1e-5         paths, invariance             free of axes
    C18  the rule on one unit         rules                         free of axes
    C19  metrics                      localisation, faithfulness
    C20  ablation and IG, 1e-5        3d, 1 to 3 axes               3d
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.explain import METHODS, completeness_error
from lensjax.explain.methods.gradient import gradient, input_x_gradient, smooth_grad
from lensjax.explain.methods.integrated_gradients import integrated_gradients
from lensjax.explain.methods.perturbation import occlusion
from tests.oracles.explain_oracles import column, m1, m1_forward, m1_image, m2, m2_forward, score_of

grad_cam = METHODS["grad_cam"]
close = partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6)
V = column(20, 50, 30)


def test_c1_gradient():
    close(gradient(m1, m1_image())[..., 0], [[0, 1, 1, 1]] * 3 + [[0] * 4])


def test_c2_input_x_gradient():
    expected = [[0, 1, 2, 3], [0, 5, 6, 7], [0, 9, 10, 11], [0, 0, 0, 0]]
    close(input_x_gradient(m1, m1_image())[..., 0], expected)


@pytest.mark.parametrize(
    ("layer", "expected"), [("conv", [[11.25, 13.5], [20.25, 22.5]]), ("relu", [[0, 4], [28, 32.5]])]
)
def test_c5_grad_cam(layer, expected):
    close(grad_cam(m1_forward, m1_image(), layer=layer), expected)


def test_c5_grad_cam_on_features_without_space():
    close(grad_cam(m2_forward, column(0, 100, 0), layer="linear0"), 400)


def ig_of_one_conv(image):
    """Each unit of window sum s, bias −b and dense weight w adds w · max(0, 1 − b/s) · x over its window."""
    total, x = np.zeros((4, 4)), np.asarray(image)[..., 0]
    dense = np.array([1] * 5 + [-1] * 3).reshape(2, 2, 2)
    for channel, b in enumerate((50, 75)):
        for i, j in np.ndindex(2, 2):
            window = np.s_[i : i + 3, j : j + 3]
            total[window] += dense[channel, i, j] * max(0, 1 - b / x[window].sum()) * x[window]
    return total


def test_c7_integrated_gradients_has_its_closed_form():
    expected = ig_of_one_conv(m1_image())
    table = [
        [0, 0.074074, 0.148148, 0.222222],
        [1.234568, 3.302469, 3.962963, 2.462963],
        [2.469136, 5.944444, 6.604938, 3.870370],
        [3.703704, 7.623457, 8.209877, 4.166667],
    ]
    close(expected, table, atol=1e-6)
    close(expected.sum(), 54)
    for rule, steps, error in (
        ("midpoint", 50, 0.105),
        ("midpoint", 200, 0.0505),
        ("midpoint", 2000, 0.0034),
        ("gauss_legendre", 512, 0.03),
    ):
        found = integrated_gradients(m1, m1_image(), steps=steps, rule=rule, chunk=500)[..., 0]
        assert np.abs(found - expected).max() < error, rule


def test_c8_integrated_gradients_of_a_smooth_function():
    def smooth(x):
        a, b, c = x[:, 0]
        return 5 * a + b**2 + jnp.sin(c)

    expected = [2.5, 3.0, np.sin(3) - np.sin(1)]
    with jax.enable_x64(True):
        x, base = jnp.array([[1.0], [2], [3]]), jnp.array([[0.5], [1], [1]])
        found = integrated_gradients(smooth, x, baseline=base, steps=32)[:, 0]
        close(found, expected, rtol=1e-9, atol=0)
    single = integrated_gradients(smooth, column(1, 2, 3), baseline=column(0.5, 1, 1), steps=16)[:, 0]
    close(single, expected, rtol=1e-5)


def test_c9_implementation_invariance():
    relu = jax.nn.relu
    for f in (lambda a, b: relu(relu(a) - 1 - relu(b)), lambda a, b: relu(relu(a - 1) - relu(b))):
        found = integrated_gradients(
            lambda x, f=f: f(x[0, 0], x[1, 0]), column(3, 1), steps=3000, rule="midpoint", chunk=3000
        )
        close(found[:, 0], [1.5, -0.5], atol=1e-3)


@pytest.mark.parametrize("rule", ["gauss_legendre", "midpoint"])
@pytest.mark.parametrize("steps", [1, 2, 10])
def test_weights_sum_to_one_so_a_linear_score_is_exact(rule, steps):
    found = integrated_gradients(lambda x: 3 * x.sum() + 7, m1_image(), baseline=1.0, steps=steps, rule=rule)
    close(found, 3 * (m1_image() - 1), rtol=1e-5)
    assert abs(completeness_error(lambda x: 3 * x.sum() + 7, m1_image(), found, baseline=1.0)) < 1e-3


def test_completeness_error_falls_with_the_steps():
    errors = [
        abs(float(completeness_error(m1, m1_image(), integrated_gradients(m1, m1_image(), steps=n))))
        for n in (4, 32, 256)
    ]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.5  # kinks: O(1 / n), of 54


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"window": 1}, [80, 200, 120]),
        ({"window": 2, "stride": 2}, [280, 280, 120]),
        ({"window": 2, "stride": 1, "baseline": 10.0}, [200, 220, 240]),
    ],
)
def test_c10_occlusion(options, expected):
    close(occlusion(m2, V, **options)[:, 0], expected)


def test_c11_occlusion_with_a_window_an_axis():
    found = occlusion(m1, m1_image(), window=(2, 3), stride=(2, 1))[..., 0]
    close(found, [[13, 12.5, 12.5, 12]] * 2 + [[54] * 4] * 2)
    ones = jnp.ones((4, 4, 1))
    found = occlusion(lambda x: m1(x + ones), m1_image(), window=(2, 3), stride=(2, 1))[..., 0]
    close(found, [[17] * 4] * 2 + [[64, 65.5, 65.5, 67]] * 2)
    found = occlusion(lambda u: m1(m1_image() + u), ones, window=(1, 2), stride=(1, 2))[..., 0]
    close(found, [[3] * 4] * 3 + [[0] * 4])


def test_c12_aggregation_and_edges():
    image = jnp.zeros((5, 5, 1)).at[jnp.array([1, 3]), jnp.array([1, 3])].set(1.0)

    def score(x):
        return 3 * x.sum()

    total = occlusion(score, image, window=3, stride=1, aggregate="sum")[..., 0]
    mean = occlusion(score, image, window=3, stride=1)[..., 0]
    close(
        total, [[3, 6, 6, 3, 0], [6, 15, 18, 12, 3], [6, 18, 24, 18, 6], [3, 12, 18, 15, 6], [0, 3, 6, 6, 3]]
    )
    rows = [
        [3, 3, 2, 1.5, 0],
        [3, 3.75, 3, 3, 1.5],
        [2, 3, 8 / 3, 3, 2],
        [1.5, 3, 3, 3.75, 3],
        [0, 1.5, 2, 3, 3],
    ]
    close(mean, rows)
    close(total, mean * np.outer([1, 2, 3, 2, 1], [1, 2, 3, 2, 1]), atol=1e-5)
    corner = image.at[4, 4].set(1.0)
    clip = occlusion(score, corner, window=2, stride=2)[..., 0]
    valid = occlusion(score, corner, window=2, stride=2, edges="valid")[..., 0]
    close(clip[4, 4], 3)
    close(valid[4], 0)
    close(valid[:, 4], 0)
    close(clip[:4, :4], valid[:4, :4])


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("conv", [[[141.75, 148.5], [168.75, 175.5]], [[249.75, 256.5], [276.75, 283.5]]]),
        ("relu", [[[0, 0], [75, 102]], [[349.5, 363], [403.5, 417]]]),
    ],
)
def test_c16_grad_cam_3d(layer, expected):
    close(grad_cam(m1_forward, m1_image(3), layer=layer), expected)


def test_c16_the_others_in_3d():
    image = m1_image(3)
    close(m1(image), 1377)
    plane = [[0] * 4] + [[1, 2, 2, 1]] * 2 + [[1, 2, 2, 1]]
    close(gradient(m1, image)[..., 0], [plane] * 3 + [np.zeros((4, 4))])
    found = occlusion(m1, image, window=2, stride=2)[::2, ::2, ::2, 0]
    close(found, [[[76, 86], [151, 177]], [[397, 422], [453, 441]]])
    close(integrated_gradients(m1, image, steps=512, chunk=128).sum(), 1377, rtol=3e-3)


def test_smooth_grad_of_a_square_is_its_gradient_on_average():
    image = m1_image()
    key = jax.random.key(0)
    found = smooth_grad(lambda x: (x**2).sum(), image, key=key, samples=4096, sigma=0.1, chunk=512)
    close(found, 2 * image, atol=5 * 2 * 0.1 * 15 / 64)  # five standard errors of the mean of the noise
    exact = smooth_grad(m1, image, key=key, samples=5, sigma=0.0, chunk=2)
    close(exact, gradient(m1, image))


def test_grad_cam_reads_any_score_whose_layer_is_spatial():
    def linear(image, taps):
        x = image * 2 + (taps or {}).get("double", 0)
        return (x * jnp.array([1.0, -3])).sum(), {"double": x, "pooled": x.sum((0, 1))}

    image = jnp.stack([m1_image()[..., 0], jnp.ones((4, 4))], axis=-1)
    close(grad_cam(linear, image), 2 * image[..., 0] - 6)  # the default skips "pooled", which has no space


def test_score_of_a_forward_agrees():
    close(score_of(lambda x: m1_forward(x, None))(m1_image()), 54)
