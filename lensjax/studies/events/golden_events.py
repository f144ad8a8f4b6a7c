"""Test a network trained on simulations alone on one hand-picked real event of each of the 22 classes.

    lensjax study golden runs/events [--data DATA/gravity_spy_golden/golden_rgb_140x170.npz]

Prints the prediction for each event, and the share of correct ones with its Wilson interval. We set the
simulator's ranges with these pictures in view, so this is a development number, not a held-out one; and it
rests on one event per class.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lensjax.data.gravity_spy.event_files import read_events
from lensjax.evaluation.intervals import wilson
from lensjax.event_axes import CLASSES
from lensjax.inspection import maps
from lensjax.inspection.restore import restore
from lensjax.ops.stored_images import to_float32
from lensjax.runtime.errors import UserError
from lensjax.studies import common


@dataclass(frozen=True)
class GoldenEventOptions:
    run: common.Run
    data: Path | None = None
    """The golden set; gravity_spy_golden/golden_rgb_140x170.npz of LENSJAX_REAL_DATA where none is given."""


def main(options: GoldenEventOptions) -> None:
    """Print the predicted class of every event."""
    trained = restore(options.run)
    domain = trained.domain
    if domain.grid is None:
        raise UserError(f"'{options.run}' was trained on images of the sky: give a run on events.")
    golden = common.real_data_folder("gravity_spy_golden", "golden_rgb_140x170.npz", given=options.data)
    events, problems = read_events([golden], domain.data.size, domain.encoding)
    if problems:
        raise UserError(str(problems[0]))
    items = [maps.Item(event.id, event.source, to_float32(event.image), event.label) for event in events]
    predicted = maps.predict(trained, items, 8)
    right = 0
    for i, item in enumerate(items):
        best = predicted.probabilities[i].argsort()[::-1][:3]
        right += int(best[0] == item.label)
        said = ", ".join(f"{CLASSES[c]} {predicted.probabilities[i, c]:.2f}" for c in best)
        print(f"{'   ' if best[0] == item.label else '>> '}{CLASSES[item.label or 0]:22s} {said}")
    low, high = wilson(right, len(items))
    print(f"{right} of {len(items)} right ({low:.2f}–{high:.2f})")


run = common.make_command("golden", main, GoldenEventOptions, __doc__)

if __name__ == "__main__":
    run()
