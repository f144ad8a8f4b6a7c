"""Define named edits of a configuration, in groups; each variant is compared with the first of its group.

    python train.py configs/lens_demo.py --ablate attention_placement --seeds 5

trains a group of GROUPS and writes one table. Three groups belong to studies, which measure more of them:

- `events_talk`, on configs/gravity_spy_study.py (`lensjax study talk-table`): the talk's networks for events.
  "3D" attention has one kernel for all windows, "2D" has one a window. All have 99,000 to 115,000 weights,
  those that average over space (`gated_windows` and its control without the gate, `mean_windows`) in wider
  layers; but the two that average over time alone (`time_averaged` and the same with a gate: the demo's
  network without its position head) have about 42,000.
- `lens_places`, on configs/where.py: ways to predict the position of a lens.
- `lens_real`, on configs/lens_hst_study.py: changes of the training that might help on real lenses.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lensjax.config import AttentionConfig, Config, LensData, LossConfig, ModelConfig

Edit = Callable[[Config], Config | None]
"""An edit may give None where it means nothing for a configuration: its variant is then left out."""


def model(**changes) -> Edit:
    return lambda config: replace(config, model=replace(config.model, **changes))


def gates(*at: str, **options) -> Edit:
    return model(attention=AttentionConfig(at=at, **options))


def per_image(config: Config) -> Config:
    """Make the layers a 2D network, trained on each window as an image; pooled less, for as many weights."""
    config = model(decide="window", attention=AttentionConfig(at=()), pool=(3, 2, 1))(config)
    return replace(config, loss=LossConfig({"window_cross_entropy": 1.0}))


def averaged(*at: str) -> Edit:
    """Average features over time, keep frequency; no biases."""
    trunk = {"features": (16, 24, 32), "pool": (2, 3, 1), "bias": False, "pooling": "rows"}
    return model(attention=AttentionConfig(at=at), **trunk)


def widened(pooling: str) -> Edit:
    """Average features over space; more of them, to spend the weights that a flattened layer takes."""
    return model(attention=AttentionConfig(at=()), features=(24, 64, 120), pooling=pooling, hidden=112)


def joint(config: Config) -> Config:
    """Predict class, peak time and frequency, from the network with "3D" attention in two layers."""
    config = model(head="heatmap", attention=AttentionConfig(at=("stage1", "stage2")))(config)
    return replace(config, loss=LossConfig({"cross_entropy": 1.0, "position": 2.0, "position_nll": 0.05}))


def attention(**changes) -> Edit:
    """Change the configured gates, or two where there are none."""

    def edit(config: Config) -> Config:
        at = config.model.attention.at or ("stage1", "stage2")
        return model(attention=replace(config.model.attention, **{"at": at, **changes}))(config)

    return edit


def depth(count: int) -> Edit:
    """Put gates before the first `count` stages."""
    return attention(at=tuple(f"stage{stage + 1}" for stage in range(count)))


def before_last(config: Config) -> Config:
    return attention(at=(f"stage{len(config.model.features)}",))(config)


def frozen_gates(config: Config) -> Config:
    """Keep the weights of the gates as they were drawn."""
    config = attention()(config)
    return replace(config, optim=replace(config.optim, frozen=(*config.optim.frozen, "attention")))


def events(edit: Edit) -> Edit:
    """Restrict an edit to events."""
    return lambda config: None if isinstance(config.data, LensData) else edit(config)


def lenses(edit: Edit) -> Edit:
    """Restrict an edit to images of the sky."""
    return lambda config: edit(config) if isinstance(config.data, LensData) else None


def class_alone(config: Config) -> Config:
    kept = {name: w for name, w in config.loss.weights.items() if not name.startswith("position")}
    return model(head="class")(replace(config, loss=replace(config.loss, weights=kept)))


def of_class(edit: Edit) -> Edit:
    """Edit a network for events that says the class alone, for views that have no place for a peak."""
    return events(lambda config: edit(class_alone(config)))


def as_images(**changes) -> Edit:
    """Show one image in place of four windows; where all is flattened, pooled less, for as many weights."""

    def edit(config: Config) -> Config:
        flat = config.model.pooling == "flatten" and len(config.model.features) == 3
        return model(**changes, **({"pool": (3, 2, 1)} if flat else {}))(config)

    return edit


def window_by_window(config: Config) -> Config:
    """Train a 2D network on each window as an image."""
    config = as_images(decide="window")(config)
    return replace(config, loss=replace(config.loss, weights={"window_cross_entropy": 1.0}))


def loss(**weights: float) -> Edit:
    """Add terms to those configured, or weigh them otherwise."""
    return lambda config: replace(
        config, loss=replace(config.loss, weights={**config.loss.weights, **weights})
    )


def explained(name: str, weight: float, **options: Any) -> Edit:
    """Add a term on the network's explanations or gates, with its options."""

    def edit(config: Config) -> Config:
        config = loss(**{name: weight})(config)
        given = {**config.loss.options, name: {**config.loss.options.get(name, {}), **options}}
        return replace(config, loss=replace(config.loss, options=given))

    return edit


