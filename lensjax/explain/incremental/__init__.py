"""incremental: see the docstring of each file."""
