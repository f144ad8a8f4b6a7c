"""Eight CPU devices for every test, set before jax starts."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from lensjax.runtime import jax_setup

jax.config.update("jax_num_cpu_devices", 8)
# Compiling is most of the time of the tests: half of it is optimisation that arrays this small do not need,
# and a second run, and the other worker, find it done.
jax.config.update("jax_disable_most_optimizations", True)
jax.config.update("jax_compilation_cache_dir", str(jax_setup.cache_directory() / "tests"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real files beside the project; tests that need them are skipped where they are missing."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LENSJAX_REAL_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set LENSJAX_REAL_DATA")
    return folder


TINY = """
from lensjax.config import AttentionConfig, Config, LensData, ModelConfig, OptimConfig

def get_config():
    return Config(
        data=LensData(size=32, train=64, validation=16, test=24, supersampling=1, directory={data!r}),
        model=ModelConfig(features=(4, 6), pool=(2, 2), hidden=8, dropout=0.1),
        optim=OptimConfig(batch_size=16, epochs=3),
    )
"""


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory) -> Path:
    """A tiny experiment; its data set is made once for all tests."""
    folder = tmp_path_factory.mktemp("tiny")
    path = folder / "tiny.py"
    path.write_text(TINY.format(data=str(folder / "data")))
    return path


@pytest.fixture(scope="session")
def tiny_run(tiny_config) -> Path:
    """The tiny experiment trained by the script, undisturbed, on one device."""
    workdir = tiny_config.parent / "undisturbed"
    command = [sys.executable, "train.py", str(tiny_config), "--workdir", str(workdir)]
    root = Path(__file__).resolve().parents[1]
    process = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr
    return workdir
