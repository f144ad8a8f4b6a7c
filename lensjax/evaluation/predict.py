"""Predict a whole split, and summarise the predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lensjax.config import Config
from lensjax.data.store.datasets import Source
from lensjax.domain import domain_of
from lensjax.evaluation import metrics
from lensjax.evaluation.position_metrics import EVENT_METRICS, SKY_METRICS
from lensjax.losses.objective import objective
from lensjax.models import Network
from lensjax.models.cnn import grids
from lensjax.runtime import parallel
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Batch

TERM = "term:"  # prefix of the columns that hold loss terms


@dataclass(frozen=True)
class Predictions:
    """One row an example of the split, in its order."""

    logits: np.ndarray  # [n k]
    position: np.ndarray  # [n 2] fractions; NaN for a network without position
    position_sigma: np.ndarray  # [n 2]
    loss: float
    """Mean objective."""
    window_logits: np.ndarray | None = None  # [n t k], of networks that decide window by window
    terms: dict[str, float] = field(default_factory=dict)
    """Mean of each loss term."""


def make_prediction_step(config: Config, model: Network) -> Callable[[Any, Batch], dict[str, Array]]:
    """Return the forward pass of a batch and its objective, `(params, batch) -> columns`; jit it."""

    def prediction_step(params: Any, batch: Batch) -> dict[str, Array]:
        def forward(images: Array, taps: Any = None) -> Any:
            return model.apply({"params": params}, images, taps)

        places = grids(config.model, batch["image"].shape[1:-1])
        loss, (terms, context) = objective(forward, batch, config.loss, places=places)
        terms = {name: terms[name] for name in config.loss.weights if name in terms}  # not their weights
        outputs = context.outputs
        unknown = jnp.full((*outputs.logits.shape[:1], 2), jnp.nan)
        windows = {} if outputs.window_logits is None else {"window_logits": outputs.window_logits}
        return windows | {
            "index": batch["index"],
            "logits": outputs.logits,
            "position": unknown if outputs.position is None else outputs.position,
            "position_sigma": unknown if outputs.position_sigma is None else outputs.position_sigma,
            "loss": jnp.broadcast_to(loss, batch["index"].shape),
            **{TERM + name: jnp.broadcast_to(term, batch["index"].shape) for name, term in terms.items()},
        }

    return prediction_step


def predict(step: Callable, params: Any, batches: Iterable[Batch], mesh: Mesh) -> Predictions:
    """Run a jitted prediction step over the batches of a split, all devices and processes together."""
    return collect_predictions(predict_columns(step, params, batches, mesh))


def predict_columns(
    step: Callable, params: Any, batches: Iterable[Batch], mesh: Mesh
) -> dict[str, np.ndarray]:
    """Return what a prediction step gives for all batches, one after another, padding too."""
    rows = [parallel.gather(step(params, parallel.shard(batch, mesh))) for batch in batches]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def collect_predictions(columns: dict[str, np.ndarray]) -> Predictions:
    """Put rows in the order of their split, without padding."""
    order = np.argsort(columns["index"], kind="stable")
    order = order[columns["index"][order] >= 0]
    columns = {name: values[order] for name, values in columns.items()}
    # A batch's loss is the mean over its rows, so the mean over rows is the mean over examples.
    return Predictions(
        columns["logits"],
        columns["position"],
        columns["position_sigma"],
        float(columns["loss"].mean()),
        columns.get("window_logits"),
        {name.removeprefix(TERM): float(v.mean()) for name, v in columns.items() if name.startswith(TERM)},
    )


def summarise(predictions: Predictions, source: Source, config: Config) -> dict[str, Any]:
    """Return all metrics of a split as a flat dict: class, and position where the network gives one."""
    summary: dict[str, Any] = {"loss": predictions.loss, **predictions.terms}
    summary |= metrics.classification_summary(predictions.logits, source.label, config.model.classes)
    summary |= metrics.class_errors("Chirp", predictions.logits, source.label, config.model.classes)
    if config.model.head == "class":
        return summary
    known = np.isfinite(source.position).all(axis=1)
    place, sigma = predictions.position, predictions.position_sigma
    domain = domain_of(config.data)
    if grid := domain.grid:
        return summary | metrics.event_position_summary(place, source.position, known, grid, sigma=sigma)
    shape, theta_e = source.image.shape[-3:-1], source.truth.get("theta_e")
    return summary | metrics.position_summary(
        place, source.position, known, shape, domain.pixel_scale, sigma=sigma, theta_e=theta_e
    )


def metric_names(config: Config) -> tuple[str, ...]:
    """List the metrics of a validation that `optim.monitor` may name; their bounds (`_low`, `_high`) too."""
    names = ["loss", *metrics.CLASS_METRICS]
    if len(config.model.classes) == 2:
        names += metrics.TWO_CLASS_METRICS
    if "Chirp" in config.model.classes:
        names += ["chirp_errors", "chirp_error_rate"]
    if config.model.head != "class":
        names += EVENT_METRICS if domain_of(config.data).grid else SKY_METRICS
    return tuple(names)


def validation_score(summary: dict[str, Any], name: str) -> float:
    """Return what early stopping goes by, larger is better; minus infinity where it is undefined.

    Raises:
      UserError: no such metric.
    """
    names = [key for key, value in summary.items() if isinstance(value, int | float)]
    if name not in names:
        raise UserError(f"optim.monitor '{name}' is no validation metric; choose from {', '.join(names)}.")
    value = -summary[name] if name == "loss" or "error" in name else summary[name]
    return float(value) if np.isfinite(value) else -np.inf
