"""Define the base of the study of events: a network like the talk's, small enough for five seeds a variant.

    lensjax study talk-table configs/gravity_spy_study.py --out runs/events_study --jobs 2

The network has three blocks of (1, 3, 3) convolution and pooling, flattens everything into the class logits,
and has about 100,000 parameters; windows are 70 × 85. `events_talk` in configs/variants.py lists the
variants. On two CPU cores this takes about half an hour.
"""

from lensjax.config import AttentionConfig, Config, EventData, LossConfig, ModelConfig, OptimConfig
from lensjax.event_axes import CLASSES


def get_config() -> Config:
    return Config(
        data=EventData(size=(70, 85), train=1_320, validation=220, test=1_100, augment=("band_limit",)),
        model=ModelConfig(
            features=(8, 16, 32),
            pool=(3, 2, 2),
            standardise=False,
            attention=AttentionConfig(at=()),
            pooling="flatten",
            hidden=0,
            dropout=0.2,
            head="class",
            classes=CLASSES,
        ),
        loss=LossConfig({"cross_entropy": 1.0}),
        optim=OptimConfig(epochs=6, batch_size=16, learning_rate=3e-3, patience=3),
    )
