"""What importing costs and touches, and which package may import which."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import lensjax

ROOT = Path(lensjax.__file__).parent
MODULES = sorted(m.name for m in pkgutil.walk_packages([str(ROOT)], "lensjax."))
ALLOWED_IN_EXPLAIN = {
    "jax",
    "numpy",
    "lensjax.explain",
    "lensjax.ops",
    "lensjax.specs",
    "lensjax.types",
    "lensjax.runtime.errors",
    "lensjax.runtime.old_names",
}
LAZY_IN_EXPLAIN = {"skimage.segmentation"}  # inside the one function that needs it


def run(program: str) -> str:
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def imports(path: Path) -> set[str]:
    """Dotted names a file imports; `from a import b` is a.b where that is a module of ours, else a."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & set(MODULES)
            found |= inner or {node.module}
    return found


def test_import_lensjax_is_light():
    loaded = run("import sys, lensjax; print(lensjax.__version__, *sys.modules)").split()
    assert loaded[0] == lensjax.__version__
    assert not {"jax", "numpy", "flax", "scipy"} & set(loaded)


def test_importing_everything_brings_no_tensorflow_and_leaves_jax_as_it_was():
    program = f"""
import importlib, sys, jax
before = dict(jax.config.values)
for name in {MODULES!r}:
    importlib.import_module(name)
print([name for name in before if before[name] != jax.config.values[name]], jax.config.jax_enable_x64)
print([name for name in sys.modules if name.split(".")[0] in ("tensorflow", "torch", "keras")])
jax.config.update("jax_num_cpu_devices", 3)  # refused once a device was claimed, as is jax.distributed
"""
    changed, heavy = run(program).splitlines()[-2:]
    assert changed == "[] False"
    assert heavy == "[]"


@pytest.mark.parametrize(
    ("package", "home"), [("matplotlib", "report"), ("flax", "models"), ("torch", "models")]
)
def test_heavy_packages_have_one_home(package, home):
    users = {p for p in ROOT.rglob("*.py") if any(i.split(".")[0] == package for i in imports(p))}
    assert not {str(p.relative_to(ROOT)) for p in users if p.relative_to(ROOT).parts[0] != home}


def test_explain_imports_jax_and_numpy_alone():
    for path in (ROOT / "explain").rglob("*.py"):
        for name in imports(path) - LAZY_IN_EXPLAIN:
            known = name.split(".")[0] in sys.stdlib_module_names or any(
                name == allowed or name.startswith(allowed + ".") for allowed in ALLOWED_IN_EXPLAIN
            )
            assert known, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("folder", ["simulate", "explain", "data"])
def test_no_arrow_runs_back(folder):
    # A `__main__.py` is a command, which ends in a picture; nothing imports it.
    for path in (p for p in (ROOT / folder).rglob("*.py") if p.name != "__main__.py"):
        back = {i for i in imports(path) if i.startswith(("lensjax.models", "lensjax.report"))}
        assert not back, f"{path.relative_to(ROOT)} imports {', '.join(back)}"
