"""Define all defaults of an experiment. A configuration is `configs/NAME.py` with `get_config() -> Config`.

A string under a field is its help text on the command line (`python train.py configs/NAME.py --help`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from lensjax.event_axes import WINDOWS, Encoding

DEFAULT_WEIGHTS = {"cross_entropy": 1.0, "position": 5.0, "position_nll": 0.05}
ARTEFACTS = ("star", "saturated_neighbour", "chip_gap", "hot_column", "cosmic_rays")
"""All artefacts of lensjax.simulate.lenses.artefacts."""


@dataclass(frozen=True)
class LensData:
    """Simulated lenses and look-alikes: the instrument, their number, and the augmentations in training."""

    name: Literal["simulated_lenses"] = "simulated_lenses"
    instrument: str = "euclid"
    """A key of lensjax.simulate.lenses.instruments.INSTRUMENTS."""
    size: int = 64
    """Pixels on a side."""
    train: int = 12_000
    """Examples in the training split."""
    validation: int = 1_500
    test: int = 2_000
    seed: int = 0
    """Seed of the simulator; the three splits never share a scene."""
    lens_fraction: float = 0.5
    kinds: tuple[str, ...] = ()
    """Only these kinds of scene, equally many of each (`lens_fraction` does not apply): names in
    lensjax.simulate.lenses.kinds.ALL_KINDS, or single, non_lens, jackpot for several. Empty for the usual
    mix, which has no double source planes (compound_arcs, double_ring)."""
    min_theta_e: float = 0.25
    """Minimum Einstein radius of a lens, arcsec."""
    min_snr: float = 20.0
    """Minimum signal-to-noise of a lensed source, with the photons of the lens galaxy counted as noise."""
    supersampling: int = 2
    """Rays across a pixel."""
    light: bool = False
    """Store the noise-free light of the lensed source with each image, which a U-Net restores."""
    artefacts: tuple[str, ...] = ARTEFACTS
    """Kinds of artefact. A scene with another artefact is kept and only loses that artefact."""
    augment: tuple[str, ...] = ("dihedral", "shift")
    """Names in lensjax.data.batches.augment.AUGMENTATIONS, in order."""
    inputs: tuple[str, ...] = ()
    """Transformations of every input, in training and after it: "equal_stretch" "crop(top=0.1)", of
    lensjax.data.batches.input_transforms."""
    negatives: str = ""
    """Folder of real galaxies (lensjax.data.surveys.galaxies) that replace some non-lenses of the training
    split."""
    negative_share: float = 0.3
    """Share of the training split's non-lenses that the folder's galaxies replace."""
    shuffle_labels: bool = False
    """Train on the labels and positions of other examples: the control of the label randomisation test."""
    directory: str = "runs/data"
    """Folder of the data sets, which are written once and then read."""


@dataclass(frozen=True)
class EventData:
    """Simulated glitches and chirps as events of four time-frequency windows."""

    name: Literal["simulated_events"] = "simulated_events"
    size: tuple[int, int] = (140, 170)
    """Rows and columns of a window; 479 569 is the official figure's plot area."""
    encoding: Encoding = "clipped"
    """Energy in [0, 1] as in the official pictures, its logarithm without the clip, or viridis colours."""
    plane: Literal["loudest", "0", "1", "2", "3", "all"] = "loudest"
    """The Q plane shown: that of the loudest tile, as in the official pictures; a fixed one; or all, as
    channels (not with encoding rgb)."""
    balance: Literal["uniform", "real"] = "uniform"
    """Equally many events of each class, or the shares of the Gravity Spy training set."""
    train: int = 4_400
    """Events in the training split."""
    validation: int = 440
    test: int = 1_100
    seed: int = 0
    """Seed of the simulator; the three splits never share an event."""
    augment: tuple[str, ...] = ()
    """Names in lensjax.data.batches.augment.AUGMENTATIONS, in order."""
    inputs: tuple[str, ...] = ()
    """Transformations of every input, in training and after it: "equal_stretch" "crop(top=0.1)", of
    lensjax.data.batches.input_transforms."""
    shuffle_labels: bool = False
    """Train on the labels and positions of other examples: the control of the label randomisation test."""
    directory: str = "runs/data"
    """Folder of the data sets, which are written once and then read."""


