"""Arrange the windows of an event for the trunk: as they are, side by side, as channels, or edges alone."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp

from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float

FLAT = ("mosaic", "channels")
"""Views that make an image of an event: the trunk is 2D, and its cells have no place on the event's grid."""


def mosaic(x: Float[Array, "b t h w c"]) -> Float[Array, "b rows columns c"]:
    """Return four windows as one image [b 2h 2w c], the two shorter ones on top.

    Raises:
      UserError: the event has another number of windows.
    """
    b, t, h, w, c = x.shape
    if t != 4:
        raise UserError(
            f"model.view mosaic needs events of 4 windows, these have {t}: use channels or event."
        )
    return x.reshape(b, 2, 2, h, w, c).transpose(0, 1, 3, 2, 4, 5).reshape(b, 2 * h, 2 * w, c)


def channels(x: Float[Array, "b t h w c"]) -> Float[Array, "b h w tc"]:
    """Return windows as channels, the first window's channels first."""
    b, t, h, w, c = x.shape
    return x.transpose(0, 2, 3, 1, 4).reshape(b, h, w, t * c)


def border(x: Float[Array, "b t h w c"]) -> Float[Array, "b t h w c"]:
    """Return the outer quarters of each window of length d, |t| > d/4; all between is set to 0.

    A control: what is read from here is background and its texture, unless the glitch is longer than d/2.
    """
    time = (jnp.arange(x.shape[3]) + 0.5) / x.shape[3] - 0.5
    return jnp.where((jnp.abs(time) > 0.25)[:, None], x, 0.0)


def keep_windows(windows: tuple[int, ...], x: Float[Array, "b *s c"]) -> Float[Array, "b *s c"]:
    """Set the windows of an event that are not seen to 0; the number of weights stays the same.

    Raises:
      UserError: the input is no event, or has no such window.
    """
    if not windows:
        return x
    if x.ndim != 5 or not all(0 <= window < x.shape[1] for window in windows):
        raise UserError(
            f"model.only_windows {windows} needs events [b t h w c] that have these windows; the input is "
            f"{x.shape}: leave it empty for all."
        )
    seen = jnp.isin(jnp.arange(x.shape[1]), jnp.asarray(windows))
    return jnp.where(seen[:, None, None, None], x, 0.0)


VIEWS: dict[str, Callable[[Array], Array]] = {
    "event": lambda x: x,
    "mosaic": mosaic,
    "channels": channels,
    "border": border,
}


def show_view(name: str, x: Float[Array, "b *s c"]) -> Float[Array, "b *viewed cv"]:
    """Show a view of events; "event" passes images too.

    Raises:
      UserError: another view is asked of an image.
    """
    if name != "event" and x.ndim != 5:
        raise UserError(
            f"model.view {name} needs events [b t h w c]; the input has shape {x.shape}: use event."
        )
    return VIEWS[name](x)
