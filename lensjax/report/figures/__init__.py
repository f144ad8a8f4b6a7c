"""figures: see the docstring of each file."""
