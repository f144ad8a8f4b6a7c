"""How a target is written, and what number it is."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.explain.engine.targets import check_target, class_score, read_target, target_score

CLASSES = ("lens", "star", "spiral")
OUTPUTS = SimpleNamespace(logits=jnp.array([0.5, -1.0, 2.0]), position=jnp.array([0.25, 0.75]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lens", ("log_odds", ("lens",))),
        ("predicted", ("log_odds", ("predicted",))),
        ("logit", ("logit", ("predicted",))),
        (" probability( star ) ", ("probability", ("star",))),
        ("difference(lens, predicted)", ("difference", ("lens", "predicted"))),
        ("row", ("row", ())),
    ],
)
def test_a_target_is_read(text, expected):
    assert read_target(text, CLASSES) == expected


@pytest.mark.parametrize(
    "text", ["lense", "difference(lens)", "logit(galaxy)", "row(lens)", "logit(lens", ""]
)
def test_another_target_is_refused(text):
    with pytest.raises(ValueError, match="not known to this network") as error:
        read_target(text, CLASSES)
    assert "did you mean" in str(error.value) or text != "lense"


def test_a_coordinate_needs_a_position():
    check_target("column", CLASSES, True)
    with pytest.raises(ValueError, match="is a position"):
        check_target("column", CLASSES, False)


def test_the_number_that_a_target_is():
    score = lambda text: float(target_score(OUTPUTS, text, CLASSES, 2))  # noqa: E731
    assert score("logit(lens)") == 0.5 and score("logit") == 2.0
    assert score("difference(lens, predicted)") == -1.5
    assert score("column") == score("time") == 0.75
    p = np.asarray(jax.nn.softmax(OUTPUTS.logits))
    assert score("star") == pytest.approx(np.log(p[1] / (1 - p[1])), abs=1e-6)


def test_what_a_loss_may_explain():
    assert float(class_score(OUTPUTS.logits, "logit", 1)) == -1.0
    every = jax.nn.log_softmax(OUTPUTS.logits).sum()
    assert float(class_score(OUTPUTS.logits, "log_probabilities", 1)) == pytest.approx(float(every))
    with pytest.raises(ValueError, match="probability or log_probabilities"):
        class_score(OUTPUTS.logits, "difference", 1)
