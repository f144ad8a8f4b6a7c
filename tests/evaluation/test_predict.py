"""The names by which early stopping may go are those of the metrics there are."""

import numpy as np
import pytest

from lensjax.config import Config, EventData, LossConfig, ModelConfig
from lensjax.data.store.datasets import Source
from lensjax.evaluation.predict import Predictions, metric_names, summarise, validation_score
from lensjax.event_axes import CLASSES

LENSES = Config(loss=LossConfig({"cross_entropy": 1.0}))
EVENTS = Config(data=EventData(size=(35, 42)), model=ModelConfig(classes=CLASSES))
CONSTANT = {"n", "n_positive", "n_negative", "position_n", "chirp_n"}


@pytest.mark.parametrize("config", [LENSES, EVENTS, Config(model=ModelConfig(head="class"))])
def test_names_of_metrics_are_those_of_a_summary(config):
    classes = len(config.model.classes)
    labels = np.arange(2 * classes, dtype=np.int32) % classes
    half = np.full((len(labels), 2), 0.5, np.float32)
    blank = np.zeros((len(labels), 4, 4, 1), np.float16)
    source = Source(blank, blank[..., 0] > 0, labels, half, labels.astype(str), {"theta_e": half[:, 0]})
    predictions = Predictions(np.eye(classes, dtype=np.float32)[labels], half, half, 0.5)
    summary = summarise(predictions, source, config)
    numbers = {name for name, value in summary.items() if isinstance(value, int | float)}
    central = {name for name in numbers if not name.endswith(("_low", "_high"))} - CONSTANT
    assert central == set(metric_names(config))
    assert validation_score(summary, "loss") == -0.5 and validation_score(summary, "accuracy") == 1.0
    with pytest.raises(ValueError, match="'acuracy' is no validation metric; choose from loss, auroc"):
        validation_score(summary, "acuracy")
