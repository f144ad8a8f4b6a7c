"""Folders of real and challenge images.

`lens_challenge` (the Bologna Lens Finding Challenges), `hst_lenses` (lenses of Project Dinos), `galaxies`
(real galaxies in GalSim's layout, as non-lenses).
"""