def gated(edit: Edit) -> Edit:
    """Restrict an edit to networks with attention."""
    return lambda config: edit(config) if config.model.attention.at else None


def placed(head: str) -> Edit:
    """Predict class and position; terms of the position as in the demos where the configuration has none."""

    def edit(config: Config) -> Config:
        weights = {"position": 5.0 if isinstance(config.data, LensData) else 2.0, "position_nll": 0.05}
        given = {name: w for name, w in config.loss.weights.items() if w}
        return model(head=head)(replace(config, loss=replace(config.loss, weights={**weights, **given})))

    return edit


def without_nll(config: Config) -> Config | None:
    return None if config.model.head == "class" else loss(position_nll=0.0)(config)


def sparse(config: Config) -> Config | None:
    return loss(attention_sparsity=0.1)(config) if config.model.attention.at else None


def smoothed(config: Config) -> Config:
    return replace(config, loss=replace(config.loss, label_smoothing=0.1))


def data(**changes) -> Edit:
    return lambda config: replace(config, data=replace(config.data, **changes))


def augment(*names: str) -> Edit:
    return data(augment=names)


def unet(frozen: tuple[str, ...] = (), **weights: float) -> Edit:
    """Put a U-Net in place: it restores the lensed source's light and decides the class."""
    network = ModelConfig(
        kind="unet", features=(8, 16, 24, 32, 32), attention=AttentionConfig(at=()), head="restored"
    )

    def edit(config: Config) -> Config:
        optim = replace(config.optim, frozen=frozen)
        return replace(config, model=network, loss=LossConfig(weights), optim=optim)

    return edit


