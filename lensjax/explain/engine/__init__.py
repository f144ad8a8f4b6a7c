"""engine: see the docstring of each file."""
