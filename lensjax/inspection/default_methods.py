"""Choose the methods where the user names none, and add the options that all methods share.

The numbers of samples in `SAMPLES` are what two cores can pay; they are written in the methods' names. 500
masks cannot tell apart the 250 patches that LIME and Kernel SHAP take by default: here they have about 100.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lensjax.explain import ON_FEATURES, TRIVIAL, options_of
from lensjax.explain.engine.baselines import DRAWN, REFERENCES
from lensjax.explain.engine.loops import parse_bytes
from lensjax.inspection.restore import Trained
from lensjax.models.event_views import FLAT
from lensjax.runtime.errors import UserError
from lensjax.specs import MethodSpec, parse_spec

SAMPLES = {
    "smooth_grad": "samples=16",
    "smooth_grad_squared": "samples=16",
    "var_grad": "samples=16",
    "integrated_gradients": "steps=16",
    "expected_gradients": "samples=16",
    "rise": "samples=500",
    "lime": "segments=100,samples=500",
    "kernel_shap": "segments=100,samples=500",
}
ALWAYS = (
    "gradient", "input_x_gradient", "smooth_grad", "smooth_grad_squared", "var_grad", "integrated_gradients",
    "expected_gradients", "occlusion", "rise", "lime", "kernel_shap",
)  # fmt: skip
OF_RELU = ("guided_backprop", "deconvnet", "guided_grad_cam")


def default_methods(trained: Trained, every: bool = False) -> list[MethodSpec]:
    """Return the methods for a network: a first set, or `every` one that it allows, trivial maps last."""
    model = trained.config.model
    attention, on_grid = (
        bool(model.attention.at),
        model.view not in FLAT,
    )  # else layers have no place on the event
    if not every:
        return [parse_spec(text, options_of) for text in trained.domain.default_methods(attention, on_grid)]
    names = ["attention"] if attention and on_grid else []
    names += [name for name in ON_FEATURES if name not in ("attention", *OF_RELU)] if on_grid else []
    names += ALWAYS
    if model.activation == "relu":
        names += [name for name in OF_RELU if on_grid or name not in ON_FEATURES]
    written = {name: f"{name}({SAMPLES[name]})" if name in SAMPLES else name for name in (*names, *TRIVIAL)}
    if window := trained.domain.occlusion_window:
        written["occlusion"] = f"occlusion(window={window})"
    return [parse_spec(text, options_of) for text in written.values()]


def complete_methods(
    methods: Sequence[MethodSpec], trained: Trained, *, baseline: str | None = None, memory: str | None = None
) -> list[MethodSpec]:
    """Add the trivial maps, the default window of occlusion, and common options where methods set none.

    Of events, occlusion covers one window at a time; the segments of LIME and Kernel SHAP, and the cells of
    RISE, never span two windows as it is.

    Raises:
      UserError: no such baseline, or no amount of memory.
    """
    common = common_options(baseline, memory)
    if window := trained.domain.occlusion_window:
        common["window"] = window
    return add_options(add_trivial(methods), common)


def add_options(methods: Sequence[MethodSpec], common: dict[str, Any]) -> list[MethodSpec]:
    """Add common options to the methods that have them and set none."""
    return [
        MethodSpec(written, name, {k: v for k, v in common.items() if k in options_of(name)} | options)
        for written, name, options in methods
    ]


def common_options(baseline: str | None, memory: str | None) -> dict[str, Any]:
    """Read the options that are given for all methods at once.

    Raises:
      UserError: no such baseline, or no amount of memory.
    """
    common: dict[str, Any] = {}
    if memory is not None:
        parse_bytes(memory)
        common["chunk"] = memory
    if baseline is not None:
        try:
            common["baseline"] = float(baseline)
        except ValueError:
            choices = (*REFERENCES, *DRAWN)
            if baseline not in choices:
                raise UserError(
                    f"--baseline '{baseline}' is unknown; choose a number, or {', '.join(choices)}."
                ) from None
            common["baseline"] = baseline
    return common


def add_trivial(methods: Sequence[MethodSpec]) -> list[MethodSpec]:
    """Append the trivial maps that any table of methods must hold."""
    asked = {name for _, name, _ in methods}
    trivial = (MethodSpec(name, name, {}) for name in TRIVIAL if name not in asked)
    return [*(MethodSpec(*method) for method in methods), *trivial]
