"""The command `lensjax`: help without heavy imports, names that are wrong, and who gets which words."""

import importlib
import subprocess
import sys
import types

import pytest

import lensjax
import lensjax.studies
import lensjax.training
from lensjax import cli
from lensjax.simulate.lenses import examples


def run(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "lensjax.cli", *words], capture_output=True, text=True)


@pytest.fixture
def calls(monkeypatch):
    """Modules of commands that record their words instead of running."""
    recorded = []

    def import_module(name):
        return types.SimpleNamespace(run=lambda words: recorded.append((name, words)))

    monkeypatch.setattr(cli.importlib, "import_module", import_module)
    return recorded


def test_help_names_every_command_and_imports_nothing_heavy():
    program = "import sys; from lensjax import cli; cli.main(['--help']); print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    help_text, modules = shown.rsplit("\n", 2)[:2]
    for command in cli.COMMANDS:
        assert f"  {command} " in help_text
        assert f"  lensjax {command} " in help_text or command == "study"  # an example
    assert not {"jax", "numpy", "tyro", "flax", "matplotlib"} & set(modules.split())


def test_without_words_the_help_is_shown(capsys):
    cli.main([])
    assert capsys.readouterr().out == cli.USAGE


def test_version(capsys):
    cli.main(["--version"])
    assert capsys.readouterr().out == f"lensjax {lensjax.__version__}\n"


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["trian"], ("'trian'", "Did you mean train?", "explain, benchmark, simulate, study")),
        (["simulate", "lens"], ("'lens'", "Did you mean lenses?", "lenses, events")),
        (["study", "qqqq"], ("'qqqq'", "alpha, beta")),
    ],
)
def test_a_wrong_name_is_one_line_with_the_choices(words, parts, monkeypatch, capsys):
    monkeypatch.setattr(lensjax.studies, "STUDIES", {"alpha": "a", "beta": "b"}, raising=False)
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    text = capsys.readouterr().err
    assert end.value.code == 2 and text.count("\n") == 1
    assert all(part in text for part in parts), text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--debug explain runs/a", ("lensjax.inspection.explain_command", "runs/a --debug")),
        ("benchmark runs/a", ("lensjax.inspection.explain_command", "runs/a --benchmark")),
        ("benchmark --help", ("lensjax.inspection.explain_command", "--help")),
        ("simulate events --seed 1", ("lensjax.studies.events.gallery", "--seed 1")),
        ("study alpha --out o", ("lensjax.studies.a", "--out o")),
    ],
)
def test_the_words_after_the_command_reach_its_module(words, expected, calls, monkeypatch):
    monkeypatch.setattr(lensjax.studies, "STUDIES", {"alpha": "lensjax.studies.a"}, raising=False)
    cli.main(words.split())
    assert calls == [(expected[0], expected[1].split())]


def test_train_writes_the_table_of_variants(monkeypatch):
    command, table = types.ModuleType("train_command"), types.ModuleType("variants_table")
    table.write_table, found = object(), []
    command.run = lambda words, write_table: found.append((words, write_table))
    for package, module in ((lensjax.training, command), (lensjax.studies, table)):
        monkeypatch.setitem(sys.modules, f"{package.__name__}.{module.__name__}", module)
        monkeypatch.setattr(package, module.__name__, module, raising=False)
    cli.main(["train", "lens_demo", "--workdir", "w"])
    assert found == [(["lens_demo", "--workdir", "w"], table.write_table)]


def test_the_list_of_simulations_has_their_first_lines(capsys):
    cli.main(["simulate"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("  lenses  Draw simulated scenes") and len(lines) == 4


def test_unknown_command_as_a_process():
    ended = run("studdy")
    assert ended.returncode == 2 and "Did you mean study?" in ended.stderr and not ended.stdout


@pytest.mark.parametrize(
    ("name", "module"), [("Config", "lensjax.config"), ("load_config", "lensjax.config_io")]
)
def test_public_names_are_imported_late(name, module):
    found = getattr(lensjax, name)
    assert found is getattr(importlib.import_module(module), found.__name__)
    assert name in dir(lensjax) and name in lensjax.__all__


def test_a_name_that_the_package_lacks():
    with pytest.raises(AttributeError, match="has no attribute 'Confg'"):
        _ = lensjax.Confg


def test_old_names_of_the_simulators_stay_until_0_2():
    with pytest.warns(DeprecationWarning, match=r"examples\.simulate"):
        assert lensjax.simulate.lenses.simulate is examples.simulate
    for old in ("lensjax.simulate", "lensjax.simulate.gallery"):
        words = [sys.executable, "-W", "always", "-m", old, "--help"]
        ended = subprocess.run(words, capture_output=True, text=True, check=True)
        assert "it goes with 0.2" in ended.stderr and "--columns" in ended.stdout
