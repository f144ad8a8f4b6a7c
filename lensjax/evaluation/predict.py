"""Predictions on a whole split, and the numbers that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lensjax.config import Config
from lensjax.data.store import datasets
from lensjax.data.store.datasets import Source
from lensjax.data.surveys import galaxies
from lensjax.domain import domain_of
from lensjax.evaluation import metrics
from lensjax.inspection.restore import config_of
from lensjax.losses.objective import check_weights, objective
from lensjax.models import Network, build
from lensjax.models.cnn import grids
from lensjax.runtime import parallel
from lensjax.runtime.errors import UserError
from lensjax.training.optim import frozen
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
    """The forward pass of a batch and its objective; jit it."""

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
    return as_predictions(predicted_rows(step, params, batches, mesh))


def predicted_rows(
    step: Callable, params: Any, batches: Iterable[Batch], mesh: Mesh
) -> dict[str, np.ndarray]:
    """What a prediction step gives for all batches, one after another, padding too."""
    rows = [parallel.gather(step(params, parallel.shard(batch, mesh))) for batch in batches]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def as_predictions(columns: dict[str, np.ndarray]) -> Predictions:
    """Rows in the order of their split, without padding."""
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
    """All metrics of a split as a flat dict: classification, and position where the network gives one."""
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


def check(config: Config) -> tuple[Network, tuple[int, ...]]:
    """The network and the shape [*s c] of its images; refuses now what would fail after it cost time.

    Raises:
      UserError: parts of the configuration contradict each other, or there is no such thing.
    """
    parallel.check_batch_size(config.optim.batch_size)
    check_weights(config.loss)
    shape = datasets.image_shape(config.data)  # checks the data, on which the metrics depend
    check_monitor(config)
    galaxies.check_negatives(config)
    model = build(config.model)
    if config.init:
        config_of(Path(config.init))  # fails now where there is no such run
    dry_run(config, model, shape)
    return model, shape


def dry_run(config: Config, model: Network, shape: tuple[int, ...]) -> None:
    """Trace the objective on shapes alone: a loss without its head, or too much pooling, fails now.

    Raises:
      UserError: parts of the configuration contradict each other.
    """
    domain = domain_of(config.data)
    rows, grid = config.optim.batch_size, domain.grid
    if grid and config.model.head == "heatmap" and config.model.windows != grid.windows:
        raise UserError(
            f"model.windows (={config.model.windows}) are {grid.windows} s with data.inputs "
            f"{config.data.inputs}: set them so, or the head reads times off wrongly."
        )
    if config.optim.epochs < 1 or rows < 1:
        raise UserError(f"optim.epochs (={config.optim.epochs}) and batch_size (={rows}) must be 1 or more.")
    batch = {
        "image": jax.ShapeDtypeStruct((rows, *shape), jnp.float32),
        "label": jax.ShapeDtypeStruct((rows,), jnp.int32),
        "position": jax.ShapeDtypeStruct((rows, 2), jnp.float32),
        "mask": jax.ShapeDtypeStruct((rows, *shape[:-1]), bool),
        "valid": jax.ShapeDtypeStruct((rows,), bool),
        "index": jax.ShapeDtypeStruct((rows,), jnp.int32),
    }
    if domain.stores_light:
        batch["light"] = batch["image"]
    params = jax.eval_shape(lambda images: model.init(jax.random.key(0), images)["params"], batch["image"])
    frozen(config.optim, params)
    jax.eval_shape(make_prediction_step(config, model), params, batch)


def check_classes(config: Config, source: Source) -> None:
    """The network's class names must be those of the data, in their order.

    Raises:
      UserError: they differ.
    """
    if source.classes and tuple(source.classes) != config.model.classes:
        raise UserError(
            f"model.classes {config.model.classes} must be those of the data, {source.classes}, in order."
        )


def check_monitor(config: Config) -> None:
    """Refuse an unknown `optim.monitor` before training, by summarising made-up examples.

    Raises:
      UserError: with the metrics there are.
    """
    classes = len(config.model.classes)
    labels = np.arange(2 * classes, dtype=np.int32) % classes
    half = np.full((len(labels), 2), 0.5, np.float32)
    blank = np.zeros((len(labels), 4, 4, 1), np.float16)
    source = Source(blank, blank[..., 0] > 0, labels, half, labels.astype(str), {"theta_e": half[:, 0]})
    predictions = Predictions(np.eye(classes, dtype=np.float32)[labels], half, half, 0.0)
    summary = summarise(predictions, source, config)
    monitored(summary, config.optim.monitor)


def monitored(summary: dict[str, Any], name: str) -> float:
    """The validation score of early stopping, larger is better; minus infinity where it is undefined.

    Raises:
      UserError: no such metric.
    """
    names = [key for key, value in summary.items() if isinstance(value, int | float)]
    if name not in names:
        raise UserError(f"optim.monitor '{name}' is no validation metric; choose from {', '.join(names)}.")
    value = -summary[name] if name == "loss" or "error" in name else summary[name]
    return float(value) if np.isfinite(value) else -np.inf
