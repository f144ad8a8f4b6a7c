"""Attention-based interpretable networks in JAX whose explanations are scored against the truth."""

__version__ = "0.1.0"
