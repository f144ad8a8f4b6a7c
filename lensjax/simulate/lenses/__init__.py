"""Strong lenses and their look-alikes as multi-band images with their truth. Read in this order:

examples.py          the entrance: one scene by its kind, or the examples of a data set
kinds.py             the kinds of scene, their shares and groups
instruments.py       the instruments: bands, PSF, noise
scene.py             what a scene holds
single_lenses.py     a scene of one source plane: draw until found, render, add noise
compound_lenses.py   a scene of two source planes
population.py        distributions of lens and source properties; scene_parameters.py: what else is in a scene
cosmology.py         distances and Einstein radii
render.py            parameters to flux; light.py: profiles; colours.py: spectra; optics.py: PSF and noise
artefacts.py         stars, gaps, cosmic rays
evidence.py          the mask of the arcs, signal-to-noise, the rule of what counts as found
edit_scene.py        the same scene with one thing changed
interpolation.py     tabulated functions in traced code
"""

import importlib
import warnings
from typing import Any


def __getattr__(name: str) -> Any:
    """Give `simulate` under its name of 0.1, with a warning."""
    if name != "simulate":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    message = "lensjax.simulate.lenses.simulate is now lensjax.simulate.lenses.examples.simulate; until 0.2."
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    return importlib.import_module(f"{__name__}.examples").simulate
