"""Draw simulated scenes of every kind, a row each.

    lensjax simulate lenses --instrument euclid --size 64 --out sheet.png
    lensjax simulate lenses --kinds compound_arcs double_ring

The second command draws only double source planes ("jackpot" lenses).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax

from lensjax.report.figures.contact_sheet import draw_sheet
from lensjax.runtime.command_line import run_command
from lensjax.simulate.lenses.examples import simulate
from lensjax.simulate.lenses.instruments import get_instrument
from lensjax.simulate.lenses.kinds import ALL_KINDS, KINDS
from lensjax.specs import check_names


@dataclass(frozen=True)
class LensGalleryOptions:
    instrument: str = "euclid"
    """euclid, or another of lensjax.simulate.lenses.instruments."""
    size: int = 64
    """Pixels on a side."""
    kinds: tuple[str, ...] = KINDS
    """Kinds of scenes; all but the compound ones by default."""
    columns: int = 10
    """Scenes of each kind."""
    seed: int = 0
    plain: bool = False
    """Draw no outlines and crosses."""
    out: Path = Path("contact_sheet.png")
    """File of the contact sheet."""


def main(options: LensGalleryOptions) -> None:
    """Write a contact sheet, a row for every kind of scene."""
    check_names("kind", options.kinds, ALL_KINDS)
    instrument = get_instrument(options.instrument)
    rows = {}
    for kind in options.kinds:
        key = jax.random.fold_in(jax.random.key(options.seed), ALL_KINDS.index(kind))
        keys = jax.random.split(key, options.columns)
        rows[kind] = [jax.device_get(simulate(key, kind, instrument, options.size)) for key in keys]
    title = f"{instrument.name}, {options.size} pixels of {instrument.pixel_scale}″, seed {options.seed}"
    options.out.parent.mkdir(parents=True, exist_ok=True)
    draw_sheet(rows, options.out, title, marked=not options.plain)
    print(f"wrote {options.out}")


def run(arguments: Sequence[str] | None = None) -> None:
    """Run `lensjax simulate lenses`."""
    prog = "lensjax simulate lenses"
    run_command(main, LensGalleryOptions, prog=prog, description=__doc__, arguments=arguments)


if __name__ == "__main__":
    run()
