"""Build a network from a configuration; refuse fields that contradict each other."""

from __future__ import annotations

from collections.abc import Mapping

import jax

from lensjax.config import ModelConfig
from lensjax.models.cnn import Network
from lensjax.models.event_views import FLAT
from lensjax.models.unet import UNet
from lensjax.runtime.errors import UserError


def build(config: ModelConfig) -> Network:
    """Check a configuration and make the network, of kind unet a `unet.UNet`.

    Raises:
      UserError: a field contradicts another; says which, the value, and the rule.
    """
    check_fields(config)
    check_events(config)
    check_kind(config)
    return Network(config) if config.kind == "trunk" else UNet(config)


def check_fields(config: ModelConfig) -> None:
    """Refuse values that are out of range, or that name no place of the trunk."""
    stages = len(config.features)
    if stages == 0:
        raise UserError("model.features is empty; give one number of channels a stage, such as 16 32 64.")
    for name, values in (
        ("kernel", config.kernel),
        ("time_kernel", config.time_kernel),
        ("pool", config.pool),
        ("time_pool", config.time_pool),
    ):
        if len(values) not in (1, stages) or min(values) < 1:
            raise UserError(f"model.{name} {values} must hold 1 or {stages} positive numbers (one a stage).")
    places = ("input", *(f"stage{i + 1}" for i in range(stages)))
    for place in config.attention.at:
        if place not in places:
            raise UserError(f"model.attention.at names '{place}'; places are {', '.join(places)}.")
    if len(config.classes) < 2:
        raise UserError(f"model.classes {config.classes} must name at least two classes.")
    if config.attention.branch and not config.attention.at:
        raise UserError("model.attention.branch needs a gate: set model.attention.at, or no branch.")
    if config.attention.kernel < 1 or config.attention.kernel % 2 == 0:
        raise UserError(f"model.attention.kernel (={config.attention.kernel}) must be odd and positive.")
    if not 0 <= config.dropout < 1:
        raise UserError(f"model.dropout (={config.dropout}) must be in [0, 1).")


def check_kind(config: ModelConfig) -> None:
    """Refuse contradictions between the kind of network and other fields."""
    if (config.kind == "unet") != (config.head == "restored"):
        refuse(
            f"model.kind {config.kind} contradicts model.head {config.head}",
            "head restored with kind unet, and with it alone",
        )
    if config.kind != "unet":
        return
    rule = "model.kind unet contradicts"
    if config.attention.at:
        refuse(
            f"{rule} model.attention.at {config.attention.at}", "none: its restored light is its attention"
        )
    if config.padding != "SAME":
        refuse(f"{rule} model.padding VALID", "SAME")
    if any(k % 2 == 0 for k in (*config.kernel, *config.time_kernel)):
        refuse(f"{rule} an even kernel", "odd ones")
    if config.view != "event":
        refuse(f"{rule} model.view {config.view}", "event")
    if config.only_windows:
        refuse(f"{rule} model.only_windows", "none")
    if config.decide != "event":
        refuse(f"{rule} model.decide window", "event")


def check_events(config: ModelConfig) -> None:
    """Refuse contradictions among the fields for events."""
    joint = config.pooling in ("concat", "gated")
    long_kernel, long_pool = max(config.time_kernel) > 1, max(config.time_pool) > 1
    if config.view in FLAT:
        rule = f"model.view {config.view} makes one image, which contradicts"
        if joint:
            refuse(f"{rule} model.pooling {config.pooling}", "pooling mean or flatten")
        if config.decide == "window":
            refuse(f"{rule} model.decide window", "decide event")
        if config.head == "heatmap":
            refuse(f"{rule} model.head heatmap", "head regression or class")
        if config.attention.per_window and config.attention.at:
            refuse(f"{rule} model.attention.per_window", "one kernel for all")
    if config.decide == "window":
        rule = "model.decide window takes each window alone, which contradicts"
        if joint:
            refuse(f"{rule} model.pooling {config.pooling}", "pooling mean or flatten")
        if config.only_windows:
            refuse(f"{rule} model.only_windows {config.only_windows}", "decide event, or all")
        if config.head != "class":
            refuse(f"{rule} model.head {config.head}", "head class")
        if long_kernel:
            refuse(f"{rule} model.time_kernel {config.time_kernel}", "1")
        if long_pool:
            refuse(f"{rule} model.time_pool {config.time_pool}", "1")
    if config.head == "heatmap":
        rule = "model.head heatmap reads times off whole windows, which contradicts"
        if long_pool:
            refuse(f"{rule} model.time_pool {config.time_pool}", "1, or head regression")
        if long_kernel and config.padding == "VALID":
            refuse(f"{rule} model.time_kernel {config.time_kernel}", "padding SAME, or head regression")


def refuse(contradiction: str, fix: str) -> None:
    """Raise the UserError for two fields that contradict each other."""
    raise UserError(f"{contradiction}: use {fix}.")


def count_parameters(variables: Mapping) -> int:
    """Return the number of trainable parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
