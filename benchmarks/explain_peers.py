"""The peers' side of `explain.py`; run by it. PyTorch is the engine of all of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from explain_nets import (
    CLASS,
    LIME_SAMPLES,
    SAMPLES,
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
from torch import nn

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def make_network(dims: int) -> nn.Sequential:
    """Return the network with the shared weights, channels first."""
    conv, pool = (nn.Conv2d, nn.MaxPool2d) if dims == 2 else (nn.Conv3d, nn.MaxPool3d)
    layers: list[nn.Module] = []
    *convolutions, (dense, bias) = weights(dims)
    for kernel, b in convolutions:
        layer = conv(kernel.shape[-2], kernel.shape[-1], 3, padding=1)
        layer.weight.data = torch.from_numpy(np.moveaxis(kernel, (-1, -2), (0, 1)).copy())
        layer.bias.data = torch.from_numpy(b)
        layers += [layer, nn.ReLU(), pool(2)]
    last = nn.Linear(*dense.shape)
    last.weight.data, last.bias.data = torch.from_numpy(dense.T.copy()), torch.from_numpy(bias)
    mean = nn.AdaptiveAvgPool2d(1) if dims == 2 else nn.AdaptiveAvgPool3d(1)
    return nn.Sequential(*layers, mean, nn.Flatten(), last).eval().to(DEVICE)


def channels_first(x: np.ndarray) -> torch.Tensor:
    """Return images as PyTorch has them, on the device."""
    return torch.from_numpy(np.moveaxis(x, -1, 1).copy()).to(DEVICE)


def channels_last(x: torch.Tensor) -> np.ndarray:
    """Return maps as NumPy arrays, channels last."""
    return np.moveaxis(x.detach().cpu().numpy(), 1, -1)


def captum_task(task: str, batch: int) -> Callable[[], np.ndarray]:
    from captum.attr import IntegratedGradients, LayerGradCam, NoiseTunnel, Occlusion, Saliency

    dims = dims_of(task)
    model, x = make_network(dims), channels_first(images(task))
    if task.startswith("occlusion"):
        shape, strides = (x.shape[1], *(WINDOW,) * dims), (x.shape[1], *(STRIDE,) * dims)
        occlusion = Occlusion(model)
        with torch.no_grad():
            return lambda: channels_last(
                occlusion.attribute(
                    x, shape, strides, baselines=0, target=CLASS, perturbations_per_eval=batch
                )
            )[..., 0]
    if task == "grad_cam":
        grad_cam = LayerGradCam(model, model[-5])  # the last ReLU
        return lambda: channels_last(grad_cam.attribute(x, target=CLASS))[..., 0]
    if task == "integrated_gradients":
        ig = IntegratedGradients(model)
        return lambda: channels_last(
            ig.attribute(x, target=CLASS, n_steps=STEPS, method="gausslegendre", internal_batch_size=batch)
        )
    tunnel = NoiseTunnel(Saliency(model))
    width = SIGMA * float(x.max() - x.min())
    return lambda: channels_last(
        tunnel.attribute(
            x, nt_type="smoothgrad", nt_samples=SAMPLES, nt_samples_batch_size=batch, stdevs=width,
            target=CLASS, abs=False,
        )
    )  # fmt: skip


def saliency_task(task: str, batch: int) -> Callable[[], np.ndarray]:
    import saliency.core as saliency

    model, x = make_network(2), images(task)

    def call(batch_of_images, call_model_args=None, expected_keys=None):
        tensor = channels_first(np.asarray(batch_of_images, np.float32)).requires_grad_(True)
        gradient = torch.autograd.grad(model(tensor)[:, CLASS].sum(), tensor)[0]
        return {saliency.INPUT_OUTPUT_GRADIENTS: channels_last(gradient)}

    if task == "integrated_gradients":
        ig = saliency.IntegratedGradients()
        options = {"x_steps": STEPS, "x_baseline": np.zeros_like(x[0]), "batch_size": batch}
        return lambda: np.stack([ig.GetMask(one, call, **options) for one in x])
    gradient = saliency.GradientSaliency()
    options = {"stdev_spread": SIGMA, "nsamples": SAMPLES, "magnitude": False}
    return lambda: np.stack([gradient.GetSmoothedMask(one, call, **options) for one in x])


def lime_task(task: str, batch: int) -> Callable[[], np.ndarray]:
    from lime import lime_image

    lime_image.tqdm = iter  # it has no option against its progress bar

    model, x = make_network(2), images(task)[0].astype(np.float64)

    def classify(batch_of_images):
        with torch.no_grad():
            return model(channels_first(np.asarray(batch_of_images, np.float32))).cpu().numpy()

    def run() -> np.ndarray:
        explained = lime_image.LimeImageExplainer(random_state=0).explain_instance(
            x, classify, labels=(CLASS,), top_labels=None, hide_color=0, num_samples=LIME_SAMPLES,
            batch_size=batch, segmentation_fn=lambda _: segments(),
            num_features=segments().max() + 1,
        )  # fmt: skip
        coefficients = dict(explained.local_exp[CLASS])
        return np.vectorize(coefficients.get)(segments())

    return run


BATCHES = {"captum": (1, 8, 32, 128, 512), "saliency": (8, 32, 64), "lime": (10, 50, 200)}
MAKERS = {"captum": captum_task, "saliency": saliency_task, "lime": lime_task}


def choose_setting(tool: str, task: str) -> tuple[Callable[[], np.ndarray], str]:
    """Return the fastest batch setting, by two runs each."""
    if task == "grad_cam" or (tool == "saliency" and task == "smooth_grad"):
        return MAKERS[tool](task, 1), "no setting"
    timed = []
    for batch in BATCHES[tool]:
        run = MAKERS[tool](task, batch)
        run()
        start = time.perf_counter()
        run()
        timed.append((time.perf_counter() - start, batch))
    batch = min(timed)[1]
    return MAKERS[tool](task, batch), f"batch {batch}"


def device_peak() -> float | None:
    """MiB of a device's memory at its fullest; None on the CPU."""
    return torch.cuda.max_memory_allocated() / 2**20 if DEVICE == "cuda" else None


if __name__ == "__main__":
    # Sums in float32 proper, as on the CPU: a GPU's own choice keeps three digits.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    run, setting = choose_setting(sys.argv[1], sys.argv[2])
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()  # what trying the settings took is none of the best one's
    serve(run, setting, device_peak)
