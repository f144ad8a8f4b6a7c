"""lenses: see the docstring of each file."""
