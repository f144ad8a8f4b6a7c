"""What the studies share: tables, the real data's folder, the commands and their old names."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lensjax.runtime.errors import UserError
from lensjax.studies import STUDIES, common

ROOT = Path(__file__).resolve().parents[2]


def test_a_spread_is_of_what_is_known():
    assert common.format_spread([0.5, None, 0.7, np.nan], 3) == "0.600 ± 0.141"
    assert common.format_spread([2], 1) == "2.0"
    assert common.format_spread([None, np.nan], 1) == ""
    assert common.format_change(0.1, -0.2, 0.4, 2) == "+0.10 (-0.20 to +0.40)"
    assert common.format_change(-0.1, np.nan, np.nan, 2) == "-0.10"


def test_a_study_is_saved_and_printed(tmp_path, capsys):
    lines = common.markdown_table(("way", "AUROC"), [("position", "0.9"), ("none", "0.8")])
    assert lines == ["| way | AUROC |", "|---|---|", "| position | 0.9 |", "| none | 0.8 |"]
    common.save_study(tmp_path / "out", lines, {"rows": [1, 2]}, [tmp_path / "out" / "table.png"])
    assert (tmp_path / "out" / "table.md").read_text() == "\n".join(lines) + "\n"
    saved = json.loads((tmp_path / "out" / "table.json").read_text())
    assert saved["rows"] == [1, 2] and set(saved) == {"command", "environment", "rows"}
    printed = capsys.readouterr().out
    assert lines[-1] in printed and "table.md" in printed and "table.png" in printed


def test_real_data_are_where_the_environment_or_an_option_says(monkeypatch, tmp_path):
    monkeypatch.setenv(common.REAL_DATA, str(tmp_path))
    assert common.real_data_folder("a", "b.npz") == tmp_path / "a" / "b.npz"
    assert common.real_data_folder("a", given=Path("c")) == Path("c")
    monkeypatch.delenv(common.REAL_DATA)
    with pytest.raises(UserError, match="LENSJAX_REAL_DATA is not set"):
        common.real_data_folder("a")


def test_a_stopped_study_has_some_of_every_variant():
    from lensjax.config import Config

    runs = common.plan_runs(Config(), {"a": lambda c: c, "b": lambda c: c}, 2)
    assert list(runs) == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert [config.seed for config in runs.values()] == [0, 0, 1, 1]


@pytest.mark.parametrize("name", STUDIES)
def test_every_command_has_a_help(name, capsys):
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(STUDIES[name]).run(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    galleries = {"gallery-lenses": "simulate lenses", "gallery-events": "simulate events"}
    command = galleries.get(name, f"study {name}")
    assert text.startswith(f"usage: lensjax {command} ") and "--debug" in text
    assert f"    lensjax {command} " in text  # an example


def test_a_name_of_before_says_the_new_one():
    command = [sys.executable, "-m", "lensjax.studies.seeds", "--help"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0 and "lensjax study seeds configs/lens_demo.py" in process.stdout
    assert "DeprecationWarning" in process.stderr and "is now `lensjax study seeds`" in process.stderr
