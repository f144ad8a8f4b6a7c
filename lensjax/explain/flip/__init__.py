"""Old name of `lensjax.explain.scores.flip`; until 0.2."""

from lensjax.runtime.old_names import forward_names

__getattr__ = forward_names("lensjax.explain.flip", "lensjax.explain.scores.flip")
