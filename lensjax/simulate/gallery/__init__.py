"""`python -m lensjax.simulate.gallery`: every class of event, simulated and real, side by side."""
