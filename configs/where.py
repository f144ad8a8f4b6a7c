"""Compare four ways to predict the position of a lens, with the same images and epochs.

    lensjax study where --out runs/where

trains and compares them; they have about as many weights. WAYS (`lens_places` of configs/variants.py) are
edits of the first, a position head with attention (the demo's network):

- `unet_restore`, then `unet_frozen`: a U-Net that restores the lensed source's light, then a class head on
  its frozen encoder (the talk's Naberrie; Wilde, NAM 2022);
- `unet_joint`: the same U-Net, trained to restore and classify at once;
- `classifier`: the trunk and attention of the first without a position head; its maps give the position.
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
