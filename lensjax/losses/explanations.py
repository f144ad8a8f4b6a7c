"""Compute losses that differentiate through an explanation, so that training changes the network's maps.

`map` is any method of `context.TRAINABLE`, written as for `--methods`, and explains the number `target` of
the true class without dropout. A mask supervises where there is one; elsewhere the term is 0. Terms that
compare a map's positive part with the mask are larger for a map that has none there (`depth_below_zero`).
Sources: Ross et al. 2017 (arXiv:1703.03717), Rao et al. 2023 (arXiv:2303.11932), Li et al. 2018
(arXiv:1802.10171), Ismail et al. 2021 (arXiv:2111.14338), Erion et al. 2021 (arXiv:1906.10670).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from lensjax.explain import normalise, positive, reference_image
from lensjax.losses.attention import binary_cross_entropy, has_mask
from lensjax.losses.context import Context
from lensjax.ops.map_statistics import gini_index, mean_variation
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Batch, Float

NOTHING = 1e-7
"""A map that sums to less is rounding."""


def right_reasons(
    context: Context, batch: Batch, *, map: str = "gradient", target: str = "log_probabilities"
) -> Float[Array, "b"]:
    """Return Σ over pixels outside the mask of the map's square (right for the right reasons).

    Of a map with channels, such as the paper's input gradient, each channel's square; of a CAM, the map's.
    """
    raw = context.attributions(map, batch, target)
    pixels = raw.ndim == context.images.ndim
    square = (raw**2).sum(-1) if pixels else context.explain(map, batch, target) ** 2
    outside = jnp.where(batch["mask"], 0, square).sum(tuple(range(1, square.ndim)))
    return jnp.where(has_mask(batch["mask"]), outside, 0)


def energy_in_mask(
    context: Context, batch: Batch, *, map: str = "grad_cam", target: str = "log_odds"
) -> Float[Array, "b"]:
    """Return 1 − the share of the map's positive part inside the mask (EPG); 1 where it has none."""

    def term(heat: Array, mask: Array) -> Array:
        total = heat.sum()
        return 1 - (mask * heat).sum() / jnp.where(total > NOTHING, total, 1)

    return compare_with_mask(context, batch, map, target, term)


def map_l1(
    context: Context, batch: Batch, *, map: str = "grad_cam", target: str = "log_odds"
) -> Float[Array, "b"]:
    """Return mean |R⁺/max R⁺ − M| over pixels."""

    def term(heat: Array, mask: Array) -> Array:
        return jnp.abs(normalise(heat) - mask).mean()

    return compare_with_mask(context, batch, map, target, term)


def map_cross_entropy(
    context: Context,
    batch: Batch,
    *,
    map: str = "grad_cam",
    target: str = "log_odds",
    outside: bool = True,
    balanced: bool = False,
) -> Float[Array, "b"]:
    """Return the binary cross-entropy of R⁺/max R⁺ against the mask, mean over pixels.

    Without `outside`, the mean of −log(R⁺/max R⁺) over the mask alone (PPCE). With `balanced`, inside and
    outside count half each.
    """

    def term(heat: Array, mask: Array) -> Array:
        # Beyond these bounds the gradient would be that of one pixel.
        p = jnp.clip(normalise(heat), 1e-3, 1 - 1e-3)
        if outside:
            return binary_cross_entropy(p, mask, balanced)
        return -(mask * jnp.log(p)).sum() / jnp.maximum(mask.sum(), 1)

    return compare_with_mask(context, batch, map, target, term)


def gain(
    context: Context,
    batch: Batch,
    *,
    map: str = "grad_cam",
    target: str = "log_odds",
    threshold: float = 0.5,
    sharpness: float = 10.0,
    masked_only: bool = False,
) -> Float[Array, "b"]:
    """Return the probability of the true class once the evidence is erased (guided attention inference).

    The network sees the image times 1 − σ(`sharpness` · (R⁺/max R⁺ − `threshold`)), so what is erased
    is 0: sky in images, no energy in events. Evidence that is left raises the term, so the map must become
    complete. `masked_only` leaves out examples without a mask: a class such as "no glitch" has nothing to
    erase.
    """

    def one(image: Array, heat: Array, label: Array) -> Array:
        erased = jax.nn.sigmoid(sharpness * (normalise(positive(heat)) - threshold))
        return context.score("probability", label, image * (1 - erased)[..., None])

    left = jax.vmap(one)(context.images, context.explain(map, batch, target), batch["label"])
    return jnp.where(has_mask(batch["mask"]), left, 0) if masked_only else left


