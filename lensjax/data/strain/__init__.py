"""Read the strain of a detector.

Read in this order: `strain_files` (GWOSC files), `open_strain` (download by GPS time), `strain_scan` (the
event around a time), `triggers` (the loudest tiles of a whole file).
"""
