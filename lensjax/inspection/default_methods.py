"""Which explanations explain.py makes: those asked for, or a first set, and options common to all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lensjax.event_axes import EventGrid
from lensjax.explain import TRIVIAL, options_of
from lensjax.explain.engine.baselines import DRAWN, REFERENCES
from lensjax.explain.engine.loops import parse_bytes
from lensjax.inspection.maps import Method
from lensjax.inspection.restore import Trained
from lensjax.models.event_views import FLAT
from lensjax.runtime.errors import UserError


def default_methods(trained: Trained) -> list[Method]:
    """The first set of explanations; learned attention where the network has some.

    Of published networks those they were published with, their occlusion by the same patches.
    """
    if trained.published is not None:
        size = trained.published.patch
        names = ["grad_cam", "guided_grad_cam", "guided_backprop", "gradient"]
        patches = (f"occlusion(window={size},stride={size})", "occlusion", {"window": size, "stride": size})
        return [patches, *((name, name, {}) for name in names)]
    on_grid = trained.config.model.view not in FLAT  # else layers have no place on the event
    names = ["attention"] if trained.config.model.attention.at and on_grid else []
    names += ["grad_cam"] if on_grid else []
    names += ["hires_cam"] if on_grid and trained.events is not None else []  # exact of a linear head
    names += ["gradient", "input_x_gradient", "smooth_grad", "integrated_gradients"]
    methods: list[Method] = [(name, name, {}) for name in names]
    if trained.events is None:
        return [*methods, ("occlusion", "occlusion", {})]
    window = one_window(trained.events)
    return [*methods, (f"occlusion(window={window})", "occlusion", {"window": window})]


def one_window(events: EventGrid) -> tuple[int, ...]:
    """A patch of occlusion that lies in one window: a pixel of a window is another place in the next."""
    return (1, *(max(2, n // 5) for n in events.shape))


def with_windows(methods: Sequence[Method], trained: Trained) -> list[Method]:
    """Occlusion of events one window at a time, unless it has a window of its own.

    The segments of LIME and Kernel SHAP, and the cells of RISE, never span two windows as it is.
    """
    if trained.events is None:
        return list(methods)
    own = {"occlusion": {"window": one_window(trained.events)}}
    return [(written, name, own.get(name, {}) | options) for written, name, options in methods]


def with_common(methods: Sequence[Method], *, baseline: str | None, memory: str | None) -> list[Method]:
    """Options for all methods that have them and do not set their own.

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
            if baseline not in (*REFERENCES, *DRAWN):
                choices = ", ".join((*REFERENCES, *DRAWN))
                raise UserError(
                    f"--baseline '{baseline}' is unknown; choose a number, or {choices}."
                ) from None
            common["baseline"] = baseline
    return [
        (written, name, {k: v for k, v in common.items() if k in options_of(name)} | options)
        for written, name, options in methods
    ]


def with_trivial(methods: Sequence[Method]) -> list[Method]:
    """The methods asked for, and the trivial maps that any table of them must hold."""
    asked = {name for _, name, _ in methods}
    return [*methods, *((name, name, {}) for name in TRIVIAL if name not in asked)]
