"""strain: see the docstring of each file."""
