"""Draw simulated events of every class, beside real ones: `python -m lensjax.studies.events.gallery`."""

from __future__ import annotations

import argparse
from pathlib import Path

from lensjax.data.gravity_spy.training_set import read_golden
from lensjax.event_axes import CLASSES, PLANES
from lensjax.simulate.events.glitches import examples


def main() -> None:
    """Writes a contact sheet, a row for every class; masks are outlined, positions marked."""
    name = "python -m lensjax.studies.events.gallery"
    parser = argparse.ArgumentParser(prog=name, description=main.__doc__)
    parser.add_argument("--columns", type=int, default=2, help="simulated events of each class")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plane", default="loudest", choices=PLANES[:-1])
    parser.add_argument("--golden", type=Path, help="folder of the golden images")
    parser.add_argument("--plain", action="store_true", help="draw no outlines and crosses")
    parser.add_argument("--out", type=Path, default=Path("events.png"))
    options = parser.parse_args()
    try:
        path = options.golden / "golden_rgb_140x170.npz" if options.golden else None
        real = read_golden(path, encoding="rgb") if path else []
        made = list(examples(options.columns * len(CLASSES), options.seed, plane=options.plane))
    except (ValueError, ImportError) as error:
        raise SystemExit(f"error: {error}") from None
    golden = {CLASSES[e["label"]]: e["image"] for e in real}
    events = {name: [e for e in made if CLASSES[e["label"]] == name] for name in CLASSES}
    from lensjax.report.figures.event_sheet import draw_sheet

    options.out.parent.mkdir(parents=True, exist_ok=True)
    draw_sheet(events, golden, options.out, not options.plain)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