def share_of_data(divisor: int) -> Edit:
    """Train on fewer examples for as many steps. The size of a real set cannot be changed."""

    def edit(config: Config) -> Config | None:
        if not hasattr(config.data, "train"):
            return None
        optim = replace(
            config.optim, epochs=config.optim.epochs * divisor, patience=config.optim.patience * divisor
        )
        return replace(config, data=replace(config.data, train=config.data.train // divisor), optim=optim)

    return edit


GROUPS: dict[str, dict[str, Edit]] = {
    "attention_kind": {
        "none": gates(),
        "sigmoid": attention(kind="sigmoid"),
        "softmax": attention(kind="softmax"),
        "sigmoid_per_window": events(attention(kind="sigmoid", per_window=True)),
    },
    "attention_placement": {
        "none": gates(),
        "input": attention(at=("input",)),
        "stage1": attention(at=("stage1",)),
        "stage2": attention(at=("stage2",)),
        "last_stage": before_last,
    },
    "attention_kernel": {f"kernel_{side}": attention(kernel=side) for side in (1, 3, 7)},
    "attention_depth": {"none": gates(), **{f"layers_{count}": depth(count) for count in (1, 2, 3)}},
    "attention_learned": {"frozen_random": frozen_gates, "learned": attention(), "none": gates()},
    "dimensions": {
        "event_3d": of_class(lambda config: config),
        "image_2d": of_class(window_by_window),
        "mosaic": of_class(model(view="mosaic")),
        "windows_as_channels": of_class(as_images(view="channels")),
    },
    "windows": {
        "all": events(model(only_windows=())),
        **{
            f"only_{name}": events(model(only_windows=(t,)))
            for t, name in enumerate(("0.5s", "1s", "2s", "4s"))
        },
        "without_4s": events(model(only_windows=(0, 1, 2))),
    },
    "head": {"class": class_alone, "heatmap": placed("heatmap"), "regression": placed("regression")},
    "loss_terms": {
        "as_configured": lambda config: config,
        "focal": loss(cross_entropy=0.0, focal=1.0),
        "label_smoothing": smoothed,
        "without_position_nll": without_nll,
        "attention_sparsity": sparse,
    },
    # Where the evidence is: terms on the gates, then on maps of the network, of a quarter of the rows each.
    "explanation_losses": {
        "as_configured": lambda config: config,
        "attention_bce": gated(explained("attention_bce", 1.0, balanced=True)),
        "attention_dice": gated(explained("attention_dice", 1.0)),
        "attention_kl": gated(explained("attention_kl", 0.3)),
        "energy_in_mask": explained("energy_in_mask", 1.0, fraction=0.25),
        "map_cross_entropy": explained("map_cross_entropy", 1.0, balanced=True, fraction=0.25),
        "right_reasons": explained("right_reasons", 1.0, fraction=0.25),
        "gain": explained("gain", 1.0, fraction=0.25),
        "saliency_guided": explained("saliency_guided", 1.0, fraction=0.25),
        "expected_gradients": explained("expected_gradients", 1.0, fraction=0.25),
    },
    "augmentation": {
        "none": augment(),
        "dihedral": lenses(augment("dihedral")),
        "shift": lenses(augment("shift")),
        "dihedral_shift": lenses(augment("dihedral", "shift")),
        "dihedral_shift_noise": lenses(augment("dihedral", "shift", "noise")),
        "band_limit": events(augment("band_limit")),
        "brightness": events(augment("brightness")),
    },
    "training_set_size": {
        "all": share_of_data(1),
        "half": share_of_data(2),
        "quarter": share_of_data(4),
        "eighth": share_of_data(8),
    },
    "events_talk": {
        "image_2d": events(per_image),
        "event_3d": events(gates()),
        "attention_3d_input": events(gates("input")),
        "attention_2d_input": events(gates("input", per_window=True)),
        "attention_3d_two_layers": events(gates("stage1", "stage2")),
        "attention_2d_two_layers": events(gates("stage1", "stage2", per_window=True)),
        "attention_kernel_7": events(gates("stage1", "stage2", kernel=7)),
        "attention_softmax": events(gates("stage1", "stage2", kind="softmax")),
        "gated_windows": events(widened("gated")),
        "mean_windows": events(widened("mean")),
        "time_averaged": events(averaged()),
        "time_averaged_gate": events(averaged("stage2")),
        "joint_position": events(joint),
        "mosaic": events(model(attention=AttentionConfig(at=()), view="mosaic")),
        "windows_as_channels": events(
            model(attention=AttentionConfig(at=()), view="channels", pool=(3, 2, 1))
        ),
        "border_only": events(model(attention=AttentionConfig(at=()), view="border")),
    },
    "lens_places": {
        "position": lenses(lambda config: config),
        "classifier": lenses(class_alone),
        "unet_restore": lenses(unet(restoration=1.0)),
        "unet_frozen": lenses(unet(frozen=("stage", "up", "restored"), cross_entropy=1.0)),
        "unet_joint": lenses(unet(cross_entropy=1.0, restoration=2.0)),
    },
    "lens_real": {
        "base": lenses(data()),
        "no_augmentation": lenses(augment()),
        "more_augmentation": lenses(augment("dihedral", "shift", "brightness", "noise")),
        "noise": lenses(data(instrument="hst_f814w_noise")),
        "psf": lenses(data(instrument="hst_f814w_psf")),
        "real_negatives": lenses(data(negatives="galaxies", negative_share=0.3)),
    },
}
STARTS = {"unet_frozen": "unet_restore"}
"""Variants that start from the parameters of another one, of the same seed."""
