"""Compute losses of the network's gates: their mean, their shape, and their distance from the evidence.

They come with the forward pass, so they cost next to nothing. `at` is the place of a gate ("input",
"stage1", …), or all of them, whose mean is taken. A mask supervises where there is one; elsewhere the term
is 0. Gates of kind softmax have a mean of 1, not a maximum: supervise those with `attention_kl`.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from lensjax.explain import to_image_grid
from lensjax.explain.engine.taps import GATE
from lensjax.losses.context import Context
from lensjax.losses.supervised import class_weight, smoothed_target
from lensjax.ops.map_statistics import mean_variation
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Batch, Bool, Float

LEAST = 1e-6
"""Logarithms are of no less: below it they have no usable gradient."""


def attention_sparsity(context: Context, batch: Batch, *, at: str = "all") -> Float[Array, "b"]:
    """Return the mean of the gates, a price on what attention lets through."""
    return mean_over_gates(context, "attention_sparsity", at, lambda gate: gate.mean())


def attention_area(
    context: Context, batch: Batch, *, at: str = "all", area: float = 0.1
) -> Float[Array, "b"]:
    """Return |mean of a gate − `area`|, the share of the image that attention should let through."""
    return mean_over_gates(context, "attention_area", at, lambda gate: jnp.abs(gate.mean() - area))


def attention_entropy(context: Context, batch: Batch, *, at: str = "all") -> Float[Array, "b"]:
    """Return the entropy of a gate as a distribution over its n positions, over log n: 1 if it is uniform."""

    def entropy(gate: Array) -> Array:
        p = gate / jnp.maximum(gate.sum(), LEAST)
        return -(p * jnp.log(jnp.maximum(p, LEAST))).sum() / jnp.log(max(gate.size, 2))

    return mean_over_gates(context, "attention_entropy", at, entropy)


def attention_tv(context: Context, batch: Batch, *, at: str = "all") -> Float[Array, "b"]:
    """Return the total variation: mean |difference| of neighbours, summed over rows and columns."""
    return mean_over_gates(context, "attention_tv", at, mean_variation)


def attention_bce(
    context: Context, batch: Batch, *, at: str = "all", balanced: bool = False
) -> Float[Array, "b"]:
    """Return the binary cross-entropy of a gate against the mask, mean over pixels.

    With `balanced`, inside and outside count half each; otherwise a mask of a few per cent of the image has
    little weight.
    """

    def term(gate: Array, mask: Array) -> Array:
        return binary_cross_entropy(gate, mask, balanced)

    return compare_gates(context, batch, "attention_bce", at, term)


def attention_dice(context: Context, batch: Batch, *, at: str = "all") -> Float[Array, "b"]:
    """Return 1 − 2 Σ aM / (Σ a + Σ M) (soft Dice): 0 where the gate is the mask, whatever the mask's size."""

    def term(gate: Array, mask: Array) -> Array:
        return 1 - 2 * (gate * mask).sum() / jnp.maximum(gate.sum() + mask.sum(), LEAST)

    return compare_gates(context, batch, "attention_dice", at, term)


def attention_kl(context: Context, batch: Batch, *, at: str = "all") -> Float[Array, "b"]:
    """Return KL(M / Σ M ‖ a / Σ a): the gate, as a distribution, should be the uniform one over the mask.

    KL(a ‖ M) would be infinite wherever the gate is open outside the mask.
    """

    def term(gate: Array, mask: Array) -> Array:
        size = jnp.maximum(mask.sum(), 1)
        q = jnp.maximum(gate / jnp.maximum(gate.sum(), LEAST), LEAST / gate.size)
        return -(mask * jnp.log(q * size)).sum() / size

    return compare_gates(context, batch, "attention_kl", at, term)


def attention_branch(context: Context, batch: Batch) -> Float[Array, "b"]:
    """Return the cross-entropy of the attention branch (ABN, Fukui et al. 2019), which sees the gate alone.

    The branch is what flows through the last gate, x · a, averaged over positions, and one dense layer of its
    own: its logits are Σ a · (a class activation map). The paper has convolutions before the average.
    """
    logits = context.outputs.branch_logits
    if logits is None:
        raise UserError(
            "loss attention_branch needs a gate and its branch: set model.attention.at and "
            "model.attention.branch, or weight 0."
        )
    entropy = optax.softmax_cross_entropy(logits, smoothed_target(context, batch))
    return entropy * class_weight(context, batch)


def mean_over_gates(
    context: Context, name: str, at: str, term: Callable[[Array], Array]
) -> Float[Array, "b"]:
    """Return the mean over the gates asked for of `term(gate [*grid])`."""
    values = [jax.vmap(term)(gate) for gate in gates(context, name, at).values()]
    return sum(values[1:], start=values[0]) / len(values)


def compare_gates(
    context: Context, batch: Batch, name: str, at: str, term: Callable[[Array, Array], Array]
) -> Float[Array, "b"]:
    """Return the mean over gates, brought to the image, of `term(gate [*s], mask [*s])`; 0 without a mask."""
    shape, masks = context.images.shape[1:], batch["mask"]
    values = []
    for place, gate in gates(context, name, at).items():
        where = context.registration(GATE + place)
        fine = jax.vmap(lambda one, where=where: to_image_grid(one, shape, **where))(gate)
        values.append(jax.vmap(term)(fine, masks.astype(fine.dtype)))
    return jnp.where(has_mask(masks), sum(values[1:], start=values[0]) / len(values), 0.0)


def gates(context: Context, name: str, at: str) -> dict[str, Array]:
    """Return gates [b *grid] by place.

    Raises:
      UserError: the network has none, or none there.
    """
    found = context.attention
    if not found:
        raise UserError(f"loss {name} needs attention; set model.attention.at, or weight 0.")
    if at != "all" and at not in found:
        raise UserError(f"loss {name}: no gate at '{at}'; choose all, {', '.join(found)}.")
    return found if at == "all" else {at: found[at]}


def has_mask(masks: Bool[Array, "b *s"]) -> Bool[Array, "b"]:
    """Return which examples have a mask."""
    return masks.any(tuple(range(1, masks.ndim)))


def binary_cross_entropy(p: Float[Array, "*s"], mask: Float[Array, "*s"], balanced: bool) -> Float[Array, ""]:
    """Return the mean over pixels of −log p inside and −log(1 − p) outside; balanced, of the two means."""
    # float32 holds no number between this and 1 that 1 − p would need.
    inside, outside = -jnp.log(jnp.maximum(p, LEAST)), -jnp.log(jnp.maximum(1 - p, LEAST))
    if not balanced:
        return (mask * inside + (1 - mask) * outside).mean()
    within = (mask * inside).sum() / jnp.maximum(mask.sum(), 1)
    return (within + ((1 - mask) * outside).sum() / jnp.maximum((1 - mask).sum(), 1)) / 2
