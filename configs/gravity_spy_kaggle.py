"""Train on the real Gravity Spy set, read from the Kaggle folder, the Zenodo HDF5 or the tar archive.

    python train.py configs/gravity_spy_kaggle.py --workdir runs/kaggle --data.path /path/to/gravity-spy

The reader groups pictures by event and converts colours back to energy. It names events that are incomplete,
damaged or in two splits, and leaves them out; `--data.on-problem refuse` stops instead.
`python -m lensjax.data.gravity_spy.training_set PATH` lists the contents of PATH.
"""

from lensjax.config import AttentionConfig, Config, GravitySpyData, LossConfig, ModelConfig, OptimConfig
from lensjax.event_axes import CLASSES


def get_config() -> Config:
    return Config(
        data=GravitySpyData(),
        model=ModelConfig(
            features=(8, 16, 32),
            pool=(3, 3, 2),
            standardise=False,
            attention=AttentionConfig(at=("stage1", "stage2")),
            pooling="concat",
            dropout=0.1,
            head="class",
            classes=CLASSES,
        ),
        loss=LossConfig({"cross_entropy": 1.0}),
        optim=OptimConfig(epochs=20, patience=3, batch_size=16, learning_rate=2e-3),
    )
