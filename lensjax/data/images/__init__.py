"""Read a user's own cutouts of the sky (FITS, HDF5, NumPy) and put them on the network's pixel grid.

Read in this order: `readers` (files → cutouts), `find_files` (which files are one image), `catalogue`
(labels and positions), `fits` and `hdf5_numpy` (one file), `band_layout` (which array is which band),
`normalise_band` (one band in units of its noise, or in [0, 1]), `noise` (its measurement), `resample`
(pixel grids).
"""
