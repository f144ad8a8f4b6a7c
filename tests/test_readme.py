"""What the README shows runs."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_python_of_the_readme_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    assert "energy_inside" in capsys.readouterr().out


def test_nothing_is_left_to_fill_in():
    assert "«" not in (ROOT / "README.md").read_text()


def test_files_and_configurations_the_readme_names_exist():
    text = (ROOT / "README.md").read_text()
    for path in set(re.findall(r"`?((?:lensjax|configs|tests|benchmarks|docs)/[\w/]+\.\w+)", text)):
        assert (ROOT / path).exists(), path
