"""`lens_hst.py` at a size that trains in minutes on one core, and what is varied in it.

    lensjax study real-variants configs/lens_hst_study.py --lenses DATA/lens_hst \
        --galaxies DATA/galaxies_hst_cosmos --rings DATA/galaxies_decals_rings --out runs/real_variants

trains and compares VARIANTS, edits of the configuration, on real lenses: 3,000 simulations, six epochs and
smaller batches, half as many steps as of the full training. The study fills in the folder of `negatives`.
"""

from collections.abc import Callable
from dataclasses import replace

from lensjax.config import AttentionConfig, Config, LensData, ModelConfig, OptimConfig

Edit = Callable[[Config], Config]


def get_config() -> Config:
    return Config(
        data=LensData(
            instrument="hst_f814w",
            size=96,
            train=3_000,
            validation=400,
            test=2_000,
            min_theta_e=0.5,
            min_snr=40.0,
        ),
        model=ModelConfig(
            features=(12, 24, 32, 48, 64, 64),
            pool=(2, 1, 2, 1, 2, 1),
            attention=AttentionConfig(at=("stage2", "stage3")),
        ),
        optim=OptimConfig(epochs=6, batch_size=16, learning_rate=2e-3),
    )


def data(**changes) -> Edit:
    return lambda config: replace(config, data=replace(config.data, **changes))


VARIANTS: dict[str, Edit] = {
    "base": data(),
    "no_augmentation": data(augment=()),
    "more_augmentation": data(augment=("dihedral", "shift", "brightness", "noise")),
    "noise": data(instrument="hst_f814w_noise"),
    "psf": data(instrument="hst_f814w_psf"),
    "real_negatives": data(negatives="galaxies", negative_share=0.3),
}
