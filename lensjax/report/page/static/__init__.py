"""static: see the docstring of each file."""
