"""Class and position of a trained network on files of real lenses, measured from the galaxy's peak of light.

    python -m lensjax.studies.lenses.real_positions runs/hst --pixel-scale 0.05 --inputs FILE [FILE …]

The peak is the brightest pixel, within 1″ of the middle of the cutout, of the first band smoothed by 0.1″.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lensjax.inspection import examples, maps
from lensjax.inspection.restore import restore
from lensjax.studies.lenses.real_images import peak_of_light


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--inputs", type=Path, nargs="+", required=True)
    parser.add_argument("--pixel-scale", type=float)
    arguments = parser.parse_args()
    trained = restore(arguments.run)
    images, problems = examples.from_files(
        trained,
        arguments.inputs,
        source_pixel_scale=arguments.pixel_scale,
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
        miss = (predicted.position[i] - peak_of_light(item.image, trained.pixel_scale)) * side
        sigma = np.sqrt(np.mean((predicted.position_sigma[i] * side) ** 2))
        odds = predicted.probabilities[i, 1]
        print(
            f"{item.id:45s} p(lens) {odds:.3f}  {np.hypot(*miss):.2f} arcsec from the peak, sigma {sigma:.2f}"
        )


if __name__ == "__main__":
    main()
