"""Small strain files with known signals."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from lensjax.data.strain.strain_files import Strain

START = 1_000_000_000
RATE = 4096.0
NAMES = (b"DATA", b"CBC_CAT1"), (b"NO_CBC_HW_INJ", b"NO_CW_HW_INJ")


def noise(seconds: float = 32.0, seed: int = 0, rate: float = RATE) -> np.ndarray:
    return 1e-21 * np.random.default_rng(seed).normal(size=round(seconds * rate))


def with_burst(values: np.ndarray, at: float, frequency: float, snr: float, rate: float = RATE) -> np.ndarray:
    """A sine-Gaussian of Q 8 of an optimal signal-to-noise in white noise."""
    near = slice(max(round((at - 1) * rate), 0), round((at + 1) * rate))
    time = np.arange(len(values))[near] / rate - at
    burst = np.exp(-((time * np.pi * frequency / 4) ** 2)) * np.cos(2 * np.pi * frequency * time)
    values = values.copy()
    values[near] += snr * 1e-21 * burst / np.sqrt(np.sum(burst**2))
    return values


def write(path: Path, values: np.ndarray, **attributes: object) -> Path:
    seconds = int(np.ceil(len(values) / RATE))
    with h5py.File(path, "w") as file:
        data = file.create_dataset("strain/Strain", data=values)
        data.attrs.update({"Xstart": START, "Xspacing": 1 / RATE, "Npoints": len(values)} | attributes)
        file["meta/Detector"], file["meta/GPSstart"] = "H1", START
        for folder, mask, short, names in (
            ("simple", "DQmask", "DQShortnames", NAMES[0]),
            ("injections", "Injmask", "InjShortnames", NAMES[1]),
        ):
            file[f"quality/{folder}/{mask}"] = np.full(seconds, 3, np.uint32)
            file[f"quality/{folder}/{mask}"].attrs["Xstart"] = START
            file[f"quality/{folder}/{short}"] = np.array(names)
    return path


def strain_of(values: np.ndarray, rate: float = RATE) -> Strain:
    return Strain(values, rate, float(START), "H1")
