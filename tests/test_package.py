"""The wheel as a stranger installs it: alone in an empty environment, used from an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
CONFIGS = sorted((ROOT / "configs").glob("*.py"))
TINY = """
--data.size 32 --data.train 64 --data.validation 16 --data.test 16 --data.supersampling 1
--data.directory data --model.features 4 6 8 --model.pool 2 --model.hidden 8
--optim.epochs 1 --optim.batch-size 16
"""

EXPLAIN_ALONE = """
import sys
import jax.numpy as jnp
import lensjax.explain as explain

image = jnp.arange(48.0).reshape(4, 4, 3) / 48
weights = jnp.linspace(-1, 1, 48).reshape(4, 4, 3)
found = explain.get_method("input_x_gradient")(lambda x: (weights * x).sum(), image)
assert jnp.allclose(found, weights * image, atol=1e-6), found
unwanted = {"flax", "optax", "matplotlib", "skimage", "astropy", "tyro"} & set(sys.modules)
assert not unwanted, unwanted
print(explain.__file__)
"""
CUTOUT = """
import numpy as np
from astropy.io import fits

sky = np.random.default_rng(0).normal(size=(4, 32, 32)).astype("float32")
header = fits.Header({"CDELT1": -0.1 / 3600, "CDELT2": 0.1 / 3600})
fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(band, header, name=name)
              for band, name in zip(sky, ("VIS", "Y", "J", "H")))]).writeto("cutout.fits")
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def python_of(version: str) -> str:
    """Return an interpreter of that version; the test is skipped where the machine has none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    installed = sorted(str(path) for path in pyenv.glob(f"{version}.*/bin/python"))
    found = installed[-1] if installed else shutil.which(f"python{version}")
    if found is None:
        pytest.skip(f"this machine has no Python {version}")
    return found


def run(*command: object, cwd: Path) -> str:
    """Run a program that sees nothing of this checkout; return what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, text=True, capture_output=True, timeout=1800
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    return ended.stdout


def empty_environment(python: str, folder: Path, requirements: Path, wheel: Path) -> Path:
    """Make a virtual environment with the pinned requirements and the wheel; return its `bin`."""
    run(python, "-m", "venv", folder / "env", cwd=folder)
    programs = folder / "env" / "bin"
    install = (programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*install, "--require-hashes", "-r", requirements, cwd=folder)
    run(*install, "--no-deps", wheel, cwd=folder)
    return programs


def locked(names: set[str]) -> str:
    """Return the entries of the lock file, with their hashes, of these packages."""
    entries = re.split(r"\n(?=\S)", LOCK.read_text())
    return "\n".join(entry for entry in entries if re.split(r"[=\[ ]", entry)[0] in names) + "\n"


def test_the_wheel_carries_configurations_and_the_files_of_the_page(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert names >= {f"lensjax/configs/{path.name}" for path in CONFIGS}
    data = [path for path in (ROOT / "lensjax").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert names >= {str(path.relative_to(ROOT)) for path in data}
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "docs/"))]


@pytest.mark.slow
def test_explanations_need_jax_and_numpy_alone(wheel, tmp_path):
    needed = {"jax", "jaxlib", "numpy", "ml-dtypes", "opt-einsum", "scipy"}  # what `pip install jax` brings
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(locked(needed))
    programs = empty_environment(python_of("3.12"), tmp_path, requirements, wheel)
    where = run(programs / "python", "-W", "error", "-c", EXPLAIN_ALONE, cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_installed_command_trains_and_explains(version, wheel, tmp_path):
    programs = empty_environment(python_of(version), tmp_path, LOCK, wheel)
    work = tmp_path / "empty"
    work.mkdir()
    assert run(programs / "lensjax", "--version", cwd=work).startswith("lensjax ")
    run(programs / "lensjax", "train", "lens_demo", "--workdir", "run", *TINY.split(), cwd=work)
    assert (work / "run" / "summary.json").is_file()
    run(programs / "python", "-c", CUTOUT, cwd=work)
    explain = ("explain", "run", "--inputs", "cutout.fits", "--out", "out", "--methods", "grad_cam")
    run(programs / "lensjax", *explain, cwd=work)
    for name in ("predictions.csv", "attributions.npz", "index.html"):
        assert (work / "out" / name).is_file()
    assert len((work / "out" / "predictions.csv").read_text().splitlines()) == 2
    assert sorted(path.name for path in work.iterdir()) == ["cutout.fits", "data", "out", "run"]
