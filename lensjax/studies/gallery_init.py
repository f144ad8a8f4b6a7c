"""`python -m lensjax.studies.gallery_init`: every class of event, simulated and real, side by side."""
