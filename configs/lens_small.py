"""Define `lens_demo.py` at a size that takes seconds an epoch on two cores, to compare losses over seeds.

    python train.py configs/lens_small.py --ablate explanation_losses --seeds 5 --workdir runs/lens_losses

It uses 1,500 images and four epochs; docs/cycle_study.md gives the results.
"""

from dataclasses import replace

from lensjax.config import Config
from lensjax.config_io import load_config


def get_config() -> Config:
    config = load_config("lens_demo")
    data = replace(config.data, train=1_500, validation=200)
    return replace(config, data=data, optim=replace(config.optim, epochs=4))
