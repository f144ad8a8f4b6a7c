"""Train OU-200 of Wilde et al. 2022: the published network on simulated Euclid VIS, Y, J, H.

    python train.py configs/ou200_euclid.py --workdir runs/ou200

Trunk, head, dropout, Adam at a constant 3e-4, batches of 500, 150 epochs and the sizes of the splits are the
paper's (MNRAS 512, 3464), and so is the field, 200 pixels of 0.1″. The differences: the images are our
simulator's, in its order VIS, Y, J, H and its units asinh(flux / noise) instead of each band from its minimum
to its maximum; half are lenses, so classes weigh the same; dense layers start from Flax's initialiser. The
data take 20 GB and are read from disk. We did not run it in full: 1,800 steps of 100 on 6,000 images gave an
AUROC of 0.73, still rising, in five minutes on an H200 (docs/lens_study.md). The published weights
themselves: `explain.py published:OU-200`.
"""

from dataclasses import replace

from lensjax.config import Config
from lensjax.config_io import load_config
from lensjax.models.published import OU_200


def get_config() -> Config:
    config = load_config("ou66_euclid")
    return replace(config, data=replace(config.data, size=200), model=OU_200)
