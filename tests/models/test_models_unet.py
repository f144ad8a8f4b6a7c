"""The U-Net: 2D = 3D with one window, a place for its light, starting points and frozen parameters."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lensjax.config import AttentionConfig, Config, LensData, LossConfig, ModelConfig, OptimConfig
from lensjax.models import build
from lensjax.models.cnn import grids
from lensjax.models.unet import enlarge, light_centroid
from lensjax.training.check_config import dry_run
from lensjax.training.optim import find_frozen, hold, make_optimiser
from lensjax.training.state import start_from

NONE = AttentionConfig(at=())
SMALL = ModelConfig(kind="unet", features=(3, 4, 5), attention=NONE, head="restored", hidden=4)
RNG = np.random.default_rng(3)


def images(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


@pytest.fixture(scope="module")
def drawn():
    shapes = jax.eval_shape(build(SMALL).init, jax.random.key(0), images(1, 10, 12, 2))
    return jax.tree.map(lambda leaf: jnp.asarray(RNG.normal(0, 0.3, leaf.shape), jnp.float32), shapes)


@pytest.fixture(scope="module")
def outputs(drawn):
    x = images(2, 10, 12, 2)
    return x, jax.jit(build(SMALL).apply)(drawn, x)


def test_restored_light_has_the_images_shape_and_levels_their_own(outputs):
    x, out = outputs
    assert out.restored.shape == x.shape and out.logits.shape == (2, 2) and out.position.shape == (2, 2)
    shapes = {name: end.shape[1:] for name, end in out.ends.items()}
    assert shapes["stage3"] == (2, 3, 5) and shapes["up2"] == (5, 6, 4) and shapes["up1"] == (10, 12, 3)
    assert set(grids(SMALL, (10, 12))) >= set(out.ends)


def test_one_window_in_3d_is_2d(drawn, outputs):
    x, flat = outputs
    lift = jax.tree.map(lambda leaf: leaf[None] if leaf.ndim == 4 else leaf, drawn)
    event = jax.jit(build(SMALL).apply)(lift, x[:, None])
    np.testing.assert_allclose(event.restored[:, 0], flat.restored, atol=1e-5)
    np.testing.assert_allclose(event.logits, flat.logits, atol=1e-5)
    np.testing.assert_allclose(event.position, flat.position, atol=1e-5)


@pytest.mark.slow
def test_the_class_is_decided_before_the_way_up(drawn, outputs):
    x, out = outputs

    def score(taps):
        found = build(SMALL).apply(drawn, x, taps)
        return found.logits[:, 1].sum() + 0 * found.restored.sum()

    taps = {name: jnp.zeros_like(out.ends[name]) for name in ("stage3", "up1")}
    gradient = jax.jit(jax.grad(score))(taps)
    assert bool(gradient["stage3"].any()) and not bool(gradient["up1"].any())
    assert list(build(SMALL).apply(drawn, x).ends)[-1] == "stage3"  # what Grad-CAM takes by itself


def test_enlarging_undoes_pooling_and_fills_the_remainder():
    x = jnp.arange(6.0).reshape(1, 2, 3, 1)
    big = enlarge(x, (2, 2), (5, 6))
    np.testing.assert_array_equal(big[0, ::2, ::2, 0], [[0, 1, 2], [3, 4, 5], [3, 4, 5]])
    np.testing.assert_array_equal(big[:, 4], big[:, 3])


def test_the_place_is_the_centroid_of_squared_light_and_the_middle_without():
    light = jnp.zeros((2, 8, 8, 2)).at[0, 2, 5].set(jnp.asarray([3.0, 4.0])).at[0, 6, 5, 0].set(-9.0)
    light = light.at[0, 4, 5, 1].set(5.0)
    place = light_centroid(light, *grids(SMALL, (8, 8))["input"])
    np.testing.assert_allclose(place, [[3.5 / 8, 5.5 / 8], [0.5, 0.5]], atol=1e-6)
    gradient = jax.grad(lambda x: light_centroid(x, (0.1, 0.1), (0.1, 0.1)).sum())(jnp.zeros((1, 8, 8, 2)))
    assert bool(jnp.isfinite(gradient).all())


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"head": "class"}, "model.kind unet contradicts model.head class: use head restored"),
        ({"kind": "trunk"}, "model.kind trunk contradicts model.head restored"),
        ({"attention": AttentionConfig(at=("stage1",))}, "contradicts model.attention.at"),
        ({"padding": "VALID"}, "use SAME"),
        ({"kernel": (4,)}, "an even kernel"),
        ({"view": "channels"}, "model.view channels"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        build(replace(SMALL, **changes))


def test_losses_need_the_light_they_compare_with():
    data = LensData(size=16, light=True)
    config = Config(data=data, model=SMALL, loss=LossConfig({"restoration": 1.0}))
    dry_run(config, build(SMALL), (16, 16, 4))
    for changes, message in (
        ({"data": LensData(size=16)}, "needs model.kind unet and data.light"),
        ({"loss": LossConfig({"position_nll": 1.0})}, "position_nll needs"),
        ({"optim": OptimConfig(frozen=("body",))}, "optim.frozen 'body' begins no parameter's name"),
        ({"optim": OptimConfig(frozen=("",))}, "leaves nothing to train"),
    ):
        with pytest.raises(ValueError, match=message):
            dry_run(replace(config, **changes), build(SMALL), (16, 16, 4))


PARAMS = {"stage1a_kernel": jnp.ones((3, 3)), "head": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}}


def test_frozen_parameters_do_not_move_and_others_do():
    config = OptimConfig(frozen=("stage",), weight_decay=0.1, warmup=0.0)
    assert find_frozen(config, PARAMS) == {"stage1a_kernel": True, "head": {"kernel": False, "bias": False}}
    gradient = jax.grad(lambda p: sum((leaf**2).sum() for leaf in jax.tree.leaves(hold(config, p))))(PARAMS)
    assert not bool(gradient["stage1a_kernel"].any()) and bool(gradient["head"]["bias"].all())
    optimiser = make_optimiser(config, 10)
    params, state = PARAMS, optimiser.init(PARAMS)
    for _ in range(3):
        # Decay alone would move it; so would a gradient that were not held.
        updates, state = optimiser.update(PARAMS, state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_array_equal(params["stage1a_kernel"], PARAMS["stage1a_kernel"])
    assert bool((params["head"]["kernel"] != 1).all()) and bool((params["head"]["bias"] != 1).all())


def test_parameters_start_from_those_of_the_same_name():
    other = {"stage1a_kernel": 2 * jnp.ones((3, 3)), "up1a_kernel": jnp.ones(4)}
    params, taken = start_from(PARAMS, other, "runs/other")
    assert taken == ["stage1a_kernel"] and float(params["stage1a_kernel"][0, 0]) == 2
    np.testing.assert_array_equal(params["head"]["kernel"], PARAMS["head"]["kernel"])
    with pytest.raises(ValueError, match=r"'stage1a_kernel' has shape \(2,\) in 'runs/other' and \(3, 3\)"):
        start_from(PARAMS, {"stage1a_kernel": jnp.ones(2)}, "runs/other")
    with pytest.raises(ValueError, match="no parameter of this network"):
        start_from(PARAMS, {"other": jnp.ones(2)}, "runs/other")
