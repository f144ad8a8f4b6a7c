"""Fit a linear model of the score over present and absent patches, by weighted least squares."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.explain.engine.segments import find_owners
from lensjax.types import Array, Bool, Float, Int


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Surrogate:
    """score ≈ intercept + Σ coefficients of the patches that are there. A pytree.

    Of a score that is several numbers (all classes, say) each field but `segments` has them as last axis.
    `standard_errors` are those of the regression: how well these masks fix the coefficients, given how far
    the score is from linear. They are infinite where there are no more masks than coefficients.
    """

    coefficients: Any  # float32 [k], 0 for a label without pixels
    intercept: Any  # float32 [], what is left without any patch
    r2: Any  # float32 [], weighted share of the scores' variance that the model explains
    prediction: Any  # float32 [], the model's score of the whole image
    standard_errors: Any  # float32 [k]
    segments: Any  # int32 [*s]


@functools.partial(jax.jit, static_argnames=("exact",))
def fit_lime(
    scores: Float[Array, "n *m"],
    masks: Bool[Array, "n k"],
    labels: Int[Array, "*s"],
    alpha: float | Array,
    width: float | Array,
    *,
    exact: bool,
) -> Surrogate:
    there = find_owners(labels, masks.shape[1])
    kept = masks & there
    weights = proximity(kept.sum(1) / there.sum(), width).astype(scores.dtype)
    if exact:  # each mask once, whatever labels without pixels say
        weights *= (masks | there).all(1)
    design = kept.astype(scores.dtype)
    first, centre = scores[0], _weighted_mean(design, weights)
    # Less the first score: a constant one is then exactly zero.
    rest = scores - first
    mean = _weighted_mean(rest, weights)
    changes = (design - centre) * there
    # Masks may fail to tell two patches apart: the least penalty shares what they do together.
    least = jnp.maximum(alpha, _least_penalty(changes, weights, there))
    b, errors = least_squares(changes, rest - mean, weights, _diagonal(least, ~there), constants=1)
    b, errors = _zero_missing(b, there), _zero_missing(errors, there)
    intercept = first + mean - _dot(centre, b)
    fitted = intercept + _dot(design, b)
    share = _explained_share(rest, fitted - first, weights)
    return Surrogate(b, intercept, share, intercept + b.sum(0), errors, labels)


def proximity(share: Float[Array, "n"], width: float | Array) -> Float[Array, "n"]:
    """Return √exp(−d²/width²) of masks that keep a `share` of patches; d = 1 − √share, cosine distance."""
    return jnp.sqrt(jnp.exp(-(((1 - jnp.sqrt(share)) / width) ** 2)))


@functools.partial(jax.jit, static_argnames=("exact",))
def fit_shapley(
    scores: Float[Array, "n *m"], masks: Bool[Array, "n k"], labels: Int[Array, "*s"], *, exact: bool
) -> Surrogate:
    """Fit the difference of complements: half of it is linear in the mask less its mean."""
    there = find_owners(labels, masks.shape[1])
    number, half = there.sum(), len(masks) // 2
    kept = (masks & there).astype(scores.dtype)
    size = kept.sum(1)
    inner = (size > 0) & (size < number)
    weights = inner.astype(scores.dtype)
    if exact:
        kernel = jnp.asarray(_kernel(len(there)), scores.dtype)
        weights *= kernel[number, size.astype(int)] * (masks | there).all(1)
    change = scores[0] - scores[-1]
    share = size / number
    target = (scores - scores[::-1])[:half] / 2 - jnp.multiply.outer(share[:half] - 0.5, change)
    design = ((kept - share[:, None]) * there)[:half]
    # No row moves all patches together: that direction is fixed by the constraint. The least penalty
    # chooses among the solutions where masks are too few.
    least = _least_penalty(design, weights[:half], there)
    whole = jnp.sqrt(least / jnp.finfo(least.dtype).eps / number) * there
    penalty = jnp.concatenate([_diagonal(least, ~there), whole[None]])
    b, errors = least_squares(design, target, weights[:half], penalty)
    b = _zero_missing(b, there)
    b = _zero_missing(b - b.sum(0) / number + change / number, there)
    fitted = _dot(kept, b)
    r2 = _explained_share(scores - scores[-1], fitted, weights)
    errors = jnp.zeros_like(b) if exact else _zero_missing(errors, there)
    return Surrogate(b, scores[-1], r2, scores[0], errors, labels)


def least_squares(
    design: Float[Array, "n k"],
    target: Float[Array, "n *m"],
    weights: Float[Array, "n"],
    penalty: Float[Array, "p k"],
    constants: int = 0,
) -> tuple[Array, Array]:
    """Minimise Σ w (target − design·b)² + |penalty·b|²: b [k *m] and its standard errors.

    One fixed projector, from a QR decomposition (half the digits of the normal equations would be lost),
    serves all columns of the target. `constants` is the number of degrees of freedom that were eliminated.
    """
    root = jnp.sqrt(weights)
    with jax.default_matmul_precision("highest"):
        q, r = jnp.linalg.qr(jnp.concatenate([root[:, None] * design, penalty]))
        q = q[: len(design)]
        spread = jax.lax.linalg.triangular_solve(r, q.T, left_side=True)  # [k n]
    b = _dot(spread * root, target)
    # Errors are for reading: where they vanish, their derivative would not be finite.
    residual = jax.lax.stop_gradient(target - _dot(design, b))
    # The trace of the hat matrix: the number of coefficients where nothing is penalised.
    freedom = (weights > 0).sum() - constants - jnp.sum(q**2)
    noise = _dot(weights, residual**2)
    known = freedom > 1e-5 * len(design)  # more than rounding
    deviation = jnp.sqrt(noise / jnp.where(known, freedom, 1))
    errors = jnp.multiply.outer(jnp.linalg.norm(spread, axis=1), deviation)
    return b, jnp.where(known, errors, jnp.inf)


def _dot(a: Array, b: Array) -> Array:
    return jnp.tensordot(a, b, 1, precision="highest")  # an accelerator would round to fewer digits


def _weighted_mean(values: Float[Array, "n *m"], weights: Float[Array, "n"]) -> Float[Array, "*m"]:
    """Return Σ w v / Σ w, zero where all weights are."""
    total = weights.sum()
    return _dot(weights, values) / jnp.where(total > 0, total, 1)


def _explained_share(
    scores: Float[Array, "n *m"], fitted: Float[Array, "n *m"], weights: Float[Array, "n"]
) -> Float[Array, "*m"]:
    """Return 1 − Σ w (score − fitted)² / Σ w (score − mean)²; 0 of a score that does not vary."""
    rest = _dot(weights, (scores - fitted) ** 2)
    whole = _dot(weights, (scores - _weighted_mean(scores, weights)) ** 2)
    return jnp.where(whole > 0, 1 - rest / jnp.where(whole > 0, whole, 1), 0)


def _least_penalty(
    design: Float[Array, "n k"], weights: Float[Array, "n"], there: Bool[Array, "k"]
) -> Float[Array, ""]:
    """Return what the scores' precision just resolves beside the mean square of a patch's column."""
    total = jnp.sum(weights[:, None] * design**2) / there.sum()
    return jnp.where(total > 0, total, 1) * jnp.finfo(design.dtype).eps


def _diagonal(penalty: Float[Array, ""], extra: Bool[Array, "k"]) -> Float[Array, "k k"]:
    """Return the rows √penalty; 1 for the `extra` ones, which nothing else fixes."""
    return jnp.diag(jnp.where(extra, 1, jnp.sqrt(penalty)))


def _kernel(count: int) -> np.ndarray:
    """Return the Shapley kernel (K − 1) / (C(K, m) m (K − m)) at [K, m], zero where m is 0 or K."""
    table = np.zeros((count + 1, count + 1))
    for k in range(2, count + 1):
        for m in range(1, k):
            table[k, m] = (k - 1) / (math.comb(k, m) * m * (k - m))
    return table


def _zero_missing(values: Float[Array, "k *m"], there: Bool[Array, "k"]) -> Array:
    return jnp.where(there.reshape(-1, *(1,) * (values.ndim - 1)), values, 0)
