"""Why explanations take the time they do: what of it is arithmetic, and what the host's loop.

    python benchmarks/explain_why.py

Multiplications of occlusion on the networks of `explain.py`, counted from the plan: full evaluations against
what a window changes. Then methods on a score that costs nothing, and on the images and network of
`explain.py`, looped over by the host as on the CPU, and as one program a chunk of examples as on an
accelerator. Needs no peer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
from explain_nets import CLASS, SAMPLES, SHAPE, STEPS, STRIDE, WINDOW
from explain_nets import images as the_images
from explain_ours import network
from jax.tree_util import Partial

from lensjax.explain import METHODS, batched
from lensjax.explain.incremental.incremental import plan_windows
from lensjax.explain.incremental.local_layers import map_sizes
from lensjax.inspection.as_layers import describe
from lensjax.models import Apply
from lensjax.runtime import jax_setup

LOOPS = {
    "smooth_grad": {"samples": 64, "chunk": 16},
    "integrated_gradients": {"steps": 64, "chunk": 16},
    "rise": {"samples": 512, "chunk": 64},
    "occlusion": {"window": 2, "stride": 1, "chunk": 16},
}
NETWORK = {
    "smooth_grad": {"samples": SAMPLES, "chunk": 32},
    "integrated_gradients": {"steps": STEPS, "chunk": 32},
}


def count_multiplications(dims: int) -> tuple[int, int]:
    """Count, of one window, in all convolutions: of a full evaluation, and of the cells that it changes."""
    model, params = network(dims)
    stack = describe(model.config, params, lambda logits: logits[CLASS])  # type: ignore[attr-defined]
    space = SHAPE[dims][:-1]
    cells = (space, *(tuple(map(int, found)) for found in map_sizes(stack.layers, space)))
    reaches = tuple(tuple(layer.reach()) for layer in stack.layers)
    found = plan_windows(reaches, cells, (WINDOW,) * dims, (STRIDE,) * dims, "clip")
    whole = changed = 0
    for layer, before, after, patch_size in zip(
        stack.layers, cells[1:-1], cells[2:], found.lengths[1:], strict=True
    ):
        kernel = getattr(layer, "kernel", None)
        if kernel is not None:
            assert before == after  # "same" convolutions
            whole += math.prod(after) * kernel.size
            changed += math.prod(patch_size) * kernel.size
    return whole, changed


def measure_milliseconds(run: Callable[[], jax.Array]) -> float:
    """Return the time of the fastest of five; the first run, which compiles, is not timed."""
    jax.block_until_ready(run())
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        jax.block_until_ready(run())
        seconds.append(time.perf_counter() - start)
    return 1e3 * min(seconds)


def score_nearly_nothing(image: jax.Array) -> jax.Array:
    """Return a score that costs nothing."""
    return jnp.tanh(image).sum()


def time_both_ways(name: str, run: Callable[[], jax.Array]) -> None:
    """Print the time of the host's loop and of one program."""
    taken = []
    for host in (True, False):
        with patch("lensjax.explain.engine.batch.loops_on_host", lambda host=host: host):
            taken.append(measure_milliseconds(run))
    print(f"{name}: host's loop {taken[0]:.1f} ms, one program {taken[1]:.1f} ms", flush=True)


def main() -> None:
    """Print the multiplications, then the times."""
    jax_setup.prepare(gradients=True)
    for dims in (2, 3):
        whole, changed = count_multiplications(dims)
        print(
            f"occlusion, {dims}D: {changed:,} of {whole:,} multiplications a window, 1/{whole / changed:.1f}"
        )
    images = np.random.default_rng(0).normal(size=(64, 8, 8, 1)).astype(np.float32)
    for name, options in LOOPS.items():
        run = partial(
            batched(METHODS[name], chunk=8), score_nearly_nothing, images, key=jax.random.key(0), **options
        )
        time_both_ways(f"{name} of tanh, 64 images", run)
    model, params = network(2)
    one, images = Partial(Apply(model), jax.device_put(params)), the_images("smooth_grad")  # type: ignore[arg-type]

    def score(image: jax.Array) -> jax.Array:
        return one(image).logits[CLASS]

    for name, options in NETWORK.items():
        for chunk in (1, len(images)):
            explain = batched(METHODS[name], chunk=chunk)
            run = partial(explain, score, images, key=jax.random.key(0), **options)
            time_both_ways(f"{name} of the network, {len(images)} images, {chunk} at a time, {options}", run)


if __name__ == "__main__":
    main()
