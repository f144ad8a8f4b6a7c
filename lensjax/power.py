"""Energy used by the machine, where it tells: CPU counters (RAPL) and the power draw of NVIDIA devices."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

COUNTERS = Path("/sys/class/powercap")


def meter() -> Callable[[], float | None]:
    """Start measuring; the function returned gives the joules since then, or None where nothing can be read.

    CPU packages count energy themselves; devices tell their draw, and the mean of start and end times the
    time is an estimate. All of the machine counts, whoever uses it.
    """
    start, packages, before = perf_counter(), cpu_joules(), device_watts()

    def joules() -> float | None:
        now, watts = cpu_joules(), device_watts()
        used = [] if packages is None or now is None or now < packages else [now - packages]
        used += [] if watts is None or before is None else [(before + watts) / 2 * (perf_counter() - start)]
        return sum(used) if used else None

    return joules


def cpu_joules(folder: Path = COUNTERS) -> float | None:
    """Sum of the packages' counters; None where there is none or it may not be read."""
    try:
        values = [int(path.read_text()) for path in folder.glob("intel-rapl:?/energy_uj")]
    except (OSError, ValueError):
        return None
    return sum(values) / 1e6 if values else None


def device_watts() -> float | None:
    """Power draw of all NVIDIA devices now; None without them."""
    if not shutil.which("nvidia-smi"):
        return None
    command = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
        return sum(float(line) for line in text.split())
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