@dataclass(frozen=True)
class GravitySpyData:
    """The real Gravity Spy set, read in place and grouped by event."""

    name: Literal["gravity_spy"] = "gravity_spy"
    path: str = ""
    """Folder in the Kaggle layout, or the Zenodo HDF5 or tar file."""
    size: tuple[int, int] = (140, 170)
    encoding: Literal["clipped", "rgb"] = "clipped"
    """Energy, recovered by inverting viridis, or the colours."""
    on_problem: Literal["skip", "refuse"] = "skip"
    """Treatment of missing windows, unknown classes and damaged images: count and leave them out, or stop."""
    metadata: str = ""
    """CSV of the training set, joined by gravityspy_id where given."""
    augment: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    """Transformations of every input, in training and after it: "equal_stretch" "crop(top=0.1)", of
    lensjax.data.batches.input_transforms."""
    shuffle_labels: bool = False
    directory: str = "runs/data"
    """Folder of the data sets, which are written once and then read."""


@dataclass(frozen=True)
class LensChallengeData:
    """A Bologna Lens Finding Challenge (Metcalf et al. 2019), read in place."""

    name: Literal["lens_challenge"] = "lens_challenge"
    path: str = ""
    """Folder with the images, and the catalogue or folders `lens` and `nolens` below it."""
    track: Literal["space", "ground", "space2"] = "space"
    """Challenge 1.0 from space (Euclid VIS) or from the ground (u g r i), or Challenge 2.0 (VIS Y J H)."""
    size: int = 101
    """Pixels on a side about the middle: at most 101 of the first challenge, 200 of the second."""
    catalogue: str = ""
    """CSV with the labels; by default the one below the folder, or the folders' names."""
    on_problem: Literal["skip", "refuse"] = "skip"
    """Treatment of damaged images: name and leave them out, or stop."""
    augment: tuple[str, ...] = ("dihedral", "shift")
    inputs: tuple[str, ...] = ()
    """Transformations of every input, in training and after it: "crop(top=0.1)", of
    lensjax.data.batches.input_transforms."""
    shuffle_labels: bool = False
    directory: str = "runs/data"
    """Folder of the data sets, which are written once and then read."""


Data = LensData | EventData | GravitySpyData | LensChallengeData
DATA: dict[str, type] = {cls().name: cls for cls in (LensData, EventData, GravitySpyData, LensChallengeData)}


@dataclass(frozen=True)
class AttentionConfig:
    """Gates `a = act(conv(x))`, `x * a`, before the named places of the trunk."""

    at: tuple[str, ...] = ("stage1", "stage2")
    """Places: "input" or "stage1" … in any number; empty for none."""
    kernel: int = 1
    """Side of the gate's kernel; with 1 the gate depends on the channels of one pixel only."""
    kind: Literal["sigmoid", "softmax"] = "sigmoid"
    """Softmax over space sums to the number of pixels, so the mean gate is 1."""
    per_window: bool = False
    """For events: one kernel per window instead of one for all windows."""
    branch: bool = False
    """Classify from what the last gate lets through as well, for the loss `attention_branch`."""


