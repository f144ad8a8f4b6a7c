"""Train OU-66 of Wilde et al. 2022: the published network on simulated Euclid VIS, Y, J, H.

    python train.py configs/ou66_euclid.py --workdir runs/ou66

Trunk, head, dropout, Adam at a constant 3e-4, batches of 500, 150 epochs and the sizes of the splits are the
paper's (MNRAS 512, 3464). The differences: the images are our simulator's, 66 pixels of 0.1″ (6.6″; the
paper's are 20″ in 66 pixels), in its order VIS, Y, J, H and its units asinh(flux / noise) instead of each
band from its minimum to its maximum; half are lenses, so classes weigh the same; dense layers start from
Flax's initialiser. It stays at chance for 700 steps, longer at smaller batches, and had a validation AUROC of
0.90 in epoch 52, when our time on a GPU ended. An epoch takes three seconds on an H200; two cores need days.
A smaller training, AUROC 0.73 after 41 minutes on two cores, is in docs/lens_study.md. The published weights:
`explain.py published:OU-66`.
"""

from lensjax.config import Config, LensData, LossConfig, OptimConfig
from lensjax.models.published import OU_66


def get_config() -> Config:
    return Config(
        data=LensData(
            size=66, train=45_000, validation=3_000, test=12_000, min_theta_e=0.5, min_snr=40.0, augment=()
        ),
        model=OU_66,
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
