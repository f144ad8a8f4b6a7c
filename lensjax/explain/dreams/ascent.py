"""Raise a score by gradient ascent on an image, step by step, within bounds.

The network always sees the whole grid. A parametrisation x = Dz (an octave's coarse canvas, Fourier
coefficients) only filters the gradient: a step along Dᵀg in z is one along DDᵀg in x. So the image itself is
all the state there is, and bounds and norm hold exactly. "Space" is rows and columns, counted from the right:
nothing here mixes the windows of an event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.explain.engine.loops import at_least, at_least_float32, at_least_one, map_chunks
from lensjax.explain.engine.programs import is_staged, jit_method, share_traces
from lensjax.explain.methods.gradient import Score, value
from lensjax.ops.map_statistics import total_variation
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, PRNGKeyArray

PARAMETRISATIONS = ("pixel", "fourier")
Pair = tuple[int, int]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Dream:
    """The last image and the steps to it. A pytree: under `jit` and `vmap` the fields are tracers."""

    image: Any  # float32 [*s c]
    frames: Any  # [f *s c]
    scores: Any  # [f], of the frames
    steps: Any  # int32 [f], made when a frame was taken
    curve: Any  # [n], the score that each step saw: of the shifted image, where there is jitter


def ascend(
    objective: Score,
    start: Float[Array | np.ndarray, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    steps: int = 128,
    step_size: float = 0.1,
    jitter: int | tuple[int, ...] = 0,
    octaves: int = 1,
    octave_scale: float = 2.0,
    tv: float = 0.0,
    norm: float | None = None,
    parametrisation: str = "pixel",
    bounds: tuple[float, float] | None = None,
    keep: int = 8,
) -> Dream:
    """Raise `objective` from `start` by normalised gradient steps (after Mordvintsev et al. 2015).

    A step changes pixels by `step_size` (r.m.s., image units), which falls to nothing over each octave so
    that the image settles. `jitter` shifts the image by up to so many rows and columns before each gradient.
    `octaves` split the steps: gradients first on a canvas coarser by `octave_scale` an octave, at last on the
    pixels. `tv` is the weight of total variation against the gradient at r.m.s. 1, so that one value suits
    any network. `fourier` divides amplitudes by frequency (Olah et al. 2017). Every image, the start too, is
    clipped to `bounds` and shrunk to an L2 norm of `norm` at most. `keep` frames are evenly spaced.

    Raises:
      UserError: an option out of range, an image with NaN, a score that stops being finite or does not
        depend on the image.
    """
    image = at_least_float32(jnp.asarray(start))
    shift, weight = _check(image, key, steps, step_size, jitter, octaves, octave_scale, tv, parametrisation)
    limits = _read_limits(bounds, norm)
    kept = np.unique(np.linspace(0, steps, at_least("keep", keep, 2)).round().astype(np.int32))
    image = clip_to_range(image, *limits)
    state = image, jnp.zeros((len(kept), *image.shape), image.dtype).at[0].set(image)
    slots = np.searchsorted(kept, np.arange(1, steps + 1)).astype(np.int32)
    slots = np.where(np.isin(np.arange(1, steps + 1), kept), slots, len(kept)).astype(np.int32)
    seen = []
    for octave, part in enumerate(np.array_split(np.arange(steps, dtype=np.int32), octaves)):
        pace = (step_size * (1 - np.arange(len(part)) / len(part))).astype(np.float32)
        grid = _canvas_size(image.shape, octave_scale ** (octaves - 1 - octave))
        how = {"tv": weight, "grid": grid, "parametrisation": parametrisation}
        one = partial(_step, objective, key, limits, shift, how)
        state, saw = _loop(one, state, (part, slots[part], pace))
        seen.append(saw)
    curve, slopes = (jnp.concatenate(parts) for parts in zip(*seen, strict=True))
    _check_path(curve, slopes)
    scores = map_chunks(partial(value, objective), state[1], 1)
    return Dream(state[0], state[1], scores, jnp.asarray(kept), curve)


def clip_to_range(image: Array, low: Array, high: Array, norm: Array) -> Array:
    """Clip an image, then shrink it to the norm; with 0 within the bounds both hold."""
    image = jnp.clip(image, low, high)
    return image * jnp.minimum(1, norm / jnp.maximum(jnp.sqrt((image**2).sum()), 1e-30))


def _step(
    objective: Score,
    key: Array | None,
    limits: tuple,
    jitter: Pair,
    how: dict[str, Any],
    state: Any,
    now: Any,
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Make one step; what is compiled per canvas leaves out the network."""
    image, (number, slot, pace) = state[0], now
    score, slope = _slope(objective, image, key, number, jitter=jitter)
    image, frames, size = _move(image, state[1], slope, slot, pace, limits, **how)
    return (image, frames), (score, size)


@partial(jit_method, static=("jitter",))
def _slope(
    objective: Score, image: Array, key: Array | None, number: Array, *, jitter: Pair
) -> tuple[Array, Array]:
    """Return the score and its gradient, of a shifted image where there is jitter."""

    def seen(x: Array) -> Array:
        if jitter == (0, 0) or key is None:
            return value(objective, x)
        reach = jnp.array(jitter)
        shift = jax.random.randint(jax.random.fold_in(key, number), (2,), -reach, reach + 1)
        return value(objective, jnp.roll(x, shift, (x.ndim - 3, x.ndim - 2)))

    return jax.value_and_grad(seen)(image)


