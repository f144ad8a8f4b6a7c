"""Train a 3D network with spatial attention on events of four windows: class and peak of glitches and chirps.

    make demo-events

or, step by step,

    python train.py configs/gravity_spy_demo.py --workdir runs/events
    python explain.py runs/events --out runs/events/report

The data are simulated events of 22 classes, equally many of each. On two CPU cores this takes about five
minutes in all. The README gives the measured results.
"""

from lensjax.config import AttentionConfig, Config, EventData, LossConfig, ModelConfig, OptimConfig
from lensjax.event_axes import CLASSES


def get_config() -> Config:
    return Config(
        data=EventData(size=(70, 85), train=1_760, validation=220, test=440, augment=("band_limit",)),
        model=ModelConfig(
            features=(16, 24, 32),
            pool=(2, 3, 1),
            standardise=False,
            # Both so that maps lie where the evidence is: see "Which map to trust" in the README.
            bias=False,
            pooling="rows",
            attention=AttentionConfig(at=("stage2",)),
            hidden=0,
            dropout=0.2,
            classes=CLASSES,
        ),
        loss=LossConfig({"cross_entropy": 1.0, "position": 2.0, "position_nll": 0.05}),
        optim=OptimConfig(epochs=8, batch_size=16, learning_rate=3e-3, patience=3),
    )
