"""Convert images between the stored types, float16 or uint8, and the float32 that networks take."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from lensjax.types import Array, Float, Num

Images = TypeVar("Images", np.ndarray, Array)


def to_float32(images: Num[Images, "*n"]) -> Float[Images, "*n"]:
    """Return images as a network sees them, float32: bytes become fractions of 255."""
    return images * np.float32(1 / 255) if images.dtype == np.uint8 else images.astype(np.float32)
