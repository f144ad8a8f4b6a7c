"""Register every method once: its function, its name on a page, what it costs, how it is written.

To add a method, write its function and add one `Method` to `REGISTRY`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lensjax.explain.methods import (
    attention,
    cam,
    gradient,
    guided_backprop,
    integrated_gradients,
    perturbation,
    rise,
    surrogate,
    trivial_maps,
)
from lensjax.explain.methods.perturbation import read_windows, window_starts
from lensjax.runtime.errors import UserError
from lensjax.specs import MethodSpec, parse_spec, suggest_name

BACKWARD = 3
"""A pass forward and back, in forward passes."""
UNWRITTEN = ("key", "method", "background", "origin", "step")
"""Options that a command line cannot write: another method (SmoothGrad of …), images, a layer's place."""

Passes = Callable[[dict[str, Any], tuple[int, ...], int], int]
"""Forward passes from the options, the image's shape [*s c], and the channels of the layer that is read."""


def count_one(options: dict[str, Any], shape: tuple[int, ...], channels: int) -> int:
    """Return 1: the map is read off one pass, or off the image."""
    return 1


def count_samples(options: dict[str, Any], shape: tuple[int, ...], channels: int) -> int:
    """Return one pass a sample (a step of a path); 1 where the number is out of range."""
    number = options.get("samples", options.get("steps", 1))
    return number if isinstance(number, int) and number > 0 else 1


def count_gradients(options: dict[str, Any], shape: tuple[int, ...], channels: int) -> int:
    """Return one pass forward and back a sample, or step."""
    return BACKWARD * count_samples(options, shape, channels)


def count_channels(options: dict[str, Any], shape: tuple[int, ...], channels: int) -> int:
    """Return one pass a channel of the layer."""
    return channels


def count_windows(options: dict[str, Any], shape: tuple[int, ...], channels: int) -> int:
    """Return one pass a window; the number of pixels where the options are out of range."""
    space = shape[:-1]
    try:
        windows = read_windows(options["window"], options["stride"], space)
        return len(window_starts(space, *windows, options["edges"]))
    except UserError:
        return math.prod(space)


@dataclass(frozen=True)
class Method:
    """A method: `function(score, image, *, key, **options) -> map` for ONE example.

    On the image, `score(image)` gives one number; on features it is `forward(image, taps) -> (score, ends)`
    (`engine.taps`). Trivial maps have the form of the former, and take no notice of the score.
    """

    function: Callable
    label: str
    sentence: str
    on: Literal["image", "features", "nothing"] = "image"
    passes: Passes = count_gradients
    events_sentence: str = ""
    """Sentence for a page of events, instead of `sentence`."""
    zero_of_baseline: bool = False
    """Whether the map of an image that is its own baseline, of zeros, is zero."""

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def options(self) -> dict[str, Any]:
        """Return the options that a user can write, and their defaults."""
        parameters = inspect.signature(self.function).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in UNWRITTEN}

    @staticmethod
    def parse(text: str) -> MethodSpec:
        """Read `occlusion(window=8, stride=4)`, or just `occlusion`: see `specs.parse_spec`.

        Raises:
          UserError: no such method or option, or another form; says which.
        """
        return parse_spec(text, options_of)


