"""Noisy and path gradients, baselines and targets: closed forms, completeness, derivatives of derivatives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.explain import METHODS, TARGETS, all_classes, batched, complete_gradients, reference_image
from lensjax.explain.engine.targets import signed_logit
from lensjax.explain.methods.gradient import gradient, smooth_grad, smooth_grad_squared, var_grad
from lensjax.explain.methods.integrated_gradients import expected_gradients, integrated_gradients
from tests.oracles.explain_oracles import m1, m1_image, network, score_of

close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
KEY = jax.random.key(0)
IMAGE = jax.random.normal(jax.random.key(1), (8, 12, 2))
LOGITS = jnp.array([1.0, 2.0, -1.0])


def test_moments_of_noisy_gradients_belong_together():
    options = {"key": KEY, "samples": 16, "sigma": 0.3}
    score = score_of(network())
    mean, square, variance = (
        f(score, IMAGE, **options) for f in (smooth_grad, smooth_grad_squared, var_grad)
    )
    close(variance, square - mean**2)
    assert (variance >= 0).all() and variance.max() > 0


def test_noisy_gradients_of_a_square_have_a_known_spread():
    image = m1_image()
    score = lambda x: (x**2).sum()  # noqa: E731
    options = {"key": KEY, "samples": 4096, "sigma": 0.1, "chunk": 512}
    width = 2 * 0.1 * 15
    close(var_grad(score, image, **options), width**2, rtol=0.15)
    close(smooth_grad_squared(score, image, **options), 4 * image**2 + width**2, rtol=0.15)
    assert (var_grad(lambda x: x.sum(), image, **options) == 0).all()


def test_c17_explanations_can_be_differentiated():
    x = jnp.linspace(-2, 2, 6)[:, None]
    f, s = (lambda x: jax.nn.softplus(x).sum()), jax.nn.sigmoid(jnp.linspace(-2, 2, 6))[:, None]
    found = jax.grad(lambda x: smooth_grad(f, x, key=KEY, samples=1, sigma=0.0).sum())(x)
    close(found, s * (1 - s))
    found = jax.grad(lambda x: integrated_gradients(f, x, steps=1, rule="right").sum())(x)
    close(found, s * (1 - s) * x + s)


def test_steps_are_doubled_until_the_map_accounts_for_the_score():
    once = complete_gradients(m1, m1_image(), steps=4)
    found = complete_gradients(m1, m1_image(), steps=4, tolerance=0.5, most_steps=4096, chunk=64)
    assert abs(once.error) > 0.5 >= abs(found.error) and found.steps > 4
    close(found.map.sum() - 54, found.error, atol=1e-4)
    compiled = jax.jit(lambda x: complete_gradients(m1, x, steps=4, tolerance=0.5, most_steps=64, chunk=64))
    close(
        compiled(m1_image()).map, integrated_gradients(m1, m1_image(), steps=int(compiled(m1_image()).steps))
    )
    cut = complete_gradients(m1, m1_image(), steps=4, tolerance=1e-9, most_steps=8)
    assert cut.steps == 8
    with pytest.raises(ValueError, match="tolerance .=0.0. must be positive"):
        complete_gradients(m1, m1_image(), tolerance=0.0)


def test_expected_gradients_account_for_the_score_on_average():
    background = jax.random.normal(jax.random.key(2), (8, *IMAGE.shape))
    score = score_of(network())
    found = expected_gradients(score, IMAGE, key=KEY, background=background, samples=512, chunk=64)
    change = score(IMAGE) - jax.vmap(score)(background).mean()
    assert abs(found.sum() - change) < 0.05 * abs(change)
    linear = lambda x: 3 * x.sum()  # noqa: E731
    exact = expected_gradients(linear, IMAGE, key=KEY, background=background, samples=16)
    close(exact, 3 * (IMAGE - background.mean(0)), atol=1e-4)
    with pytest.raises(ValueError, match="background has shape"):
        expected_gradients(linear, IMAGE, key=KEY, background=background[..., :1])
    with pytest.raises(ValueError, match="pass key"):
        expected_gradients(linear, IMAGE, background=background)


def test_baselines():
    image = jnp.zeros((9, 11, 2)).at[4, 5, 0].set(1.0) + jnp.array([0.0, 3.0])
    close(reference_image("median", image)[0, 0], [0, 3])
    close(reference_image("mean", image)[0, 0], [1 / 99, 3])
    blurred = reference_image("blur", jnp.zeros((64, 64, 1)).at[32, 32].set(1.0))
    close(blurred.sum(), 1, atol=1e-3)
    close(blurred[32, 32, 0], 1 / (2 * np.pi * 16), rtol=0.01)
    close(reference_image("blur", image)[..., 1], 3)  # a plain stays a plain, borders too
    events = jnp.zeros((4, 9, 9, 1)).at[1].set(5.0)
    close(reference_image("blur", events), events)  # windows do not mix
    sky = 2 + 0.5 * jax.random.normal(KEY, (64, 64, 1))
    drawn = reference_image("noise", sky.at[:4, :4].set(100.0), KEY)
    assert abs(drawn.mean() - 2) < 0.05 and abs(drawn.std() - 0.5) < 0.05
    close(reference_image(lambda x: x + 1, image), image + 1)
    close(reference_image(np.array([1.0, 2]), image)[3, 3], [1, 2])  # one a band
    close(reference_image("median", jnp.stack([image, image + 6, image + 7]))[..., 0], 6)  # of a whole event
    line = jnp.zeros((41, 1)).at[20].set(1.0)  # and a line has one axis to blur
    close(reference_image("blur", line)[20, 0], 1 / np.sqrt(2 * np.pi * 16), rtol=0.01)
    with pytest.raises(ValueError, match="does not fit"):
        reference_image(lambda x: x[:3], image)
    for name, words in (("noise", "draws numbers; pass key"), ("dark", "choose a number, or zero, mean")):
        with pytest.raises(ValueError, match=words):
            reference_image(name, image)


@pytest.mark.parametrize("name", ["integrated_gradients", "occlusion"])
def test_a_drawn_baseline_comes_from_the_key(name):
    score = score_of(network())
    first, again = (METHODS[name](score, IMAGE, key=KEY, baseline="noise") for _ in range(2))
    other = METHODS[name](score, IMAGE, key=jax.random.key(9), baseline="noise")
    assert (first == again).all() and not np.allclose(first, other)


def test_targets():
    p = np.exp(LOGITS) / np.exp(LOGITS).sum()
    close(TARGETS["logit"](LOGITS, 1), 2)
    close(TARGETS["difference"](LOGITS, 1, 2), 3)
    close(TARGETS["log_probability"](LOGITS, 0), np.log(p[0]))
    close(TARGETS["probability"](LOGITS, 0), p[0])
    close(TARGETS["log_odds"](LOGITS, 1), np.log(p[1] / (1 - p[1])))
    close(TARGETS["log_odds"](LOGITS[:2], 1), TARGETS["difference"](LOGITS[:2], 1, 0))
    raised = LOGITS + 100  # a logit may rise with all others; these do not
    for name in ("log_odds", "log_probability", "probability"):
        close(TARGETS[name](raised, 1), TARGETS[name](LOGITS, 1), atol=1e-4)
    sure = jnp.array([80.0, -80.0, 0.0])  # where a probability has no gradient left
    assert (jax.grad(lambda x: TARGETS["probability"](x, 0))(sure) < 1e-30).all()
    close(jax.grad(lambda x: TARGETS["log_odds"](x, 0))(sure)[0], 1)
    close(signed_logit(LOGITS[:1]), 1)
    close(signed_logit(LOGITS[:1], positive=False), -1)
    with pytest.raises(ValueError, match="takes one logit"):
        signed_logit(LOGITS)


def test_all_classes_share_the_forward_pass():
    weights = jax.random.normal(KEY, (6, 3))
    forward = network()

    def score(k, image):
        return (forward(image)[1]["stage2"].mean((0, 1)) @ weights)[k]

    found = all_classes(gradient, score, IMAGE, 3)
    for k in range(3):
        close(found[k], gradient(partial(score, k), IMAGE))
    many = batched(lambda s, x, key=None: all_classes(gradient, s, x, 3))(score, IMAGE[None])
    close(many[0], found)
    jaxpr = str(jax.make_jaxpr(lambda x: all_classes(gradient, score, x, 3))(IMAGE))
    alone = str(jax.make_jaxpr(lambda x: gradient(partial(score, 0), x))(IMAGE))
    assert jaxpr.count("conv_general_dilated[") == alone.count("conv_general_dilated[")


def test_all_classes_of_maps_from_features_and_of_sampled_ones():
    weights = jax.random.normal(KEY, (6, 3))
    network_forward = network()

    def forward(k, image, taps):
        ends = network_forward(image, taps)[1]
        return (ends["stage2"].mean((0, 1)) @ weights)[k], ends

    found = all_classes(METHODS["grad_cam"], forward, IMAGE, 3)
    assert found.shape == (3, 4, 6)
    for k in range(3):
        close(found[k], METHODS["grad_cam"](partial(forward, k), IMAGE))
    score = lambda k, image: forward(k, image, None)[0]  # noqa: E731
    many = all_classes(METHODS["occlusion"], score, IMAGE, 3, window=4)
    close(many[2], METHODS["occlusion"](partial(score, 2), IMAGE, window=4))
