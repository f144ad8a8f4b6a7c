"""The lens finders of Wilde et al. 2022 (MNRAS 512, 3464) as configurations of our trunk, and their weights.

    python -m lensjax.models.published OU_66_Weights.pt OU_66.npz     convert, where PyTorch is

Images are NHWC, every band of every image brought to [0, 1] by its own minimum and maximum. The networks give
logits: the softmax that was published with two of them runs over the batch, and is not repeated here.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import jax.numpy as jnp
import numpy as np
import tyro

from lensjax.config import AttentionConfig, ModelConfig
from lensjax.models.build import build
from lensjax.models.cnn import Network, geometry
from lensjax.runtime.command_line import run_command
from lensjax.runtime.errors import UserError

CLASSES = ("non-lens", "lens")


@dataclass(frozen=True)
class Published:
    """One network: the images it wants, and where the state dict has its layers."""

    name: str
    bands: tuple[str, ...]
    """In channel order, which is not that of wavelength."""
    size: int
    """Pixels on a side."""
    pixel_scale: float
    """Arcseconds."""
    prefix: str
    """Prefix of the convolutions' keys."""
    layers: tuple[int, ...]
    """Their numbers."""
    model: ModelConfig
    patch: int
    """Side, and stride, of the patches of the occlusion maps that were published."""


_PLAIN = ModelConfig(
    padding="VALID",
    standardise=False,
    dropout=0.2,
    attention=AttentionConfig(at=()),
    head="class",
    pooling="flatten",
    classes=CLASSES,
)
OU_66 = replace(_PLAIN, features=(50,) * 4 + (40,) * 4 + (30,), pool=(2, 1, 1, 1, 2, 1, 1, 1, 2), hidden=500)
OU_200 = replace(
    _PLAIN, features=(50, 40, 30, 20, 20, 20), kernel=(5, 5, 3, 3, 3, 3), pool=(2, 2, 2, 2, 1, 1), hidden=350
)
NISP = ("J", "Y", "H")


def _of_66(name: str, *bands: str) -> Published:
    return Published(name, bands, 66, 0.3, "layer", (0, 4, 7, 10, 13, 17, 20, 23, 26), OU_66, patch=1)


def _of_200(name: str, prefix: str, *bands: str) -> Published:
    return Published(name, bands, 200, 0.1, prefix, (0, 4, 8, 12, 16, 19), OU_200, patch=4)


NETWORKS = {
    network.name: network
    for network in (
        _of_66("OU-66", *NISP, "VIS"),
        _of_200("OU-200", "layer", *NISP, "VIS"),
        _of_200("OU-VIS", "VIS_layer", "VIS"),
        _of_66("OU-J", "J"),
        _of_66("OU-Y", "Y"),
        _of_66("OU-H", "H"),
        _of_66("OU-JYH", *NISP),
    )
}


def network_named(name: str) -> Published:
    """Return the network of that name.

    Raises:
      UserError: there is none; lists those there are.
    """
    if name not in NETWORKS:
        raise UserError(f"no published network is called '{name}'; choose from {', '.join(NETWORKS)}.")
    return NETWORKS[name]


def load(name: str, weights: str | Path) -> tuple[Network, dict[str, Any]]:
    """Load a network and its variables: `model.apply(variables, images [b h w c]).logits`, class 1 is "lens".

    Args:
      weights: the published .pt (read by PyTorch, plain tensors only), or an .npz of the same arrays.

    Raises:
      UserError: no such network, or the file is missing, damaged, or another network's; says which array.
    """
    network = network_named(name)
    state = read_state(Path(weights))
    check_state(network, state, str(weights))
    return build(network.model), {"params": convert_params(network, state)}


