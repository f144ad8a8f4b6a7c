"""One training step (forward, gradient, AdamW) of the reference networks against PyTorch, as a ratio.

    python benchmarks/train.py [--net images events --batch 64 --repeats 9]

`images` are 64 × 64 pixels of 4 bands in a 2D network; `events` are 4 windows of 140 × 170 in a 3D one. Same
layers, same batch, same machine, one process, the two taking turns; the fastest of the repeats counts.
PyTorch runs at the better of its two memory layouts. Compiler flags as `train.py` sets them; `--plain` leaves
them out, which shows what they buy. Where there is a GPU both use it, each with its own defaults (TF32 in
convolutions for both).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lensjax.runtime import jax_setup
from lensjax.runtime.command_line import run_command
from lensjax.runtime.errors import UserError
from lensjax.specs import check_names

CLASSES = ("a", "b")


@dataclass(frozen=True)
class Net:
    """A reference network: stages of convolution, ReLU and max-pooling, the mean, and a dense layer."""

    shape: tuple[int, ...]
    features: tuple[int, ...]
    pool: int
    time_kernel: tuple[int, ...]
    batch: int


NETS = {
    "images": Net((64, 64, 4), (32, 64, 128), 2, (1, 1, 1), 64),
    "events": Net((4, 140, 170, 1), (8, 16, 16), 3, (1, 1, 3), 8),
}


@dataclass(frozen=True)
class TrainBenchmarkOptions:
    net: tuple[str, ...] = tuple(NETS)
    """Reference networks."""
    batch: int | None = None
    """Examples a step; 64 images or 8 events by default."""
    repeats: int = 9
    """The fastest of them counts."""
    plain: bool = False
    """Leave out lensjax's compiler flags."""


def make_jax_step(net: Net, batch: int) -> Callable[[], object]:
    """Return a call that makes one step with lensjax."""
    import jax

    from lensjax.config import AttentionConfig, Config, LossConfig, ModelConfig, OptimConfig
    from lensjax.models import build
    from lensjax.training.optim import make_optimiser
    from lensjax.training.state import init_state, make_train_step

    model = ModelConfig(
        features=net.features,
        pool=(net.pool,),
        time_kernel=net.time_kernel,
        head="class",
        hidden=0,
        attention=AttentionConfig(at=()),
        standardise=False,
        classes=CLASSES,
    )
    config = Config(model=model, loss=LossConfig({"cross_entropy": 1.0}), optim=OptimConfig(clip_norm=0.0))
    network, optimiser = build(model), make_optimiser(config.optim, 1000)
    images, labels = make_batch(net, batch)
    examples = {"image": jax.device_put(images), "label": labels, "valid": np.ones(batch, bool)}
    state = jax.jit(lambda x: init_state(config, network, optimiser, x))(images[:1])
    step = jax.jit(make_train_step(config, network, optimiser), donate_argnums=0)

    def run() -> object:
        nonlocal state
        state, values = step(state, examples)
        return jax.block_until_ready(values["loss"])

    return run


def make_torch_step(net: Net, batch: int, channels_last: bool) -> Callable[[], object]:
    """Return a call that makes one step with PyTorch."""
    import torch
    from torch import nn

    network, dims = make_torch_network(net), len(net.shape) - 1
    images, labels = make_batch(net, batch)
    last = torch.channels_last if dims == 2 else torch.channels_last_3d
    layout = last if channels_last else torch.contiguous_format
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = network.to(device, memory_format=layout)
    x = torch.from_numpy(np.moveaxis(images, -1, 1).copy()).to(device).contiguous(memory_format=layout)
    y = torch.from_numpy(labels).long().to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)

    def run() -> object:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(x), y)
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return run


def make_torch_network(net: Net):
    """Return the same network in PyTorch."""
    from torch import nn

    if len(net.shape) == 3:
        convolution, pooling, mean = nn.Conv2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d(1)
    else:
        convolution, pooling, mean = nn.Conv3d, nn.MaxPool3d, nn.AdaptiveAvgPool3d(1)
    layers: list[nn.Module] = []
    for before, after, time_kernel in zip(
        (net.shape[-1], *net.features), net.features, net.time_kernel, strict=False
    ):
        depth = (time_kernel,) * (len(net.shape) - 3)
        kernel, pool = (*depth, 3, 3), (*(1 for _ in depth), net.pool, net.pool)
        layers += [
            convolution(before, after, kernel, padding=tuple(k // 2 for k in kernel)),
            nn.ReLU(),
            pooling(pool),
        ]
    return nn.Sequential(*layers, mean, nn.Flatten(), nn.Linear(net.features[-1], len(CLASSES)))


def make_batch(net: Net, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of noise."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch, *net.shape)).astype(np.float32)
    return images, rng.integers(0, len(CLASSES), batch).astype(np.int32)


def measure_milliseconds(steps: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return milliseconds of the fastest repeat of each, taking turns, after a first run that compiles."""
    for step in steps.values():
        step()
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(repeats):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            best[name] = min(best[name], 1e3 * (time.perf_counter() - start))
    return best


def main(options: TrainBenchmarkOptions) -> None:
    """Compare the networks, one after another."""
    check_names("network", options.net, NETS)
    jax_setup.prepare(gradients=not options.plain, exact=False)
    try:
        import torch
    except ImportError:
        raise UserError(
            "this compares with PyTorch, which is not installed: pip install torch==2.13.0"
        ) from None
    import jax

    print(f"jax {jax.__version__}, PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"jax on {jax.devices()[0].device_kind}, PyTorch on a GPU: {torch.cuda.is_available()}")
    for name in options.net:
        net = NETS[name]
        compare_steps(net, options.batch or net.batch, options.repeats)


def compare_steps(net: Net, batch: int, repeats: int) -> None:
    """Print the times of one network, and the ratio."""
    best = measure_milliseconds(
        {
            "lensjax": make_jax_step(net, batch),
            "PyTorch, contiguous": make_torch_step(net, batch, channels_last=False),
            "PyTorch, channels last": make_torch_step(net, batch, channels_last=True),
        },
        repeats,
    )
    print(f"training step, batch {batch} × {' × '.join(map(str, net.shape))}, features {net.features}")
    for name, milliseconds in best.items():
        print(f"  {name:24s} {milliseconds:8.1f} ms")
    peer = min(value for name, value in best.items() if name.startswith("PyTorch"))
    print(f"  lensjax is {peer / best['lensjax']:.2f}× PyTorch at its best")


if __name__ == "__main__":
    run_command(main, TrainBenchmarkOptions, prog="python benchmarks/train.py", description=__doc__)
