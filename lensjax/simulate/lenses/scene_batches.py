"""What the simulator gives: a scene with its truth, and scenes by the chunk as the examples of a data set."""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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
    """Of the PSFs, arcseconds."""
    truth: dict[str, Array]
    """Scalars by the names of `TRUTH`."""
    parameters: dict[str, Array]
    """Everything that was drawn: with these, `lensjax.simulate.lenses.edit_scene` makes the image again."""
    source_masks: Bool[Array, "n h w"] | None = None
    """The arcs of each source of a compound lens, the nearer first; `mask` is their union."""


def stored(scene: Scene, light: bool) -> Scene:
    """Without what a data set does not keep; the source's flux only for its `light`."""
    source_flux = scene.source_flux if light else scene.source_flux[:0]
    return scene._replace(flux=scene.flux[:0], source_flux=source_flux, parameters={}, source_masks=None)


def in_order(make: functools.partial[Scene], name: str, count: int, chunk: int) -> Iterator[Example]:
    """Chunks run ahead in one thread a core (a mapped scene uses one core), examples come in order."""
    workers = os.cpu_count() or 1
    starts = iter(range(0, count, chunk))
    with ThreadPoolExecutor(workers) as pool:
        running: deque[tuple[int, Future[Scene]]] = deque()
        while True:
            while len(running) < workers + 1 and (start := next(starts, None)) is not None:
                running.append((start, pool.submit(make, start, chunk)))
            if not running:
                return
            start, future = running.popleft()
            scenes = future.result()
            for row in range(min(chunk, count - start)):
                yield _example(scenes, row, f"{name}-{start + row:06d}")


def _example(scenes: Scene, row: int, name: str) -> Example:
    """One row, copied, so that an example kept does not keep its chunk."""
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
