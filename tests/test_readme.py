"""What the README shows runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def run(*blocks):
    """One after the other, each with the names of those before it."""
    names: dict = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)


def test_the_python_of_the_readme_runs(capsys):
    blocks = [block for block in BLOCKS if "equinox" not in block]
    assert blocks
    run(*blocks)
    printed = capsys.readouterr().out
    assert "energy_inside" in printed
    assert printed.count("grad_cam") == len(blocks) - 1 == 2  # Linen and NNX


def test_equinox_of_the_readme_runs(capsys):
    pytest.importorskip("equinox", reason="Equinox is not among the pinned packages")
    (block,) = (block for block in BLOCKS if "equinox" in block)
    run(BLOCKS[0], block)
    assert "grad_cam" in capsys.readouterr().out


def test_files_and_configurations_the_readme_names_exist():
    text = (ROOT / "README.md").read_text()
    for path in set(re.findall(r"`?((?:lensjax|configs|tests|benchmarks|docs)/[\w/]+\.\w+)", text)):
        assert (ROOT / path).exists(), path
