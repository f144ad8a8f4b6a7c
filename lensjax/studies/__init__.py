"""Answer one question about trained networks per file; each is a command, `lensjax study NAME --help`.

Read `common.py` first: what all studies share (training over seeds, tables, saving). Then one file for each
study:

- `lenses/`: metrics over seeds, ways to predict the position, recall, real lenses;
- `events/`: the talk's table of ablations, real events;
- `maps/`: benchmark of explanations, variants, shortcuts, edits.
"""

from __future__ import annotations

import importlib
import warnings

STUDIES = {
    "gallery-lenses": "lensjax.studies.lenses.gallery",
    "gallery-events": "lensjax.studies.events.gallery",
    "seeds": "lensjax.studies.lenses.seed_spread",
    "where": "lensjax.studies.lenses.position_designs",
    "flags": "lensjax.studies.lenses.disagreement_flags",
    "selection": "lensjax.studies.lenses.selection_function",
    "rare": "lensjax.studies.lenses.rare_lenses",
    "isolated": "lensjax.studies.lenses.isolated_galaxies",
    "real-lenses": "lensjax.studies.lenses.real_lenses",
    "real-variants": "lensjax.studies.lenses.real_variants",
    "real-positions": "lensjax.studies.lenses.real_positions",
    "talk-table": "lensjax.studies.events.talk_table",
    "golden": "lensjax.studies.events.golden_events",
    "real-events": "lensjax.studies.events.real_events",
    "benchmark": "lensjax.studies.maps.benchmark_over_seeds",
    "maps": "lensjax.studies.maps.compare_variants",
    "shortcuts": "lensjax.studies.maps.shortcuts",
    "edits": "lensjax.studies.maps.edits",
}
"""Name of a command -> its module, which has `run(arguments)`."""


def run_by_old_name(old: str, name: str) -> None:
    """Run a study as `python -m lensjax.studies.OLD`, with a warning; these modules go with 0.2."""
    message = f"`python -m lensjax.studies.{old}` is now `lensjax study {name}`; the old name goes with 0.2."
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    importlib.import_module(STUDIES[name]).run()
