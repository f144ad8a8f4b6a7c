"""Figures by matplotlib: `Figure` objects on the Agg canvas, without pyplot's state.

`panels` has the pieces; `save_figures` writes all figures of a run, with `examples` (one example each) and
`curves` (history and ROC, on the page too); `film` (strips of images made by gradient ascent),
`contact_sheet` (simulated data), `studies` (tables of studies).
"""