@dataclass(frozen=True)
class ModelConfig:
    """An N-d convolutional trunk with attention, or a U-Net, and a head that predicts class and position.

    `kernel`, `pool`, `time_kernel` and `time_pool` hold one number a stage, or one for all.
    """

    kind: Literal["trunk", "unet"] = "trunk"
    """A U-Net restores the lensed source's light at full size and decides the class on its lowest level."""
    features: tuple[int, ...] = (16, 32, 48, 64)
    """Channels of each stage (convolution, activation, pooling, dropout), or of each level of a U-Net (two
    convolutions and pooling; the last level has no pooling)."""
    kernel: tuple[int, ...] = (3,)
    time_kernel: tuple[int, ...] = (1,)
    """Size of the kernel along the windows of an event (3D only)."""
    pool: tuple[int, ...] = (2,)
    """Max-pooling window; 1 for none."""
    time_pool: tuple[int, ...] = (1,)
    dropout: float = 0.0
    padding: Literal["SAME", "VALID"] = "SAME"
    standardise: bool = True
    """Filters of mean 0 and fixed norm with a learned gain (weight standardisation)."""
    bias: bool = True
    """Of the convolutions. Without, and with ReLU, what is dark stays dark: features are 0 where the image
    is, and maps of features cannot lie there."""
    activation: Literal["relu", "gelu", "silu", "softplus"] = "relu"
    attention: AttentionConfig = AttentionConfig()
    head: Literal["heatmap", "regression", "class", "restored"] = "heatmap"
    """Position from a heat map's soft-argmax, from plain regression, none, or (of a U-Net) the centroid of
    the restored light."""
    pooling: Literal["mean", "rows", "concat", "gated", "flatten"] = "mean"
    """Before the class logits: the mean over all positions; over columns alone, the time of an event, so that
    every frequency keeps its features; the windows' means side by side, or weighted by gated attention; or
    everything, as in the talk (`flatten`)."""
    hidden: int = 64
    """Width of the dense layer before the class logits; 0 for no such layer."""
    view: Literal["event", "mosaic", "channels", "border"] = "event"
    """Of an event: windows as they are, as a 2 × 2 mosaic, as channels, or the outer quarters alone, a
    control for information in the background (long glitches reach into it)."""
    only_windows: tuple[int, ...] = ()
    """Windows of an event that the network sees, where 0 is the shortest; the others are blanked. Empty:
    all."""
    decide: Literal["event", "window"] = "event"
    """Events: one decision for all windows, or one per window, averaged over their probabilities."""
    windows: tuple[float, ...] = WINDOWS
    """Lengths of an event's windows in seconds, from which a position head computes times; all equal after
    the input transformation equal_stretch."""
    classes: tuple[str, ...] = ("non-lens", "lens")


@dataclass(frozen=True)
class Ramp:
    """A weight that changes linearly from `start` to `end` over `steps` steps of training."""

    start: float = 0.0
    end: float = 1.0
    steps: int = 1_000
    wait: int = 0
    """Steps before it begins."""


@dataclass(frozen=True)
class LossConfig:
    """Objective = Σ weight · term; a term with weight 0 is not computed.

    `LossConfig({"cross_entropy": 1.0, "right_reasons": Ramp(0.0, 10.0)},
                options={"right_reasons": {"map": "integrated_gradients(steps=4)", "fraction": 0.25}})`
    """

    weights: dict[str, float | Ramp] = field(default_factory=lambda: {**DEFAULT_WEIGHTS})
    """Names in lensjax.losses.LOSSES, or in `losses`."""
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Keyword arguments of each term, over its defaults. Any term also takes `fraction`: the objective
    evaluates the term on that share of a training batch (its first rows), which bounds its cost."""
    losses: dict[str, str | Callable] = field(default_factory=dict)
    """Terms of your own by name: a function defined at the top of a file, or "MODULE:NAME"
    (lensjax.losses.custom)."""
    label_smoothing: float = 0.0
    focal_gamma: float = 2.0
    class_weights: tuple[float, ...] = ()
    """One weight per class; empty for equal weights."""


@dataclass(frozen=True)
class OptimConfig:
    batch_size: int = 64
    """Over all devices and processes."""
    epochs: int = 12
    patience: int = 5
    """Epochs without improvement of `monitor` before stopping; 0 never stops early."""
    monitor: str = "loss"
    """A validation metric: loss and *error* fall, everything else rises."""
    learning_rate: float = 2e-3
    warmup: float = 0.05
    """Share of the steps in which the learning rate rises to its maximum; it then falls along a cosine."""
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: float = 1e-4
    clip_norm: float = 5.0
    """Largest norm of a gradient; 0 for no limit."""
    frozen: tuple[str, ...] = ()
    """Beginnings of names of parameters that training does not change, such as "stage" for all stages."""


@dataclass(frozen=True)
class Config:
    """One experiment."""

    seed: int = 0
    """Seed of initial parameters, order of the data, augmentation and dropout."""
    init: str = ""
    """Another run's folder: parameters of the same name start from that run's best checkpoint."""
    data: Data = LensData()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
