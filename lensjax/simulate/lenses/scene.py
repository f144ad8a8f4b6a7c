"""A simulated scene with its truth, and the example of a data set that is made of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lensjax.simulate.lenses.kinds import is_lens
from lensjax.types import Array, Bool, Example, Float


class Scene(NamedTuple):
    """One simulated image and its truth."""

    image: Float[Array, "h w c"]
    """asinh(flux / sigma), with noise and artefacts."""
    flux: Float[Array, "h w c"]
    """Noise-free flux of everything but artefacts, in the bands' units."""
    source_flux: Float[Array, "h w c"]
    """Noise-free flux of the lensed source; zero in a non-lens."""
    mask: Bool[Array, "h w"]
    """The arcs, by the definition in `lensjax.simulate.lenses.evidence`."""
    artefact_mask: Bool[Array, "h w"]
    position: Float[Array, "2"]
    """Lens centre (row, column) as fractions of the image; NaN in a non-lens."""
    sigma: Float[Array, "c"]
    """Standard deviation of the background, in the bands' units."""
    fwhm: Float[Array, "c"]
    """Full width at half maximum of each band's PSF, arcsec."""
    truth: dict[str, Array]
    """Scalars by the names of `TRUTH`."""
    parameters: dict[str, Array]
    """Everything that was drawn: with these, `lensjax.simulate.lenses.edit_scene` makes the image again."""
    source_masks: Bool[Array, "n h w"] | None = None
    """The arcs of each source of a compound lens, the nearer first; `mask` is their union."""


def drop_unsaved(scene: Scene, light: bool) -> Scene:
    """Drop what a data set does not keep; the source's flux stays where its `light` is asked for."""
    source_flux = scene.source_flux if light else scene.source_flux[:0]
    return scene._replace(flux=scene.flux[:0], source_flux=source_flux, parameters={}, source_masks=None)


def to_example(scenes: Scene, row: int, name: str) -> Example:
    """Copy one row of a chunk: an example that is kept does not keep its chunk."""
    example = Example(
        image=np.array(scenes.image[row]),
        label=int(is_lens(scenes.truth["kind"][row])),
        position=np.array(scenes.position[row]),
        mask=np.array(scenes.mask[row]),
        id=name,
        truth={key: np.float32(value[row]) for key, value in scenes.truth.items()},
    )
    if scenes.source_flux[row].size:
        example["light"] = np.arcsinh(scenes.source_flux[row] / scenes.sigma[row])
    return example
