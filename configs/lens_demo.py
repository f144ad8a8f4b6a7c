"""A lens finder that says what and where: simulated Euclid VIS, Y, J, H cutouts of 6.4″.

python train.py configs/lens_demo.py --workdir runs/demo
python explain.py runs/demo --out runs/demo/report
"""

from lensjax.config import AttentionConfig, Config, DataConfig, ModelConfig, OptimConfig


def get_config() -> Config:
    return Config(
        data=DataConfig(instrument="euclid", size=64, train=12_000, validation=1_000, test=2_000),
        model=ModelConfig(
            features=(16, 32, 48, 64),
            pool=(2, 2, 2, 1),
            attention=AttentionConfig(at=("stage1", "stage2")),
        ),
        optim=OptimConfig(epochs=12, batch_size=64, learning_rate=3e-3),
    )
