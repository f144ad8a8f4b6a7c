"""What a user writes: names, and definitions in a Python file."""

import pytest

from lensjax.specs import check_names, load_definition, parse_spec, suggest_name


def test_the_nearest_name_is_suggested():
    assert suggest_name("gradeint", ["gradient", "lime"]) == " (did you mean 'gradient'?)"
    assert suggest_name("xyz", ["gradient", "lime"]) == ""
    with pytest.raises(ValueError, match=r"unknown loss posiion of a.py: .* \(did you mean 'position'\?\)"):
        check_names("loss", ["posiion"], ["class", "position"], of="a.py")


def test_a_spec_keeps_what_was_written():
    spec = parse_spec(" f(a=1, b=word)", lambda name: {"a": 0, "b": "text"})
    assert spec == (" f(a=1, b=word)", "f", {"a": 1, "b": "word"})


def test_a_definition_is_loaded_from_a_file(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("from __future__ import annotations\nfrom dataclasses import dataclass\n"
                    "@dataclass\nclass Own:\n    x: int = 3\ndef make(): return Own().x\n")  # fmt: skip
    assert load_definition(path, "make", "`def make()`")() == 3
    with pytest.raises(ValueError, match="defines no other; add `other`"):
        load_definition(path, "other", "`other`")
    for missing in (tmp_path / "none.py", tmp_path, tmp_path / "a.txt"):
        with pytest.raises(ValueError, match="is no Python file"):
            load_definition(missing, "make", "`make`")
