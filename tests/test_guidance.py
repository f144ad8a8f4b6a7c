"""Loss terms through explanations and gates: gradients, closed forms, empty masks, schedules, options."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lensjax.config import AttentionConfig, LossConfig, ModelConfig, Ramp
from lensjax.explain import METHODS
from lensjax.losses import LOSSES, Context
from lensjax.losses.context import TRAINABLE
from lensjax.models import build
from lensjax.models.cnn import grids
from lensjax.objective import check_weights, objective

MODEL = ModelConfig(
    features=(3, 4),
    pool=(2, 1),
    standardise=False,
    activation="softplus",  # a ReLU's kinks would need a finer difference than rounding leaves
    attention=AttentionConfig(at=("stage1", "stage2"), branch=True),
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
    ("attention_bce", {"at": "stage2", "balanced": True}),
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


def check_gradient(config, params):
    """Along a random direction of all parameters at once, with the dropout of a train step: float64."""
    with jax.enable_x64(True):
        params, batch = doubled(params), doubled(batch_of())
        keys = iter(jax.random.split(jax.random.key(3), 99))
        along = jax.tree.map(lambda x: jax.random.normal(next(keys), x.shape, x.dtype), params)

        @jax.jit
        def both(distance):
            there = jax.tree.map(lambda x, d: x + distance * d, params, along)
            value, gradient = jax.value_and_grad(lambda p: losses(config, p, batch)[0])(there)
            return value, sum(map(jnp.vdot, jax.tree.leaves(gradient), jax.tree.leaves(along)))

        # So near that no |pixel| passes its kink on the way.
        (before, _), (_, exact), (after, _) = both(-1e-6), both(0.0), both(1e-6)
        assert abs(float(exact)) > 1e-6
        np.testing.assert_allclose(exact, (after - before) / 2e-6, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_the_gradient_of_each_term_is_that_of_finite_differences(name, options, params):
    check_gradient(alone(name, options), params)


def test_the_gradient_of_all_terms_is_that_of_finite_differences(params):
    """Weights that differ, so that no two mistakes cancel."""
    check_gradient(LossConfig({name: 1 + 0.1 * i for i, name in enumerate((*ON_GATES, *GUIDED))}), params)


EVERYTHING = LossConfig(dict.fromkeys((*ON_GATES, *GUIDED), 1.0))


@pytest.fixture(scope="module")
def everything():
    """All terms and the gradient of their sum: one program for the tests that only change its arrays."""

    def step(params, batch, key):
        def total(params):
            value, (terms, _) = losses(EVERYTHING, params, batch, key)
            return value, terms

        return jax.value_and_grad(total, has_aux=True)(params)

    return jax.jit(step)


def finite(tree):
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(tree))


def test_values_and_gradients_are_finite_without_masks_without_light_and_without_weights(everything, params):
    batch, key = batch_of(), jax.random.key(1)
    nothing = jax.tree.map(jnp.zeros_like, params)
    for image, mask, weights in (
        (1.0, 0, params), (0.0, 0, params), (0.0, 1, nothing), (1.0, 1, nothing), (100.0, 1, params)
    ):  # fmt: skip
        now = batch | {"image": image * batch["image"], "mask": batch["mask"] & bool(mask)}
        (total, terms), gradient = everything(weights, now, key)
        assert finite((total, terms, gradient))
        if not mask:
            of_masks = ("attention_bce", "attention_dice", "attention_kl", *GUIDED[:4])
            assert not any(float(terms[name]) for name in of_masks)


def test_explanations_are_of_the_network_without_dropout(everything, params):
    batch = batch_of()
    first, again, other = (everything(params, batch, jax.random.key(k))[0][1] for k in (1, 1, 2))
    assert first == again
    for name in GUIDED[:-1]:  # the last one draws its references
        assert float(first[name]) == float(other[name])
    assert float(first["attention_tv"]) != float(other["attention_tv"])
    assert float(first["expected_gradients"]) != float(other["expected_gradients"])


def test_one_window_in_3d_equals_2d(everything, params):
    def lifted(path, leaf):
        return leaf[None] if leaf.ndim == 4 else leaf

    batch = batch_of()
    event = batch | {"image": batch["image"][:, None], "mask": batch["mask"][:, None]}
    params3 = jax.tree_util.tree_map_with_path(lifted, params)
    (_, terms), _ = everything(params, batch, jax.random.key(1))
    (_, terms3), _ = everything(params3, event, jax.random.key(1))
    for name in terms:
        np.testing.assert_allclose(terms3[name], terms[name], rtol=2e-4, atol=1e-6, err_msg=name)


def test_second_order_identities():
    """f = Σ softplus(x), s = σ(x): ∂ SmoothGrad/∂x = s (1 − s), ∂ IG/∂x = s (1 − s) x + s (zennit)."""
    images = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 3, 1)), jnp.float32)
    batch = {"label": jnp.zeros(2, int)}

    def network(images, taps=None):
        return outputs(jax.nn.softplus(images).sum((1, 2, 3))[:, None])

    def sum_of(method, images):
        return Context(network, images, None).attributions(method, batch, "logit").sum()

    s = jax.nn.sigmoid(images)
    curved = jax.grad(partial(sum_of, "smooth_grad(samples=1, sigma=0.0)"))(images)
    np.testing.assert_allclose(curved, s * (1 - s), rtol=1e-5)
    path = jax.grad(partial(sum_of, "integrated_gradients(steps=1, rule=right)"))(images)
    np.testing.assert_allclose(path, s * (1 - s) * images + s, rtol=1e-5)


def outputs(logits, **changes):
    return replace(NOTHING, logits=logits, **changes)


NOTHING = jax.eval_shape(lambda x: NETWORK.apply({"params": NETWORK.init(jax.random.key(0), x)["params"]}, x),
                         jnp.zeros((1, 8, 8, 2)))  # fmt: skip
NOTHING = replace(NOTHING, logits=None, attention={}, ends={}, branch_logits=None)
IMAGE = jnp.asarray([[4.0, 2.0], [-3.0, 2.0]])[None, :, :, None]
MASK = jnp.asarray([[[True, False], [False, False]]])


def of_linear(name, mask=MASK, **options):
    """A term of the network with logits (0, Σ x): input × gradient of class 1 is the image itself."""

    def network(images, taps=None):
        total = images.sum((1, 2, 3))
        return outputs(jnp.stack([jnp.zeros_like(total), total], -1))

    batch = {"image": IMAGE, "label": jnp.asarray([1]), "mask": mask}
    return float(LOSSES[name](Context(network, IMAGE, None), batch, **options)[0])


def test_closed_forms_of_maps():
    itself = {"map": "input_x_gradient", "target": "logit"}
    assert of_linear("right_reasons", **itself) == pytest.approx(2**2 + 3**2 + 2**2)
    assert of_linear("energy_in_mask", **itself) == pytest.approx(1 - 4 / 8)
    assert of_linear("map_l1", **itself) == pytest.approx((0 + 0.5 + 0 + 0.5) / 4)
    low, high = -np.log(1 - 1e-3), -np.log(0.5)
    assert of_linear("map_cross_entropy", **itself) == pytest.approx((2 * low + 2 * high) / 4, rel=1e-4)
    balanced = of_linear("map_cross_entropy", balanced=True, **itself)
    assert balanced == pytest.approx((low + (low + 2 * high) / 3) / 2, rel=1e-4)
    assert of_linear("map_cross_entropy", outside=False, **itself) == pytest.approx(low, rel=1e-4)
    # Erased: all of the brightest, half of the half as bright, nothing of the dark one.
    left = 4 * (1 - 1 / (1 + np.exp(-50))) + 2 * 2 * 0.5 - 3 * (1 - 1 / (1 + np.exp(50)))
    gain = of_linear("gain", sharpness=100.0, **itself)
    assert gain == pytest.approx(1 / (1 + np.exp(-left)), rel=1e-4)
    assert of_linear("gain", mask=~MASK & False, masked_only=True, **itself) == 0
    # The two least salient, both 2, become the mean 1.25: from Σ = 5 to 3.5.
    p, q = (1 / (1 + np.exp(-z)) for z in (5.0, 3.5))
    kl = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    assert of_linear("saliency_guided", **itself) == pytest.approx(kl, rel=1e-3)
    tv = (7 + 0) / 2 + (2 + 5) / 2
    assert of_linear("expected_gradients", **itself) == pytest.approx(tv)
    gini = (-3 * 2 - 1 * 2 + 1 * 3 + 3 * 4) / (4 * 11)
    assert of_linear("expected_gradients", prior="sparse", **itself) == pytest.approx(1 - gini)


def of_gate(name, gate, mask=MASK, **options):
    context = Context(lambda images: outputs(jnp.zeros((1, 2)), attention={"stage1": gate}), IMAGE, None)
    return float(LOSSES[name](context, {"mask": mask}, **options)[0])


def test_closed_forms_of_gates():
    gate = jnp.asarray([[[0.8, 0.1], [0.1, 0.2]]])
    assert of_gate("attention_sparsity", gate) == pytest.approx(0.3)
    assert of_gate("attention_area", gate, area=0.5) == pytest.approx(0.2)
    assert of_gate("attention_entropy", jnp.full((1, 2, 2), 0.7)) == pytest.approx(1)
    assert of_gate("attention_entropy", MASK * 0.9) == pytest.approx(0, abs=1e-6)
    assert of_gate("attention_tv", gate) == pytest.approx((0.7 + 0.1) / 2 + (0.7 + 0.1) / 2)
    bce = -np.log([0.8, 0.9, 0.9, 0.8])
    assert of_gate("attention_bce", gate) == pytest.approx(bce.mean(), rel=1e-5)
    halves = (bce[0] + bce[1:].mean()) / 2
    assert of_gate("attention_bce", gate, balanced=True) == pytest.approx(halves, rel=1e-5)
    assert of_gate("attention_dice", gate) == pytest.approx(1 - 2 * 0.8 / (1.2 + 1))
    assert of_gate("attention_dice", MASK * 1.0) == pytest.approx(0)
    assert of_gate("attention_kl", gate) == pytest.approx(np.log(1.2 / 0.8), rel=1e-5)
    assert of_gate("attention_kl", MASK * 0.9) == pytest.approx(0, abs=1e-5)


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


def test_weights_follow_a_ramp_and_evaluation_takes_its_end():
    def network(images, taps=None):
        return outputs(jnp.zeros((3, 2)))

    config = LossConfig({"cross_entropy": Ramp(1.0, 5.0, steps=4, wait=2), "focal": 1.0})
    batch, total = batch_of(), {}
    for step in (0, 3, 99, None):
        total[step], (terms, _) = objective(network, batch, config, step=step and jnp.asarray(step))
        total[step] = (float(total[step]) - float(terms["focal"])) / float(terms["cross_entropy"])
        if step:
            assert float(terms["cross_entropy_weight"]) == pytest.approx(total[step], rel=1e-5)
    np.testing.assert_allclose([total[3], total[99], total[None]], [2.0, 5.0, 5.0], rtol=1e-5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (alone("map_l1", {"mapp": "gradient"}), "no option 'mapp' .did you mean 'map'.*target, fraction"),
        (alone("map_l1", {"map": 3}), "map .=3. must be of type str"),
        (alone("gain", {"threshold": "high"}), "must be a number"),
        (alone("focal", {"fraction": 0.0}), "fraction .=0.0. must be above 0"),
        (LossConfig({"focal": 1.0}, options={"focus": {"map": "x"}}), "unknown loss focus"),
        (LossConfig({"focal": Ramp(steps=0)}), "steps of 1 or more"),
        (LossConfig({"focal": 1.0}, losses={"focal": "a:b"}), "which lensjax has"),
        (LossConfig({"mine": 1.0}, losses={"mine": "no_such_module:b"}), "loss mine .* cannot be imported"),
        (LossConfig({"mine": 1.0}, losses={"mine": "nowhere.py:b"}), "'nowhere.py' is no Python file"),
        (LossConfig({"mine": 1.0}, losses={"mine": "b"}), "'MODULE:NAME' or 'FILE.py:NAME'"),
    ],
)
def test_bad_configurations_are_refused(config, message):
    with pytest.raises(ValueError, match=message):
        check_weights(config)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("map_l1", {"map": "occlusion"}, "cannot train through the map 'occlusion'; choose from gradient"),
        ("map_l1", {"map": "grad_cam(level=3)"}, "no option 'level'.*layer"),
        ("map_l1", {"map": "grad_cam(layer=stage9)"}, "no spatial layer is called 'stage9'"),
        ("map_l1", {"map": "gradient", "target": "logits"}, "unknown target 'logits'; choose log_odds"),
        ("attention_tv", {"at": "stage3"}, "no gate at 'stage3'; choose all, stage1, stage2"),
        ("saliency_guided", {"share": 1.0}, "share .=1.0. must be between"),
        ("expected_gradients", {"prior": "smooth"}, "unknown prior 'smooth'; choose tv, sparse"),
    ],
)
def test_bad_options_say_what_there_is(name, options, message, params):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda batch: losses(alone(name, options), params, batch)[0], batch_of())


def test_a_network_without_gate_or_branch_is_refused():
    context = Context(lambda images: outputs(jnp.zeros((1, 2))), IMAGE, LossConfig())
    with pytest.raises(ValueError, match="needs a gate and its branch: set model.attention.at"):
        LOSSES["attention_branch"](context, {"label": jnp.asarray([0])})
    with pytest.raises(ValueError, match="attention_tv needs attention"):
        LOSSES["attention_tv"](context, {})
    with pytest.raises(ValueError, match="branch needs a gate"):
        build(replace(MODEL, attention=AttentionConfig(at=(), branch=True)))


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
    for weight in (0.0, 100.0):
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
        for _ in range(200):
            params, opt = step(params, opt, draw(rng, 32))
        context = Context(partial(forward, params), test["image"], config)
        heat = jnp.abs(context.explain("gradient", test))
        share[weight] = float(heat[test["mask"]].sum() / heat.sum())
        right = (context.outputs.logits.argmax(-1) == test["label"]).mean()
        assert right > 0.9
    assert share[100.0] > 2 * share[0.0] and share[100.0] > 0.5, share
