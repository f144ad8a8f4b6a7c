"""methods: see the docstring of each file."""
