"""Eight CPU devices for every test, set before jax starts."""

import os
from pathlib import Path

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real files beside the project; tests that need them are skipped where they are missing."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LENSJAX_REAL_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set LENSJAX_REAL_DATA")
    return folder
