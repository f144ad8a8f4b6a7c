"""training: see the docstring of each file."""
