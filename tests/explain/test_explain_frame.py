"""The frame: names, options, messages, layers, post-processing, and what the package imports."""

import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.explain import (
    METHODS,
    ON_FEATURES,
    ON_IMAGE,
    Method,
    activations_and_gradients,
    batched,
    get_method,
    layers,
    normalise,
    options_of,
    parse,
    positive,
    split,
    to_image_grid,
    upsample,
)
from lensjax.explain.methods.gradient import smooth_grad
from lensjax.explain.methods.integrated_gradients import integrated_gradients
from lensjax.explain.methods.perturbation import occlusion
from lensjax.explain.methods.registry import REGISTRY, expected_passes
from lensjax.explain.methods.trivial_maps import centre, sobel
from tests.oracles.explain_oracles import m1, m1_forward, m1_image, network, score_of

close = partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6)
FORWARD = network()
IMAGE = jax.random.normal(jax.random.key(1), (8, 12, 2))


def test_it_imports_with_jax_and_numpy_alone():
    program = """
import sys

blocked = "flax jaxtyping optax matplotlib beartype orbax grain h5py astropy tyro tqdm scipy skimage"
for name in blocked.split():
    sys.modules[name] = None  # importing it raises ImportError
import lensjax.explain
from lensjax.explain import METHODS
import jax.numpy as jnp

found = METHODS["occlusion"](lambda x: x.sum(), jnp.ones((4, 4, 1)), window=1)
assert (found == 1).all()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("occlusion", ("occlusion", {})),
        (" occlusion(window=8,stride=4) ", ("occlusion", {"window": 8, "stride": 4})),
        (
            "occlusion(window=(1, 8, 8), baseline=-0.5)",
            ("occlusion", {"window": (1, 8, 8), "baseline": -0.5}),
        ),
        ("integrated_gradients(rule=midpoint)", ("integrated_gradients", {"rule": "midpoint"})),
        ("integrated_gradients(rule='midpoint')", ("integrated_gradients", {"rule": "midpoint"})),
        ("grad_cam(layer=stage2)", ("grad_cam", {"layer": "stage2"})),
        ("attention(layer=None, centre=False)", ("attention", {"layer": None, "centre": False})),
        ("gradient()", ("gradient", {})),
    ],
)
def test_parse(spec, expected):
    assert parse(spec) == expected


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("oclusion", ["unknown method 'oclusion'", "did you mean 'occlusion'", "grad_cam"]),
        ("occlusion(windw=8)", ["no option 'windw'", "did you mean 'window'", "stride"]),
        ("gradient(n=8)", ["no option 'n'", "it has none"]),
        ("occlusion(key=1)", ["no option 'key'"]),
        ("occlusion(8)", ["name(option=value"]),
        ("occlusion(window=8", ["name(option=value"]),
        ("occlusion(**{})", ["name(option=value"]),
        ("occlusion(window=open('x'))", ["'window' is no plain value"]),
        ("a.b(window=1)", ["name(option=value"]),
        ("smooth_grad(sigma=big)", ["smooth_grad(sigma=big): sigma (='big') must be a number"]),
        ("rise(keep=True)", ["keep (=True) must be a number"]),
        ("rise(centre=maybe)", ["centre (='maybe') must be True or False"]),
        ("grad_cam(layer=9)", ["layer (=9) must be the name of a layer"]),
        ("integrated_gradients(tolerance=low)", ["tolerance (='low') must be a number"]),
        ("occlusion(baseline=None)", ["baseline (=None) must be a number, or a name"]),
        ("", ["name(option=value"]),
        ("a\0b", ["name(option=value"]),
    ],
)
def test_parse_says_what_is_wrong(spec, words):
    with pytest.raises(ValueError) as error:
        parse(spec)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


def test_a_method_as_it_is_asked_for():
    asked = Method.parse("occlusion(window=8)")
    assert (asked.written, asked.name, asked.options) == ("occlusion(window=8)", "occlusion", {"window": 8})
    written, name, options = asked
    assert (name, options) == parse(written)


def test_a_method_is_registered_once():
    assert list(REGISTRY) == list(METHODS) == list(ON_IMAGE | ON_FEATURES)
    for name, method in REGISTRY.items():
        assert method.function is METHODS[name] and method.name == name
        assert method.label and method.sentence and not method.sentence.endswith(".")
        assert options_of(name) == method.options and "key" not in method.options
    assert len({method.label for method in REGISTRY.values()}) == len(REGISTRY)


def test_methods_know_what_they_take():
    assert ON_IMAGE.keys() | ON_FEATURES.keys() == METHODS.keys()
    assert not ON_IMAGE.keys() & ON_FEATURES.keys()
    assert get_method("sobel") is sobel


SCORE = score_of(FORWARD)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: occlusion(SCORE, IMAGE, window=0), "window (=0) must be a whole number"),
        (lambda: occlusion(SCORE, IMAGE, window="8"), "window (='8') must be one whole number"),
        (lambda: occlusion(SCORE, IMAGE, window=(2, 2, 2)), "or 2, one a spatial axis"),
        (lambda: occlusion(SCORE, IMAGE, stride=2.5), "stride (=2.5)"),
        (lambda: occlusion(SCORE, IMAGE, aggregate="max"), "choose mean or sum"),
        (lambda: occlusion(SCORE, IMAGE, edges="wrap"), "choose clip or valid"),
        (lambda: occlusion(SCORE, IMAGE, baseline="sky"), "unknown baseline 'sky'"),
        (lambda: occlusion(SCORE, IMAGE, baseline=jnp.ones(3)), "baseline of shape (3,) does not fit"),
        (lambda: occlusion(SCORE, IMAGE, chunk=0), "chunk (=0)"),
        (lambda: integrated_gradients(SCORE, IMAGE, steps=0), "steps (=0)"),
        (lambda: integrated_gradients(SCORE, IMAGE, rule="simpson"), "unknown rule 'simpson'"),
        (lambda: smooth_grad(SCORE, IMAGE), "pass key=jax.random.key(seed)"),
        (lambda: METHODS["random"](SCORE, IMAGE), "pass key=jax.random.key(seed)"),
        (lambda: smooth_grad(SCORE, IMAGE, key=jax.random.key(0), sigma=-1.0), "sigma (=-1.0)"),
        (lambda: centre(SCORE, IMAGE, sigma=0.0), "sigma (=0.0)"),
        (lambda: METHODS["gradient"](lambda x: x.sum(0), IMAGE), "score returns shape (12, 2)"),
        (lambda: METHODS["grad_cam"](FORWARD, IMAGE, layer="stage7"), "did you mean 'stage2'?"),
        (
            lambda: METHODS["grad_cam"](lambda x, t: (x, {"a": x}), IMAGE),
            "forward's score has shape (8, 12, 2)",
        ),
        (lambda: METHODS["grad_cam"](lambda x, t: (x.sum(), {}), IMAGE), "names no spatial layer"),
        (lambda: METHODS["attention"](m1_forward, m1_image()), "names no attention gate"),
        (
            lambda: METHODS["attention"](FORWARD, IMAGE, layer="stage9"),
            "no attention gate is called 'stage9'",
        ),
        (lambda: batched(METHODS["gradient"])(SCORE, IMAGE[None][:0]), "one or more examples"),
        (lambda: batched(METHODS["gradient"])(SCORE, IMAGE[None] * jnp.nan), "NaN or infinity in rows 0"),
        (
            lambda: batched(smooth_grad)(SCORE, IMAGE[None], key=jax.random.split(jax.random.key(0), 3)),
            "or 1 of them",
        ),
        (lambda: batched(smooth_grad, chunk=0), "chunk (=0)"),
        (lambda: upsample(jnp.ones((2, 2)), (4, 4, 4)), "axes differ"),
        (lambda: upsample(jnp.ones((2, 2)), (4, 4), method="cubic"), "choose linear or nearest"),
        (lambda: to_image_grid(jnp.ones((3, 4, 2)), (8, 12, 2)), "fits no image of (8, 12, 2)"),
    ],
)
def test_messages(call, words):
    with pytest.raises(ValueError) as error:
        call()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_layers_come_in_order():
    assert list(layers(FORWARD, IMAGE)) == ["attention:input", "stage1", "stage2"]


def test_several_layers_in_one_backward_pass():
    both, slopes = activations_and_gradients(FORWARD, IMAGE, ("stage1", "stage2"))
    for name in ("stage1", "stage2"):
        alone, slope = activations_and_gradients(FORWARD, IMAGE, (name,))
        close(both[name], alone[name])
        close(slopes[name], slope[name])


def test_attention_is_the_gate_less_its_mean():
    gate = FORWARD(IMAGE)[1]["attention:input"]
    close(METHODS["attention"](FORWARD, IMAGE, centre=False), gate)
    close(METHODS["attention"](FORWARD, IMAGE), gate - gate.mean())
    for place in ("input", "attention:input"):
        close(METHODS["attention"](FORWARD, IMAGE, layer=place, centre=False), gate)


def test_sobel_finds_the_slope_in_its_units():
    row, column = jnp.meshgrid(jnp.arange(6.0), jnp.arange(7.0), indexing="ij")
    ramp = (3 * row + 4 * column)[..., None]
    close(sobel(SCORE, ramp)[1:-1, 1:-1], 5)
    close(sobel(SCORE, jnp.ones((4, 5, 6, 2))), 0)


def test_centre_is_in_the_middle_and_symmetric():
    for shape in ((7, 9, 1), (4, 6, 3), (3, 5, 7, 2)):
        found = centre(SCORE, jnp.ones(shape))
        axes = tuple(range(len(shape) - 1))
        close(found, jnp.flip(found, axes))
        close(found.max(), found[tuple(n // 2 for n in shape[:-1])][0])


def test_normalise_keeps_zero_sign_and_silence():
    close(normalise(jnp.array([-4.0, 0, 2])), [-1, 0, 0.5])
    close(normalise(jnp.zeros((3, 3))), 0)
    close(positive(jnp.array([-4.0, 0, 2])), [0, 0, 2])


@pytest.mark.parametrize("method", ["linear", "nearest"])
@pytest.mark.parametrize(("cells", "pixels"), [((5,), (20,)), ((4, 6), (12, 30)), ((3, 4, 5), (9, 8, 15))])
def test_an_upsampled_delta_keeps_its_place(method, cells, pixels):
    """Off centre, the centroid stays at (i + ½)/n of every axis: no shift by half a cell."""
    where = tuple(n // 2 - 1 + axis % 2 for axis, n in enumerate(cells))
    where = tuple(max(1, min(i, n - 2)) for i, n in zip(where, cells, strict=True))
    found = upsample(jnp.zeros(cells).at[where].set(1.0), pixels, method=method)
    for axis, n in enumerate(pixels):
        profile = np.asarray(found.sum(tuple(i for i in range(len(pixels)) if i != axis)))
        centroid = (profile * (np.arange(n) + 0.5)).sum() / profile.sum() / n
        assert centroid == pytest.approx((where[axis] + 0.5) / cells[axis], abs=1e-6)


def test_upsample_agrees_with_jax_image():
    grid = jax.random.normal(jax.random.key(0), (5, 7))
    for method in ("linear", "nearest"):
        close(upsample(grid, (20, 33), method=method), jax.image.resize(grid, (20, 33), method), atol=1e-5)
    close(upsample(grid, (5, 7)), grid)


def test_a_grid_elsewhere_says_where():
    """Unpadded 3-wide convolution: cell i is centred on pixel i + 1."""
    grid = jnp.zeros((6, 6)).at[1, 4].set(1.0)
    found = upsample(grid, (8, 8), origin=(1.5 / 8, 1.5 / 8), step=(1 / 8, 1 / 8))
    close(found, jnp.zeros((8, 8)).at[2, 5].set(1.0))


@pytest.mark.parametrize("name", ["gradient", "occlusion", "grad_cam", "attention", "guided_grad_cam"])
def test_to_image_grid_takes_every_kind_of_map(name):
    for dims, image in ((2, IMAGE), (3, jnp.stack([IMAGE] * 3))):
        forward = network(dims=dims, activation=jax.nn.relu)
        subject = forward if name in ON_FEATURES else score_of(forward)
        flat = to_image_grid(METHODS[name](subject, image, key=jax.random.key(0)), image.shape)
        assert flat.shape == image.shape[:-1]
        assert np.isfinite(flat).all()


def test_sums_over_channels_keep_the_total():
    ig = integrated_gradients(m1, m1_image())
    close(to_image_grid(ig, (4, 4, 1)).sum(), ig.sum())


def test_the_work_of_a_method_is_counted():
    image = (4, 10, 12, 1)
    assert expected_passes("sobel", {}, image, 8) == 1 and expected_passes("gradient", {}, image, 8) == 3
    assert (
        expected_passes("score_cam", {}, image, 8) == 8
        and expected_passes("lime", {"samples": 50}, image, 8) == 50
    )
    assert (
        expected_passes("smooth_grad", {"samples": 5}, image, 8)
        == expected_passes("integrated_gradients", {"steps": 5}, image, 8)
        == 15
    )
    assert expected_passes("occlusion", {"window": (1, 5, 4), "stride": (1, 5, 4)}, image, 8) == 4 * 2 * 3
    assert all(expected_passes(name, {}, image, 8) >= 1 for name in METHODS)
    assert (
        expected_passes("occlusion", {"window": "wide"}, image, 8) >= 1
        and expected_passes("rise", {"samples": "all"}, image, 8) == 1
    )


def test_batched_tells_how_many_examples_are_done():
    counts, images = [], jnp.ones((5, 4, 4, 1))
    maps = batched(METHODS["abs_input"], chunk=2)(SCORE, images, done=counts.append)
    assert counts == [2, 2, 1] and maps.shape == images.shape


def test_a_network_cut_in_two_is_a_forward():
    weights = jnp.arange(6.0).reshape(2, 3)
    forward = split(lambda x: x[::2, ::2] @ weights, lambda a: (a**2).mean())
    ends = forward(IMAGE, None)[1]
    taps = {"features": jnp.ones_like(ends["features"])}
    close(forward(IMAGE, taps)[0], ((ends["features"] + 1) ** 2).mean())
    _, gradients = activations_and_gradients(forward, IMAGE, ("features",))
    close(gradients["features"], 2 * ends["features"] / ends["features"].size)
    found = METHODS["hires_cam"](forward, IMAGE)
    assert found.shape == (4, 6)
    close(found.sum(), 2 * forward(IMAGE, None)[0])  # of a square, twice the score
