"""Draw simulated scenes of every kind: `python -m lensjax.studies.lenses.gallery --instrument euclid`.

`--kinds compound_arcs double_ring` shows double source planes ("jackpot" lenses) alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jax

from lensjax.simulate.lenses.examples import simulate
from lensjax.simulate.lenses.instruments import INSTRUMENTS, get_instrument
from lensjax.simulate.lenses.kinds import ALL_KINDS, KINDS


def main() -> None:
    """Writes a contact sheet, a row for every kind of scene."""
    name = "python -m lensjax.studies.lenses.gallery"
    parser = argparse.ArgumentParser(prog=name, description=main.__doc__)
    parser.add_argument("--instrument", default="euclid", choices=INSTRUMENTS)
    parser.add_argument("--size", type=int, default=64, help="pixels on a side")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=ALL_KINDS, metavar="KIND",
                        help=f"of {', '.join(ALL_KINDS)}; all but the compound ones by default")  # fmt: skip
    parser.add_argument("--columns", type=int, default=10, help="scenes of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="draw no outlines and crosses")
    parser.add_argument("--out", type=Path, default=Path("contact_sheet.png"))
    options = parser.parse_args()

    from lensjax.report.figures.contact_sheet import draw_sheet

    instrument = get_instrument(options.instrument)
    rows = {}
    for kind in options.kinds:
        number = ALL_KINDS.index(kind)
        keys = jax.random.split(jax.random.fold_in(jax.random.key(options.seed), number), options.columns)
        rows[kind] = [jax.device_get(simulate(key, kind, instrument, options.size)) for key in keys]
    title = f"{instrument.name}, {options.size} pixels of {instrument.pixel_scale}″, seed {options.seed}"
    options.out.parent.mkdir(parents=True, exist_ok=True)
    draw_sheet(rows, options.out, title, marked=not options.plain)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
