"""Give a loss term its inputs; compute each part once, when a term first asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from lensjax.explain import METHODS, ON_FEATURES, parse, to_image_grid
from lensjax.explain.engine.taps import GATE, choose_layer, layers, spatial_layer
from lensjax.explain.engine.targets import class_score
from lensjax.runtime.errors import UserError
from lensjax.specs import suggest_name
from lensjax.types import Array, Batch, CellGrid, Float, Int, Outputs

Term = Callable[..., Array]

TRAINABLE = (
    "gradient", "input_x_gradient", "smooth_grad", "smooth_grad_squared", "var_grad", "integrated_gradients",
    "expected_gradients", "grad_cam", "grad_cam_pp", "hires_cam", "layer_cam", "x_grad_cam", "attention",
)  # fmt: skip
"""Maps that are differentiable in the parameters and need few enough passes for every step."""

FEWER: dict[str, dict[str, int]] = {
    "integrated_gradients": {"steps": 8},
    "expected_gradients": {"samples": 1},  # as Erion et al. train: the average over the steps does the rest
    "smooth_grad": {"samples": 4},
    "smooth_grad_squared": {"samples": 4},
    "var_grad": {"samples": 4},
}
"""Passes within a step of training, where an explanation on its own would take more."""


@dataclass(frozen=True)
class Context:
    """The network at the current parameters, on the images of a batch."""

    forward: Callable[..., Outputs]
    """`forward(images [b *s c], taps)` as in training, with dropout."""
    images: Array
    options: Any
    """The LossConfig."""
    still: Callable[..., Outputs] | None = None
    """The same without dropout, for explanations; None for `forward`."""
    places: Mapping[str, CellGrid] = field(default_factory=dict)
    """Where the cells of each end lie, `models.cnn.grids`; empty for cell i of n at (i + ½)/n."""
    key: Array | None = None
    """For what draws numbers; None, as in evaluation, draws the same ones every time."""
    parent: Context | None = None
    maps: dict[tuple[str, str], list[tuple[Array, Array]]] = field(default_factory=dict)
    """(labels, maps) that were asked for already, by method and target."""

    @cached_property
    def outputs(self) -> Outputs:
        if self.parent is None:
            return self.forward(self.images)
        rows = len(self.images)
        return jax.tree.map(lambda leaf: leaf[:rows], self.parent.outputs)

    @property
    def attention(self) -> dict[str, Array]:
        """The gates over space, place -> [b *grid], without the weights of an event's windows."""
        return {place: gate for place, gate in self.outputs.attention.items() if place != "windows"}

    def first(self, rows: int) -> Context:
        """Return the context of the first rows alone; `outputs` are not computed again."""
        if rows == len(self.images):
            return self
        return replace(self, images=self.images[:rows], parent=self, maps={})

    def network(self, image: Float[Array, "*s c"], taps: Mapping[str, Array] | None = None) -> Outputs:
        """Return the outputs for ONE example, without dropout and batch axes: what is differentiated."""
        from lensjax.models.network import apply_single  # configurations import losses, models configurations

        return apply_single(self.still or self.forward, image, taps)

    def score(self, target: str, label: Int[Array, ""], image: Float[Array, "*s c"]) -> Float[Array, ""]:
        """Return a number of `TARGETS` for the class `label`, or `log_probabilities`, Σ_k log p_k."""
        return class_score(self.network(image).logits, target, label)

    @property
    def keys(self) -> Array:
        """One key a row."""
        key = jax.random.fold_in(jax.random.key(0) if self.key is None else self.key, 1)
        return jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(len(self.images)))

    def explain(self, method: str, batch: Batch, target: str = "log_odds") -> Float[Array, "b *s"]:
        """Return a map of each image, one value a pixel, raw and signed, of its true class.

        `method` is written as for `--methods`, such as "grad_cam(layer=stage2)"; a loss may differentiate
        through it.

        Raises:
          UserError: unknown method or target, or one that is not differentiable; lists the choices.
        """
        raw, where = self.attributions(method, batch, target), {}
        name, options = read_map(method)
        if name in ON_FEATURES:
            where = self.registration(self._layer(name, options.get("layer")))
        return jax.vmap(lambda one: to_image_grid(one, self.images.shape[1:], **where))(raw)

    def attributions(self, method: str, batch: Batch, target: str = "log_odds") -> Float[Array, "b ..."]:
        """Return what `explain` brings to the image: a method's own maps, [b *s c] or [b *grid].

        Terms that ask for the same map of the same labels share it.
        """
        known = self.maps.setdefault((method, target), [])
        for labels, found in known:
            if labels is batch["label"]:
                return found
        known.append((batch["label"], self._attributions(method, batch["label"], target)))
        return known[-1][1]

    def _attributions(self, method: str, labels: Array, target: str) -> Array:
        name, options = read_map(method)
        if name == "expected_gradients":
            options["background"] = self.images

        def forward(label: Array, image: Array, taps: Any = None) -> tuple[Array, dict[str, Array]]:
            outputs = self.network(image, taps)
            return class_score(outputs.logits, target, label), outputs.ends

        def score(label: Array, image: Array) -> Array:
            return self.score(target, label, image)

        def one(image: Array, label: Array, key: Array) -> Array:
            function = forward if name in ON_FEATURES else score
            return METHODS[name](Partial(function, label), image, key=key, **options)

        return jax.vmap(one)(self.images, labels, self.keys)

    def _layer(self, name: str, layer: str | None) -> str:
        """Return the end that a method on features reads."""

        def forward(image: Array, taps: Any = None) -> tuple[Array, dict[str, Array]]:
            outputs = self.network(image, taps)
            return outputs.logits[0], outputs.ends

        if name != "attention":
            return spatial_layer(forward, self.images[0], layer)
        gates = [end.removeprefix(GATE) for end in layers(forward, self.images[0]) if end.startswith(GATE)]
        return GATE + choose_layer(gates, layer and layer.removeprefix(GATE), "attention gate")

    def registration(self, end: str) -> dict[str, Any]:
        """Return the options of `upsample` that bring the cells of an end to where they see the image.

        Raises:
          UserError: under the network's view they have no place there.
        """
        if not self.places:
            return {}
        if end not in self.places:
            raise UserError(f"'{end}' has no place on the image under this model.view: use view event.")
        return dict(zip(("origin", "step"), self.places[end], strict=True))


def read_map(method: str) -> tuple[str, dict[str, Any]]:
    """Return name and options of an explanation to train through.

    Raises:
      UserError: unknown method or option, or a method that is not differentiable; lists the choices.
    """
    name, options = parse(method)
    if name not in TRAINABLE:
        hint = suggest_name(name, TRAINABLE)
        raise UserError(
            f"a loss cannot train through the map '{name}'{hint}; choose from {', '.join(TRAINABLE)}."
        )
    options = FEWER.get(name, {}) | options
    passes = options.get("steps", options.get("samples"))
    # All passes of a step at once: a loop around gradients of convolutions is slow (jax#12868).
    return name, options if passes is None else {"chunk": passes} | options
