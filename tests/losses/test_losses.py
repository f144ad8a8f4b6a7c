"""Loss terms against closed forms; the objective's masks and weights."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lensjax.config import LossConfig
from lensjax.losses import LOSSES, Context
from lensjax.losses.custom import resolve_loss_config
from lensjax.losses.objective import check_weights, masked_mean, objective
from lensjax.types import Outputs

LABELS = jnp.asarray([0, 1, 1])
LOGITS = jnp.asarray([[2.0, -1.0], [0.5, 0.2], [-3.0, 4.0]])
BATCH = {
    "image": jnp.zeros((3, 4, 4, 1)),
    "label": LABELS,
    "position": jnp.asarray([[jnp.nan, jnp.nan], [0.5, 0.25], [0.4, 0.6]]),
    "valid": jnp.asarray([True, True, False]),
}


def outputs(logits=LOGITS, **changes) -> Outputs:
    position, sigma = jnp.full((3, 2), 0.5), jnp.full((3, 2), 0.1)
    return replace(Outputs(logits, position, sigma, {}, None, {}), **changes)


def term(name, options=None, **changes):
    return LOSSES[name](Context(lambda _: outputs(**changes), BATCH["image"], options or LossConfig()), BATCH)


def test_cross_entropy_equals_optax():
    expected = optax.softmax_cross_entropy_with_integer_labels(LOGITS, LABELS)
    np.testing.assert_allclose(term("cross_entropy"), expected, rtol=1e-5, atol=1e-6)
    smooth = optax.softmax_cross_entropy(LOGITS, optax.smooth_labels(jax.nn.one_hot(LABELS, 2), 0.2))
    np.testing.assert_allclose(term("cross_entropy", LossConfig(label_smoothing=0.2)), smooth, rtol=1e-5)


def test_focal_is_cross_entropy_at_gamma_zero_and_the_binary_form_otherwise():
    np.testing.assert_allclose(term("focal", LossConfig(focal_gamma=0.0)), term("cross_entropy"), rtol=1e-5)
    difference = LOGITS[:, 1] - LOGITS[:, 0]
    expected = optax.sigmoid_focal_loss(difference, LABELS.astype(jnp.float32), gamma=2.0)
    np.testing.assert_allclose(term("focal"), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_has_a_finite_gradient_when_certain(gamma):
    def loss(logits):
        return term("focal", LossConfig(focal_gamma=gamma), logits=logits).sum()

    assert bool(jnp.isfinite(jax.grad(loss)(jnp.asarray([[60.0, -60.0]] * 3))).all())


def test_class_weights():
    weighted = term("cross_entropy", LossConfig(class_weights=(1.0, 3.0)))
    np.testing.assert_allclose(weighted, term("cross_entropy") * jnp.asarray([1.0, 3.0, 3.0]), rtol=1e-6)
    with pytest.raises(ValueError, match="must hold 2 numbers"):
        term("cross_entropy", LossConfig(class_weights=(1.0,)))


def test_position_losses_count_lenses_only_and_are_closed_forms():
    np.testing.assert_allclose(term("position"), [0.0, 0.25, 0.02**0.5], atol=1e-3)
    expected = [0.0, 0.5 * 6.25 + 2 * np.log(0.1), 0.5 * 2.0 + 2 * np.log(0.1)]
    np.testing.assert_allclose(term("position_nll"), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="needs model.head"):
        term("position", position=None)


def test_position_gradient_is_finite_where_the_position_is_unknown():
    def loss(position):
        return term("position", position=position).sum()

    def sigma_loss(position):
        return term("position_nll", position=position).sum()

    gradient = jax.grad(loss)(jnp.full((3, 2), 0.5))
    assert bool(jnp.isfinite(gradient).all()) and not bool(gradient[0].any())
    assert not bool(jax.grad(sigma_loss)(jnp.full((3, 2), 0.5)).any())  # it moves sigma alone


def test_the_likelihood_learns_the_true_spread():
    """The mean position_nll over Gaussian errors is least at the σ they were drawn with."""
    errors = 0.05 * jax.random.normal(jax.random.key(0), (4000, 2))

    def loss(sigma):
        return (0.5 * (errors / sigma) ** 2 + jnp.log(sigma)).mean()

    sigmas = jnp.linspace(0.03, 0.08, 51)
    assert float(sigmas[jax.vmap(loss)(sigmas).argmin()]) == pytest.approx(0.05, abs=0.002)


def test_window_cross_entropy_trains_every_window_as_an_image():
    windows = jnp.stack([LOGITS, -LOGITS, 0 * LOGITS], axis=1)
    options = LossConfig(label_smoothing=0.1, class_weights=(1.0, 3.0))
    each = [term("cross_entropy", options, logits=windows[:, t]) for t in range(3)]
    expected = sum(each) / 3
    np.testing.assert_allclose(
        term("window_cross_entropy", options, window_logits=windows), expected, rtol=1e-5
    )
    with pytest.raises(ValueError, match="needs model.decide window"):
        term("window_cross_entropy")


def test_attention_sparsity():
    gates = {"input": jnp.full((3, 4, 4), 0.25), "stage1": jnp.full((3, 2, 2), 0.75)}
    gates["windows"] = jnp.full((3, 4), 0.25)  # no gate over space
    np.testing.assert_allclose(term("attention_sparsity", attention=gates), 0.5)
    with pytest.raises(ValueError, match="needs attention"):
        term("attention_sparsity")


def test_restoration_is_the_rms_over_pixels_and_smooth_at_zero():
    light = jnp.zeros((3, 4, 4, 2)).at[1].set(0.5)
    batch = BATCH | {"light": light}

    def value(restored):
        return LOSSES["restoration"](
            Context(lambda _: outputs(restored=restored), light, LossConfig()), batch
        )

    np.testing.assert_allclose(value(light + 0.3), (0.3**2 + 1e-4) ** 0.5 - 0.01, rtol=1e-5)
    np.testing.assert_allclose(
        value(jnp.zeros_like(light)), [0.0, (0.25 + 1e-4) ** 0.5 - 0.01, 0.0], rtol=1e-5, atol=1e-7
    )
    gradient = jax.grad(lambda x: value(x).sum())(light)
    assert not bool(gradient.any())  # and so it is finite where nothing is left
    with pytest.raises(ValueError, match="needs model.kind unet and data.light"):
        term("restoration")


def test_objective_weighs_terms_over_valid_rows_and_skips_zero_weights():
    config = LossConfig({"cross_entropy": 2.0, "position": 0.5, "focal": 0.0})
    total, (terms, _) = objective(lambda _: outputs(), BATCH, config)
    assert set(terms) == {"cross_entropy", "position"}
    expected = 2 * term("cross_entropy")[:2].mean() + 0.5 * term("position")[:2].mean()
    np.testing.assert_allclose(total, expected, rtol=1e-6)


def test_mean_of_no_rows_is_zero():
    assert float(masked_mean(jnp.asarray([jnp.nan, 1.0]), jnp.asarray([False, False]))) == 0.0


@pytest.mark.parametrize(
    "weights, message",
    [({"dise": 1.0}, "unknown loss dise; known: cross_entropy"), ({"focal": 0.0}, "all loss")],
)
def test_bad_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        check_weights(LossConfig(weights))


def test_options_are_written_out_once_and_resolving_again_changes_nothing():
    config = LossConfig(
        {"cross_entropy": 1.0, "right_reasons": 0.5}, options={"right_reasons": {"fraction": 0.5}}
    )
    resolved = resolve_loss_config(config)
    assert resolved.options["right_reasons"] == {
        "map": "gradient",
        "target": "log_probabilities",
        "fraction": 0.5,
    }
    assert resolve_loss_config(resolved) == resolved
