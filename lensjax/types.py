"""The data that flows through the project, Example → Batch → Outputs, and the annotations of array shapes.

Axis letters, everywhere in the project: `b` batch, `*s` space (`h w`, or `t h w` for an event of `t`
windows), `c` channels, `k` classes. Channels come last; axes are counted from the right.

A position is a pair of fractions of the image, (row, column): pixel `i` of `n` has its centre at
`(i + 0.5) / n`, so a flip maps `p` to `1 - p` and the middle of the image is 0.5 at every size.

An image is in units of its background noise, `asinh(flux / sigma_background)` band by band: the sky is 0,
its noise has unit width, and a bright core stays finite. `lensjax.data.batches.augment` has both directions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

import jax
import numpy as np
from jax import Array

try:
    from jaxtyping import Bool, Float, Int, Num, PRNGKeyArray, Shaped, UInt8
except ImportError:
    # `lensjax.explain` imports with jax and numpy alone: this stand-in takes any subscript.

    class _AnyShape:
        def __class_getitem__(cls, _: Any) -> Any:
            return Any

    Bool = Float = Int = Num = Shaped = UInt8 = _AnyShape  # type: ignore[assignment,misc]
    PRNGKeyArray = Any  # type: ignore[assignment,misc]

__all__ = [
    "Array",
    "Batch",
    "Bool",
    "CellGrid",
    "Example",
    "Float",
    "Int",
    "Num",
    "Outputs",
    "PRNGKeyArray",
    "Shaped",
    "UInt8",
]

CellGrid = tuple[tuple[float, ...], tuple[float, ...]]
"""Centre of the first cell of a feature map, and distance between cells, as fractions of the image."""


class Example(TypedDict):
    """One example, in NumPy. `truth` holds physical parameters that a study may need."""

    image: np.ndarray  # float32 [*s c]
    label: int
    position: np.ndarray  # float32 [2], fractions (row, column); NaN where there is none
    mask: np.ndarray  # bool [*s], the pixels that carry the evidence
    id: str
    light: NotRequired[np.ndarray]  # [*s c], the lensed source without noise, in the image's units
    truth: NotRequired[dict[str, Any]]


class Batch(TypedDict):
    """Examples stacked along a leading axis, in NumPy or on devices. Rows with `valid` False are padding."""

    image: Any  # [b *s c], float32 or as stored, float16 or uint8, which `objective.widen_images` widens
    label: Any  # int32 [b]
    position: Any  # float32 [b 2]
    mask: Any  # bool [b *s]
    valid: Any  # bool [b]
    index: Any  # int32 [b], row of the data set; -1 in padding
    light: NotRequired[Any]  # as `image`, what `restored` should be, where the data set has it


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Outputs:
    """The outputs of a forward pass.

    `position` and `position_sigma` are fractions of the image (of an event, of its first window),
    `attention` maps a place ("input", "stage1", …) to its gate and "windows" to the weights of an event's
    windows [b t], `mask_logits` is the heat map on the trunk's grid, and `ends` names every stage's
    activation. `window_logits` are those of each window where windows are decided one by one; `logits` is
    then the log of their mean probabilities. `restored` is the lensed source without noise, in the image's
    units, as a U-Net sees it. `branch_logits` are those of an attention branch. A pytree: `vmap` and
    `eval_shape` put other things in here.
    """

    logits: Any  # float32 [b k]
    position: Any = None  # float32 [b 2], None without a position head
    position_sigma: Any = None  # float32 [b 2], or None
    attention: dict[str, Any] = field(default_factory=dict)  # place -> [b *s]
    mask_logits: Any = None  # float32 [b *grid], or None
    ends: dict[str, Any] = field(default_factory=dict)  # name -> [b *grid c], gates [b *grid]
    window_logits: Any = None  # float32 [b t k], or None
    restored: Any = None  # float32 [b *s c], or None
    branch_logits: Any = None  # float32 [b k], or None
