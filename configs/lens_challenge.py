"""Train on the Bologna Lens Finding Challenge, read from your folder: lens or non-lens, without a position.

    python train.py configs/lens_challenge.py --workdir runs/challenge --data.path FOLDER
    python explain.py runs/challenge --out runs/challenge/explain

FOLDER holds images such as imageEUC_VIS-100002.fits with a catalogue, or in folders `lens` and `nolens`
(`$LENSJAX_REAL_DATA/lens_challenge/space_based` is a sample of nine). `--data.track ground` (four bands) and
`--data.track space2 --data.size 200` are the other two. To list the contents of a folder:

    python -m lensjax.data.surveys.lens_challenge FOLDER

The ID of an object decides its split: 75 % training, 5 % validation, 20 % test. We have not measured hardware
and time: the 20,000 images of a track are not among the project's files. In the challenge the best
networks reached an AUROC of 0.93 from space and of 0.98 from the ground (Metcalf et al. 2019).
"""

from lensjax.config import AttentionConfig, Config, LensChallengeData, LossConfig, ModelConfig, OptimConfig


def get_config() -> Config:
    return Config(
        data=LensChallengeData(),
        model=ModelConfig(
            features=(16, 32, 48, 64),
            pool=(2, 2, 2, 2),
            attention=AttentionConfig(at=("stage1", "stage2")),
            dropout=0.1,
            head="class",
        ),
        loss=LossConfig({"cross_entropy": 1.0}),
        optim=OptimConfig(epochs=20, patience=4),
    )
