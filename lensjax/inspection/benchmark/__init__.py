"""`explain.py RUN --benchmark`: every method × every score for a trained network, and what each costs."""
