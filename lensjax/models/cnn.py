"""The N-d convolutional trunk: stages of convolution, activation and pooling with named ends and taps.

One class for images [b h w c] and events [b t h w c]. Whatever a stage makes is recorded in `ends` under its
name; a tap of that name is added to it first, so the gradient with respect to a zero tap is the gradient
with respect to that activation.
"""

from __future__ import annotations

from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp

from lensjax.config import AttentionConfig, ModelConfig
from lensjax.models.attention import SpatialAttention
from lensjax.models.event_views import FLAT, keep_windows, show_view
from lensjax.models.heads import Head, mean_probability
from lensjax.ops.conv import conv, max_pool
from lensjax.runtime.errors import UserError
from lensjax.types import Array, CellGrid, Float, Outputs

Taps = Mapping[str, Array] | None
ACTIVATIONS = {"relu": nn.relu, "gelu": nn.gelu, "silu": nn.silu, "softplus": nn.softplus}
he_normal = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


def tap(x: Array, taps: Taps, ends: dict[str, Array], name: str) -> Array:
    """Add the perturbation of that name, if there is one, and record the result."""
    if taps is not None and name in taps:
        x = x + taps[name]
    ends[name] = x
    return x


class Network(nn.Module):
    """Trunk, attention and head as one function of images; make it with `build.build`."""

    config: ModelConfig

    @nn.compact
    def __call__(self, images: Float[Array, "b *s c"], taps: Taps = None, train: bool = False) -> Outputs:
        config = self.config
        ends: dict[str, Array] = {}
        attention: dict[str, Array] = {}
        x = show_view(config.view, keep_windows(config.only_windows, tap(images, taps, ends, "input")))
        origin, step = trunk_grids(config, x.shape[1:-1])["head"]
        for stage, features in enumerate(config.features):
            for place in (["input"] if stage == 0 else []) + [f"stage{stage + 1}"]:
                if place in config.attention.at:
                    gate = attention_layer(config.attention, place)
                    x, attention[place] = gate(x)
                    ends[f"attention:{place}"] = attention[place]
                    gated = x
            x = self._stage(x, taps, ends, stage, features, train)
        branch = self._branch(gated) if config.attention.branch else None
        classes, windows = len(config.classes), config.windows
        head = Head(config.head, config.hidden, classes, origin, step, config.pooling, windows, name="head")
        if config.decide == "window":
            logits = classify_windows(head, x)
            return Outputs(
                logits=mean_probability(logits),
                attention=attention,
                ends=ends,
                window_logits=logits,
                branch_logits=branch,
            )
        logits, position, sigma, heat, weights = head(x)
        if weights is not None:
            # First among the ends: a map of the last gate is a map over space wherever there is one.
            attention, ends = {**attention, "windows": weights}, {"attention:windows": weights, **ends}
        return Outputs(
            logits=logits,
            position=position,
            position_sigma=sigma,
            attention=attention,
            mask_logits=heat,
            ends=ends,
            branch_logits=branch,
        )

    def _branch(self, gated: Array) -> Array:
        """Return logits [b k] of the mean of what a gate lets through."""
        return nn.Dense(len(self.config.classes), name="branch")(gated.mean(tuple(range(1, gated.ndim - 1))))

    def _stage(self, x: Array, taps: Taps, ends: dict, stage: int, features: int, train: bool) -> Array:
        config, name = self.config, f"stage{stage + 1}"
        kernel, pool = geometry(config, stage, x.ndim - 2)
        weights, bias = convolution(self, config, name, (*kernel, x.shape[-1], features))
        linear = conv(x, weights, config.padding)
        x = tap(ACTIVATIONS[config.activation](linear + bias), taps, ends, name)
        if config.activation == "relu" and name not in (taps or {}):
            # ReLU rises, so it may follow the maximum: the same numbers from fewer of them.
            x = nn.relu(max_pool(linear, pool) + bias)
        else:
            x = max_pool(x, pool)
        return nn.Dropout(config.dropout, deterministic=not train)(x)


