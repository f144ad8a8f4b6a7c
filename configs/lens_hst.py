"""Train a finder for real HST cutouts on simulations alone: one-band Hubble images, F814W at 0.05″.

    python train.py configs/lens_hst.py --workdir runs/hst

Cutouts are 4.8″ wide; lenses are as in `lens_demo.py`. On two CPU cores this takes about ten minutes. The
README gives the network's predictions for the Jackpot lens, SDSSJ0946+1006.
"""

from lensjax.config import AttentionConfig, Config, LensData, ModelConfig, OptimConfig


def get_config() -> Config:
    return Config(
        data=LensData(
            instrument="hst_f814w",
            size=96,
            train=10_000,
            validation=600,
            test=1_400,
            min_theta_e=0.5,
            min_snr=40.0,
        ),
        model=ModelConfig(
            features=(12, 24, 32, 48, 64, 64),
            pool=(2, 1, 2, 1, 2, 1),
            attention=AttentionConfig(at=("stage2", "stage3")),
        ),
        optim=OptimConfig(epochs=8, batch_size=32, learning_rate=3e-3),
    )
