"""dreams: see the docstring of each file."""
