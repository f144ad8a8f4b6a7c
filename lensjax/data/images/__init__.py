"""images: see the docstring of each file."""
