"""store: see the docstring of each file."""
