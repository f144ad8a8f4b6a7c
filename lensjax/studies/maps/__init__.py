"""maps: see the docstring of each file."""
