"""What `--target` may name, and the number that it is of a network's outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.explain.engine.targets import check_target, read_target, target_score
from lensjax.types import Outputs

CLASSES = ("other", "lens", "ring")
LOGITS = jnp.array([1.0, 2.0, -1.0])
P = np.exp(LOGITS) / np.exp(LOGITS).sum()


def outputs(logits, position):
    return Outputs(logits, position, position_sigma=None, attention={}, mask_logits=None, ends={})


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("lens", np.log(P[1] / (1 - P[1]))),
        ("predicted", np.log(P[1] / (1 - P[1]))),
        ("logit(ring)", -1),
        ("logit", 2),
        ("log_probability( other )", np.log(P[0])),
        ("probability(predicted)", P[1]),
        ("difference(lens, ring)", 3),
        ("difference(predicted, other)", 1),
        ("row", 0.25),
        ("column", 0.75),
        ("frequency", 0.25),
        ("time", 0.75),
    ],
)
def test_a_target_is_one_number(target, expected):
    found = target_score(outputs(LOGITS, jnp.array([0.25, 0.75])), target, CLASSES, 1)
    assert found.shape == () and float(found) == pytest.approx(float(expected), rel=1e-5)
    moved = jax.grad(lambda x: target_score(outputs(x, x[:2]), target, CLASSES, 1))(LOGITS)
    assert np.abs(moved).max() > 0  # and can be explained


@pytest.mark.parametrize(
    "target", ["lense", "logit(lense)", "difference(lens)", "row(lens)", "", "ring(lens)"]
)
def test_another_target_lists_the_choices(target):
    with pytest.raises(ValueError) as error:
        read_target(target, CLASSES)
    assert "difference(class, class)" in str(error.value) and "lens, ring" in str(error.value)


def test_a_position_needs_a_network_that_gives_one():
    check_target("row", CLASSES, True)
    with pytest.raises(ValueError, match="which this network does not give"):
        check_target("row", CLASSES, False)