# fmt: off
REGISTRY: dict[str, Method] = {
    method.name: method
    for method in (
        Method(gradient.gradient, "Gradient", "how the score changes with a small change of the pixel"),
        Method(gradient.input_x_gradient, "Input × gradient",
               "the gradient times the pixel: its share in a linear model", zero_of_baseline=True),
        Method(gradient.smooth_grad, "SmoothGrad", "the gradient averaged over noisy copies of the image",
               events_sentence="the gradient averaged over noisy copies of the event"),
        Method(gradient.smooth_grad_squared, "SmoothGrad²",
               "the squared gradient averaged over noisy copies"),
        Method(gradient.var_grad, "VarGrad", "the variance of the gradient over noisy copies"),
        Method(integrated_gradients.integrated_gradients, "Integrated gradients",
               "gradients summed along the way from an empty sky", zero_of_baseline=True,
               events_sentence="gradients summed along the way from an event without energy"),
        Method(integrated_gradients.expected_gradients, "Expected gradients",
               "integrated gradients averaged over real images as the start", zero_of_baseline=True,
               events_sentence="integrated gradients averaged over real events as the start"),
        Method(guided_backprop.guided_backprop, "Guided backprop",
               "gradients that drop negative parts; nearly blind to the weights"),
        Method(guided_backprop.deconvnet, "Deconvnet",
               "positive signals sent back through the network; nearly blind to the weights"),
        Method(perturbation.occlusion, "Occlusion", "the score lost when a window of the image is covered",
               passes=count_windows, zero_of_baseline=True,
               events_sentence="the score lost when a patch of one window is covered"),
        Method(rise.rise, "RISE", "the score averaged over random masks that leave the pixel visible",
               passes=count_samples, zero_of_baseline=True),
        Method(surrogate.lime, "LIME", "a local linear model over segments of the image",
               passes=count_samples, zero_of_baseline=True,
               events_sentence="a local linear model over segments of the event"),
        Method(surrogate.kernel_shap, "Kernel SHAP", "Shapley values of the segments, by regression",
               passes=count_samples, zero_of_baseline=True),
        Method(trivial_maps.random, "Random", "noise: what a map scores that knows nothing", "nothing",
               passes=count_one),
        Method(trivial_maps.centre, "Centre", "a Gaussian in the middle: what a map scores that never looks",
               "nothing", passes=count_one,
               events_sentence="a Gaussian at the trigger, in the middle: what a map scores that never "
               "looks"),
        Method(trivial_maps.abs_input, "|Input|", "the brightness itself", "nothing", passes=count_one,
               zero_of_baseline=True, events_sentence="the energy itself"),
        Method(trivial_maps.sobel, "Sobel edges", "an edge filter on the image", "nothing", passes=count_one,
               zero_of_baseline=True, events_sentence="an edge filter on the energy"),
        Method(cam.grad_cam, "Grad-CAM", "feature maps weighted by their mean gradient; coarse", "features"),
        Method(cam.grad_cam_pp, "Grad-CAM++", "Grad-CAM with weights from positive gradients", "features"),
        Method(cam.hires_cam, "HiResCAM", "feature maps times their gradient, place by place", "features"),
        Method(cam.layer_cam, "LayerCAM", "feature maps times their positive gradient, place by place",
               "features"),
        Method(cam.x_grad_cam, "XGrad-CAM", "Grad-CAM with weights scaled by the activation", "features"),
        Method(cam.eigen_cam, "Eigen-CAM", "the leading component of the feature maps; knows no class",
               "features", passes=count_one),
        Method(cam.score_cam, "Score-CAM",
               "feature maps weighted by the score they leave when used as a mask", "features",
               passes=count_channels),
        Method(cam.ablation_cam, "Ablation-CAM", "feature maps weighted by the loss of score without them",
               "features", passes=count_channels),
        Method(guided_backprop.guided_grad_cam, "Guided Grad-CAM", "guided backprop times Grad-CAM",
               "features"),
        Method(attention.attention, "Attention",
               "the gate the network learned and multiplies its features with", "features", passes=count_one),
    )
}
# fmt: on
METHODS: dict[str, Callable] = {name: method.function for name, method in REGISTRY.items()}
ON_FEATURES: dict[str, Callable] = {n: m.function for n, m in REGISTRY.items() if m.on == "features"}
ON_IMAGE: dict[str, Callable] = {n: m.function for n, m in REGISTRY.items() if m.on != "features"}
TRIVIAL: dict[str, Callable] = {n: m.function for n, m in REGISTRY.items() if m.on == "nothing"}


def get_method(name: str) -> Callable:
    """Return the method of that name.

    Raises:
      UserError: there is none; lists those there are.
    """
    if name not in METHODS:
        hint = suggest_name(name, METHODS)
        raise UserError(f"unknown method '{name}'{hint}; choose from {', '.join(METHODS)}.")
    return METHODS[name]


def options_of(name: str) -> dict[str, Any]:
    """Return a method's options and their defaults.

    Raises:
      UserError: there is no such method; lists those there are.
    """
    get_method(name)
    return REGISTRY[name].options


def parse(
    spec: str, known_options: Callable[[str], dict[str, Any]] = options_of
) -> tuple[str, dict[str, Any]]:
    """Return the name and the options in `occlusion(window=8, stride=4)`: see `specs.parse_spec`."""
    return parse_spec(spec, known_options)[1:]


def expected_passes(name: str, options: dict[str, Any], shape: Sequence[int], channels: int) -> int:
    """Return about how many forward passes a method takes for one image of `shape` [*s c]; at least 1.

    `channels` are those of the layer a CAM reads. An estimate: where an option is out of range, the method
    itself says so.
    """
    return REGISTRY[name].passes(options_of(name) | options, tuple(shape), channels)
