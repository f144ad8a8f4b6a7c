"""A network trained on simulations alone, on one hand-picked real event of each of the 22 classes.

    python -m lensjax.studies.events.golden_events runs/events [--data /path/to/golden_rgb_140x170.npz]

Prints what each is taken for, and the share that is right with its Wilson interval. The simulator's ranges
were set with these pictures in view: a development number, not a held-out one; and one event a class is one.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from lensjax.config import LensData
from lensjax.data.batches.augment import as_float
from lensjax.data.gravity_spy.event_files import read_events
from lensjax.evaluation.intervals import wilson
from lensjax.event_axes import CLASSES
from lensjax.inspection import maps
from lensjax.inspection.restore import restore

DATA = Path(os.environ.get("LENSJAX_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
GOLDEN = DATA / "gravity_spy_golden" / "golden_rgb_140x170.npz"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, default=GOLDEN)
    arguments = parser.parse_args()
    trained = restore(arguments.run)
    data = trained.config.data
    if isinstance(data, LensData):
        raise SystemExit(f"error: {arguments.run} was trained on images of the sky, not on events.")
    events, problems = read_events([arguments.data], data.size, data.encoding)
    if problems:
        raise SystemExit(f"error: {problems[0]}")
    items = [maps.Item(event.id, event.source, as_float(event.image), event.label) for event in events]
    predicted = maps.predict(trained, items, 8)
    right = 0
    for i, item in enumerate(items):
        best = predicted.probabilities[i].argsort()[::-1][:3]
        right += int(best[0] == item.label)
        said = ", ".join(f"{CLASSES[c]} {predicted.probabilities[i, c]:.2f}" for c in best)
        print(f"{'   ' if best[0] == item.label else '>> '}{CLASSES[item.label or 0]:22s} {said}")
    low, high = wilson(right, len(items))
    print(f"{right} of {len(items)} right ({low:.2f}–{high:.2f})")


if __name__ == "__main__":
    main()
