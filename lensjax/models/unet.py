"""Restore the light of the lensed source with an N-d U-Net, and classify from its lowest level.

Naberrie (Wilde, NAM 2022): four levels down and four up with skips, two convolutions a level, and a dense
head on the bottleneck. The place is read off the restored light, so it is no better than what was restored.
"""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from lensjax.models.cnn import ACTIVATIONS, Network, Taps, convolution, geometry, grids, tap
from lensjax.models.heads import Head, mean_position
from lensjax.ops.conv import conv, max_pool
from lensjax.ops.map_statistics import share_weights
from lensjax.types import Array, Float, Outputs


class UNet(Network):
    """One level for each of `features`, the last of which is not pooled; make it with `build.build`.

    Parameters of the way down are `stageN_…`, of the way up `upN_…` and `restored_…`, of the class `head`.
    """

    @nn.compact
    def __call__(self, images: Float[Array, "b *s c"], taps: Taps = None, train: bool = False) -> Outputs:
        config = self.config
        down: dict[str, Array] = {}
        up: dict[str, Array] = {}
        x, levels = tap(images, taps, down, "input"), []
        for level, features in enumerate(config.features):
            kernel, pool = geometry(config, level, x.ndim - 2)
            x = tap(self._pair(x, f"stage{level + 1}", kernel, features), taps, down, f"stage{level + 1}")
            x = nn.Dropout(config.dropout, deterministic=not train)(x)
            levels.append((x, kernel, pool))
            x = max_pool(x, pool)
        head = Head("class", config.hidden, len(config.classes), pooling=config.pooling, name="head")
        logits, *_, weights = head(x)
        for level in reversed(range(len(levels) - 1)):
            skip, kernel, pool = levels[level]
            x = jnp.concatenate([enlarge(x, pool, skip.shape[1:-1]), skip], axis=-1)
            x = self._pair(x, f"up{level + 1}", kernel, config.features[level])
            x = tap(x, taps, up, f"up{level + 1}")
        restored = self._restored(x, images.shape[-1])
        place = light_centroid(restored, *grids(config, images.shape[1:-1])["input"])
        attention = {} if weights is None else {"windows": weights}
        # The deepest stage comes last: it is the layer that the class is decided on.
        ends = {
            "input": down.pop("input"),
            **up,
            **{f"attention:{n}": w for n, w in attention.items()},
            **down,
        }
        return Outputs(logits=logits, position=place, attention=attention, ends=ends, restored=restored)

    def _pair(self, x: Array, name: str, kernel: tuple[int, ...], features: int) -> Array:
        for part in "ab":
            weights, bias = convolution(self, self.config, f"{name}{part}", (*kernel, x.shape[-1], features))
            x = ACTIVATIONS[self.config.activation](conv(x, weights) + bias)
        return x

    def _restored(self, x: Array, bands: int) -> Array:
        """Compute every band from the features of its pixel; 0 at first, as most of every target is."""
        shape = (*(1 for _ in x.shape[1:-1]), x.shape[-1], bands)
        kernel = self.param("restored_kernel", nn.initializers.normal(0.01), shape)
        return conv(x, kernel) + self.param("restored_bias", nn.initializers.zeros_init(), (bands,))


def enlarge(x: Float[Array, "b *s c"], window: Sequence[int], shape: Sequence[int]) -> Float[Array, "b *n c"]:
    """Repeat each cell over the window it was pooled from; a remainder that was dropped takes the edge."""
    for axis, (repeats, n) in enumerate(zip(window, shape, strict=True), start=1):
        x = jnp.repeat(x, repeats, axis=axis)
        sides = [(0, 0)] * x.ndim
        sides[axis] = (0, n - x.shape[axis])
        x = jnp.pad(x, sides, mode="edge")
    return x


def light_centroid(
    light: Float[Array, "b *s c"], origin: tuple[float, ...], step: tuple[float, ...]
) -> Float[Array, "b 2"]:
    """Return the mean position of the squared positive light, in fractions; 0.5 where there is none.

    Squared, the thousands of pixels that were restored to almost nothing do not pull it to the middle; on the
    image's asinh scale no single bright pixel decides alone.
    """
    weights = (jnp.maximum(light, 0) ** 2).sum(-1)
    shares = share_weights(weights, tuple(range(1, weights.ndim)))
    return mean_position(shares, origin[-2:], step[-2:])
