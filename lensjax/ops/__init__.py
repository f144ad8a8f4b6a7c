"""ops: see the docstring of each file."""
