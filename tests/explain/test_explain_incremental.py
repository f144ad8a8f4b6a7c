"""Occlusion from changed patches alone: the map of full evaluations, at borders and corners too."""

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from lensjax.config import AttentionConfig, ModelConfig
from lensjax.config_io import load_config_file
from lensjax.explain import Convolution, Gate, MaxPool, Pointwise, Stack, batched, incremental_occlusion
from lensjax.explain.engine.targets import log_odds
from lensjax.explain.incremental.incremental import find_intervals
from lensjax.explain.incremental.local_layers import map_sizes
from lensjax.explain.methods.perturbation import occlusion, window_starts
from lensjax.inspection.as_layers import describe
from lensjax.models import Apply, build

close = partial(np.testing.assert_allclose, rtol=0, atol=1e-5)


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def kernel(*shape, seed=0):
    return normal(*shape, seed=seed) / np.sqrt(np.prod(shape[:-1]))


def number(features):
    """A head that is no mean and no sum, so that every feature has a weight of its own."""
    weights = jnp.cos(jnp.arange(features.size, dtype=jnp.float32))
    return jnp.tanh(features.ravel() @ weights / 4) + (weights * features.ravel() ** 2).sum() / 8


def layers(dims, padding, gate):
    """Two stages, biases that are not 0 and a gate; pooling by 2 and by 3 drops remainders."""
    side = (3,) * dims
    return (
        Gate(kernel(*(gate,) * dims, 2, 1)),
        Convolution(kernel(*side, 2, 4), normal(4), jax.nn.relu, padding),
        MaxPool((2,) * dims),
        Convolution(kernel(*side[:-1], 2, 4, 3), normal(3, seed=1), jax.nn.gelu, padding),
        MaxPool((1,) * (dims - 1) + (3,)),
        Pointwise(jnp.sin, dims),
    )


def both(stack, image, **options):
    close(incremental_occlusion(stack, image, **options), occlusion(stack, image, chunk=8, **options))


IMAGE = normal(13, 18, 2, seed=2)
OPTIONS = (
    {"window": 4, "stride": 3},  # the last windows hang over
    {"window": (5, 2), "baseline": 1.5, "aggregate": "sum", "edges": "valid"},
    {"window": 1, "stride": (4, 17), "baseline": "blur"},  # corners
    {"window": 99},  # the whole image
    {"window": (99, 3), "baseline": "noise", "key": jax.random.key(0)},
)


@cache
def stack_of(dims, padding="SAME", gate=1, over=()):
    """The same object for several tests: what is compiled is remembered under it."""
    return Stack(layers(dims, padding, gate), number, over)


@pytest.mark.parametrize("options", OPTIONS)
def test_it_is_the_map_of_full_evaluations(options):
    both(stack_of(2, over=(0, 1)), IMAGE, **options)


@pytest.mark.parametrize(("padding", "gate", "over"), [("VALID", 3, ()), ("SAME", 3, (1,))])
def test_padding_gates_and_heads(padding, gate, over):
    both(stack_of(2, padding, gate, over), IMAGE, window=(3, 4), stride=(2, 5), baseline=-1.0)


@pytest.mark.parametrize(("padding", "gate", "over"), [("SAME", 1, (0, 1, 2)), ("VALID", 3, (1, 2))])
def test_in_3d(padding, gate, over):
    options = {"window": (3, 4, 5), "stride": (4, 3, 4), "baseline": 0.5}
    both(stack_of(3, padding, gate, over), normal(10, 9, 14, 2), **options)


@pytest.mark.parametrize("dims", [1, 3])
def test_one_channel(dims):
    """Convolutions of one channel are written as shifted sums in 3D."""
    stack = Stack((Convolution(kernel(*(3,) * dims, 1, 2), 0.3, jax.nn.relu),), number)
    both(stack, normal(*(6,) * dims, 1), window=2, stride=2, baseline=1.0)


def test_one_window_in_3d_is_2d():
    flat = Stack(layers(2, "SAME", 3), number)
    lifted = [replace(x, kernel=x.kernel[None]) if hasattr(x, "kernel") else x for x in flat.layers]
    lifted = [MaxPool((1, *x.window)) if isinstance(x, MaxPool) else x for x in lifted]
    lifted[-1] = Pointwise(jnp.sin, 3)
    deep = incremental_occlusion(Stack(tuple(lifted), number), IMAGE[None], window=4, stride=3)
    close(deep[0], incremental_occlusion(flat, IMAGE, window=4, stride=3))


def test_a_kernel_for_each_window_of_an_event():
    stack = Stack((Gate(kernel(1, 3, 3, 2, 4)), Convolution(kernel(2, 3, 3, 2, 3), 0.1, jnp.tanh)), number)
    both(stack, normal(4, 6, 7, 2), window=(1, 3, 4))


def test_chunks_and_jit_change_nothing():
    stack = Stack(layers(2, "SAME", 1)[:3], number)
    options = {"window": 4, "stride": 5}
    whole = incremental_occlusion(stack, IMAGE, **options)
    for chunk in (1, 7, "100KB"):
        np.testing.assert_allclose(
            incremental_occlusion(stack, IMAGE, chunk=chunk, **options), whole, atol=1e-6
        )
    staged = jax.jit(partial(incremental_occlusion, stack, **options))(IMAGE)
    np.testing.assert_allclose(staged, whole, atol=1e-6)


def test_nothing_changes_where_the_image_is_the_baseline():
    assert not incremental_occlusion(stack_of(2, over=(0, 1)), IMAGE * 0 + 2, baseline=2.0).any()


