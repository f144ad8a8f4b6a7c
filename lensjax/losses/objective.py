"""The objective: a weighted sum of named loss terms, averaged over the valid rows of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import optax

from lensjax.config import LossConfig, Ramp
from lensjax.losses import LOSSES, Context, Term
from lensjax.losses.custom import load, options_of
from lensjax.ops.stored_images import to_float32
from lensjax.runtime.errors import UserError
from lensjax.specs import suggest_name
from lensjax.types import Array, Batch, Float, Int, Outputs

FRACTION = "fraction"  # the option that every term has


def objective(
    forward: Callable[..., Outputs],
    batch: Batch,
    config: LossConfig,
    *,
    still: Callable[..., Outputs] | None = None,
    places: Mapping[str, Any] | None = None,
    step: Int[Array, ""] | None = None,
    key: Array | None = None,
) -> tuple[Float[Array, ""], tuple[dict[str, Array], Context]]:
    """Return Σ weight · mean(term), each term's mean, and the context they were computed in.

    `still`, `places` and `key` are the context's. Without a `step`, as in evaluation, a scheduled weight is
    the one it ends with, and every term sees all rows, so that losses of different steps can be compared.
    """
    batch = widen_images(batch)
    context = Context(forward, batch["image"], config, still, places or {}, key)
    parts: dict[int, Context] = {}
    terms = {}
    for name, weight in config.weights.items():
        if weight:
            options = dict(config.options.get(name, {}))
            rows = count_rows(options.pop(FRACTION, 1.0), len(batch["valid"]), everything=step is None)
            # Terms on the same rows share their explanations.
            part = parts.setdefault(rows, context.first(rows))
            some: Any = {field: values[:rows] for field, values in dict[str, Any](batch).items()}
            values = find_term(name, config)(part, batch if part is context else some, **options)
            terms[name] = masked_mean(values, batch["valid"][:rows])
    weights = {name: weight_at(config.weights[name], step) for name in terms}
    total = sum((weights[name] * value for name, value in terms.items()), start=jnp.zeros(()))
    ramps = {f"{name}_weight": weights[name] for name in terms if isinstance(config.weights[name], Ramp)}
    return total, ({**terms, **ramps}, context)


def widen_images(batch: Batch) -> Batch:
    """Return the batch with images in float32, as networks see them: halves widened, bytes over 255.

    On the device, where batches arrive as they are stored. Other floats stay as they are.
    """
    fields: Any = dict(batch)
    for name in ("image", "light"):
        if name in fields and fields[name].dtype in (jnp.uint8, jnp.float16):
            fields[name] = to_float32(fields[name])
    return fields


def masked_mean(values: Float[Array, "b"], valid: Array) -> Float[Array, ""]:
    """Return the mean over valid rows; 0 when there are none."""
    return jnp.where(valid, values, 0.0).sum() / jnp.maximum(valid.sum(), 1)


def count_rows(fraction: float, rows: int, *, everything: bool) -> int:
    """Return how many rows of a batch a term sees, at least one."""
    return rows if everything else math.ceil(fraction * rows)


def weight_at(weight: float | Ramp, step: Int[Array, ""] | None) -> Any:
    """Return a weight at a step; None for the end of training."""
    if not isinstance(weight, Ramp):
        return weight
    if step is None:
        return weight.end
    return optax.linear_schedule(weight.start, weight.end, weight.steps, weight.wait)(step)


def find_term(name: str, config: LossConfig) -> Term:
    """Return a term of lensjax, or one of the configuration's own."""
    if name in LOSSES:
        return LOSSES[name]
    term = config.losses[name]
    return load(name, term) if isinstance(term, str) else term


def check_weights(config: LossConfig) -> None:
    """Refuse unknown terms and options and an empty objective before anything is traced.

    Raises:
      UserError: with the known terms, or the term's options.
    """
    known = (*LOSSES, *config.losses)
    if taken := sorted(set(LOSSES) & set(config.losses)):
        raise UserError(f"loss.losses names {', '.join(taken)}, which lensjax has: choose another name.")
    unknown = sorted((set(config.weights) | set(config.options)) - set(known))
    if unknown:
        raise UserError(f"unknown loss {', '.join(unknown)}; known: {', '.join(known)}.")
    if not any(config.weights.values()):
        raise UserError(f"all loss weights are 0; give one of {', '.join(known)} a weight.")
    for name, weight in config.weights.items():
        if isinstance(weight, Ramp) and (weight.steps < 1 or weight.wait < 0):
            raise UserError(
                f"loss.weights.{name} {weight} must have steps of 1 or more and wait of 0 or more."
            )
        if weight:
            check_options(name, find_term(name, config), config.options.get(name, {}))


def check_options(name: str, term: Term, given: Mapping[str, Any]) -> None:
    """Refuse options that a term does not have, and values of the wrong kind.

    Raises:
      UserError: lists the options it has.
    """
    defaults = {**options_of(term), FRACTION: 1.0}
    for option, value in given.items():
        if option not in defaults:
            hint = suggest_name(option, defaults)
            raise UserError(f"loss {name} has no option '{option}'{hint}; it has {', '.join(defaults)}.")
        default = defaults[option]
        if isinstance(default, bool):
            right, kind = isinstance(value, bool), "True or False"
        elif isinstance(default, int | float):
            right, kind = isinstance(value, int | float) and not isinstance(value, bool), "a number"
        elif isinstance(default, str):
            right, kind = isinstance(value, str), "of type str"
        else:
            continue
        if not right:
            raise UserError(f"loss {name}: {option} (={value!r}) must be {kind}.")
    if not 0 < given.get(FRACTION, 1.0) <= 1:
        raise UserError(f"loss {name}: fraction (={given[FRACTION]}) must be above 0 and at most 1.")
