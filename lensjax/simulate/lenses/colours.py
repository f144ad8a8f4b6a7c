"""Colours of galaxies: two spectra as AB magnitudes against rest wavelength, mixed and redshifted.

Coarse by intent: what matters to a finder is that an old lens is red, that its break moves through the
bands with redshift, and that sources spread from blue to red. Shapes follow the familiar early-type and
star-forming spectra (a 4000 Å break of an old population; a nearly flat ultraviolet).
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from lensjax.simulate.lenses.interpolation import piecewise_linear
from lensjax.types import Array, Float

REFERENCE_WAVELENGTH = 0.72  # micrometres: the population's magnitudes are Euclid VIS magnitudes

_REST = np.log([0.09, 0.12, 0.15, 0.2, 0.25, 0.3, 0.35, 0.38, 0.41, 0.45, 0.55, 0.65, 0.8, 1.0, 1.6, 2.5])
_OLD = np.array([8.0, 6.5, 5.9, 5.4, 4.8, 3.7, 2.6, 2.2, 1.35, 0.9, 0.2, -0.15, -0.5, -0.75, -1.15, -0.9])
_YOUNG = np.array(
    [4.0, 1.2, 0.4, 0.25, 0.2, 0.15, 0.1, 0.0, -0.35, -0.42, -0.52, -0.6, -0.65, -0.7, -0.8, -0.7]
)


def band_magnitudes(
    reference: Float[Array, ""], redshift: Float[Array, ""], old: Float[Array, ""], wavelengths: np.ndarray
) -> Float[Array, "c"]:
    """Return the AB magnitudes at `wavelengths` (micrometres) of a galaxy whose VIS magnitude is `reference`.

    `old` is the weight of the old spectrum in magnitudes: 1 an elliptical, 0 star-forming.
    """
    rest = jnp.log(np.append(wavelengths, REFERENCE_WAVELENGTH).astype(np.float32) / (1 + redshift))
    both = piecewise_linear(jnp.stack([rest, rest]), _REST, np.stack([_OLD, _YOUNG])[:, None])
    spectrum = old * both[0] + (1 - old) * both[1]
    return reference + spectrum[:-1] - spectrum[-1]
