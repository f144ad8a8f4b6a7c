"""Old name of `lensjax.config_io`; until 0.2."""

from lensjax.runtime.old_names import forward_names

__getattr__ = forward_names("lensjax.config_files", "lensjax.config_io")
