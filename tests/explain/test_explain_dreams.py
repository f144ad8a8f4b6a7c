"""Gradient ascent on images: closed forms, limits that hold, 2D = 3D, and messages."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.explain import activation_image, ascend, class_image, deep_dream, dream_options, parse
from lensjax.explain.dreams.ascent import clip_to_range, filter_slope
from lensjax.ops.map_statistics import total_variation
from tests.oracles.explain_oracles import convolve, network, score_of

close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
KEY = jax.random.key(0)
SHAPE = (8, 12, 2)
ODD = (9, 13, 1)
FORWARD = network()
SCORE = score_of(FORWARD)
FORWARD_3D = network(dims=3)
WEIGHTS = jax.random.normal(jax.random.key(7), SHAPE)
ALL = {"steps": 8, "jitter": 1, "octaves": 2, "tv": 0.2, "parametrisation": "fourier", "keep": 3}


def linear(image):
    return (WEIGHTS * image).sum()


@pytest.fixture(scope="module")
def dream():
    return class_image(SCORE, SHAPE, key=KEY, **ALL, bounds=(-0.5, 1.5), norm=6.0)


@pytest.mark.parametrize("shape", [SHAPE, (3, *SHAPE)])
def test_the_score_rises_within_bounds_and_norm(shape, dream):
    if len(shape) == 4:
        score = score_of(FORWARD_3D)
        dream = class_image(score, shape, key=KEY, **ALL, bounds=(-0.5, 1.5), norm=6.0)
        close(dream.scores[-1], score(dream.image))
    assert dream.image.shape == shape and dream.frames.shape == (3, *shape)
    assert dream.curve.shape == (8,) and dream.steps.tolist() == [0, 4, 8]
    assert dream.scores[0] < dream.scores[1] < dream.scores[2]
    close(dream.frames[-1], dream.image)
    for frame in np.asarray(dream.frames):
        assert frame.min() >= -0.5 and frame.max() <= 1.5
        assert np.linalg.norm(frame) <= 6.0 * (1 + 1e-6)


def test_a_linear_score_in_a_ball_ends_at_the_scaled_weights():
    found = class_image(linear, SHAPE, key=KEY, steps=60, step_size=0.5, norm=2.0)
    close(found.image, 2 * WEIGHTS / jnp.linalg.norm(WEIGHTS), atol=1e-4)
    close(found.scores[-1], 2 * jnp.linalg.norm(WEIGHTS))
    boxed = class_image(linear, SHAPE, key=KEY, steps=400, step_size=0.5, bounds=(-1.0, 0.25))
    sure = jnp.abs(WEIGHTS) > 0.05
    close(jnp.where(sure, boxed.image, 0), jnp.where(sure, jnp.where(WEIGHTS > 0, 0.25, -1), 0))


def test_a_step_changes_pixels_by_its_size():
    found = ascend(linear, jnp.zeros(SHAPE), steps=1, step_size=0.3)
    close(jnp.sqrt((found.image**2).mean()), 0.3)
    close(found.image, 0.3 * WEIGHTS / jnp.sqrt((WEIGHTS**2).mean()))


def test_total_variation():
    step = jnp.zeros((2, 4, 6, 1)).at[:, :, 3:].set(2.0)
    close(total_variation(step), 2 * 4 * 2)
    close(total_variation(jnp.arange(3.0)[:, None, None, None] * jnp.ones((3, 4, 4, 1))), 0)  # across windows
    rough, smooth = (class_image(SCORE, SHAPE, key=KEY, steps=16, tv=tv) for tv in (0.0, 0.5))
    assert total_variation(smooth.image) < 0.8 * total_variation(rough.image)
    assert smooth.scores[-1] > smooth.scores[0]


def test_same_key_same_bytes(dream):
    options = {**ALL, "bounds": (-0.5, 1.5), "norm": 6.0}
    again = class_image(SCORE, SHAPE, key=KEY, **options)
    assert np.asarray(again.frames).tobytes() == np.asarray(dream.frames).tobytes()
    other = class_image(SCORE, SHAPE, key=jax.random.key(1), **options)
    assert not np.allclose(other.image, dream.image)
    still = [ascend(SCORE, WEIGHTS, key=jax.random.key(k), steps=3) for k in (0, 1)]  # no jitter, no draws
    assert np.asarray(still[0].image).tobytes() == np.asarray(still[1].image).tobytes()
    moved = [ascend(SCORE, WEIGHTS, key=jax.random.key(k), steps=3, jitter=3) for k in (0, 1)]
    assert not np.allclose(moved[0].image, moved[1].image)


def test_compiled_as_a_whole_it_is_the_same(dream):
    whole = jax.jit(lambda key: class_image(SCORE, SHAPE, key=key, **ALL, bounds=(-0.5, 1.5), norm=6.0))(KEY)
    for found, expected in zip(jax.tree.leaves(whole), jax.tree.leaves(dream), strict=True):
        close(found, expected, rtol=1e-3, atol=1e-3)


def test_parametrisations_filter_the_gradient_alone():
    shape = (2, *ODD)
    start = jax.random.normal(KEY, shape)
    score = lambda x: (x**3).sum()  # noqa: E731
    pixel, fourier = (
        ascend(score, start, steps=2, parametrisation=kind, octaves=2) for kind in ("pixel", "fourier")
    )
    close(pixel.frames[0], start)
    close(fourier.frames[0], start)
    assert pixel.image.shape == fourier.image.shape == shape
    assert not np.allclose(pixel.image, fourier.image)
    close(filter_slope(start, shape[-3:-1], "pixel"), start)
    flat, fast = (
        jnp.ones(shape),
        jnp.where(jnp.arange(shape[-2]) % 2 == 0, 1.0, -1.0)[:, None] * jnp.ones(shape),
    )
    gain = lambda x: jnp.linalg.norm(filter_slope(x, shape[-3:-1], "fourier")) / jnp.linalg.norm(x)  # noqa: E731
    close(gain(flat), max(shape[-3:-1]) ** 2, rtol=1e-4)
    assert gain(fast) < 0.3 * gain(flat)
    # ⟨a, DDᵀb⟩ = ⟨DDᵀa, b⟩ and ⟨a, DDᵀa⟩ ≥ 0: filter_slope, a gradient still leads up.
    other = jax.random.normal(jax.random.key(5), shape)
    for kind in ("pixel", "fourier"):
        up = partial(filter_slope, grid=(4, 6), parametrisation=kind)
        close((other * up(start)).sum(), (up(other) * start).sum(), rtol=1e-3, atol=1e-3)
        assert (start * up(start)).sum() > 0


def test_one_window_is_an_image(dream):
    options = {**ALL, "bounds": (-0.5, 1.5), "norm": 6.0}
    one = class_image(score_of(FORWARD_3D), (1, *SHAPE), key=KEY, **options)
    close(one.image[0], dream.image, rtol=1e-3, atol=1e-3)
    close(one.scores, dream.scores, rtol=1e-3, atol=1e-3)


def test_windows_do_not_mix():
    start = jnp.zeros((3, *SHAPE))
    middle = lambda x: (WEIGHTS * x[1]).sum()  # noqa: E731
    found = ascend(middle, start, key=KEY, **ALL)
    assert (found.image[0] == 0).all() and (found.image[2] == 0).all() and (found.image[1] != 0).any()


def test_deep_dream_raises_the_score_or_a_layer():
    image = jax.random.normal(KEY, SHAPE)
    for layer in (None, "stage1"):
        found = deep_dream(FORWARD, image, layer=layer, steps=8, step_size=0.05)
        close(found.frames[0], image)
        assert found.scores[-1] > found.scores[0]
    close(found.scores[0], (FORWARD(image)[1]["stage1"] ** 2).mean())


@pytest.mark.parametrize("where", ["centre", "mean"])
def test_an_image_that_excites_a_filter_looks_like_it(where):
    kernel = jax.random.normal(KEY, (5, 5, 1, 3))

    def forward(image, taps=None):
        return image.sum(), {"stage1": convolve(image, kernel, "SAME"), "head": jnp.ones(4)}

    options = {"layer": "stage1", "channel": 2, "where": where, "steps": 40, "norm": 5.0, "noise": 0.01}
    found = activation_image(lambda x, t: forward(x, t), (11, 11, 1), key=KEY, **options)
    if where == "centre":
        patch = found.image[3:8, 3:8]
        assert np.corrcoef(np.ravel(patch), np.ravel(kernel[:, :, :, 2]))[0, 1] > 0.999
        close(jnp.linalg.norm(patch), 5.0, rtol=1e-3)  # nothing of the norm is spent elsewhere
    else:  # the mean over all positions sees only the filter's sum
        sign = jnp.sign(kernel[..., 2].sum())
        assert (sign * found.image[2:-2, 2:-2] > 0).all()


def test_within_shrinks_but_does_not_stretch():
    close(clip_to_range(jnp.array([3.0, -4.0]), *map(jnp.float32, (-np.inf, np.inf, 2.5))), [1.5, -2])
    close(clip_to_range(jnp.array([3.0, -4.0]), *map(jnp.float32, (-1, 2, np.inf))), [2, -1])
    close(clip_to_range(jnp.zeros(2), *map(jnp.float32, (-1, 2, 1))), [0, 0])


def test_options_are_written_like_those_of_methods():
    found = parse("class_image(steps=5, bounds=(0, 1), parametrisation=fourier)", dream_options)
    assert found == ("class_image", {"steps": 5, "bounds": (0, 1), "parametrisation": "fourier"})
    assert dream_options("deep_dream")["steps"] == 64 and dream_options("class_image")["steps"] == 128


IMAGE = jnp.ones(SHAPE)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ascend(SCORE, IMAGE, steps=0), "steps (=0) must be a whole number, 1 or more"),
        (lambda: ascend(SCORE, IMAGE, step_size=0.0), "step_size (=0.0) must be positive"),
        (lambda: ascend(SCORE, IMAGE, step_size=float("nan")), "step_size (=nan) must be positive"),
        (lambda: ascend(SCORE, IMAGE, jitter=-1), "jitter (=-1) must be a whole number, 0 or more"),
        (lambda: ascend(SCORE, IMAGE, jitter=(1, 2, 3)), "one number, or two"),
        (lambda: ascend(SCORE, IMAGE, jitter=1), "pass key=jax.random.key(seed)"),
        (lambda: ascend(SCORE, IMAGE, octaves=0), "octaves (=0)"),
        (lambda: ascend(SCORE, IMAGE, octaves=4, steps=3), "give at least one step each"),
        (lambda: ascend(SCORE, IMAGE, octaves=5), "less than 2 pixels of 8 × 12: take fewer"),
        (lambda: ascend(SCORE, IMAGE, octaves=2, octave_scale=1.0), "octave_scale (=1.0) must be above 1"),
        (lambda: ascend(SCORE, IMAGE, tv=-0.1), "tv (=-0.1) must be 0 or more"),
        (lambda: ascend(SCORE, IMAGE, keep=1), "keep (=1) must be a whole number, 2 or more"),
        (lambda: ascend(SCORE, IMAGE, bounds=(1.0, 0.0)), "the lower one first"),
        (lambda: ascend(SCORE, IMAGE, norm=0.0), "norm (=0.0) must be positive"),
        (lambda: ascend(SCORE, IMAGE, norm=1.0, bounds=(0.5, 1.0)), "and 0 lie within bounds"),
        (lambda: ascend(SCORE, IMAGE, parametrisation="wavelet"), "choose from pixel, fourier"),
        (lambda: ascend(SCORE, IMAGE.at[0, 0].set(jnp.nan)), "holds 2 values that are NaN or infinite"),
        (lambda: ascend(SCORE, IMAGE[0, 0]), "give [h w c]"),
        (lambda: ascend(lambda x: x.sum(0), IMAGE), "score returns shape (12, 2)"),
        (lambda: ascend(lambda x: jnp.log(x.min()), IMAGE * 0.1, bounds=(-1.0, 0.0)), "at step 0 of 128"),
        (lambda: ascend(lambda x: 0 * x.sum(), IMAGE), "does not depend on the image at its start"),
        (lambda: class_image(SCORE, SHAPE), "pass key=jax.random.key(seed)"),
        (lambda: class_image(SCORE, SHAPE, key=KEY, noise=0.0), "noise (=0.0) must be positive"),
        (lambda: deep_dream(FORWARD, IMAGE, layer="stage7"), "there are stage1, stage2"),
        (lambda: activation_image(FORWARD, SHAPE, key=KEY, layer="attention:input"), "there are stage1"),
        (lambda: activation_image(FORWARD, SHAPE, key=KEY, channel=6), "of stage2 must be one of 0 … 5"),
        (lambda: activation_image(FORWARD, SHAPE, key=KEY, where="edge"), "choose from mean, centre"),
        (lambda: parse("deep_drem", dream_options), "did you mean 'deep_dream'"),
        (lambda: parse("deep_dream(stps=3)", dream_options), "did you mean 'steps'"),
        (lambda: parse("class_image(key=3)", dream_options), "no option 'key'"),
    ],
)  # fmt: skip
def test_messages(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert words in str(error.value)
    assert "\n" not in str(error.value)
