"""Explanations as pure functions of arrays: jax and numpy are all this package imports."""
