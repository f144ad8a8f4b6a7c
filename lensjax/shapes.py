"""Array annotations, `Float[Array, "b *s c"]`, from jaxtyping where it is installed.

`lensjax.explain` must import with jax and numpy alone, so a stand-in takes any subscript elsewhere.

Axis letters, everywhere in the project: `b` batch, `*s` space (`h w`, or `t h w` for an event of `t`
windows), `c` channels, `k` classes. Channels come last; axes are counted from the right.
"""

from __future__ import annotations

from typing import Any

from jax import Array

try:
    from jaxtyping import Bool, Float, Int, Num, PRNGKeyArray, Shaped, UInt8
except ImportError:

    class _AnyShape:
        def __class_getitem__(cls, _: Any) -> Any:
            return Any

    Bool = Float = Int = Num = Shaped = UInt8 = _AnyShape  # type: ignore[assignment,misc]
    PRNGKeyArray = Any  # type: ignore[assignment,misc]

__all__ = ["Array", "Bool", "Float", "Int", "Num", "PRNGKeyArray", "Shaped", "UInt8"]
