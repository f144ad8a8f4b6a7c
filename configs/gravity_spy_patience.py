"""Train the study's networks as the talk did: at a constant rate, until three epochs bring no improvement.

    lensjax study talk-table configs/gravity_spy_patience.py \
        --out runs/events_patience --jobs 2 \
        --only image_2d event_3d attention_3d_two_layers attention_2d_two_layers

Data and networks are those of `gravity_spy_study.py`. The table's "epochs" column is the result of interest.
"""

from dataclasses import replace

from lensjax.config import Config, OptimConfig
from lensjax.config_io import load_config


def get_config() -> Config:
    optim = OptimConfig(epochs=30, batch_size=16, learning_rate=1e-3, schedule="constant", patience=3)
    return replace(load_config("gravity_spy_study"), optim=optim)
