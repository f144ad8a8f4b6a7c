"""Describe a network layer by layer, so that a method can compute a part of it: see `incremental`.

Every layer is local: a cell of its output depends on `kernel` cells of its input along each axis, `stride`
cells further for the next. It is given by what it does without padding (`local`) and by its `reach`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.ops.conv import conv
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, Int

LARGEST_SHIFTED = 125
"""Taps of a kernel on one channel that are summed one by one: each is compiled by itself."""


class Reach(NamedTuple):
    """Along one axis: cells seen, cells to the next output, zeros before and after the map."""

    kernel: int
    stride: int = 1
    before: int = 0
    after: int = 0

    def size(self, cells: int) -> int:
        """Return outputs of so many inputs."""
        return (cells + self.before + self.after - self.kernel) // self.stride + 1


def identity(x: Array) -> Array:
    return x


def static(default: Any = ...) -> Any:
    """Declare a field that belongs to the structure: another value is another compilation."""
    return field(metadata={"static": True}, **({} if default is ... else {"default": default}))


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)  # arrays have no plain equality
class Convolution:
    """`activation(kernel * x + bias)`, stride 1, zeros around the map (SAME) or none (VALID).

    Fold what is affine at evaluation, such as batch normalisation, into kernel and bias.
    """

    kernel: Any  # [*k c f]
    bias: Any = 0.0  # [f], or 0
    activation: Callable[[Array], Array] = static(identity)
    padding: str = static("SAME")

    def reach(self) -> list[Reach]:
        if self.padding not in ("SAME", "VALID"):
            raise UserError(f"unknown padding '{self.padding}'; choose SAME or VALID.")
        same = self.padding == "SAME"
        return [Reach(k, 1, (k - 1) // 2 * same, k // 2 * same) for k in self.kernel.shape[:-2]]

    def local(self, x: Float[Array, "*r c"], first: Int[Array, "d"]) -> Float[Array, "*o f"]:
        return self.activation(correlate(x, self.kernel) + self.bias)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)  # arrays have no plain equality
class Pointwise:
    """`function(x)`, number by number."""

    function: Callable[[Array], Array] = static()
    axes: int = static(2)
    """Spatial axes of the image."""

    def reach(self) -> list[Reach]:
        return [Reach(1)] * self.axes

    def local(self, x: Float[Array, "*r c"], first: Int[Array, "d"]) -> Float[Array, "*r c"]:
        return self.function(x)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)  # arrays have no plain equality
class MaxPool:
    """Maximum over windows side by side; what does not fill a window at the far edge is dropped."""

    window: tuple[int, ...] = static()

    def reach(self) -> list[Reach]:
        return [Reach(w, w) for w in self.window]

    def local(self, x: Float[Array, "*r c"], first: Int[Array, "d"]) -> Float[Array, "*o c"]:
        # An axis at a time, the last first: fewer numbers for the next, and neighbours in memory.
        for axis in reversed(range(len(self.window))):
            if self.window[axis] > 1:
                x = x.reshape(*x.shape[:axis], -1, self.window[axis], *x.shape[axis + 1 :]).max(axis + 1)
        return x


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)  # arrays have no plain equality
class Gate:
    """Attention `x · sigmoid(kernel * x)`, zeros around the map, without bias.

    A kernel with several outputs has one for each cell of the first axis: the windows of an event.
    """

    kernel: Any  # [*k c 1], or [*k c t]

    def reach(self) -> list[Reach]:
        return [Reach(k, 1, (k - 1) // 2, k // 2) for k in self.kernel.shape[:-2]]

    def local(self, x: Float[Array, "*r c"], first: Int[Array, "d"]) -> Float[Array, "*o c"]:
        logits = correlate(x, self.kernel)
        if logits.shape[-1] > 1:
            cell = first[0] + jnp.arange(len(logits))
            own = (cell[:, None] == jnp.arange(logits.shape[-1])).astype(logits.dtype)
            own = own.reshape(len(logits), *(1,) * (logits.ndim - 2), -1)
            logits = (logits * own).sum(-1, keepdims=True)
        inner = zip(self.reach(), logits.shape, strict=False)
        return x[tuple(slice(r.before, r.before + n) for r, n in inner)] * jax.nn.sigmoid(logits)


Layer = Convolution | Pointwise | MaxPool | Gate


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)  # arrays have no plain equality
class Stack:
    """Layers, then a score of the last map: `head(features [*s c]) -> number`.

    The axes in `mean_over` (spatial, the first 0) are averaged before, and have length 1 in `features`: that
    costs a patch what it changes. The head itself is evaluated in full for every patch.

        layers = (Convolution(kernel, bias, jax.nn.relu), MaxPool((2, 2)), Gate(gate))
        stack = Stack(layers, lambda features: features.ravel() @ dense, mean_over=(0, 1))
        occluded = incremental_occlusion(stack, image, window=8, stride=4)

    A head with arrays that change from call to call is a `jax.tree_util.Partial`: compiled once for all.
    """

    layers: tuple[Layer, ...]
    head: Any
    mean_over: tuple[int, ...] = static(())

    def __call__(self, image: Float[Array, "*s c"]) -> Float[Array, ""]:
        """Return the score of an image."""
        *_, last = maps(self.layers, image)
        return self.head(last.mean(self.mean_over, keepdims=True))


def maps(layers: Sequence[Layer], image: Float[Array, "*s c"]) -> list[Array]:
    """Return the image and what each layer makes of it, in full.

    Raises:
      UserError: a layer does not fit the map it is given.
    """
    map_sizes(layers, image.shape[:-1])
    found = [image]
    for layer in layers:
        x, reach = found[-1], layer.reach()
        used = [(r.size(n) - 1) * r.stride + r.kernel for r, n in zip(reach, x.shape, strict=False)]
        padded = pad(x, reach)[tuple(map(slice, used))]
        found.append(layer.local(padded, jnp.zeros(len(reach), jnp.int32)))
    return found


def map_sizes(layers: Sequence[Layer], space: Sequence[int]) -> list[np.ndarray]:
    """Return the cells of each map along each axis, without those at the far edge that no output sees.

    Raises:
      UserError: a layer does not fit the map it is given.
    """
    found, reaches = [np.asarray(space)], [layer.reach() for layer in layers]
    for i, reach in enumerate(reaches):
        before, name = tuple(map(int, found[-1])), f"layer {i + 1} ({type(layers[i]).__name__})"
        if len(reach) != len(space):
            raise UserError(f"{name} has {len(reach)} spatial axes, the image {len(space)}.")
        found.append(np.asarray([r.size(n) for r, n in zip(reach, before, strict=True)]))
        if found[-1].min() < 1:
            raise UserError(f"{name} sees {[r.kernel for r in reach]} cells, more than the map {before}.")
    for i in reversed(range(len(reaches))):
        kernel, stride, before, _ = np.transpose(reaches[i])
        found[i] = np.minimum(found[i], (found[i + 1] - 1) * stride + kernel - before)
    return found


def pad(x: Float[Array, "*s c"], reach: Sequence[Reach]) -> Float[Array, "*p c"]:
    """Add the zeros that a layer sees around the map."""
    return jnp.pad(x, [*((r.before, r.after) for r in reach), (0, 0)])


def correlate(x: Float[Array, "*r c"], kernel: Float[Array, "*k c f"]) -> Float[Array, "*o f"]:
    """Convolve without padding, written the way XLA runs it fast on the CPU.

    In 3D one channel is a sum of shifted images, for the inner loop of a convolution runs over channels.
    """
    *sides, channels, _ = kernel.shape
    if channels == 1 and 1 < math.prod(sides) <= LARGEST_SHIFTED and len(sides) == 3:
        out = [n - k + 1 for n, k in zip(x.shape, sides, strict=False)]
        taps = [
            x[tuple(slice(i, i + n) for i, n in zip(at, out, strict=True))] * kernel[at][0]
            for at in np.ndindex(*sides)
        ]
        return sum(taps[1:], start=taps[0])
    if len(sides) == 1:
        numbers = ("NWC", "WIO", "NWC")
        return jax.lax.conv_general_dilated(x[None], kernel, (1,), "VALID", dimension_numbers=numbers)[0]
    return conv(x[None], kernel, "VALID")[0]
