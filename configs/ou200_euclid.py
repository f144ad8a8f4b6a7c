"""OU-200 of Wilde et al. 2022, trained by us: the published network on simulated Euclid VIS, Y, J, H.

    python train.py configs/ou200_euclid.py --workdir runs/ou200

Trunk, head, dropout, Adam at a constant 3e-4, batches of 500, 150 epochs and the sizes of the splits are the
paper's (MNRAS 512, 3464), and so is the field, 200 pixels of 0.1″. What differs: the images are our
simulator's, in its order VIS, Y, J, H and its units asinh(flux / noise) instead of each band from its minimum
to its maximum; half are lenses, so classes weigh the same; dense layers start from Flax's initialiser. The
data take 20 GB and are read from disk. Not run in full: 1,800 steps of 100 on 6,000 images gave an AUROC of
0.73, still rising, in five minutes on an H200 (docs/lens_study.md). The published weights themselves:
`explain.py published:OU-200`.
"""

from lensjax.config import Config, LensData, LossConfig, OptimConfig
from lensjax.models.published import OU_200


def get_config() -> Config:
    return Config(
        data=LensData(
            size=200, train=45_000, validation=3_000, test=12_000, min_theta_e=0.5, min_snr=40.0, augment=()
        ),
        model=OU_200,
        loss=LossConfig({"cross_entropy": 1.0}),
        optim=OptimConfig(
            batch_size=500,
            epochs=150,
            patience=0,
            learning_rate=3e-4,
            schedule="constant",
            warmup=0.0,
            weight_decay=0.0,
            clip_norm=0.0,
        ),
    )
