"""Networks for events: views, pooling and decisions by window, places in time, the talk's sizes."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.config import AttentionConfig, ModelConfig
from lensjax.event_axes import CLASSES, EventGrid
from lensjax.models import build, count_parameters
from lensjax.models.attention import SpatialAttention
from lensjax.models.cnn import grids
from lensjax.models.event_views import keep_windows, show_view
from lensjax.models.heads import mean_probability, soft_argmax
from lensjax.ops.conv import conv, max_over, max_pool

KEY = jax.random.key(0)
NONE = AttentionConfig(at=())
SMALL = ModelConfig(
    features=(4, 6), pool=(3, 1), hidden=5, head="class", classes=("a", "b", "c"), attention=NONE
)
TALK = ModelConfig(
    features=(8, 8), pool=(3,), padding="VALID", standardise=False, attention=NONE,
    head="class", pooling="flatten", hidden=0, classes=CLASSES,
)  # fmt: skip


def events(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


def drawn(model, x: np.ndarray):
    """Parameters of a network's shapes, drawn by NumPy: compiling `init` takes longer than all the rest."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, KEY, x)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32), shapes)


def run(config: ModelConfig, x: np.ndarray):
    model = build(config)
    variables = drawn(model, x)
    return variables, jax.jit(model.apply)(variables, x)


def parameters(config: ModelConfig, *shape: int) -> int:
    model = build(config)
    return count_parameters(jax.eval_shape(model.init, KEY, jax.ShapeDtypeStruct((1, *shape), jnp.float32)))


def test_views():
    x, shown = events(2, 4, 6, 8, 3), jax.jit(show_view, static_argnums=0)
    mosaic, channels, border = (np.asarray(shown(name, x)) for name in ("mosaic", "channels", "border"))
    assert mosaic.shape == (2, 12, 16, 3) and channels.shape == (2, 6, 8, 12)
    for t, (row, column) in enumerate([(0, 0), (0, 8), (6, 0), (6, 8)]):
        np.testing.assert_array_equal(mosaic[:, row : row + 6, column : column + 8], x[:, t])
        np.testing.assert_array_equal(channels[..., 3 * t : 3 * t + 3], x[:, t])
    np.testing.assert_array_equal(border[..., [0, 1, 6, 7], :], x[..., [0, 1, 6, 7], :])
    assert not border[..., 2:6, :].any()
    with pytest.raises(ValueError, match="model.view border needs events"):
        shown("border", x[:, 0])
    with pytest.raises(ValueError, match="4 windows, these have 2"):
        shown("mosaic", x[:, :2])


@pytest.mark.parametrize("name", ["mosaic", "channels", "border"])
def test_the_input_of_a_view_is_the_event(name):
    """`ends["input"]` and its tap stand before the view, so explanations speak of the event's own pixels."""
    x, config = events(1, 4, 9, 12, 1), replace(SMALL, view=name)
    variables, outputs = run(config, x)
    np.testing.assert_array_equal(outputs.ends["input"], x)
    model = build(config)

    @jax.jit
    def gradients(variables, x, tap):
        return jax.grad(lambda x, tap: model.apply(variables, x, {"input": tap}).logits[0, 1], (0, 1))(x, tap)

    of_image, of_tap = gradients(variables, x, np.zeros_like(x))
    np.testing.assert_array_equal(of_image, of_tap)
    assert np.any(of_image) and (name != "border" or not np.any(np.asarray(of_image)[..., 3:9, :]))


def test_ends_without_a_place_on_the_event_are_not_on_its_grid():
    shape = (4, 9, 12)
    assert set(grids(replace(SMALL, view="mosaic"), shape)) == {"input"}
    assert grids(replace(SMALL, view="border"), shape) == grids(SMALL, shape)
    assert "attention:windows" not in grids(replace(SMALL, pooling="gated"), shape)
    outputs = run(
        replace(SMALL, pooling="gated", attention=AttentionConfig(at=("stage1",))), events(1, *shape, 1)
    )[1]
    assert next(reversed(outputs.attention)) == "windows" and "attention:windows" in outputs.ends


