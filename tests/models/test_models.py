"""The network: 2D = 3D with one window, taps are gradients, positions point at pixels."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.config import AttentionConfig, ModelConfig
from lensjax.models import build, count_parameters
from lensjax.models.attention import SpatialAttention
from lensjax.models.cnn import grids
from lensjax.models.heads import soft_argmax
from lensjax.ops.conv import conv, max_pool

SMALL = ModelConfig(features=(4, 6), pool=(2, 1), hidden=5)
KEY = jax.random.key(0)


def images(*shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(7).normal(size=shape), jnp.float32)


def drawn(model, x: jax.Array):
    """Parameters of a network's shapes, drawn by NumPy: compiling `init` takes longer than all the rest."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, KEY, x)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0, 0.2, leaf.shape), jnp.float32), shapes)


def test_one_window_in_3d_is_2d():
    x = images(2, 12, 12, 3)
    flat, event = build(SMALL), build(SMALL)
    variables = drawn(flat, x)
    lift = jax.tree.map(lambda leaf: leaf[None] if leaf.ndim == 4 else leaf, variables)
    out2, out3 = jax.jit(flat.apply)(variables, x), jax.jit(event.apply)(lift, x[:, None])
    np.testing.assert_allclose(out3.logits, out2.logits, atol=1e-6)
    np.testing.assert_allclose(out3.position, out2.position, atol=1e-6)
    np.testing.assert_allclose(out3.ends["stage2"][:, 0], out2.ends["stage2"], atol=1e-6)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("size", "kernel"), [((8, 10), (3, 3)), ((9, 7), (5, 2)), ((6, 6), (2, 4))])
def test_few_channels_by_blocks_are_the_convolution(size, kernel, padding):
    random = np.random.default_rng(0)
    x, k = random.normal(size=(2, *size, 3)), random.normal(size=(*kernel, 3, 4))
    x, k = jnp.asarray(x, jnp.float32), jnp.asarray(k, jnp.float32)

    def plain(x, k):
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, k, (1, 1), padding, dimension_numbers=layout)

    def weighed(function):
        return lambda x, k: jnp.sin(function(x, k)).sum()

    found, expected = conv(x, k, padding), plain(x, k)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    ours, theirs = (jax.grad(weighed(f), (0, 1))(x, k) for f in (partial(conv, padding=padding), plain))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)


@pytest.mark.parametrize("shape", [(2, 6, 7, 3), (2, 3, 6, 7, 1), (1, 4, 6, 7, 2)])
def test_networks_differentiate_in_both_modes(shape):
    """Losses on explanations go through the gradient's gradient, Hessians forward over reverse."""
    random = np.random.default_rng(0)
    kernel = jnp.asarray(random.normal(size=(*(3,) * (len(shape) - 2), shape[-1], 2)), jnp.float32)

    def score(x, kernel):
        return jnp.sin(max_pool(conv(x, kernel), (1,) * (len(shape) - 4) + (2, 2))).sum()

    draw = partial(random.normal, size=shape)
    x, towards = jnp.asarray(draw(), jnp.float32), jnp.asarray(draw(), jnp.float32)

    def slope(x, kernel):
        return jax.jvp(lambda x: score(x, kernel), (x,), (towards,))[1]

    def reverse_slope(x, kernel):
        return (jax.grad(score)(x, kernel) * towards).sum()

    both = [jax.jit(jax.value_and_grad(one, (0, 1)))(x, kernel) for one in (slope, reverse_slope)]
    forward, reverse = map(jax.tree.leaves, both)
    for one, other in zip(forward, reverse, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_max_pool_equals_reduce_window_and_drops_the_remainder():
    x = images(2, 7, 9, 3)
    expected = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 3, 1), (1, 2, 3, 1), "VALID")
    np.testing.assert_array_equal(max_pool(x, (2, 3)), expected)
    with pytest.raises(ValueError, match="pool less"):
        max_pool(x, (8, 1))


def test_gradient_of_a_zero_tap_is_the_gradient_of_the_activation():
    x = images(1, 12, 12, 3)
    model = build(replace(SMALL, head="class", hidden=0))
    variables = drawn(model, x)
    ends = jax.eval_shape(model.apply, variables, x).ends

    def score(eps):
        return model.apply(variables, x, {"stage2": eps}).logits[0, 1]

    gradient = jax.jit(jax.grad(score))(jnp.zeros(ends["stage2"].shape))
    # Global mean and one dense layer: the gradient is the dense weight over the number of positions.
    weight = variables["params"]["head"]["logits"]["kernel"][:, 1] / np.prod(ends["stage2"].shape[1:3])
    np.testing.assert_allclose(gradient[0], np.broadcast_to(weight, gradient[0].shape), rtol=1e-5)


def test_attention_is_the_talks_layer():
    x = images(2, 5, 5, 3)
    layer = SpatialAttention()
    variables = layer.init(KEY, x)
    gated, gate = jax.jit(layer.apply)(variables, x)
    kernel = variables["params"]["kernel"]
    assert kernel.shape == (1, 1, 3, 1) and float(jnp.abs(kernel).max()) <= 0.05
    np.testing.assert_allclose(gate, jax.nn.sigmoid(x @ kernel[0, 0, :, 0]), rtol=1e-5)
    np.testing.assert_allclose(gated, x * gate[..., None], rtol=1e-6)


