"""`lens_hst.py` at a size that trains in minutes on one core, and what is varied in it.

    python -m lensjax.studies.lenses.real_variants configs/lens_hst_study.py \
        --lenses $LENSJAX_REAL_DATA/lens_hst \
        --galaxies $LENSJAX_REAL_DATA/galaxies_hst_cosmos --rings $LENSJAX_REAL_DATA/galaxies_decals_rings \
        --out runs/real_variants

trains and compares VARIANTS (`lens_real` of configs/variants.py) on real lenses: 3,000 simulations, six
epochs and smaller batches, half as many steps as of the full training. The study fills in the folder of
`negatives`.
"""

from lensjax.config import AttentionConfig, Config, LensData, ModelConfig, OptimConfig
from lensjax.config_io import find_config
from lensjax.specs import defined_in


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


VARIANTS = defined_in(find_config("variants"), "GROUPS", "")["lens_real"]
