"""How much work a method is: what a progress bar needs to tell the time that is left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lensjax.explain.methods import TRIVIAL, options_of
from lensjax.explain.perturbation import per_axis, window_starts

BACKWARD = 3
"""A pass forward and back, in forward passes."""


def passes(name: str, options: dict[str, Any], shape: Sequence[int], channels: int) -> int:
    """About how many forward passes a method takes for one image of `shape` [*s c]; at least 1.

    `channels` are those of the layer a CAM reads. An estimate: where an option is out of range, the method
    itself says so.
    """
    given = options_of(name) | options
    if name in TRIVIAL or name in ("attention", "eigen_cam"):
        return 1
    if name in ("score_cam", "ablation_cam"):
        return channels
    if name == "occlusion":
        return _windows(given, tuple(shape[:-1]))
    number = given.get("samples", given.get("steps", 1))
    number = number if isinstance(number, int) and number > 0 else 1
    return number if name in ("rise", "lime", "kernel_shap") else BACKWARD * number


def _windows(options: dict[str, Any], space: tuple[int, ...]) -> int:
    try:
        sizes = tuple(map(min, per_axis("window", options["window"], len(space)), space))
        halves = tuple(max(1, size // 2) for size in sizes)
        stride = halves if options["stride"] is None else options["stride"]
        return len(window_starts(space, sizes, per_axis("stride", stride, len(space)), options["edges"]))
    except ValueError:
        return math.prod(space)
