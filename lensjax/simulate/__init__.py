"""Simulators that know the true evidence: `lenses/` makes images of the sky, `events/` whitened strain.

`threads.py` runs both on all cores of a CPU. Neither knows the networks.
"""
