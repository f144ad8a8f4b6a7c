"""Four ways to say where a lens is, trained alike: the same images, epochs and about as many weights.

    lensjax study where --out runs/where

trains and compares them. WAYS are edits of the first, a position head with attention (the demo's network):

- `unet_restore`, then `unet_frozen`: a U-Net that restores the lensed source's light, and a class head on
  what its way down has learned, nothing else trained (the talk's Naberrie; of Wilde, NAM 2022);
- `unet_joint`: the same U-Net, restoring and classifying at once;
- `classifier`: the first one's trunk and attention without a position; maps of it say where.
"""

from collections.abc import Callable
from dataclasses import replace

from lensjax.config import AttentionConfig, Config, LensData, LossConfig, ModelConfig, OptimConfig

Edit = Callable[[Config], Config]

UNET = ModelConfig(
    kind="unet",
    features=(8, 16, 24, 32, 32),
    attention=AttentionConfig(at=()),
    head="restored",
)


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


def unet(frozen: tuple[str, ...] = (), **weights: float) -> Edit:
    def edit(config: Config) -> Config:
        optim = replace(config.optim, frozen=frozen)
        return replace(config, model=UNET, loss=LossConfig(weights), optim=optim)

    return edit


def classifier(config: Config) -> Config:
    model = replace(config.model, head="class")
    return replace(config, model=model, loss=LossConfig({"cross_entropy": 1.0}))


WAYS: dict[str, Edit] = {
    "position": lambda config: config,
    "classifier": classifier,
    "unet_restore": unet(restoration=1.0),
    "unet_frozen": unet(frozen=("stage", "up", "restored"), cross_entropy=1.0),
    "unet_joint": unet(cross_entropy=1.0, restoration=2.0),
}
STARTS = {"unet_frozen": "unet_restore"}
"""Ways that start from the parameters of another one, of the same seed."""
