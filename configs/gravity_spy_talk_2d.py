"""Train the talk's network for images: Conv2D and pooling on each window by itself, image by image.

    python train.py configs/gravity_spy_talk_2d.py --workdir runs/talk2d
    python train.py configs/gravity_spy_talk_2d.py --workdir runs/talk2d_full --data.size 479 569 \
        --data.encoding rgb --model.features 8 8 --model.pool 3

The network has 478,758 parameters at 140 × 170 and 568,254 at the talk's 479 × 569 × 3 (the talk: 400,000 to
a million). The mean probability of an event's windows decides its class; test_predictions.npz also holds
`window_logits`.
"""

from lensjax.config import AttentionConfig, Config, EventData, LossConfig, ModelConfig, OptimConfig
from lensjax.event_axes import CLASSES


def get_config() -> Config:
    return Config(
        data=EventData(size=(140, 170), balance="real", train=5_587, validation=1_200, test=1_180),
        model=ModelConfig(
            features=(16, 16),
            pool=(2,),
            padding="VALID",
            standardise=False,
            attention=AttentionConfig(at=()),
            pooling="flatten",
            hidden=0,
            head="class",
            decide="window",
            classes=CLASSES,
        ),
        loss=LossConfig({"window_cross_entropy": 1.0}),
        optim=OptimConfig(epochs=30, patience=3, batch_size=16, learning_rate=1e-3, schedule="constant"),
    )
