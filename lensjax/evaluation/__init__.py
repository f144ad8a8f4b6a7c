"""evaluation: see the docstring of each file."""
