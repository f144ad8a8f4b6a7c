"""Four ways to say where a lens is, trained alike: the same images, epochs and about as many weights.

    lensjax study where --out runs/where

trains and compares them. WAYS (`lens_places` of configs/variants.py) are edits of the first, a position head
with attention (the demo's network):

- `unet_restore`, then `unet_frozen`: a U-Net that restores the lensed source's light, and a class head on
  what its way down has learned, nothing else trained (the talk's Naberrie; of Wilde, NAM 2022);
- `unet_joint`: the same U-Net, restoring and classifying at once;
- `classifier`: the first one's trunk and attention without a position; maps of it say where.
"""

from lensjax.config import AttentionConfig, Config, LensData, ModelConfig, OptimConfig
from lensjax.config_io import find_config
from lensjax.specs import load_definition


def get_config() -> Config:
    return Config(
        data=LensData(
            size=64, train=6_000, validation=600, test=1_400, min_theta_e=0.5, min_snr=40.0, light=True
        ),
        model=ModelConfig(
            features=(16, 24, 32, 48, 64, 64),
            pool=(2, 1, 2, 1, 2, 1),
            attention=AttentionConfig(at=("stage2", "stage3")),
        ),
        optim=OptimConfig(epochs=5, batch_size=32, learning_rate=3e-3),
    )


WAYS = load_definition(find_config("variants"), "GROUPS", "")["lens_places"]
STARTS = load_definition(find_config("variants"), "STARTS", "")
