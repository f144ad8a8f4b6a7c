"""Supervised losses: class, position, light of the source."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from lensjax.losses.context import Context
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Batch, Float

SOFTENING = 1e-3
"""Below this share of the image a distance counts as a square, whose gradient is smooth at 0."""
SOFTENING_LIGHT = 1e-2
"""The same for light, in units of the noise, as the mean over an image."""


def cross_entropy(context: Context, batch: Batch) -> Float[Array, "b"]:
    """Return -Σ_k t_k log p_k, the target smoothed by `label_smoothing`, times the true class's weight."""
    entropy = optax.softmax_cross_entropy(context.outputs.logits, smoothed_target(context, batch))
    return entropy * class_weight(context, batch)


def window_cross_entropy(context: Context, batch: Batch) -> Float[Array, "b"]:
    """Return the mean cross-entropy over an event's windows: every window is trained as an image."""
    logits = context.outputs.window_logits
    if logits is None:
        raise UserError("loss window_cross_entropy needs model.decide window, or weight 0.")
    entropy = optax.softmax_cross_entropy(logits, smoothed_target(context, batch)[:, None])
    return entropy.mean(-1) * class_weight(context, batch)


def focal(context: Context, batch: Batch) -> Float[Array, "b"]:
    """Return -(1 - p_t)^γ log p_t (Lin et al. 2017, eq. 4): examples that are already right count less."""
    log_p = jax.nn.log_softmax(context.outputs.logits)
    log_p = jnp.take_along_axis(log_p, batch["label"][:, None], axis=-1)[:, 0]
    # 1 - p as -expm1(log p), and never 0: a power below one has no gradient there.
    miss = jnp.maximum(-jnp.expm1(log_p), 1e-7)
    return -(miss**context.options.focal_gamma) * log_p * class_weight(context, batch)


def position(context: Context, batch: Batch) -> Float[Array, "b"]:
    """Return the distance to the true position in fractions of the image; 0 where there is none.

    A distance and not its square: its gradient is as long for a miss of a pixel as for a miss of ten, so it
    neither drowns the other terms at first nor fades before the position is exact.
    """
    offset, known = position_offset(context, batch)
    square = (offset**2).sum(-1)
    return jnp.where(known, jnp.sqrt(square + SOFTENING**2) - SOFTENING, 0.0)


def position_nll(context: Context, batch: Batch) -> Float[Array, "b"]:
    """Return the Gaussian negative log-likelihood of the true position in σ; 0 where there is none.

    Σ over row and column of ½ ((p - t)/σ)² + log σ, σ in fractions of the image. The offset is held fixed:
    the network learns its own error bar, while `position` moves the position. With the offset free, the
    gradient grows as 1/σ and takes the trunk away from the class.
    """
    offset, known = position_offset(context, batch)
    sigma = context.outputs.position_sigma
    if sigma is None:
        raise UserError("loss position_nll needs model.head heatmap or regression, or weight 0.")
    pull = jax.lax.stop_gradient(offset) / sigma
    return jnp.where(known, (0.5 * pull**2 + jnp.log(sigma)).sum(-1), 0.0)


def restoration(context: Context, batch: Batch) -> Float[Array, "b"]:
    """Return the root mean square over pixels and bands of restored minus true light of the source.

    Both on the image's asinh scale; of a non-lens the true light is 0. Softened like `position`, so that the
    gradient is smooth where nothing is left to restore.
    """
    restored = context.outputs.restored
    if restored is None or "light" not in batch:
        raise UserError("loss restoration needs model.kind unet and data.light, or weight 0.")
    square = ((restored - batch["light"]) ** 2).mean(tuple(range(1, restored.ndim)))
    return jnp.sqrt(square + SOFTENING_LIGHT**2) - SOFTENING_LIGHT


def position_offset(context: Context, batch: Batch) -> tuple[Array, Array]:
    """Return predicted minus true position, 0 where unknown (NaN), and where it is known."""
    predicted = context.outputs.position
    if predicted is None:
        raise UserError("a position loss needs model.head heatmap or regression, or weight 0.")
    known = jnp.isfinite(batch["position"]).all(-1)
    return jnp.where(known[:, None], predicted - jnp.nan_to_num(batch["position"]), 0.0), known


def smoothed_target(context: Context, batch: Batch) -> Float[Array, "b k"]:
    """Return one-hot labels, with `label_smoothing` shared among all classes."""
    labels = jax.nn.one_hot(batch["label"], context.outputs.logits.shape[-1])
    return optax.smooth_labels(labels, context.options.label_smoothing)


def class_weight(context: Context, batch: Batch) -> Float[Array, "b"]:
    """Return the weight of each example's true class; 1 where none are given."""
    weights, classes = context.options.class_weights, context.outputs.logits.shape[-1]
    if not weights:
        return jnp.ones(batch["label"].shape)
    if len(weights) != classes:
        raise UserError(f"loss.class_weights {weights} must hold {classes} numbers, one a class.")
    return jnp.asarray(weights)[batch["label"]]
