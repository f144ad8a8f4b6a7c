"""lensjax's side of `explain.py`; run by it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import numpy as np
from explain_nets import (
    CLASS,
    FEATURES,
    LIME_SAMPLES,
    SAMPLES,
    SHAPE,
    SIGMA,
    STEPS,
    STRIDE,
    WINDOW,
    dims_of,
    images,
    segments,
    serve,
    weights,
)

from lensjax.runtime import jax_setup


def network(dims: int) -> tuple[object, dict]:
    """Our trunk with the shared weights."""
    from lensjax.config import AttentionConfig, ModelConfig
    from lensjax.models import build

    config = ModelConfig(
        features=FEATURES[dims],
        time_kernel=(3,),
        time_pool=(2,),
        head="class",
        hidden=0,
        attention=AttentionConfig(at=()),
        standardise=False,
    )
    *convolutions, (dense, bias) = weights(dims)
    params = {"head": {"logits": {"kernel": dense, "bias": bias}}}
    for i, (kernel, b) in enumerate(convolutions, start=1):
        params |= {f"stage{i}_kernel": kernel, f"stage{i}_bias": b}
    return build(config), params


def task_function(task: str) -> Callable[[], np.ndarray]:
    import jax

    from lensjax.explain import METHODS, batched
    from lensjax.models import Apply

    model, params = network(dims_of(task))
    x = images(task)
    assert x.shape[1:] == SHAPE[dims_of(task)]
    one = partial(Apply(model), jax.device_put(params))  # type: ignore[arg-type]

    def forward(image, taps=None):
        outputs = one(image, taps)
        return outputs.logits[CLASS], outputs.ends

    def score(image):
        return one(image).logits[CLASS]

    key = jax.random.key(0)
    if task.startswith("occlusion"):
        from lensjax.explain.incremental.incremental import incremental_occlusion
        from lensjax.inspection.as_layers import describe

        stack = describe(model.config, params, lambda logits: logits[CLASS])  # type: ignore[attr-defined]
        chunk = 256 if dims_of(task) == 2 else 32
        occlude = partial(incremental_occlusion, stack, x[0], window=WINDOW, stride=STRIDE, chunk=chunk)
        return lambda: np.asarray(occlude())[None, ..., 0]
    # Two cores are full with the samples of one example; a GPU is not.
    several = 1 if jax.default_backend() == "cpu" else len(x)
    smooth_grad = batched(METHODS["smooth_grad"], chunk=several)
    calls = {
        "grad_cam": partial(batched(METHODS["grad_cam"], chunk=len(x)), forward, x, layer="stage4"),
        "integrated_gradients": partial(
            batched(METHODS["integrated_gradients"], chunk=several), score, x, steps=STEPS, chunk=32
        ),
        "smooth_grad": partial(smooth_grad, score, x, key=key, samples=SAMPLES, sigma=SIGMA, chunk=32),
        "lime": partial(
            METHODS["lime"], score, x[0], key=key, segments=segments(), samples=LIME_SAMPLES, chunk=64
        ),
    }
    return lambda: np.asarray(jax.block_until_ready(calls[task]()))


def device_peak() -> float | None:
    """MiB of a device's memory at its fullest; None on the CPU."""
    import jax

    statistics = jax.devices()[0].memory_stats()
    return statistics["peak_bytes_in_use"] / 2**20 if statistics else None


if __name__ == "__main__":
    jax_setup.prepare(gradients=True)
    serve(task_function(sys.argv[2]), "", device_peak)
