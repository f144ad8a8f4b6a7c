"""batches: see the docstring of each file."""
