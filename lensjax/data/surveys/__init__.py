"""surveys: see the docstring of each file."""
