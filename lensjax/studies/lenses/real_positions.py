"""Measure class and position on files of real lenses, relative to the galaxy's peak of light.

    lensjax study real-positions runs/hst --pixel-scale 0.05 --inputs FILE [FILE …]

The peak is the brightest pixel, within 1″ of the middle of the cutout, of the first band smoothed by 0.1″.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lensjax.inspection import examples, maps
from lensjax.inspection.restore import restore
from lensjax.studies import common
from lensjax.studies.lenses.real_images import find_peak_of_light


@dataclass(frozen=True)
class RealPositionOptions:
    run: common.Run
    inputs: tuple[Path, ...]
    """Files, as for explain.py."""
    pixel_scale: float | None = None
    """Arcseconds a pixel of the files, where they do not say so."""


def main(options: RealPositionOptions) -> None:
    """Print the probability of lens and the distance from the peak of light, file by file."""
    trained = restore(options.run)
    images, problems = examples.from_files(
        trained,
        options.inputs,
        source_pixel_scale=options.pixel_scale,
        hdus=(),
        centre=None,
        catalogue=None,
    )
    for problem in problems:
        print(f"skipped {problem}")
    predicted = maps.predict(trained, images, 8)
    for i, item in enumerate(images):
        assert trained.pixel_scale is not None and predicted.position is not None
        assert predicted.position_sigma is not None  # a lens finder has a scale and a position
        side = np.array(item.image.shape[:2]) * trained.pixel_scale
        miss = (predicted.position[i] - find_peak_of_light(item.image, trained.pixel_scale)) * side
        sigma = np.sqrt(np.mean((predicted.position_sigma[i] * side) ** 2))
        odds = predicted.probabilities[i, 1]
        print(
            f"{item.id:45s} p(lens) {odds:.3f}  {np.hypot(*miss):.2f} arcsec from the peak, sigma {sigma:.2f}"
        )


run = common.make_command("real-positions", main, RealPositionOptions, __doc__)

if __name__ == "__main__":
    run()
