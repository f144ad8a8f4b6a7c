"""gravity_spy: see the docstring of each file."""