def saliency_guided(
    context: Context,
    batch: Batch,
    *,
    map: str = "gradient",
    target: str = "logit",
    share: float = 0.5,
    baseline: str = "mean",
) -> Float[Array, "b"]:
    """Return KL(p(x) ‖ p(x̃)), x̃ the image with its least salient pixels replaced.

    Of the pixels, the `share` with the smallest magnitude (summed over channels) become `baseline`, a name of
    lensjax.explain.REFERENCES, or noise. Which ones they are has no gradient, so the term is of first order.
    """
    if not 0 < share < 1:
        raise UserError(f"loss saliency_guided: share (={share}) must be between 0 and 1.")
    raw = jax.lax.stop_gradient(context.attributions(map, batch, target))
    on_pixels = raw.ndim == context.images.ndim
    saliency = jnp.abs(raw).sum(-1) if on_pixels else jnp.abs(context.explain(map, batch, target))

    def one(image: Array, saliency: Array, key: Array) -> Array:
        order = jnp.argsort(jax.lax.stop_gradient(saliency).ravel())
        least = jnp.zeros(order.shape, bool).at[order[: round(share * order.size)]].set(True)
        replaced = jnp.where(
            least.reshape(saliency.shape)[..., None], reference_image(baseline, image, key), image
        )
        log_p, log_q = (jax.nn.log_softmax(context.network(x).logits) for x in (image, replaced))
        return (jnp.exp(log_p) * (log_p - log_q)).sum()

    return jax.vmap(one)(context.images, saliency, context.keys)


def expected_gradients(
    context: Context,
    batch: Batch,
    *,
    map: str = "expected_gradients",
    target: str = "log_odds",
    prior: str = "tv",
) -> Float[Array, "b"]:
    """Return a prior on expected gradients with other images of the batch as references, one a step.

    `tv` is the total variation of the map, so that it is smooth, and falls with the map's size too; `sparse`
    is 1 − the Gini coefficient of its magnitude, which is 0 when one pixel has it all.
    """
    if prior not in PRIORS:
        raise UserError(f"loss expected_gradients: unknown prior '{prior}'; choose {', '.join(PRIORS)}.")
    return jax.vmap(PRIORS[prior])(context.explain(map, batch, target))


def one_minus_gini(heat: Float[Array, "*s"]) -> Float[Array, ""]:
    """Return 1 − the Gini index: 1 for a uniform map, 0 for one of nothing."""
    return jnp.where(jnp.abs(heat).sum() > NOTHING, 1 - gini_index(heat, NOTHING), 0)


PRIORS: dict[str, Callable[[Array], Array]] = {"tv": mean_variation, "sparse": one_minus_gini}


def compare_with_mask(
    context: Context, batch: Batch, map: str, target: str, term: Callable[[Array, Array], Array]
) -> Float[Array, "b"]:
    """Return `term(R⁺ [*s], mask [*s])` plus `depth_below_zero`; 0 without a mask, or where the map is 0."""

    def one(heat: Array, mask: Array) -> Array:
        value = term(positive(heat), mask.astype(heat.dtype)) + depth_below_zero(heat, mask)
        return jnp.where(jnp.abs(heat).max() > NOTHING, value, 0)

    values = jax.vmap(one)(context.explain(map, batch, target), batch["mask"])
    return jnp.where(has_mask(batch["mask"]), values, 0)


def depth_below_zero(heat: Float[Array, "*s"], mask: Array) -> Float[Array, ""]:
    """Return how far the best pixel of the mask lies below zero, d, as d/(d + mean |R|): 0 to 1.

    Without it a map that is negative on all evidence has no gradient, and networks learned such maps
    (docs/cycle_study.md).
    """
    depth = jnp.maximum(-jnp.where(mask, heat, heat.min()).max(), 0)
    scale = depth + jnp.abs(heat).mean()
    return depth / jnp.where(scale > NOTHING, scale, 1)
