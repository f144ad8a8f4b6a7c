"""Randomised parameters: which leaves change in which order, and that the test tells methods apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.explain import cascade, full_randomisation
from lensjax.explain.scores.sanity import redraw_parameters, replace_group, similarity

KEY = jax.random.key(0)
PARAMS = {"head": {"kernel": jnp.arange(12.0)}, "stage1": jnp.arange(12.0)[::-1], "stage10": jnp.ones(12)}
GROUPS = ("stage1", "stage10", "head")


def maps_of(params):
    """Two maps: the first is the head, the second does not care."""
    return jnp.stack([params["head"]["kernel"], jnp.arange(12.0)]).reshape(2, 3, 4)


def test_full_randomisation_tells_maps_apart():
    found = full_randomisation(maps_of, PARAMS, KEY)
    assert abs(float(found[0])) < 0.7 and found[1] == 1
    opposite = full_randomisation(maps_of, PARAMS, KEY, redraw=lambda p, key: jax.tree.map(jnp.negative, p))
    np.testing.assert_allclose(opposite, [-1, 1], atol=1e-6)


@pytest.mark.parametrize(("order", "spared"), [("top_down", 0), ("bottom_up", 2)])
def test_cascade_goes_layer_after_layer(order, spared):
    found = cascade(maps_of, PARAMS, KEY, GROUPS, order=order)
    assert found.shape == (3, 2) and (found[:, 1] == 1).all()
    assert (np.asarray(found[:, 0]) == 1).sum() == spared  # the head is the first of them, or the last
    np.testing.assert_allclose(found[-1], full_randomisation(maps_of, PARAMS, KEY))


def test_groups_are_paths_or_functions():
    fresh = jax.tree.map(lambda leaf: leaf + 100, PARAMS)
    changed = replace_group(PARAMS, fresh, "stage1")
    assert (changed["stage1"] >= 100).all() and (changed["stage10"] < 100).all()
    changed = replace_group(PARAMS, fresh, lambda path: path.startswith("stage"))
    assert (changed["stage10"] >= 100).all() and (changed["head"]["kernel"] < 100).all()
    assert (replace_group(PARAMS, fresh, "head/kernel")["head"]["kernel"] >= 100).all()
    with pytest.raises(ValueError, match="'stage2'; there are head/kernel, stage1, stage10"):
        replace_group(PARAMS, fresh, "stage2")
    with pytest.raises(ValueError, match="top_down or bottom_up"):
        cascade(maps_of, PARAMS, KEY, GROUPS, order="sideways")


def test_redrawn_parameters_keep_their_width():
    wide = {"a": 3 + 2 * jax.random.normal(KEY, (4000,)), "b": jnp.ones(3)}
    fresh = redraw_parameters(wide, jax.random.key(1))
    assert float(fresh["a"].std()) == pytest.approx(2, rel=0.1)
    assert float(fresh["a"].mean()) == pytest.approx(3, rel=0.1)
    assert (fresh["b"] == 1).all() and not np.allclose(fresh["a"], wide["a"])


def test_similarity_is_signed():
    maps = jax.random.normal(KEY, (2, 5, 6))
    np.testing.assert_allclose(similarity(maps, -maps), -1, atol=1e-6)
