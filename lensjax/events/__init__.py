"""Old name of `lensjax.event_axes`; until 0.2."""

from lensjax.runtime.old_names import forward_names

__getattr__ = forward_names("lensjax.events", "lensjax.event_axes")
