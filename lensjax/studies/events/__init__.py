"""events: see the docstring of each file."""
