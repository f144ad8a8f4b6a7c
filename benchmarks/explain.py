"""Explanations against Captum, the `lime` package and PAIR's `saliency`: same weights, same images, one run.

    make bench-explain        installs the peers, then
    python benchmarks/explain.py [--tasks occlusion_2d lime … --repeats 5]

Each tool works in a process of its own, so that its peak memory is its own; the two take turns, and the
fastest of the repeats counts. Peers run at the best of several batch settings. Where both compute the same
thing, the largest difference between the maps is printed, relative to the largest value. Where there is a
GPU all use it, the peak is its memory, and sums are those of float32, not of its shorter TF32.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lensjax.runtime.command_line import run_command
from lensjax.runtime.errors import UserError
from lensjax.specs import check_names

HERE = Path(__file__).parent
TASKS = {
    "occlusion_2d": ("captum",),
    "occlusion_3d": ("captum",),
    "lime": ("lime",),
    "grad_cam": ("captum",),
    "integrated_gradients": ("captum", "saliency"),
    "smooth_grad": ("captum", "saliency"),
}
SAME = ("occlusion_2d", "occlusion_3d", "grad_cam", "integrated_gradients")
"""Tasks without random numbers."""


@dataclass(frozen=True)
class ExplainBenchmarkOptions:
    tasks: tuple[str, ...] = tuple(TASKS)
    """Maps that are timed."""
    repeats: int = 5
    """The fastest of them counts."""


class Worker:
    """A tool in its own process: `run` gives seconds, `peak` MiB, and `map FILE` saves its maps."""

    def __init__(self, tool: str, task: str, weights: Path):
        script = "explain_ours.py" if tool == "lensjax" else "explain_peers.py"
        command = [sys.executable, str(HERE / script), tool, task, str(weights)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.setting = self.answer()

    def answer(self) -> object:
        """Read one answer of the worker."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise UserError("a worker ended; its message is above.")
        return json.loads(line)

    def ask(self, what: str) -> object:
        """Tell the worker what to do, and return its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        """End the worker."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure_difference(one: Path, other: Path) -> float:
    """Return the largest difference of two files of maps, relative to the largest value."""
    a, b = np.load(one, allow_pickle=False), np.load(other, allow_pickle=False)
    return float(np.abs(a - b).max() / np.abs(b).max())


def compare_tools(task: str, peer: str, repeats: int, folder: Path) -> str:
    """Return a line of the table: lensjax and a peer, taking turns."""
    workers = {tool: Worker(tool, task, folder / "weights.npz") for tool in ("lensjax", peer)}
    seconds = {tool: float(str(worker.ask("run"))) for tool, worker in workers.items()}
    for _ in range(repeats - 1):
        for tool, worker in workers.items():
            seconds[tool] = min(seconds[tool], float(str(worker.ask("run"))))
    peak = {tool: worker.ask("peak") for tool, worker in workers.items()}
    for tool, worker in workers.items():
        worker.ask(f"map {folder / tool}.npy")
        worker.close()
    same = f"{measure_difference(folder / 'lensjax.npy', folder / f'{peer}.npy'):.0e}" if task in SAME else ""
    ours, theirs = seconds["lensjax"] * 1e3, seconds[peer] * 1e3
    return (
        f"| {task} | {peer} ({workers[peer].setting}) | {ours:.1f} | {theirs:.1f} | {theirs / ours:.1f}× | "
        f"{peak['lensjax']} / {peak[peer]} | {same} |"
    )


def main(options: ExplainBenchmarkOptions) -> None:
    """Print one line a task and peer."""
    check_names("task", options.tasks, TASKS)
    print("| task | peer (its best setting) | lensjax, ms | peer, ms | ratio | peak MiB | differ by |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "weights.npz", seed=0)
        for task in options.tasks:
            for peer in TASKS[task]:
                print(compare_tools(task, peer, options.repeats, Path(folder)), flush=True)


if __name__ == "__main__":
    run_command(main, ExplainBenchmarkOptions, prog="python benchmarks/explain.py", description=__doc__)
