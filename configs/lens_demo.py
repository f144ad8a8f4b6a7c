"""Train a lens finder that predicts class and position on simulated Euclid VIS, Y, J, H cutouts of 6.4″.

    make demo

or, step by step,

    python train.py configs/lens_demo.py --workdir runs/demo
    python explain.py runs/demo --out runs/demo/report

Lenses have θE > 0.5″ and a signal-to-noise above 40; a third of the non-lenses are ring galaxies and galaxies
with companions of the arcs' brightness. On two CPU cores this takes about five minutes in all. The README
gives the measured results.
"""

from lensjax.config import AttentionConfig, Config, LensData, ModelConfig, OptimConfig


def get_config() -> Config:
    return Config(
        data=LensData(
            instrument="euclid",
            size=64,
            train=10_000,
            validation=600,
            test=1_400,
            min_theta_e=0.5,
            min_snr=40.0,
        ),
        model=ModelConfig(
            features=(16, 24, 32, 48, 64, 64),
            pool=(2, 1, 2, 1, 2, 1),
            attention=AttentionConfig(at=("stage2", "stage3")),
        ),
        optim=OptimConfig(epochs=6, batch_size=32, learning_rate=3e-3),
    )