def convert_params(network: Published, state: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Convert the arrays of a state dict to our parameters.

    Kernels go from (out, in, row, column) to (row, column, in, out). PyTorch flattens (channel, row, column),
    we (row, column, channel), so the inputs of the first dense layer are put in our order.
    """
    params: dict[str, Any] = {}
    for stage, layer in enumerate(network.layers, start=1):
        kernel, bias = (state[f"{network.prefix}.{layer}.{kind}"] for kind in ("weight", "bias"))
        params[f"stage{stage}_kernel"] = jnp.asarray(kernel.transpose(2, 3, 1, 0))
        params[f"stage{stage}_bias"] = jnp.asarray(bias)
    first, last = state["fc_layer.0.weight"], state["fc_layer.2.weight"]
    side = trunk_side(network)
    first = first.reshape(len(first), -1, side, side).transpose(2, 3, 1, 0).reshape(-1, len(first))
    params["head"] = {
        "hidden": {"kernel": jnp.asarray(first), "bias": jnp.asarray(state["fc_layer.0.bias"])},
        "logits": {"kernel": jnp.asarray(last.T), "bias": jnp.asarray(state["fc_layer.2.bias"])},
    }
    return params


def trunk_side(network: Published) -> int:
    """Return the rows of the feature map that is flattened."""
    side = network.size
    for stage in range(len(network.layers)):
        (kernel, _), (pool, _) = geometry(network.model, stage, 2)
        side = (side - kernel + 1) // pool
    return side


def state_shapes(network: Published) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array of the state dict."""
    config, shapes = network.model, {}
    channels = len(network.bands)
    for stage, (layer, features) in enumerate(zip(network.layers, config.features, strict=True)):
        kernel, _ = geometry(config, stage, 2)
        shapes[f"{network.prefix}.{layer}.weight"] = (features, channels, *kernel)
        shapes[f"{network.prefix}.{layer}.bias"] = (features,)
        channels = features
    flat = channels * trunk_side(network) ** 2
    for layer, (inputs, outputs) in {0: (flat, config.hidden), 2: (config.hidden, len(CLASSES))}.items():
        shapes[f"fc_layer.{layer}.weight"] = (outputs, inputs)
        shapes[f"fc_layer.{layer}.bias"] = (outputs,)
    return shapes


def check_state(network: Published, state: Mapping[str, np.ndarray], where: str) -> None:
    """Check that the state dict has exactly the arrays of the network, of the right shapes, and finite.

    Raises:
      UserError: says which is not, and whose weights they are instead.
    """
    wanted, found = state_shapes(network), {name: array.shape for name, array in state.items()}
    others = [name for name, other in NETWORKS.items() if state_shapes(other) == found]
    hint = f" They are of the shape of {' or '.join(others)}'s." if others else ""
    about = f"'{where}' does not hold the weights of {network.name}"
    for missing, what in ((wanted.keys() - found, "lacks"), (found.keys() - wanted, "has the unknown")):
        if missing:
            raise UserError(f"{about}: it {what} {', '.join(sorted(missing))}.{hint}")
    for name, shape in wanted.items():
        if found[name] != shape:
            raise UserError(f"{about}: {name} has shape {found[name]}, not {shape}.{hint}")
        if not np.isfinite(state[name]).all():
            raise UserError(f"{about}: {name} has numbers that are not finite; fetch the file again.")


def read_state(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a state dict, float32, from .npz or by PyTorch; neither runs code from the file.

    Raises:
      UserError: the file is missing or damaged, holds more than arrays, or PyTorch is not installed.
    """
    if not path.is_file():
        raise UserError(f"weights '{path}' do not exist; give the published .pt, or an .npz made from it.")
    state = _read_npz(path) if path.suffix == ".npz" else _read_torch(path)
    odd = [name for name, array in state.items() if array.dtype.kind != "f"]
    if odd or not state:
        raise UserError(f"'{path}' holds no weights: {', '.join(odd) or 'no array'} is no array of reals.")
    return {name: array.astype(np.float32) for name, array in state.items()}


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, AttributeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"weights '{path}' are damaged, or no .npz of plain arrays ({error}).") from error


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ModuleNotFoundError:
        raise UserError(
            f"'{path}' is read by PyTorch, which is not installed: pip install 'lensjax[torch]', or convert "
            f"it where PyTorch is: python -m lensjax.models.published {path} {path.with_suffix('.npz').name}"
        ) from None
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        return {str(name): tensor.numpy(force=True) for name, tensor in found.items()}
    except (pickle.UnpicklingError, RuntimeError, AttributeError, EOFError, ValueError, KeyError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"weights '{path}' are damaged, or no plain state dict ({reason}).") from error


def convert(source: Path, target: Path) -> list[str]:
    """Write a state dict as an .npz, and return the names of the networks it fits.

    Raises:
      UserError: the file cannot be read, or fits none.
    """
    state = read_state(source)
    found = {name: array.shape for name, array in state.items()}
    fits = [name for name, network in NETWORKS.items() if state_shapes(network) == found]
    if not fits:
        raise UserError(f"'{source}' fits none of {', '.join(NETWORKS)}: it has {', '.join(found)}.")
    arrays: dict[str, Any] = dict(state)
    np.savez(target, **arrays)
    return fits


@dataclass(frozen=True)
class ConvertOptions:
    """Options of the conversion of weights."""

    source: Annotated[Path, tyro.conf.Positional]
    """The published .pt, which needs PyTorch."""
    target: Annotated[Path, tyro.conf.Positional]
    """The .npz to write."""


def main(options: ConvertOptions) -> None:
    """Convert weights and say whose they are."""
    if options.target.suffix != ".npz":
        raise UserError(f"the file to write (='{options.target}') must end in .npz.")
    names = convert(options.source, options.target)
    print(f"{options.target}: weights of {' or '.join(names)}")


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command with the words after its name."""
    run_command(
        main,
        ConvertOptions,
        prog="python -m lensjax.models.published",
        description=__doc__,
        arguments=arguments,
    )


if __name__ == "__main__":
    run()
