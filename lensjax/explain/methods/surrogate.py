"""LIME and KernelSHAP: a linear model of the score in terms of patches, from masked images.

A mask z ∈ {0, 1}ᴷ keeps the patches of 1 and fills the others from the baseline. Where all 2ᴷ masks are no
more than `samples`, they are all taken, and the result depends on no key.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from lensjax.explain.engine.baselines import Reference, reference_image
from lensjax.explain.engine.loops import Chunk, at_least_float32, at_least_one, map_chunks
from lensjax.explain.engine.programs import jit_method
from lensjax.explain.engine.segments import (
    Segments,
    all_masks,
    coin_masks,
    find_owners,
    label_patches,
    paired_masks,
    segment_mean,
)
from lensjax.explain.methods.gradient import Score
from lensjax.explain.methods.patch_regression import Surrogate, fit_lime, fit_shapley
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Bool, Float, Int, PRNGKeyArray


def lime_fit(
    score: Score,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    segments: Segments = 250,
    patches: int = 250,
    samples: int = 1000,
    alpha: float = 1.0,
    width: float = 0.25,
    baseline: Reference = 0.0,
    chunk: Chunk = 32,
) -> Surrogate:
    """Fit the score by ridge regression on which patches are there (Ribeiro et al. 2016).

    As in the `lime` package: patches are kept with probability ½, the first mask keeps them all, a mask of m
    patches weighs √exp(−d²/width²) with d = 1 − √(m/K), and the intercept is not penalised. Captum's kernel,
    exp(−d²/2width²), is the same with d between images; Xplique's is exp(−d²/width²). `segments` and
    `patches` are read by `label_patches`, `baseline` by `reference_image`, and "segment_mean" fills every
    patch with its own mean, the package's habit. `score` may give several numbers, [m].

    Raises:
      UserError: no key and more than `samples` possible masks, a negative `alpha`, a `width` that is not
        positive, or no penalty and too few masks.
    """
    image = at_least_float32(image)
    labels, count = label_patches(segments, patches, image)
    if isinstance(alpha, float | int) and alpha < 0:
        raise UserError(f"alpha (={alpha}) must be 0 or more; it penalises the coefficients' squares.")
    if isinstance(width, float | int) and width <= 0:
        raise UserError(f"width (={width}) must be positive; 0.25 is usual.")
    exact = 2**count <= at_least_one("samples", samples)
    if isinstance(alpha, float | int) and alpha == 0 and not exact and samples <= count:
        raise UserError(f"alpha=0 needs more than {count} samples, one a segment, not {samples}.")
    masks = all_masks(count) if exact else coin_masks(_key("lime", key), count, samples)
    base = _filling(baseline, image, labels, count, key)
    scores = _masked_scores(score, image, masks, labels, base, chunk)
    return fit_lime(scores, masks, labels, alpha, width, exact=exact)


def kernel_shap_fit(
    score: Score,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    segments: Segments = 250,
    patches: int = 250,
    samples: int = 1000,
    baseline: Reference = 0.0,
    chunk: Chunk = 32,
) -> Surrogate:
    """Fit Shapley values of the patches by weighted regression (Lundberg & Lee 2017).

    They sum to score(x) − score(x′): both ends are constraints, not points of a large weight. With all masks
    they are exact, and their standard errors zero. Else masks come in pairs, one the other's complement
    (Covert & Lee 2021), with sizes drawn from the Shapley kernel; take several times more than patches.
    The other arguments are those of `lime_fit`.

    Raises:
      UserError: no key and more than `samples` possible masks.
    """
    image = at_least_float32(image)
    labels, count = label_patches(segments, patches, image)
    exact = 2**count <= max(2, at_least_one("samples", samples))
    if exact:
        masks = all_masks(count)
    else:
        masks = paired_masks(_key("kernel_shap", key), find_owners(labels, count), (samples - 2) // 2)
    base = _filling(baseline, image, labels, count, key)
    scores = _masked_scores(score, image, masks, labels, base, chunk)
    return fit_shapley(scores, masks, labels, exact=exact)


@functools.wraps(lime_fit, assigned=())  # the same options
def lime(score: Score, image: Float[Array, "*s c"], **options: Any) -> Float[Array, "*s 1"]:
    """Lay every patch's coefficient in `lime_fit` on its pixels: what the patch adds to the score.

    Options as there; `score` gives one number.
    """
    return _lay(lime_fit(score, image, **options))


@functools.wraps(kernel_shap_fit, assigned=())  # the same options
def kernel_shap(score: Score, image: Float[Array, "*s c"], **options: Any) -> Float[Array, "*s 1"]:
    """Lay every patch's Shapley value in `kernel_shap_fit` on all of its pixels.

    Options as there; `score` gives one number.
    """
    return _lay(kernel_shap_fit(score, image, **options))


def _lay(fit: Surrogate) -> Array:
    if fit.intercept.shape != ():
        raise UserError(
            f"score returns shape {fit.intercept.shape}; it must return one number, say logits[1]."
        )
    return _gather(fit.coefficients, fit.segments)


@jax.jit
def _gather(coefficients: Float[Array, "k"], labels: Int[Array, "*s"]) -> Float[Array, "*s 1"]:
    return coefficients[labels][..., None]


def _key(name: str, key: Array | None) -> Array:
    if key is None:
        raise UserError(f"{name} draws masks; pass key=jax.random.key(seed), or samples for all 2^K of them.")
    return jax.random.fold_in(key, 1)  # another stream than a baseline's that draws numbers


def _filling(baseline: Reference, image: Array, labels: Array, count: int, key: Array | None) -> Array:
    if isinstance(baseline, str) and baseline == "segment_mean":
        return segment_mean(image, labels, count)
    return reference_image(baseline, image, key)


def _masked_scores(
    score: Score, image: Array, masks: Bool[Array, "n k"], labels: Array, base: Array, chunk: Chunk
) -> Float[Array, "n *m"]:
    return map_chunks(lambda mask: _masked_score(score, mask, labels, image, base), masks, chunk)


@jit_method
def _masked_score(
    score: Score, mask: Bool[Array, "k"], labels: Int[Array, "*s"], image: Array, base: Array
) -> Float[Array, "*m"]:
    return at_least_float32(score(jnp.where(mask[labels][..., None], image, base)))
