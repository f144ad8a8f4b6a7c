"""`python -m lensjax.simulate.gallery --out sheet.png`: see what events are simulated, beside real ones."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lensjax.events import CLASSES
from lensjax.simulate.glitches import examples

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
    from lensjax.report.event_sheet import draw_sheet

    options.out.parent.mkdir(parents=True, exist_ok=True)
    draw_sheet(events, golden, options.out, not options.plain)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
