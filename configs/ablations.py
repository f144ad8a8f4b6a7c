"""Edits of an experiment on events, one line each: `ABLATIONS[name](config) -> config`.

    python -m lensjax.studies.events configs/gravity_spy_study.py --out runs/events_study

runs them all over several seeds. Names of the talk: "3D" attention has one kernel for all windows, "2D" has
one a window. All have 99,000 to 115,000 weights, those that average over space (`gated_windows` and its
control without the gate, `mean_windows`) in wider layers; but the two that average over time alone
(`time_averaged` and the same with a gate: the demo's network without its position head) have about 42,000.
"""

from collections.abc import Callable
from dataclasses import replace

from lensjax.config import AttentionConfig, Config, LossConfig

Edit = Callable[[Config], Config]


def model(**changes) -> Edit:
    return lambda config: replace(config, model=replace(config.model, **changes))


def gates(*at: str, **options) -> Edit:
    return model(attention=AttentionConfig(at=at, **options))


def per_image(config: Config) -> Config:
    """The layers as a 2D network, trained on each window as an image; pooled less, for as many weights."""
    config = model(decide="window", attention=AttentionConfig(at=()), pool=(3, 2, 1))(config)
    return replace(config, loss=LossConfig({"window_cross_entropy": 1.0}))


def averaged(*at: str) -> Edit:
    """Features averaged over time, frequency kept, no biases."""
    trunk = {"features": (16, 24, 32), "pool": (2, 3, 1), "bias": False, "pooling": "rows"}
    return model(attention=AttentionConfig(at=at), **trunk)


def widened(pooling: str) -> Edit:
    """Features averaged over space; more of them, to spend the weights that a flattened layer takes."""
    return model(attention=AttentionConfig(at=()), features=(24, 64, 120), pooling=pooling, hidden=112)


def joint(config: Config) -> Config:
    """Class and peak time and frequency, from the network with "3D" attention in two layers."""
    config = model(head="heatmap", attention=AttentionConfig(at=("stage1", "stage2")))(config)
    return replace(config, loss=LossConfig({"cross_entropy": 1.0, "position": 2.0, "position_nll": 0.05}))


ABLATIONS: dict[str, Edit] = {
    "image_2d": per_image,
    "event_3d": gates(),
    "attention_3d_input": gates("input"),
    "attention_2d_input": gates("input", per_window=True),
    "attention_3d_two_layers": gates("stage1", "stage2"),
    "attention_2d_two_layers": gates("stage1", "stage2", per_window=True),
    "attention_kernel_7": gates("stage1", "stage2", kernel=7),
    "attention_softmax": gates("stage1", "stage2", kind="softmax"),
    "gated_windows": widened("gated"),
    "mean_windows": widened("mean"),
    "time_averaged": averaged(),
    "time_averaged_gate": averaged("stage2"),
    "joint_position": joint,
    "mosaic": model(attention=AttentionConfig(at=()), view="mosaic"),
    "windows_as_channels": model(attention=AttentionConfig(at=()), view="channels", pool=(3, 2, 1)),
    "border_only": model(attention=AttentionConfig(at=()), view="border"),
}
