"""page: see the docstring of each file."""
