"""runtime: see the docstring of each file."""
