"""Define `lens_hst.py` at a size that trains in minutes on one core, and its variants.

    lensjax study real-variants configs/lens_hst_study.py \
        --lenses $LENSJAX_REAL_DATA/lens_hst \
        --galaxies $LENSJAX_REAL_DATA/galaxies_hst_cosmos --rings $LENSJAX_REAL_DATA/galaxies_decals_rings \
        --out runs/real_variants

trains the VARIANTS (`lens_real` of configs/variants.py) and compares them on real lenses. The training uses
3,000 simulations, six epochs and smaller batches, half as many steps as the full training. The study sets the
folder of `negatives`.
"""

from dataclasses import replace

from lensjax.config import Config, OptimConfig
from lensjax.config_io import find_config, load_config
from lensjax.specs import load_definition


def get_config() -> Config:
    config = load_config("lens_hst")
    data = replace(config.data, train=3_000, validation=400, test=2_000)
    return replace(config, data=data, optim=OptimConfig(epochs=6, batch_size=16, learning_rate=2e-3))


VARIANTS = load_definition(find_config("variants"), "GROUPS", "")["lens_real"]
