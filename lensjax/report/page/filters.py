"""Numbers and text for a page: short, with their intervals, and JSON that cannot leave its element."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lensjax.runtime.records import plain


def replace_unprintable(value: Any) -> Any:
    """Return text with line breaks and control characters as spaces; anything else as it is."""
    if not isinstance(value, str) or hasattr(value, "__html__") or value.isprintable():
        return value
    return "".join(c if c.isprintable() else " " for c in value)


def to_safe_json(value: Any) -> str:
    """Return JSON that is safe inside a script element; NaN and infinity become null."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def is_finite_number(value: Any) -> bool:
    """Return whether a value is a number, not a truth value, and finite."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def number(value: object, digits: int = 3) -> str:
    """Return a number for reading: `digits` significant figures, thin spaces in integers, "–" for NaN."""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}".replace(",", "\u202f")
    if not isinstance(value, (float, np.floating)):
        return str(value)
    x = float(value)
    if math.isnan(x):
        return "–"
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    if x != 0 and (abs(x) >= 1e5 or abs(x) < 10.0 ** -(digits + 1)):
        mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
        return f"{mantissa} × 10^{int(exponent)}".replace("-", "−")
    decimals = max(0, digits - 1 - (math.floor(math.log10(abs(x))) if x else 0))
    text = f"{x:.{min(decimals, digits + 1)}f}"
    return text.replace("-", "−")


def fraction(value: float | np.floating | None) -> str:
    """Return a share or a probability with two decimals, never rounded to certainty."""
    if value is None or not math.isfinite(value):
        return "–"
    if 0.995 <= value < 1:
        return f"{value:.3f}" if value < 0.9995 else "> 0.999"
    if 0 < value < 0.005:
        return f"{value:.3f}" if value >= 0.0005 else "< 0.001"
    return f"{value:.2f}"


def interval(value: Any) -> tuple[float, float, float] | None:
    """Return (mean, low, high) of a triple, a mapping with those names, or a lone number; else None."""
    if isinstance(value, Mapping):
        mean = next((value[k] for k in ("mean", "value", "estimate") if k in value), None)
        return interval((mean, value.get("low", math.nan), value.get("high", math.nan)))
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        return float(value), math.nan, math.nan
    three = isinstance(value, (tuple, list, np.ndarray)) and len(value) == 3
    if not three or not all(isinstance(v, (int, float, np.number)) for v in value):
        return None
    return float(value[0]), float(value[1]), float(value[2])
