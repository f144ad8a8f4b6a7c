"""What a benchmark compares: every method the network allows, with numbers of samples that two cores can pay.

Every number differs from a method's default only where it is written in the name, as on a command line.
500 masks do not tell apart the 250 patches that LIME and Kernel SHAP take by default: here about 100.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from lensjax.explain import ON_FEATURES, TRIVIAL, parse
from lensjax.inspection.maps import Method
from lensjax.inspection.restore import Trained
from lensjax.models.event_views import FLAT
from lensjax.runtime.errors import UserError

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


def check_run(trained: Trained) -> None:
    """A benchmark wants a run of train.py, whose held-out truth and initial parameters can be made again.

    Raises:
      UserError: it is a published network.
    """
    if trained.published is not None:
        raise UserError("--benchmark wants a run of train.py, with simulations like those it learned from.")


def every_method(trained: Trained) -> list[Method]:
    """All methods that this network allows, trivial maps last."""
    check_run(trained)
    model = trained.config.model
    on_grid = model.view not in FLAT  # else layers have no place on the event
    names = ["attention"] if model.attention.at and on_grid else []
    names += [name for name in ON_FEATURES if name not in ("attention", *OF_RELU)] if on_grid else []
    names += ALWAYS
    if model.activation == "relu":
        names += [name for name in OF_RELU if on_grid or name not in ON_FEATURES]
    written = [f"{name}({SAMPLES[name]})" if name in SAMPLES else name for name in (*names, *TRIVIAL)]
    if trained.events is not None:
        # A pixel of one window is another place in the next: they are covered one at a time.
        window = (1, *(max(2, n // 5) for n in trained.events.shape))
        written[names.index("occlusion")] = f"occlusion(window={window})"
    return [(text, *parse(text)) for text in written]


def parameter_groups(params: Any) -> dict[str, Callable[[str], bool]]:
    """Parameters stage by stage, from the image up, each as a function of a key path; the head last."""
    named: dict[str, list[str]] = {}
    for name in sorted(params, key=_stage):
        stage = _stage(name)
        named.setdefault(f"stage{stage:.0f}" if math.isfinite(stage) else "head", []).append(name)
    return {group: _under(tuple(names)) for group, names in named.items()}


def _stage(name: str) -> float:
    found = re.search(r"stage(\d+)", name)
    return float(found[1]) if found else 1.0 if "input" in name else math.inf


def _under(names: tuple[str, ...]) -> Callable[[str], bool]:
    return lambda path: path.split("/")[0] in names