def test_gated_pooling_is_the_published_formula():
    x = events(2, 4, 9, 12, 1)
    variables, outputs = run(replace(SMALL, pooling="gated", hidden=0), x)
    head = variables["params"]["head"]
    v, u, w = (head["windows"][name]["kernel"] for name in ("tanh", "sigmoid", "weight"))
    h = np.asarray(outputs.ends["stage2"]).mean((2, 3))
    weights = np.exp(((np.tanh(h @ v) / (1 + np.exp(-h @ u))) @ w)[..., 0])
    weights /= weights.sum(1, keepdims=True)
    np.testing.assert_allclose(outputs.attention["windows"], weights, rtol=1e-4)
    logits = (h * weights[..., None]).sum(1) @ head["logits"]["kernel"] + head["logits"]["bias"]
    np.testing.assert_allclose(outputs.logits, logits, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "rows", "concat", "gated", "flatten"])
def test_one_window_in_3d_is_2d(pooling):
    x = events(2, 9, 12, 1)
    flat = replace(SMALL, pooling=pooling if pooling in ("rows", "flatten") else "mean", head="regression")
    variables, out2 = run(flat, x)
    event = build(replace(flat, pooling=pooling))
    lift = jax.tree.map(lambda leaf: leaf[None] if leaf.ndim == 4 else leaf, variables)
    if pooling == "gated":
        lift["params"]["head"]["windows"] = drawn(event, x[:, None])["params"]["head"]["windows"]
    out3 = jax.jit(event.apply)(lift, x[:, None])
    np.testing.assert_allclose(out3.logits, out2.logits, atol=1e-5)
    np.testing.assert_allclose(out3.position, out2.position, atol=1e-5)


def test_the_gradient_of_a_maximum_goes_to_the_first_of_equals():
    x = jnp.array([[1.0, 3.0], [3.0, 3.0], [2.0, -1.0]])
    gradient = jax.grad(lambda x: (max_over(0, x) * jnp.array([1.0, 5.0])).sum())(x)
    np.testing.assert_array_equal(gradient, [[0, 5], [1, 0], [0, 0]])


def test_pooling_what_xla_may_compute_twice_has_a_gradient():
    x, kernel = jnp.asarray(events(1, 4, 9, 9, 1)), jnp.asarray(events(1, 3, 3, 1, 3))
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)  # where it does
    found = jax.jit(lambda x: jax.grad(lambda x: (max_pool(conv(x, kernel), (1, 2, 2)) ** 2).sum())(x))(x)
    jax.config.update("jax_disable_most_optimizations", before)
    assert np.isfinite(found).all()


def test_rows_keep_frequency_and_forget_time():
    x = events(1, 4, 9, 12, 1)
    config = replace(SMALL, pooling="rows", padding="SAME", pool=(1,), attention=NONE)
    inner = jnp.pad(
        x[..., 4:8, :], [(0, 0)] * 3 + [(4, 4), (0, 0)]
    )  # whose convolutions do not reach the border
    variables, outputs = run(config, inner)
    later = jax.jit(build(config).apply)(variables, jnp.roll(inner, 1, axis=3))
    np.testing.assert_allclose(later.logits, outputs.logits, atol=1e-5)
    higher = jax.jit(build(config).apply)(variables, jnp.roll(inner, -1, axis=2))
    assert np.abs(higher.logits - outputs.logits).max() > 1e-4


def test_without_biases_what_is_dark_stays_dark():
    x = events(1, 4, 9, 12, 1)
    x[:, :, :6] = 0.0
    variables, outputs = run(replace(SMALL, bias=False, padding="SAME", pool=(1,)), x)
    assert not any("bias" in name for name in variables["params"] if name.startswith("stage"))
    for name in ("stage1", "stage2"):  # each convolution reaches a pixel further
        assert not np.any(outputs.ends[name][:, :, :4]) and np.any(outputs.ends[name][:, :, 6:]), name


@pytest.mark.parametrize("pooling", ["mean", "rows", "flatten"])
def test_deciding_by_window_is_the_2d_network_of_every_window(pooling):
    x = events(2, 4, 9, 12, 1)
    config = replace(SMALL, decide="window", pooling=pooling)
    variables, outputs = run(config, x)
    lower = jax.tree.map(lambda leaf: leaf[0] if leaf.ndim == 5 else leaf, variables)
    image = jax.jit(build(replace(config, decide="event")).apply)
    each = np.stack([image(lower, x[:, t]).logits for t in range(4)], axis=1)
    np.testing.assert_allclose(outputs.window_logits, each, atol=1e-5)
    mean = (np.exp(each) / np.exp(each).sum(-1, keepdims=True)).mean(1)
    np.testing.assert_allclose(np.exp(outputs.logits), mean, rtol=1e-4)


