"""`python -m lensjax.simulate.gallery --out sheet.png`: see what events are simulated, beside real ones."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lensjax.events import CLASSES, WINDOWS
from lensjax.simulate.glitches import examples
from lensjax.types import Example
from lensjax.viridis import VIRIDIS

SPELLING = {
    "1080Line": "1080Lines", "1400Ripple": "1400Ripples", "LowFreqBurst": "Low_Frequency_Burst",
    "LowFreqLine": "Low_Frequency_Lines", "NOA": "None_of_the_Above",
}  # fmt: skip
"""Labels of the golden images that differ from ours in more than underscores."""


def golden_class(label: str) -> str | None:
    """Our name of a golden image's label; None for a class that v1.1 has not."""
    name = SPELLING.get(label, label).replace("_", "").lower()
    return next((known for known in CLASSES if known.replace("_", "").lower() == name), None)


def read_golden(folder: Path) -> dict[str, np.ndarray]:
    """Real pictures [4 h w 3], uint8, one event a class.

    Raises:
      ValueError: the file is not in the folder.
    """
    path = folder / "golden_rgb_140x170.npz"
    if not path.is_file():
        raise ValueError(f"no golden images at '{path}'; give the folder that holds golden_rgb_140x170.npz.")
    with np.load(path, allow_pickle=False) as file:
        named = [
            (golden_class(str(label)), image)
            for label, image in zip(file["label"], file["images"], strict=True)
        ]
    return {name: image for name, image in named if name}


def main() -> None:
    """Writes a contact sheet, a row for every class; masks are outlined, positions marked."""
    parser = argparse.ArgumentParser(prog="python -m lensjax.simulate.gallery", description=main.__doc__)
    parser.add_argument("--columns", type=int, default=2, help="simulated events of each class")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plane", default="loudest", choices=("loudest", "0", "1", "2", "3"))
    parser.add_argument("--golden", type=Path, help="folder of the golden images")
    parser.add_argument("--plain", action="store_true", help="draw no outlines and crosses")
    parser.add_argument("--out", type=Path, default=Path("events.png"))
    options = parser.parse_args()
    try:
        golden = read_golden(options.golden) if options.golden else {}
        made = list(examples(options.columns * len(CLASSES), options.seed, plane=options.plane))
    except (ValueError, ImportError) as error:
        raise SystemExit(f"error: {error}") from None
    events = {name: [e for e in made if CLASSES[e["label"]] == name] for name in CLASSES}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    draw_sheet(events, golden, options.out, not options.plain)
    print(f"wrote {options.out}")


def draw_sheet(
    events: dict[str, list[Example]], golden: dict[str, np.ndarray], path: Path, marked: bool
) -> None:
    """A PNG: a row a class, the four windows of each event, real ones last."""
    width = max(len(row) for row in events.values()) + bool(golden)
    figure = Figure(figsize=(4.4 * width + 0.3, 0.95 * len(events)), dpi=100)
    axes = figure.subplots(len(events), len(WINDOWS) * width, squeeze=False)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_frame_on(False)
    for line, (name, row) in zip(axes, events.items(), strict=True):
        line[0].set_ylabel(name.replace("_", " "), fontsize=7)
        for number, event in enumerate(row):
            _draw_event(line[4 * number : 4 * number + 4], event, marked)
        if name in golden:
            for axis, image in zip(line[-4:], golden[name], strict=True):
                axis.imshow(image, aspect="auto")
    for axis, seconds in zip(axes[0], WINDOWS * width, strict=True):
        axis.set_title(f"{seconds:g} s", fontsize=7)
    if golden:
        axes[0, -4].set_title("real, 0.5 s", fontsize=7)
    figure.subplots_adjust(0.3 / (4.4 * width + 0.3), 0.002, 0.998, 0.985, 0.02, 0.03)
    figure.savefig(path)


def _draw_event(axes: np.ndarray, event: Example, marked: bool) -> None:
    for axis, image, mask in zip(axes, event["image"][..., 0], event["mask"], strict=True):
        axis.imshow(VIRIDIS[image], aspect="auto")
        if marked and mask.any():
            axis.contour(mask, levels=[0.5], colors="white", linewidths=0.5)
    if marked and np.isfinite(event["position"]).all():
        _cross(axes[0], event["position"] * event["image"].shape[1:3] - 0.5)


def _cross(axis: Axes, place: np.ndarray) -> None:
    axis.plot(place[1], place[0], "+", color="red", markersize=6, markeredgewidth=0.8)


if __name__ == "__main__":
    main()
