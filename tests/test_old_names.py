"""What the README of 0.1 showed can still be imported, with a warning."""

import importlib

import pytest


@pytest.mark.parametrize(
    ("old", "name", "new"),
    [
        ("lensjax.events", "CLASSES", "lensjax.event_axes"),
        ("lensjax.config_files", "load_config_file", "lensjax.config_io"),
        ("lensjax.explain.flip", "by_patches", "lensjax.explain.scores.flip"),
        ("lensjax.simulate.lenses", "simulate", "lensjax.simulate.lenses.examples"),
    ],
)
def test_an_old_name_gives_the_same_with_a_warning(old, name, new):
    with pytest.warns(DeprecationWarning, match=r"is now lensjax"):
        found = getattr(importlib.import_module(old), name)
    assert found is getattr(importlib.import_module(new), name)
