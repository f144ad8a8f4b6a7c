"""What the README shows runs."""

import re
import tomllib
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


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_files_and_configurations_that_a_page_names_exist(page):
    text = (ROOT / page).read_text()
    for path in set(re.findall(r"`?((?:lensjax|configs|tests|benchmarks|docs)/[\w/]+\.\w+)", text)):
        assert (ROOT / path).exists() or "NAME" in path, path


def test_the_tables_that_the_architecture_names_are_in_their_files():
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`([A-Z]\w+)` in `(lensjax/[\w/]+\.py)`", page)
    assert len(named) >= 6
    for name, path in named:
        assert re.search(rf"^(class )?{name}\b", (ROOT / path).read_text(), re.MULTILINE), (name, path)


def test_the_floors_are_drawn_and_described():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["id"] == "floors")
    rooms = [room.strip(" ()") for layer in reversed(layers) for room in layer.split(":")]
    package = ROOT / "lensjax"
    built = [room for room in rooms if (package / room).is_dir() or (package / f"{room}.py").is_file()]
    drawn = re.findall(r">([a-z_]+)/?</text>", (ROOT / "docs" / "floors.svg").read_text())
    assert drawn == built, "python docs/floors.py"
    page = (ROOT / "docs" / "architecture.md").read_text()
    for room in built:
        assert f"`{room}/`" in page or f"`{room}.py`" in page, room