def test_every_image_of_a_batch_has_a_class_of_its_own():
    def head(weights, index, features):
        return (features.ravel() @ weights)[index]

    def stack(index):
        return Stack(layers(2, "SAME", 1), Partial(head, kernel(3, 4), index), (0, 1))

    images, classes = normal(3, 12, 12, 2), jnp.array([2, 0, 3])
    options = {"window": 5, "stride": 4, "chunk": 4}
    found = batched(incremental_occlusion, chunk=2)(stack, images, given=classes, **options)
    for image, index, one in zip(images, classes, found, strict=True):
        close(one, occlusion(stack(index), image, **options))


def test_patches_are_far_smaller_than_the_maps():
    """The benchmark's geometry: aligned windows keep patches of 10, 8, 6 and 6 of 64, 32, 16 and 8."""
    net = [layer for _ in range(4) for layer in (Convolution(jnp.zeros((3, 3, 1, 1))), MaxPool((2, 2)))]
    starts = window_starts((64, 64), (8, 8), (4, 4), "clip")
    reaches = [layer.reach() for layer in net]
    lengths, firsts = find_intervals(reaches, map_sizes(net, (64, 64)), starts, (8, 8))
    assert [rows for rows, _ in lengths] == [8, 10, 6, 8, 4, 6, 4, 6, 4]
    assert firsts.shape == (225, 9, 2) and firsts.min() == 0


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (MaxPool((2, 2, 2)), "layer 2 (MaxPool) has 3 spatial axes, the image 2"),
        (MaxPool((1, 30)), "layer 2 (MaxPool) sees [1, 30] cells, more than the map (13, 18)"),
        (Convolution(kernel(3, 3, 2, 1), padding="FULL"), "unknown padding 'FULL'; choose SAME or VALID"),
    ],
)
def test_a_layer_that_does_not_fit(layer, words):
    with pytest.raises(ValueError) as error:
        incremental_occlusion(Stack((Pointwise(jnp.sin), layer), number), IMAGE)
    assert words in str(error.value)


def test_a_head_gives_one_number():
    with pytest.raises(ValueError, match="head returns shape"):
        incremental_occlusion(Stack((), jnp.ravel), IMAGE)


# ---- our networks --------------------------------------------------------------------------------------

TINY = ModelConfig(features=(3, 4), attention=AttentionConfig(kernel=3), hidden=5, classes=("a", "b", "c"))
EVENT = replace(TINY, head="class", time_kernel=(1, 2), pooling="concat")
ALONE = replace(TINY, head="class", decide="window", pooling="mean")


def described(config, image):
    """The score of a network, and its description, with parameters that are all random."""
    model, random = build(config), np.random.default_rng(0)
    fresh = jax.eval_shape(model.init, jax.random.key(0), image[None])["params"]
    params = jax.tree.map(lambda leaf: jnp.asarray(random.normal(0.2, 0.3, leaf.shape), jnp.float32), fresh)
    gains = {name: 1 + params[name] for name in params if name.endswith("gain")}
    network, score = Partial(Apply(model), params | gains), partial(log_odds, index=1)
    return lambda x: score(network(x).logits), describe(config, params | gains, score)


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (TINY, (15, 17, 2)),
        (replace(TINY, head="regression", hidden=0, padding="VALID", activation="silu"), (15, 17, 2)),
        (replace(TINY, head="class", pooling="flatten", attention=AttentionConfig(("input",))), (15, 17, 2)),
        (replace(TINY, head="class"), (15, 17, 2)),
        (EVENT, (4, 9, 11, 1)),
        (replace(EVENT, pooling="rows", bias=False, standardise=False), (4, 9, 11, 1)),
        (ALONE, (4, 9, 11, 1)),
        (replace(ALONE, pooling="flatten"), (4, 9, 11, 1)),
        (replace(ALONE, pooling="rows"), (4, 9, 11, 1)),
    ],
)
def test_a_description_is_the_network(config, shape):
    score, stack = described(config, normal(*shape))
    np.testing.assert_allclose(
        jax.jit(stack.__call__)(normal(*shape)), jax.jit(score)(normal(*shape)), rtol=2e-5
    )


PER_WINDOW = replace(EVENT, pooling="gated", attention=AttentionConfig(("stage1",), 3, per_window=True))


@pytest.mark.parametrize(
    ("config", "shape", "window"),
    [
        (TINY, (15, 17, 2), (5, 4)),
        (PER_WINDOW, (4, 9, 11, 1), (2, 5, 4)),
        (load_config_file("configs/lens_demo.py").model, (64, 64, 4), 24),
        (load_config_file("configs/gravity_spy_demo.py").model, (4, 26, 31, 1), (1, 8, 9)),
    ],
)
def test_networks_and_demonstrations(config, shape, window):
    image = normal(*shape)
    score, stack = described(config, image)
    full = np.asarray(occlusion(score, image, window=window, stride=window))
    scale = max(1.0, abs(float(jax.jit(score)(image))))
    assert np.abs(full).max() > 1e-3 * scale
    found = incremental_occlusion(stack, image, window=window, stride=window)
    np.testing.assert_allclose(found, full, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            replace(TINY, attention=AttentionConfig(kind="softmax")),
            "softmax attention looks at all positions",
        ),
        (replace(EVENT, view="mosaic", pooling="mean"), "view mosaic rearranges the event"),
    ],
)
def test_what_cannot_be_described(config, words):
    with pytest.raises(ValueError, match=words):
        describe(config, {}, jnp.sum)
