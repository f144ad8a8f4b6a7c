"""Draw simulated events of every class, a row each, beside real ones.

    lensjax simulate events --out glitches.png
    lensjax simulate events --golden DATA/gravity_spy_golden

True masks are outlined and true positions marked, unless --plain is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lensjax.data.gravity_spy.training_set import read_golden
from lensjax.event_axes import CLASSES, PLANES
from lensjax.report.figures.contact_sheet import draw_event_sheet
from lensjax.runtime.command_line import run_command
from lensjax.simulate.events.glitches import examples
from lensjax.specs import check_names


@dataclass(frozen=True)
class EventGalleryOptions:
    columns: int = 2
    """Simulated events of each class."""
    seed: int = 0
    plane: str = "loudest"
    """Q plane that is displayed."""
    golden: Path | None = None
    """Folder of the golden images."""
    plain: bool = False
    """Draw no outlines and crosses."""
    out: Path = Path("events.png")
    """File of the contact sheet."""


def main(options: EventGalleryOptions) -> None:
    """Write a contact sheet, a row for every class; masks are outlined, positions marked."""
    check_names("plane", (options.plane,), PLANES[:-1])
    path = options.golden / "golden_rgb_140x170.npz" if options.golden else None
    real = read_golden(path, encoding="rgb") if path else []
    made = list(examples(options.columns * len(CLASSES), options.seed, plane=options.plane))
    golden = {CLASSES[e["label"]]: e["image"] for e in real}
    events = {name: [e for e in made if CLASSES[e["label"]] == name] for name in CLASSES}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    draw_event_sheet(events, golden, options.out, not options.plain)
    print(f"wrote {options.out}")


def run(arguments: Sequence[str] | None = None) -> None:
    """Run `lensjax simulate events`."""
    prog = "lensjax simulate events"
    run_command(main, EventGalleryOptions, prog=prog, description=__doc__, arguments=arguments)


if __name__ == "__main__":
    run()
