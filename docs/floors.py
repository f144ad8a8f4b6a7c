"""Draw the floors of the package from the import table in pyproject.toml: `python docs/floors.py`.

Writes docs/floors.svg. A floor that has no line in `HOLDS` stops the script: write one.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
GROUND, ARRAYS, EXPERIMENTS, PRODUCTS = "#d9d9d9", "#c6dbef", "#c7e9c0", "#fdd9b5"
MODULES = ("cli", "config", "config_io", "domain", "event_axes", "specs", "types")
HOLDS = {
    "cli": (PRODUCTS, "the command lensjax"),
    "studies": (PRODUCTS, "one question of a scientist, one command"),
    "survey": (PRODUCTS, "a network over a whole survey"),
    "inspection": (PRODUCTS, "from a trained run to its maps, scores and files"),
    "report": (PRODUCTS, "page and figures · matplotlib alone here"),
    "training": (EXPERIMENTS, "loop, optimiser, checkpoints, variants"),
    "evaluation": (EXPERIMENTS, "predictions, metrics, intervals"),
    "domain": (EXPERIMENTS, "what differs between lenses, events, published networks"),
    "data": (EXPERIMENTS, "files, data sets, batches"),
    "losses": (ARRAYS, "terms of the objective"),
    "models": (ARRAYS, "networks, attention, heads · flax alone here"),
    "simulate": (ARRAYS, "lenses and events with their true evidence"),
    "explain": (ARRAYS, "methods and scores · jax and numpy alone"),
    "spectrogram": (ARRAYS, "whitening, Q-transform, colour map"),
    "ops": (ARRAYS, "convolution, pooling, statistics of maps, bootstrap"),
    "config_io": (GROUND, "configurations as files"),
    "config": (GROUND, "every default of an experiment"),
    "event_axes": (GROUND, "axes and classes of events"),
    "specs": (GROUND, "names and options as text"),
    "runtime": (GROUND, "errors, commands, logs, devices"),
    "types": (GROUND, "arrays, examples, batches"),
}


def read_floors() -> list[list[str]]:
    """Return the rooms of every floor that exists, the highest first; planned ones are in brackets there."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in table if contract["id"] == "floors")
    floors = [[room.strip(" ()") for room in layer.split(":")] for layer in layers]
    package = ROOT / "lensjax"
    found = [
        [r for r in rooms if (package / r).is_dir() or (package / f"{r}.py").is_file()] for rooms in floors
    ]
    return [rooms for rooms in found if rooms]


def draw(floors: list[list[str]]) -> Figure:
    """Draw one bar a floor, rooms that do not know each other side by side."""
    figure = Figure(figsize=(9, 0.42 * len(floors) + 0.5), layout="constrained")
    axes = figure.subplots()
    for height, rooms in enumerate(reversed(floors)):
        width = 10 / len(rooms)
        for number, room in enumerate(rooms):
            colour, holds = HOLDS[room]
            axes.barh(height, width - 0.05, left=number * width, height=0.86, color=colour)
            name = room if room in MODULES else f"{room}/"
            axes.text(number * width + 0.15, height, name, va="center", weight="bold", size=10)
            axes.text(number * width + (1.9 if len(rooms) == 1 else 1.35), height, holds, va="center", size=9)
    top = len(floors) - 0.6
    axes.annotate("", (-0.35, -0.4), (-0.35, top), arrowprops={"arrowstyle": "-|>", "color": "#555555"})
    axes.text(-0.62, top / 2, "imports only from floors below", rotation=90, va="center", ha="center", size=9)
    axes.set(xlim=(-0.9, 10), ylim=(-0.6, len(floors) - 0.4))
    axes.axis("off")
    return figure


def main() -> None:
    """Write the figure; the same table gives the same bytes."""
    with matplotlib.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "floors", "font.family": "sans-serif"}
    ):
        figure = draw(read_floors())
        FigureCanvasSVG(figure).print_svg(ROOT / "docs" / "floors.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
