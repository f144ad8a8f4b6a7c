"""Loss terms through explanations and gates: exact gradients, empty masks, dropout, 2D and 3D, shortcuts."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lensjax.config import AttentionConfig, LossConfig, ModelConfig
from lensjax.explain import METHODS
from lensjax.losses import LOSSES, Context
from lensjax.losses.context import TRAINABLE
from lensjax.losses.objective import objective
from lensjax.models import build
from lensjax.models.cnn import grids
from lensjax.types import Outputs

MODEL = ModelConfig(
    features=(3,),
    standardise=False,
    activation="softplus",  # a ReLU's kinks would need a finer difference than rounding leaves
    attention=AttentionConfig(at=("stage1",), branch=True),
    head="class",
    hidden=0,
    dropout=0.3,
)
NETWORK = build(MODEL)
ON_GATES = [name for name in LOSSES if name.startswith("attention_")]
GUIDED = ["right_reasons", "energy_in_mask", "map_l1", "map_cross_entropy", "gain", "saliency_guided",
          "expected_gradients"]  # fmt: skip
OPTIONS = [
    *((name, {}) for name in (*ON_GATES, *GUIDED)),
    ("attention_bce", {"at": "stage1", "balanced": True}),
    ("right_reasons", {"map": "integrated_gradients(steps=2)", "target": "log_odds"}),
    ("right_reasons", {"map": "grad_cam(layer=stage1)", "target": "logit"}),
    ("energy_in_mask", {"map": "integrated_gradients(steps=2)"}),
    ("energy_in_mask", {"map": "attention"}),
    ("map_cross_entropy", {"outside": False}),
    ("gain", {"map": "input_x_gradient", "masked_only": True}),
    ("expected_gradients", {"prior": "sparse"}),
]


def batch_of(shape=(8, 8), rows=3, dtype=np.float32):
    """Bright squares, the evidence, on noise; the last row has no mask."""
    rng = np.random.default_rng(0)
    image = rng.normal(0, 0.3, (rows, *shape, 2))
    mask = np.zeros((rows, *shape), bool)
    mask[:-1, ..., 2:5, 3:6] = True
    image[mask] += 1.5
    return {
        "image": jnp.asarray(image, dtype),
        "label": jnp.asarray([1] * (rows - 1) + [0]),
        "mask": jnp.asarray(mask),
        "valid": jnp.ones(rows, bool),
    }


def outputs(logits, attention=None):
    return Outputs(logits, None, None, attention or {}, None, {})


@pytest.fixture(scope="module")
def params():
    found = NETWORK.init(jax.random.key(0), jnp.zeros((1, 8, 8, 2)))["params"]
    # Gates that differ from a half, and logits that differ.
    return jax.tree.map(lambda x: 3 * x if x.ndim > 1 else x + 0.1, found)


def losses(config, params, batch, dropout_key=None, **how):
    """The objective as a train step has it."""
    key = jax.random.key(1) if dropout_key is None else dropout_key

    def forward(images, taps=None, train=True):
        return NETWORK.apply({"params": params}, images, taps, train=train, rngs={"dropout": key})

    places = grids(MODEL, batch["image"].shape[1:-1])
    still = partial(forward, train=False)
    return objective(forward, batch, config, still=still, places=places, key=key, **how)


def alone(name, options=None, **how):
    return LossConfig({name: 1.0}, options={name: options or {}}, **how)


def doubled(tree):
    return jax.tree.map(lambda x: x.astype(jnp.float64) if x.dtype == jnp.float32 else x, tree)


EVERYTHING = LossConfig(
    {name: 1 + 0.1 * i for i, name in enumerate((*ON_GATES, *GUIDED, "cross_entropy"))},
    # Two maps for all terms, so that compiling them takes seconds; the slow tests take each term's own.
    options={name: {"target": "log_odds"} for name in ("right_reasons", "saliency_guided")},
)


def program(config):
    """The objective, its terms, and its gradient, in float64, as one program of its arrays."""

    def total(params, batch, key):
        value, (terms, _) = losses(config, params, batch, key)
        return value, terms

    step = jax.jit(jax.value_and_grad(total, has_aux=True))

    def run(params, batch, key=1):
        with jax.enable_x64(True):
            (value, terms), gradient = step(doubled(params), doubled(batch), jax.random.key(key))
            return jax.device_get((value, terms, gradient))

    return run


@pytest.fixture(scope="module")
def everything():
    return program(EVERYTHING)


def check_gradient(run, params):
    """Along a random direction of all parameters at once, with the dropout of a train step."""
    rng, params, batch = np.random.default_rng(3), jax.tree.map(np.float64, params), batch_of()
    along = jax.tree.map(lambda x: rng.normal(size=x.shape), params)
    # So near that no |pixel| passes its kink on the way.
    before, here, after = (
        run(jax.tree.map(lambda x, d, t=t: x + t * d, params, along), batch) for t in (-1e-6, 0, 1e-6)
    )
    exact = sum(map(np.vdot, jax.tree.leaves(here[2]), jax.tree.leaves(along)))
    assert abs(exact) > 1e-6
    np.testing.assert_allclose(exact, (after[0] - before[0]) / 2e-6, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_the_gradient_of_each_term_is_that_of_finite_differences(name, options, params):
    check_gradient(program(alone(name, options)), params)


def test_the_gradient_of_all_terms_is_that_of_finite_differences(everything, params):
    check_gradient(everything, params)


def test_values_and_gradients_are_finite_without_masks_without_light_and_without_weights(everything, params):
    batch = batch_of()
    nothing = jax.tree.map(jnp.zeros_like, params)
    for image, mask, weights in (
        (1.0, 0, params), (0.0, 0, params), (0.0, 1, nothing), (1.0, 1, nothing), (100.0, 1, params)
    ):  # fmt: skip
        now = batch | {"image": image * batch["image"], "mask": batch["mask"] & bool(mask)}
        total, terms, gradient = everything(weights, now)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((total, terms, gradient)))
        if not mask:
            of_masks = ("attention_bce", "attention_dice", "attention_kl", *GUIDED[:4])
            assert not any(float(terms[name]) for name in of_masks)


def test_explanations_are_of_the_network_without_dropout(everything, params):
    batch = batch_of()
    first, again, other = (everything(params, batch, key)[1] for key in (1, 1, 2))
    assert first == again
    for name in GUIDED[:-1]:  # the last one draws its references
        assert float(first[name]) == float(other[name])
    assert float(first["cross_entropy"]) != float(other["cross_entropy"])
    assert float(first["expected_gradients"]) != float(other["expected_gradients"])


def test_one_window_in_3d_equals_2d(everything, params):
    batch = batch_of()
    event = batch | {"image": batch["image"][:, None], "mask": batch["mask"][:, None]}
    params3 = jax.tree.map(lambda leaf: leaf[None] if leaf.ndim == 4 else leaf, params)
    terms = everything(params, batch)[1]
    with jax.enable_x64(True):
        deep = jax.jit(lambda params, event: losses(EVERYTHING, params, event, jax.random.key(1))[1][0])
        terms3 = jax.device_get(deep(doubled(params3), doubled(event)))
    for name in terms:
        np.testing.assert_allclose(terms3[name], terms[name], rtol=1e-6, err_msg=name)


def test_second_order_identities():
    """f = Σ softplus(x), s = σ(x): ∂ SmoothGrad/∂x = s (1 − s), ∂ IG/∂x = s (1 − s) x + s (zennit)."""
    images = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 3, 1)), jnp.float32)
    batch = {"label": jnp.zeros(2, int)}

    def network(images, taps=None):
        return outputs(jax.nn.softplus(images).sum((1, 2, 3))[:, None])

    def sum_of(method, images):
        return Context(network, images, None).attributions(method, batch, "logit").sum()

    s = jax.nn.sigmoid(images)
    curved = jax.jit(jax.grad(partial(sum_of, "smooth_grad(samples=1, sigma=0.0)")))(images)
    np.testing.assert_allclose(curved, s * (1 - s), rtol=1e-5)
    path = jax.jit(jax.grad(partial(sum_of, "integrated_gradients(steps=1, rule=right)")))(images)
    np.testing.assert_allclose(path, s * (1 - s) * images + s, rtol=1e-5)


def test_a_fraction_of_rows_bounds_the_cost_in_training_alone():
    seen = []

    def network(images, taps=None, train=True):
        seen.append(len(images))
        return outputs(images.sum((1, 2, 3))[:, None] * jnp.ones(2), attention={"input": images[..., 0]})

    batch = batch_of(rows=5) | {"valid": jnp.asarray([True, True, False, True, True])}
    config = LossConfig(
        {"attention_sparsity": 1.0}, options={"attention_sparsity": {"fraction": 0.5, "at": "input"}}
    )
    total, (terms, context) = objective(network, batch, config, step=jnp.asarray(0))
    gate = batch["image"][..., 0].mean((1, 2))
    assert float(total) == float(terms["attention_sparsity"]) == pytest.approx(float(gate[:2].sum() / 2))
    assert context.outputs.logits.shape == (5, 2) and seen == [5]  # and none but that pass was made
    everywhere, _ = objective(network, batch, config)
    assert float(everywhere) == pytest.approx(float(gate[jnp.asarray([0, 1, 3, 4])].mean()))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("map_l1", {"map": "occlusion"}, "cannot train through the map 'occlusion'; choose from gradient"),
        ("map_l1", {"map": "grad_cam(level=3)"}, "no option 'level'.*layer"),
        ("map_l1", {"map": "grad_cam(layer=stage9)"}, "no spatial layer is called 'stage9'"),
        (
            "map_l1",
            {"map": "gradient", "target": "logits"},
            r"unknown target 'logits' \(did you mean 'logit'\?\); choose log_odds",
        ),
        ("attention_tv", {"at": "stage3"}, "no gate at 'stage3'; choose all, stage1"),
        ("saliency_guided", {"share": 1.0}, "share .=1.0. must be between"),
        ("expected_gradients", {"prior": "smooth"}, "unknown prior 'smooth'; choose tv, sparse"),
    ],
)
def test_bad_options_say_what_there_is(name, options, message, params):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda batch: losses(alone(name, options), params, batch)[0], batch_of())


def test_every_trainable_map_is_a_method():
    assert set(TRAINABLE) <= set(METHODS)


@pytest.mark.slow
def test_right_reasons_move_the_map_onto_the_cue_that_the_mask_names():
    """Two cues give the class away, one of them masked: without the term the network uses both."""
    share = {}
    model = replace(MODEL, features=(8, 8), activation="relu", attention=AttentionConfig(at=()), dropout=0.0)
    network = build(model)

    def draw(rng, rows):
        label, mask = rng.integers(0, 2, rows), np.zeros((rows, 12, 12), bool)
        image = rng.normal(0, 0.3, (rows, 12, 12, 1))
        mask[:, 2:5, 2:5] = True
        image[:, 2:5, 2:5] += label[:, None, None, None]
        image[:, 8:11, 8:11] += 2 * label[:, None, None, None]  # brighter, and not the reason
        return {"image": jnp.asarray(image, jnp.float32), "label": jnp.asarray(label),
                "mask": jnp.asarray(mask), "valid": jnp.ones(rows, bool)}  # fmt: skip

    test = draw(np.random.default_rng(1), 64)
    # At a hundred times the weight the gradients vanish everywhere, and nothing is learned.
    for weight in (0.0, 1.0):
        config, optimiser = LossConfig({"cross_entropy": 1.0, "right_reasons": weight}), optax.adam(5e-3)
        # Flattened, the head can tell one place from another.
        params = build(replace(model, pooling="flatten")).init(jax.random.key(0), test["image"])["params"]
        network = build(replace(model, pooling="flatten"))

        def forward(params, images, taps=None, network=network):
            return network.apply({"params": params}, images, taps)

        @jax.jit
        def step(params, opt, batch, config=config, optimiser=optimiser):
            grads = jax.grad(lambda p: objective(partial(forward, p), batch, config)[0])(params)
            updates, opt = optimiser.update(grads, opt)
            return optax.apply_updates(params, updates), opt

        opt, rng = optimiser.init(params), np.random.default_rng(0)
        for _ in range(600):
            params, opt = step(params, opt, draw(rng, 32))
        context = Context(partial(forward, params), test["image"], config)
        heat = jnp.abs(context.explain("gradient", test))
        share[weight] = float(heat[test["mask"]].sum() / heat.sum())
        right = (context.outputs.logits.argmax(-1) == test["label"]).mean()
        assert right > 0.9
    assert share[1.0] > 2 * share[0.0] and share[1.0] > 0.5, share
