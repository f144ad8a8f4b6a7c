"""Train the talk's network for events: Conv3D, 8 kernels (1, 3, 3), pooling (1, 3, 3), flattened, with gates.

    python train.py configs/gravity_spy_talk_3d.py --workdir runs/talk3d
    python train.py configs/gravity_spy_talk_3d.py --workdir runs/talk3d_full --data.size 479 569 \
        --data.encoding rgb --model.features 8 8 8

At 140 × 170 two blocks have 178,094 parameters without the gates (the talk: about 150,000); at the talk's
479 × 569 × 3, three blocks have 226,694. "3D" attention is one kernel for all windows;
`--model.attention.per-window` is "2D". At full size two epochs of 48 events took
17 s each on two shared cores, 0.36 s an event; all 5,587 need a GPU, on which we have measured nothing yet.
"""

from lensjax.config import AttentionConfig, Config, EventData, LossConfig, ModelConfig, OptimConfig
from lensjax.event_axes import CLASSES


def get_config() -> Config:
    return Config(
        data=EventData(size=(140, 170), balance="real", train=5_587, validation=1_200, test=1_180),
        model=ModelConfig(
            features=(8, 8),
            pool=(3,),
            padding="VALID",
            standardise=False,
            attention=AttentionConfig(at=("stage1", "stage2")),
            pooling="flatten",
            hidden=0,
            head="class",
            classes=CLASSES,
        ),
        loss=LossConfig({"cross_entropy": 1.0}),
        optim=OptimConfig(epochs=30, patience=3, batch_size=16, learning_rate=1e-3, schedule="constant"),
    )
