"""The study's networks trained as the talk did: a constant rate, until three epochs bring nothing.

    lensjax study talk-table configs/gravity_spy_patience.py \
        --out runs/events_patience --jobs 2 \
        --only image_2d event_3d attention_3d_two_layers attention_2d_two_layers

Data and networks are those of `gravity_spy_study.py`; its "epochs" column is what this is for.
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
        optim=OptimConfig(epochs=30, batch_size=16, learning_rate=1e-3, schedule="constant", patience=3),
    )
