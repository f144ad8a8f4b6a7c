"""The networks and images that `explain.py` compares on, as plain arrays for every tool."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

FEATURES = {2: (16, 32, 48, 64), 3: (8, 16, 16)}
SHAPE = {2: (64, 64, 4), 3: (32, 32, 32, 1)}
IMAGES = 8
"""Explained at once by methods on gradients; of perturbation methods one."""
CLASS = 1
STEPS, SAMPLES, SIGMA = 64, 32, 0.15
WINDOW, STRIDE = 8, 4
LIME_SAMPLES, SIDE = 1000, 16
"""LIME: 16 × 16 = 256 square patches."""


def dims_of(task: str) -> int:
    return 3 if task.endswith("_3d") else 2


def weights(dims: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Kernels [*k c f] and biases of the convolutions, then of the dense layer [c k]; He-normal."""
    rng = np.random.default_rng(0)
    layers, channels = [], SHAPE[dims][-1]
    for f in FEATURES[dims]:
        shape = (*(3,) * dims, channels, f)
        layers.append((rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape), rng.normal(0, 0.1, f)))
        channels = f
    layers.append((rng.normal(0, 0.3, (channels, 2)), np.zeros(2)))
    return [(w.astype(np.float32), b.astype(np.float32)) for w, b in layers]


def images(task: str) -> np.ndarray:
    """float32 [n *s c]."""
    count = IMAGES if task in ("grad_cam", "integrated_gradients", "smooth_grad") else 1
    return np.random.default_rng(1).normal(size=(count, *SHAPE[dims_of(task)])).astype(np.float32)


def segments() -> np.ndarray:
    """int [64 64]: a grid of square patches."""
    patch = np.arange(SHAPE[2][0]) * SIDE // SHAPE[2][0]
    return patch[:, None] * SIDE + patch


def serve(run: Callable[[], np.ndarray], setting: str, device_peak: Callable[[], float | None]) -> None:
    """Answer the driver, one JSON line each; the first run is not timed."""
    found = run()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(setting), flush=True)
    for line in sys.stdin:
        what = line.split()
        if what[0] == "run":
            start = time.perf_counter()
            found = run()
            print(json.dumps(time.perf_counter() - start), flush=True)
        elif what[0] == "peak":
            host = max(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024
            print(json.dumps(round(device_peak() or host)), flush=True)
        else:
            np.save(what[1], found)
            print(json.dumps(True), flush=True)
