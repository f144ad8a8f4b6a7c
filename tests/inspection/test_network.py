"""A network as a function: one compilation serves all seeds; `load_network` predicts and explains arrays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.config import AttentionConfig, Config, LensData, ModelConfig
from lensjax.explain.methods.registry import Method
from lensjax.inspection import ensemble, maps
from lensjax.inspection.maps import Item
from lensjax.inspection.network import load_network
from lensjax.inspection.restore import Trained
from lensjax.models import Apply, build, predict
from lensjax.runtime import logs

SIZE, BANDS = 16, 4
MODEL = ModelConfig(features=(3, 4), hidden=4, attention=AttentionConfig(at=("stage2",)))
METHODS_COMPILED = (  # of every file of lensjax.explain.methods
    "gradient", "smooth_grad(samples=2)", "integrated_gradients(steps=2)", "expected_gradients(samples=2)",
    "guided_grad_cam", "grad_cam", "score_cam", "occlusion", "rise(samples=8)", "lime(samples=8,segments=4)",
    "attention",
)  # fmt: skip


def seeds(count: int) -> tuple[Trained, ...]:
    """Networks that differ in their parameters, each with a module of its own, as `restore` makes them."""
    config = Config(data=LensData(size=SIZE), model=MODEL)
    blank = jnp.zeros((1, SIZE, SIZE, BANDS))
    made = []
    for seed in range(count):
        model = build(replace(MODEL))
        params = model.init(jax.random.key(seed), blank)["params"]
        made.append(Trained(Path(f"seed{seed}"), config, model, params, {}, []))
    return tuple(made)


IMAGES = np.random.default_rng(0).normal(size=(2, SIZE, SIZE, BANDS)).astype(np.float32)
ITEMS = [Item(str(i), "noise", image) for i, image in enumerate(IMAGES)]


@pytest.fixture(scope="module")
def compilations():
    """Names of the programs compiled so far."""
    counted: list[str] = []

    def listen(event: str, seconds: float, **about: object) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            counted.append(str(about))

    jax.monitoring.register_event_duration_secs_listener(listen)
    return counted


@pytest.mark.parametrize("written", METHODS_COMPILED)
def test_a_method_compiles_once_for_five_seeds(written, compilations):
    members, method = seeds(5), Method.parse(written)
    options = {"target": "lens", "chunk": 2, "seed": 0, "progress": logs.progress, "background": IMAGES}

    def explain(some):
        predicted, _ = ensemble.predict(some, ITEMS, 2)
        return ensemble.explain(some, ITEMS, predicted, [method], **options)[0][written]

    first = explain(members[:1])
    before = len(compilations)
    others = [explain((member,)) for member in members[1:]]
    assert before and len(compilations) == before
    assert all(np.abs(other - first).max() > 0 for other in others)  # of other parameters, another map
    if written in ("gradient", "occlusion"):
        together = explain(members)
        np.testing.assert_allclose(together, np.mean([first, *others], 0), rtol=1e-4, atol=1e-6)


def test_new_weights_give_new_maps():
    (trained,) = seeds(1)
    louder = replace(trained, params=jax.tree.map(lambda leaf: 2 * leaf, trained.params))
    found = [maps.predict(one, ITEMS, 2).logits for one in (trained, louder)]
    assert np.abs(found[0] - found[1]).max() > 0


def test_one_example_is_a_row_of_the_batch_and_ends_keep_their_order():
    (trained,) = seeds(1)
    outputs = predict(trained.model, trained.params, IMAGES, 1)
    one = jax.jit(Apply(trained.model))(trained.params, jnp.asarray(IMAGES[1]))
    np.testing.assert_allclose(one.logits, outputs.logits[1], rtol=1e-5, atol=1e-6)
    eager = Apply(trained.model)(trained.params, jnp.asarray(IMAGES[1]))
    assert list(eager.ends) == ["input", "stage1", "attention:stage2", "stage2"]
    assert not outputs.ends and outputs.logits.shape == (2, 2)
    tapped = Apply(trained.model)(trained.params, jnp.asarray(IMAGES[1]), {"stage1": jnp.ones((16, 16, 3))})
    np.testing.assert_allclose(tapped.ends["stage1"], eager.ends["stage1"] + 1, rtol=1e-6)


@pytest.mark.parametrize("text", ["lime(segments=slic)", "occlusion(window=[2,3])", "occlusion(chunk=1MB)"])
def test_options_may_be_words_or_one_number_an_axis(text):
    assert Method.parse(text.replace("1MB", "'1MB'")).options


def test_equal_networks_are_equal_functions():
    one, other = seeds(2)
    assert jax.tree.structure(one.score("lens")) == jax.tree.structure(other.score("lens"))
    assert jax.tree.structure(one.score("lens")) != jax.tree.structure(one.score("non-lens"))


def test_a_run_is_loaded_and_explains_arrays(tiny_run):
    network = load_network(tiny_run)
    assert network.classes == ("non-lens", "lens") and network.image_shape == (32, 32, 4)
    images = np.random.default_rng(1).normal(size=(3, 32, 32, 4))
    found = network.predict(images)
    assert found.probabilities.shape == (3, 2) and found.position.shape == (3, 2)
    assert set(found.classes) <= {"non-lens", "lens"}
    alone = network.predict(images[1])
    assert alone.classes == found.classes[1] and alone.position.shape == (2,)
    np.testing.assert_allclose(alone.probabilities, found.probabilities[1], atol=1e-5)
    heat = network.explain(images, "grad_cam(layer=stage1)", "lens")
    assert heat.shape == (3, 32, 32)
    single = network.explain(images[0], "grad_cam(layer=stage1)", "lens")
    np.testing.assert_allclose(single, heat[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((32, 32, 3), {}, "wants (32, 32, 4) or (n, 32, 32, 4)"),
        ((0, 32, 32, 4), {}, "images have shape (0, 32, 32, 4)"),
        ((32, 32, 4), {"method": "grad_cm"}, "did you mean 'grad_cam'"),
        ((32, 32, 4), {"target": "galaxy"}, "not known to this network"),
        ((32, 32, 4), {"method": "occlusion(window=0)"}, "window"),
    ],
)
def test_mistakes_are_named(tiny_run, shape, options, message):
    with pytest.raises(ValueError) as error:
        load_network(tiny_run).explain(np.zeros(shape), **options)
    assert message in str(error.value)
