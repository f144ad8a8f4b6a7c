"""scores: see the docstring of each file."""
