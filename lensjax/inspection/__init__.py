"""inspection: see the docstring of each file."""
