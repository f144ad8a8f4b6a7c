"""Loss terms through explanations and gates against closed forms, the weights and options they take."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.config import AttentionConfig, LossConfig, ModelConfig, Ramp
from lensjax.losses import LOSSES, Context
from lensjax.losses.explanations import depth_below_zero
from lensjax.losses.objective import check_weights, objective
from lensjax.models import build
from lensjax.types import Outputs

IMAGE = jnp.asarray([[4.0, 2.0], [-3.0, 2.0]])[None, :, :, None]
MASK = jnp.asarray([[[True, False], [False, False]]])


def outputs(logits, attention=None):
    return Outputs(logits, None, None, attention or {}, None, {})


def of_linear(name, mask=MASK, **options):
    """A term of the network with logits (0, Σ x): input × gradient of class 1 is the image itself."""

    def network(images, taps=None):
        total = images.sum((1, 2, 3))
        return outputs(jnp.stack([jnp.zeros_like(total), total], -1))

    batch = {"image": IMAGE, "label": jnp.asarray([1]), "mask": mask}
    options |= {"map": "input_x_gradient", "target": "logit"}
    return LOSSES[name](Context(network, IMAGE, None), batch, **options)[0]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_closed_forms_of_maps():
    low, high = -np.log(1 - 1e-3), -np.log(0.5)
    # The two least salient, both 2, become the mean 1.25: from Σ = 5 to 3.5.
    p, q = sigmoid(5.0), sigmoid(3.5)
    expected = {
        "right_reasons": 2**2 + 3**2 + 2**2,
        "energy_in_mask": 1 - 4 / 8,
        "map_l1": (0 + 0.5 + 0 + 0.5) / 4,
        "map_cross_entropy": (2 * low + 2 * high) / 4,
        # Erased: all of the brightest, half of the half as bright, nothing of the dark one.
        "gain": sigmoid(2 - 3),
        "saliency_guided": p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)),
        "expected_gradients": (7 + 0) / 2 + (2 + 5) / 2,
    }
    sharp = {"gain": {"sharpness": 100.0}}
    values = jax.jit(lambda: {name: of_linear(name, **sharp.get(name, {})) for name in expected})()
    for name in expected:
        np.testing.assert_allclose(values[name], expected[name], rtol=1e-3, err_msg=name)


def test_a_map_that_is_negative_on_the_evidence_costs_most_and_is_told_where_to_go():
    dark = jnp.asarray([[[False, False], [True, False]]])
    names = ("energy_in_mask", "map_l1")
    hidden, l1 = jax.jit(lambda: [of_linear(name, mask=dark) for name in names])()
    depth = 3 / (3 + (4 + 2 + 3 + 2) / 4)
    np.testing.assert_allclose([hidden, l1], [1 + depth, (1 + 0.5 + 1 + 0.5) / 4 + depth], rtol=1e-6)
    gradient = jax.grad(depth_below_zero)(-(IMAGE[0, :, :, 0] ** 2), MASK[0])
    assert gradient[0, 0] < 0  # up, where the evidence is
    assert float(depth_below_zero(jnp.zeros((2, 2)), MASK[0])) == 0


def test_closed_forms_of_their_options():
    low, high = -np.log(1 - 1e-3), -np.log(0.5)
    gini = (-3 * 2 - 1 * 2 + 1 * 3 + 3 * 4) / (4 * 11)
    balanced, inside, unmasked, sparse = jax.jit(lambda: (
        of_linear("map_cross_entropy", balanced=True),
        of_linear("map_cross_entropy", outside=False),
        of_linear("gain", mask=MASK & False, masked_only=True),
        of_linear("expected_gradients", prior="sparse"),
    ))()  # fmt: skip
    np.testing.assert_allclose(balanced, (low + (low + 2 * high) / 3) / 2, rtol=1e-4)
    np.testing.assert_allclose([inside, unmasked, sparse], [low, 0, 1 - gini], rtol=1e-3)


def of_gate(name, gate, mask=MASK, **options):
    context = Context(lambda images: outputs(jnp.zeros((1, 2)), attention={"stage1": gate}), IMAGE, None)
    return float(jax.jit(lambda: LOSSES[name](context, {"mask": mask}, **options)[0])())


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


def test_weights_follow_a_ramp_and_evaluation_takes_its_end():
    def network(images, taps=None):
        return outputs(jnp.zeros((3, 2)))

    config = LossConfig({"cross_entropy": Ramp(1.0, 5.0, steps=4, wait=2), "focal": 1.0})
    batch, total = (
        {"image": jnp.zeros((3, 4, 4, 1)), "label": jnp.asarray([0, 1, 1]), "valid": jnp.ones(3, bool)},
        {},
    )
    for step in (0, 3, 99, None):
        total[step], (terms, _) = objective(
            network, batch, config, step=None if step is None else jnp.asarray(step)
        )
        total[step] = (float(total[step]) - float(terms["focal"])) / float(terms["cross_entropy"])
        if step:
            assert float(terms["cross_entropy_weight"]) == pytest.approx(total[step], rel=1e-5)
    np.testing.assert_allclose([total[3], total[99], total[None]], [2.0, 5.0, 5.0], rtol=1e-5)


def alone(name, options):
    return LossConfig({name: 1.0}, options={name: options})


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


def test_a_network_without_gate_or_branch_is_refused():
    context = Context(lambda images: outputs(jnp.zeros((1, 2))), IMAGE, LossConfig())
    with pytest.raises(ValueError, match="needs a gate and its branch: set model.attention.at"):
        LOSSES["attention_branch"](context, {"label": jnp.asarray([0])})
    with pytest.raises(ValueError, match="attention_tv needs attention"):
        LOSSES["attention_tv"](context, {})
    with pytest.raises(ValueError, match="branch needs a gate"):
        build(ModelConfig(attention=AttentionConfig(at=(), branch=True)))