def test_mean_probability_is_finite_for_any_logits():
    logits = jnp.asarray(
        [[[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], [[0.0, -200.0, -300.0], [0.0, -200.0, -300.0]]]
    )

    @jax.jit
    def both(logits):
        return mean_probability(logits), jax.grad(lambda z: mean_probability(z).sum())(logits)

    log_p, gradient = (np.asarray(value) for value in both(logits))
    assert np.isfinite(log_p).all() and np.isfinite(gradient).all()
    np.testing.assert_allclose(log_p[0, :2], np.log(0.5), rtol=1e-5)
    np.testing.assert_allclose(log_p[1], [0.0, -200.0, -300.0], atol=1e-3)


@pytest.mark.parametrize("window", range(4))
def test_a_place_in_any_window_is_a_time_on_the_first(window):
    grid = EventGrid((20, 40))
    row, column, shape = 4, 29, (1, 4, 20, 40)
    heat = np.full(shape, -30.0, np.float32)
    heat[0, window, row, column] = 30.0
    place = jax.jit(lambda heat: soft_argmax(heat, (0.5 / 20, 0.5 / 40), (1 / 20, 1 / 40)))
    found = place(heat)[0]
    time = grid.time((column + 0.5) / 40, window)
    np.testing.assert_allclose(found, grid.position(grid.frequency((row + 0.5) / 20), time), atol=1e-5)
    with pytest.raises(ValueError, match="5 windows have no known lengths"):
        place(np.zeros((1, 5, 4, 4), np.float32))


def test_attention_has_c_weights_or_c_a_window_and_each_window_is_its_own():
    x = events(2, 4, 6, 7, 3)
    for per_window, kind, kernel in [(False, "sigmoid", 1), (True, "sigmoid", 1), (True, "softmax", 3)]:
        layer = SpatialAttention(kernel, kind, per_window)
        variables = drawn(layer, x)
        assert count_parameters(variables) == 3 * kernel**2 * (4 if per_window else 1)
        _, gate = jax.jit(layer.apply)(variables, x)
        kernels = variables["params"]["kernel"]
        image = jax.jit(SpatialAttention(kernel, kind).apply)
        for t in range(4):
            _, alone = image({"params": {"kernel": kernels[t if per_window else 0]}}, x[:, t])
            np.testing.assert_allclose(np.asarray(gate)[:, t], alone, rtol=1e-4)
        if kind == "softmax":
            np.testing.assert_allclose(np.mean(gate, (2, 3)), 1.0, rtol=1e-5)


def test_an_event_does_not_depend_on_its_batch():
    at = AttentionConfig(at=("input",), per_window=True, kind="softmax")
    config = replace(
        SMALL, features=(4,), pool=(3,), time_kernel=(3,), attention=at, head="heatmap", pooling="gated"
    )
    x = events(3, 4, 9, 12, 1)
    variables, together = run(config, x)
    alone = jax.jit(jax.vmap(lambda v, one: build(config).apply(v, one[None]), (None, 0)))(variables, x)
    for name in ("logits", "position", "position_sigma"):
        np.testing.assert_allclose(np.asarray(getattr(alone, name))[:, 0], getattr(together, name), rtol=1e-5)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("depth, channels", [(1, 1), (2, 1), (3, 2)])
def test_convolutions_of_events_equal_3d_convolutions(depth, channels, padding):
    """Windows in the batch, depth among the channels, one channel as shifted sums: values and gradients."""
    rng = np.random.default_rng(0)
    x = events(2, 4, 7, 8, channels)
    kernel = rng.normal(size=(depth, 3, 2, channels, 5)).astype(np.float32)

    def reference(x, kernel):
        numbers = ("NDHWC", "DHWIO", "NDHWC")
        return jax.lax.conv_general_dilated(x, kernel, (1, 1, 1), padding, dimension_numbers=numbers)

    def everything(convolve, x, kernel):
        y, pull = jax.vjp(convolve, x, kernel)
        return (y, *pull(jnp.sin(y)))

    ours = jax.jit(lambda x, k: everything(lambda x, k: conv(x, k, padding), x, k))(x, kernel)
    theirs = jax.jit(lambda x, k: everything(reference, x, k))(x, kernel)
    for value, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(value, expected, atol=2e-4)


def test_a_time_kernel_deeper_than_the_event_is_refused():
    with pytest.raises(ValueError, match="time kernel of 3 exceeds 2 windows"):
        jax.eval_shape(lambda x: conv(x, jnp.zeros((3, 1, 1, 1, 1)), "VALID"), jnp.zeros((1, 2, 3, 3, 1)))


def test_pooling_before_the_relu_changes_nothing():
    """A tap asks for the activation before pooling, so takes the other order: values and gradients agree."""
    x, model = events(2, 4, 9, 12, 1), build(SMALL)
    variables = drawn(model, x)

    @jax.jit
    def value_and_gradient(variables, taps, x):
        return jax.value_and_grad(lambda v: jnp.sin(model.apply(v, x, taps).logits).sum())(variables)

    zero = {"stage1": np.zeros((2, 4, 9, 12, 4), np.float32)}
    for fast, slow in zip(
        jax.tree.leaves(value_and_gradient(variables, None, x)),
        jax.tree.leaves(value_and_gradient(variables, zero, x)),
        strict=True,
    ):
        np.testing.assert_allclose(fast, slow, atol=1e-5)


def test_pooling_rows_and_columns_of_events_equals_reduce_window():
    x = events(2, 4, 10, 11, 2)
    window = (1, 1, 3, 3, 1)
    expected = jax.lax.reduce_window(x, -np.inf, jax.lax.max, window, window, "VALID")
    np.testing.assert_array_equal(jax.jit(lambda x: max_pool(x, (1, 3, 3)))(x), expected)


@pytest.mark.parametrize("blocks, count", [(2, 2_270_526), (3, 226_694), (4, 18_894)])
def test_the_talks_network_has_its_published_size(blocks, count):
    """2.27 M, 227 k and 19 k weights for 2, 3 and 4 blocks on its events of 4 × 479 × 569 × 3."""
    assert parameters(replace(TALK, features=(8,) * blocks), 4, 479, 569, 3) == count


def test_the_networks_we_compare_have_the_talks_sizes():
    assert 0.4e6 < parameters(TALK, 479, 569, 3) < 1e6
    assert 0.4e6 < parameters(replace(TALK, decide="window"), 4, 479, 569, 3) < 1e6
    assert 0.4e6 < parameters(replace(TALK, features=(16, 16), pool=(2,)), 140, 170, 1) < 1e6
    assert 150e3 < parameters(TALK, 4, 140, 170, 1) < 200e3


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"view": "mosaic", "pooling": "gated"},
            "mosaic makes one image, which contradicts model.pooling gated",
        ),
        ({"view": "channels", "decide": "window"}, "contradicts model.decide window: use decide event"),
        ({"view": "mosaic", "head": "heatmap"}, "use head regression or class"),
        ({"view": "mosaic", "attention": AttentionConfig(per_window=True)}, "use one kernel for all"),
        ({"decide": "window", "time_kernel": (1, 3)}, r"contradicts model.time_kernel \(1, 3\): use 1"),
        ({"decide": "window", "head": "heatmap"}, "contradicts model.head heatmap: use head class"),
        ({"head": "heatmap", "time_pool": (2, 1)}, r"contradicts model.time_pool \(2, 1\)"),
        ({"head": "heatmap", "time_kernel": (3,), "padding": "VALID"}, "use padding SAME"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(replace(SMALL, **changes))


@pytest.mark.parametrize("changes", [{"pooling": "concat"}, {"pooling": "gated"}, {"decide": "window"}])
def test_what_needs_windows_refuses_images(changes):
    with pytest.raises(ValueError, match="needs events"):
        jax.eval_shape(build(replace(SMALL, **changes)).init, KEY, jnp.zeros((1, 9, 12, 1)))


def test_windows_that_are_left_out_are_blank_and_cost_no_weights():
    x = jnp.ones((2, 4, 3, 3, 1))
    seen = keep_windows((0, 3), x)
    assert seen.sum((0, 2, 3, 4)).tolist() == [18, 0, 0, 18]
    assert keep_windows((), x) is x
    with pytest.raises(ValueError, match="model.only_windows"):
        keep_windows((4,), x)
    with pytest.raises(ValueError, match="model.only_windows"):
        keep_windows((0,), x[:, 0])