@partial(jax.jit, static_argnames=("grid", "parametrisation"))
def _move(
    image: Array,
    frames: Array,
    slope: Array,
    slot: Array,
    pace: Array,
    limits: tuple[Array, Array, Array],
    tv: Array,
    grid: Pair,
    parametrisation: str,
) -> tuple[Array, Array, Array]:
    up = filter_slope(slope, grid, parametrisation)
    size = jnp.sqrt((up**2).mean())
    # Differences below a step's size are rounded off: there the slope of √ would make pixels tremble.
    rough = jax.grad(total_variation)(image, pace)
    image = clip_to_range(image + pace * (up / jnp.maximum(size, 1e-30) - tv * rough), *limits)
    return image, frames.at[slot].set(image, mode="drop"), size


def filter_slope(slope: Array, grid: Pair, parametrisation: str) -> Array:
    """Return DDᵀ · slope, D the way from an octave's canvas, or its Fourier coefficients, to the image."""
    coarse = (*slope.shape[:-3], *grid, slope.shape[-1])

    def enlarge(canvas: Array) -> Array:
        return jax.image.resize(canvas, slope.shape, "cubic") if coarse != slope.shape else canvas

    canvas = jax.linear_transpose(enlarge, jax.ShapeDtypeStruct(coarse, slope.dtype))(slope)[0]
    if parametrisation == "fourier":
        rows, columns = np.fft.fftfreq(grid[0])[:, None], np.fft.rfftfreq(grid[1])
        scale = 1 / np.maximum(np.hypot(rows, columns), 1 / max(grid))
        axes = (slope.ndim - 3, slope.ndim - 2)
        spectrum = jnp.fft.rfft2(canvas, axes=axes) * jnp.asarray(scale[..., None] ** 2, slope.dtype)
        canvas = jnp.fft.irfft2(spectrum, s=grid, axes=axes)
    return enlarge(canvas)


def _loop(step: Callable, state: Any, plan: tuple[np.ndarray, ...]) -> Any:
    """Loop on the host, or in a scan under `jit`: see `engine.loops`."""
    if is_staged():
        return jax.lax.scan(step, state, plan)
    rows = []
    with share_traces():
        for now in zip(*plan, strict=True):
            state, row = step(state, now)
            rows.append(row)
    return state, jax.tree.map(lambda *each: jnp.stack(each), *rows)


def _canvas_size(shape: tuple[int, ...], factor: float) -> Pair:
    return round(shape[-3] / factor), round(shape[-2] / factor)


def _read_limits(bounds: tuple[float, float] | None, norm: float | None) -> tuple[Array, Array, Array]:
    low, high = (-np.inf, np.inf) if bounds is None else bounds
    if not low < high:
        raise UserError(f"bounds (={bounds}) must be two numbers, the lower one first.")
    if norm is not None and not (norm > 0 and low <= 0 <= high):
        raise UserError(f"norm (={norm}) must be positive, and 0 lie within bounds (={bounds}).")
    return jnp.float32(low), jnp.float32(high), jnp.float32(np.inf if norm is None else norm)


def _check(
    image: Array, key: Any, steps: Any, size: Any, jitter: Any, octaves: Any, scale: Any, tv: Any, kind: str
) -> tuple[Pair, Array]:
    """Check the options' ranges; return the jitter of rows and columns, and the weight of total variation."""
    if image.ndim < 3:
        raise UserError(f"the image has shape {image.shape}; give [h w c], or [t h w c] for an event.")
    if not isinstance(image, jax.core.Tracer) and not bool(jnp.isfinite(image).all()):
        bad = int((~jnp.isfinite(image)).sum())
        raise UserError(f"the image holds {bad} values that are NaN or infinite; fill them first.")
    if at_least_one("octaves", octaves) > at_least_one("steps", steps):
        raise UserError(f"octaves (={octaves}) share the steps (={steps}): give at least one step each.")
    if not (np.isfinite(size) and size > 0):
        raise UserError(f"step_size (={size}) must be positive: image units that pixels change in a step.")
    if not (np.isfinite(tv) and tv >= 0):
        raise UserError(f"tv (={tv}) must be 0 or more; about 0.2 removes the grain.")
    if not scale > 1:
        raise UserError(f"octave_scale (={scale}) must be above 1; 2 halves rows and columns.")
    if octaves > 1 and min(_canvas_size(image.shape, scale ** (octaves - 1))) < 2:
        raise UserError(
            f"octaves (={octaves}) at octave_scale {scale} leave less than 2 pixels of "
            f"{image.shape[-3]} × {image.shape[-2]}: take fewer."
        )
    if kind not in PARAMETRISATIONS:
        raise UserError(f"unknown parametrisation '{kind}'; choose from {', '.join(PARAMETRISATIONS)}.")
    pair = jitter if isinstance(jitter, tuple) else (jitter, jitter)
    if len(pair) != 2:
        raise UserError(f"jitter (={jitter}) must be one number, or two: of rows and of columns.")
    shift = at_least("jitter", pair[0], 0), at_least("jitter", pair[1], 0)
    if shift != (0, 0) and key is None:
        raise UserError("jitter draws numbers; pass key=jax.random.key(seed).")
    return shift, jnp.float32(tv)


def _check_path(curve: Array, slopes: Array) -> None:
    if isinstance(curve, jax.core.Tracer):
        return
    bad = np.flatnonzero(~np.isfinite(np.asarray(curve)) | ~np.isfinite(np.asarray(slopes)))
    if len(bad):
        raise UserError(
            f"the score or its gradient stopped being finite at step {bad[0]} of {len(curve)} (score "
            f"{float(curve[bad[0]])}): lower step_size, or give bounds or a norm."
        )
    if not np.any(np.asarray(slopes)):
        raise UserError(
            "the score does not depend on the image at its start (all gradients are 0): start elsewhere, "
            "with more noise, or choose another layer or channel."
        )