@pytest.mark.parametrize("per_window, kernels", [(False, 1), (True, 4)])
def test_attention_over_events_shares_a_kernel_or_has_one_a_window(per_window, kernels):
    x = images(2, 4, 6, 6, 3)
    layer = SpatialAttention(per_window=per_window)
    variables = drawn(layer, x)
    _, gate = jax.jit(layer.apply)(variables, x)
    assert variables["params"]["kernel"].shape == (kernels, 1, 1, 3, 1) and gate.shape == x.shape[:-1]


def test_softmax_attention_has_a_mean_gate_of_one():
    x = images(2, 6, 6, 3)
    layer = SpatialAttention(kernel=3, kind="softmax")
    _, gate = jax.jit(layer.apply)(drawn(layer, x), x)
    np.testing.assert_allclose(gate.mean((1, 2)), 1.0, rtol=1e-5)


def test_gates_come_back_under_their_places():
    model = build(replace(SMALL, attention=AttentionConfig(at=("input", "stage1", "stage2"))))
    x = images(2, 12, 12, 3)
    outputs = jax.jit(model.apply)(drawn(model, x), x)
    assert set(outputs.attention) == {"input", "stage1", "stage2"}
    assert outputs.ends["attention:stage2"].shape == (2, 6, 6)


@pytest.mark.parametrize("shape", [(2, 12, 12, 3), (2, 4, 12, 12, 3)])
@pytest.mark.parametrize("head, position", [("heatmap", True), ("regression", True), ("class", False)])
def test_heads(head, position, shape):
    model = build(replace(SMALL, head=head))
    x = images(*shape)
    outputs = jax.jit(model.apply)(drawn(model, x), x)
    assert (outputs.position is not None) == position
    if position:
        assert outputs.position.shape == (2, 2) and bool((outputs.position_sigma > 0).all())
        assert bool(((outputs.position > 0) & (outputs.position < 1)).all())


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("size", [33, 40])
def test_a_hot_cell_is_placed_where_its_receptive_field_is(padding, size):
    """The gradient of a cell is centred on the cell's place, even where pooling drops pixels."""
    config = ModelConfig(
        features=(2, 2), kernel=(3, 5), pool=(2, 3), padding=padding, attention=AttentionConfig(at=())
    )
    origin, step = grids(config, (size, size))["head"]
    kernels = [jnp.ones((k, k, 1, 1)) for k in config.kernel]

    def trunk(x):
        for kernel, pool in zip(kernels, config.pool, strict=True):
            x = conv(x, kernel, padding)
            n = [s // pool * pool for s in x.shape[1:3]]
            x = x[:, : n[0], : n[1]].reshape(1, n[0] // pool, pool, n[1] // pool, pool, 1).mean((2, 4))
        return x[0, 2, 2, 0]

    field = np.asarray(jax.grad(trunk)(jnp.zeros((1, size, size, 1))))[0, ..., 0]
    centre = ((np.arange(size) + 0.5) / size * field.sum(1)).sum() / field.sum()
    assert centre == pytest.approx(origin[0] + 2 * step[0], abs=1e-6)


def test_soft_argmax_finds_a_peak():
    heat = jnp.full((1, 8, 8), -30.0).at[0, 2, 5].set(30.0)
    np.testing.assert_allclose(
        soft_argmax(heat, (1 / 16, 1 / 16), (1 / 8, 1 / 8)), [[2.5 / 8, 5.5 / 8]], atol=1e-6
    )


def test_dropout_only_in_training():
    model = build(replace(SMALL, dropout=0.5))
    x = images(2, 12, 12, 3)
    variables, apply = drawn(model, x), jax.jit(model.apply, static_argnames="train")
    still = [apply(variables, x).logits for _ in range(2)]
    shaken = apply(variables, x, train=True, rngs={"dropout": jax.random.key(1, impl="rbg")}).logits
    np.testing.assert_array_equal(*still)
    assert not np.allclose(shaken, still[0])


def test_parameters_are_counted():
    model = build(replace(SMALL, head="class", attention=AttentionConfig(at=())))
    variables = jax.eval_shape(model.init, KEY, images(1, 12, 12, 3))
    assert count_parameters(variables) == (27 * 4 + 8) + (36 * 6 + 12) + (6 * 5 + 5) + (5 * 2 + 2)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"features": ()}, "model.features is empty"),
        ({"pool": (2, 2, 2)}, r"model.pool \(2, 2, 2\) must hold 1 or 2"),
        ({"attention": AttentionConfig(at=("stage9",))}, "places are input, stage1, stage2"),
        ({"attention": AttentionConfig(kernel=2)}, "must be odd"),
        ({"classes": ("lens",)}, "at least two classes"),
        ({"dropout": 1.0}, r"in \[0, 1\)"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(replace(SMALL, **changes))


def test_images_given_to_per_window_attention_are_refused():
    layer = SpatialAttention(per_window=True)
    with pytest.raises(ValueError, match="needs events"):
        layer.init(KEY, images(2, 6, 6, 3))
