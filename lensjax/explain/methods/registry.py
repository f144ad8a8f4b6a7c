"""Every method by name, and how a name with options is written on a command line."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from lensjax.explain.methods.attention import attention
from lensjax.explain.methods.cam import grad_cam, grad_cam_pp, hires_cam, layer_cam, x_grad_cam
from lensjax.explain.methods.gradient import (
    gradient,
    input_x_gradient,
    smooth_grad,
    smooth_grad_squared,
    var_grad,
)
from lensjax.explain.methods.gradient_free_cams import ablation_cam, eigen_cam, score_cam
from lensjax.explain.methods.guided_backprop import deconvnet, guided_backprop, guided_grad_cam
from lensjax.explain.methods.integrated_gradients import expected_gradients, integrated_gradients
from lensjax.explain.methods.perturbation import occlusion
from lensjax.explain.methods.rise import rise
from lensjax.explain.methods.surrogate import kernel_shap, lime
from lensjax.explain.methods.trivial_maps import abs_input, centre, random, sobel
from lensjax.runtime.errors import UserError

TRIVIAL: dict[str, Callable] = {"random": random, "centre": centre, "abs_input": abs_input, "sobel": sobel}
ON_IMAGE: dict[str, Callable] = {  # method(score, image, *, key, **options), score(image) -> one number
    "gradient": gradient,
    "input_x_gradient": input_x_gradient,
    "smooth_grad": smooth_grad,
    "smooth_grad_squared": smooth_grad_squared,
    "var_grad": var_grad,
    "integrated_gradients": integrated_gradients,
    "expected_gradients": expected_gradients,
    "guided_backprop": guided_backprop,
    "deconvnet": deconvnet,
    "occlusion": occlusion,
    "rise": rise,
    "lime": lime,
    "kernel_shap": kernel_shap,
    **TRIVIAL,
}
ON_FEATURES: dict[
    str, Callable
] = {  # method(forward, image, *, key, **options), see lensjax.explain.engine.taps
    "grad_cam": grad_cam,
    "grad_cam_pp": grad_cam_pp,
    "hires_cam": hires_cam,
    "layer_cam": layer_cam,
    "x_grad_cam": x_grad_cam,
    "eigen_cam": eigen_cam,
    "score_cam": score_cam,
    "ablation_cam": ablation_cam,
    "guided_grad_cam": guided_grad_cam,
    "attention": attention,
}
METHODS = ON_IMAGE | ON_FEATURES


def get_method(name: str) -> Callable:
    """The method of that name.

    Raises:
      UserError: there is none; lists those there are.
    """
    if name not in METHODS:
        raise UserError(f"unknown method '{name}'{near(name, METHODS)}; choose from {', '.join(METHODS)}.")
    return METHODS[name]


def options_of(name: str) -> dict[str, Any]:
    """A method's options and their defaults."""
    parameters = inspect.signature(get_method(name)).parameters.values()
    # What a command line cannot write: another method (SmoothGrad of …), images, a layer's registration.
    hidden = ("key", "method", "background", "origin", "step")
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in hidden}


def parse(
    spec: str, known_options: Callable[[str], dict[str, Any]] = options_of
) -> tuple[str, dict[str, Any]]:
    """Read `occlusion(window=8, stride=4)`, or just `occlusion`: the name and the options.

    Values are Python literals; a bare word is text (`rule=midpoint`). Nothing is evaluated. `known_options`
    gives those of a name, and refuses names it does not know.

    Raises:
      UserError: no such method or option, or another form; says which.
    """
    form = f"cannot read '{spec}': write a method as name or name(option=value, option=value)"
    try:
        tree = ast.parse(spec.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise UserError(f"{form}.") from None
    call = tree if isinstance(tree, ast.Call) else ast.Call(tree, [], [])
    if not isinstance(call.func, ast.Name) or call.args:
        raise UserError(f"{form}.")
    name, known, options = call.func.id, known_options(call.func.id), {}
    for option, node in ((keyword.arg, keyword.value) for keyword in call.keywords):
        if option is None:
            raise UserError(f"{form}.")
        if option not in known:
            choices = ", ".join(known) or "none"
            raise UserError(f"{name} has no option '{option}'{near(option, known)}; it has {choices}.")
        try:
            options[option] = node.id if isinstance(node, ast.Name) else ast.literal_eval(node)
        except ValueError:
            raise UserError(f"{form}; the value of '{option}' is no plain value.") from None
        _check_kind(spec, option, options[option], known[option])
    return name, options


def _check_kind(spec: str, option: str, given: Any, default: Any) -> None:
    """Refuse what no value of the option looks like; its range is the method's own business."""
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if isinstance(default, bool):
        right, kind = isinstance(given, bool), "True or False"
    elif option == "layer":
        right, kind = given is None or isinstance(given, str), "the name of a layer, or None"
    elif option in ("tolerance", "most_steps"):
        right, kind = given is default or number, "a number"
    elif option == "baseline":
        right, kind = number or isinstance(given, str | list | tuple), "a number, or a name"
    elif isinstance(default, float):
        right, kind = number, "a number"
    else:
        return
    if not right:
        raise UserError(f"{spec.strip()}: {option} (={given!r}) must be {kind}.")


def near(name: str, choices: dict) -> str:
    """A hint at the choice that was meant, if one is near."""
    near = get_close_matches(name, choices, 1)
    return f" (did you mean '{near[0]}'?)" if near else ""
