"""One training step (forward, gradient, AdamW) of the 2D reference network against PyTorch, as a ratio.

    python benchmarks/train.py [--batch 64 --repeats 9]

Same layers, same batch, same machine, one process, the two taking turns; the fastest of the repeats counts.
PyTorch runs at the better of its two memory layouts. Compiler flags as `train.py` sets them; `--plain` leaves
them out, which shows what they buy.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np

from lensjax import runtime

FEATURES, SIZE, BANDS = (32, 64, 128), 64, 4


def jax_step(batch: int) -> Callable[[], object]:
    import jax

    from lensjax.config import AttentionConfig, Config, LossConfig, ModelConfig, OptimConfig
    from lensjax.models import build
    from lensjax.optim import make_optimiser
    from lensjax.state import init_state, make_train_step

    plain = AttentionConfig(at=())
    model = ModelConfig(features=FEATURES, head="class", hidden=0, attention=plain, standardise=False)
    config = Config(model=model, loss=LossConfig({"cross_entropy": 1.0}), optim=OptimConfig(clip_norm=0.0))
    network, optimiser = build(model), make_optimiser(config.optim, 1000)
    images, labels = data(batch)
    examples = {"image": jax.device_put(images), "label": labels, "valid": np.ones(batch, bool)}
    state = init_state(config, network, optimiser, images[:1])
    step = jax.jit(make_train_step(config, network, optimiser), donate_argnums=0)

    def run() -> object:
        nonlocal state
        state, values = step(state, examples)
        return jax.block_until_ready(values["loss"])

    return run


def torch_step(batch: int, channels_last: bool) -> Callable[[], object]:
    import torch
    from torch import nn

    layers: list[nn.Module] = []
    for before, after in zip((BANDS, *FEATURES), FEATURES, strict=False):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(FEATURES[-1], 2))
    images, labels = data(batch)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=layout)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    y = torch.from_numpy(labels).long()
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)

    def run() -> object:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(x), y)
        loss.backward()
        optimiser.step()
        return float(loss)

    return run


def data(batch: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch, SIZE, SIZE, BANDS)).astype(np.float32)
    return images, rng.integers(0, 2, batch).astype(np.int32)


def fastest(steps: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Milliseconds of the fastest repeat of each, taking turns, after a first run that compiles."""
    for step in steps.values():
        step()
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(repeats):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            best[name] = min(best[name], 1e3 * (time.perf_counter() - start))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--plain", action="store_true", help="without lensjax's compiler flags")
    arguments = parser.parse_args()
    runtime.prepare(gradients=not arguments.plain)
    try:
        import torch
    except ImportError:
        sys.exit("error: this compares with PyTorch, which is not installed: pip install torch==2.13.0")
    import jax

    best = fastest(
        {
            "lensjax": jax_step(arguments.batch),
            "PyTorch, contiguous": torch_step(arguments.batch, channels_last=False),
            "PyTorch, channels last": torch_step(arguments.batch, channels_last=True),
        },
        arguments.repeats,
    )
    print(f"jax {jax.__version__}, PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"training step, batch {arguments.batch} × {SIZE}² × {BANDS}, features {FEATURES}")
    for name, milliseconds in best.items():
        print(f"  {name:24s} {milliseconds:8.1f} ms")
    peer = min(value for name, value in best.items() if name.startswith("PyTorch"))
    print(f"  lensjax is {peer / best['lensjax']:.2f}× PyTorch at its best")


if __name__ == "__main__":
    main()