def convolution(
    module: nn.Module, config: ModelConfig, name: str, shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """Make kernel [*k c f] and bias [f] of a layer, parameters of `module`; standardised if configured."""
    weights = module.param(f"{name}_kernel", he_normal, shape)
    if config.standardise:
        if weights[..., 0].size == 1:
            raise UserError(
                f"model.standardise leaves nothing of a filter of one number ({name}): "
                "use a larger model.kernel, or --model.no-standardise."
            )
        weights = standardise(weights) * module.param(f"{name}_gain", nn.initializers.ones_init(), shape[-1:])
    zeros = nn.initializers.zeros_init()
    return weights, module.param(f"{name}_bias", zeros, shape[-1:]) if config.bias else jnp.zeros(shape[-1])


def classify_windows(head: Head, x: Float[Array, "b *s c"]) -> Float[Array, "b t k"]:
    """Return the logits of each window by itself, by the same head."""
    if x.ndim != 5:
        raise UserError(f"model.decide window needs events; the trunk gave {x.shape}: use decide event.")
    b, t = x.shape[:2]
    return head(x.reshape(b * t, *x.shape[2:]))[0].reshape(b, t, -1)


def standardise(weights: Float[Array, "*k c f"]) -> Float[Array, "*k c f"]:
    """Give every filter mean 0 and the norm that keeps the variance through a ReLU.

    Weight standardisation (Qiao et al. 2019, arXiv:1903.10520), scaled (Brock et al. 2021,
    arXiv:2101.08692, eq. 1). A filter of mean 0 does not respond to a constant image, so faint arcs on bright
    galaxies are seen from the first step; unlike batch normalisation it is local and has no state.
    """
    axes = tuple(range(weights.ndim - 1))
    centred = weights - weights.mean(axes)
    # √2 / √(1 - 1/π): the standard deviation of relu(z) over that of z is √((1 - 1/π) / 2).
    norm = jnp.sqrt((centred**2).sum(axes) + 1e-8)
    return centred / norm * (2 / (1 - 1 / jnp.pi)) ** 0.5


def attention_layer(config: AttentionConfig, place: str) -> SpatialAttention:
    """Make the gate before a place, its parameters under `attention_PLACE`."""
    return SpatialAttention(config.kernel, config.kind, config.per_window, name=f"attention_{place}")


def geometry(config: ModelConfig, stage: int, dims: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return kernel and pooling window of a stage: (time, row, column) in 3D, (row, column) in 2D.

    The lowest level of a U-Net is not pooled.
    """

    def per_stage(values: tuple[int, ...]) -> int:
        return values[stage] if len(values) > 1 else values[0]

    time = dims - 2
    kernel = (per_stage(config.time_kernel),) * time + (per_stage(config.kernel),) * 2
    pool = (per_stage(config.time_pool),) * time + (per_stage(config.pool),) * 2
    if config.kind == "unet" and stage == len(config.features) - 1:
        pool = (1,) * dims
    return kernel, pool


def grids(config: ModelConfig, shape: tuple[int, ...]) -> dict[str, CellGrid]:
    """Return where the cells of each end lie on an input of `shape` [*s].

    What has no place there is left out: the weights of windows, and under a view that makes an image of an
    event, everything but "input".
    """
    found = trunk_grids(config, shape)
    return {"input": found["input"]} if config.view in FLAT else found


def trunk_grids(config: ModelConfig, shape: tuple[int, ...]) -> dict[str, CellGrid]:
    """Return (centre of the first cell, distance of cells) in fractions of `shape`, by end of the trunk.

    A cell's centre is the centre of its receptive field. Unpadded convolutions and pooling that drops a
    remainder move it away from "cell i of n is at (i + ½)/n", which is what misplaced published maps.
    "head" is the grid that the head receives.
    """
    origin, step = [0.5] * len(shape), [1.0] * len(shape)
    found: dict[str, CellGrid] = {}

    def record(*names: str) -> None:
        where = tuple(o / n for o, n in zip(origin, shape, strict=True))
        found.update(dict.fromkeys(names, (where, tuple(s / n for s, n in zip(step, shape, strict=True)))))

    record("input", "attention:input")
    for stage in range(len(config.features)):
        record(f"attention:stage{stage + 1}")
        kernel, pool = geometry(config, stage, len(shape))
        for axis, k in enumerate(kernel):
            shift = (k - 1) / 2 if config.padding == "VALID" else (k - 1) / 2 - (k - 1) // 2
            origin[axis] += shift * step[axis]
        record(f"stage{stage + 1}", *([f"up{stage + 1}"] if config.kind == "unet" else []))
        for axis, p in enumerate(pool):
            origin[axis] += (p - 1) / 2 * step[axis]
            step[axis] *= p
    record("head")
    return found
