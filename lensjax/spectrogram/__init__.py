"""Time-frequency pictures of simulated and of real strain. Read in this order:

whitening.py     amplitude spectral density, and strain of unit variance
qtransform.py    the entrance: the multi-Q scan of a whitened block
q_planes.py      planes of one Q, rows of tiles and which are computed together, places of the pixels
q_energy.py      the energy of the tiles of a row
pictures.py      scans drawn and stored as the official pictures are
colour_map.py    viridis and its inverse
"""
