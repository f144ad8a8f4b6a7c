"""A run made at commit 4cbb358 still opens: it is explained as then, and a stopped one goes on as then."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
OLD = ROOT / "tests" / "fixtures" / "run_of_4cbb358"


@pytest.fixture(scope="module")
def old_run(tmp_path_factory) -> Path:
    """A copy of the run, whose data set is made anew in a folder of the test."""
    run = tmp_path_factory.mktemp("old") / "run"
    shutil.copytree(OLD, run)
    config = json.loads((run / "config.json").read_text())
    config["data"]["directory"] = str(run.parent / "data")
    (run / "config.json").write_text(json.dumps(config))
    return run


def command(*words: str) -> str:
    process = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_it_is_explained_as_it_was(old_run):
    out = old_run.parent / "explained"
    methods = ("integrated_gradients", "grad_cam", "occlusion", "attention")
    command("explain.py", str(old_run), "--count", "8", "--figures", "0", "--page", "2", "--out", str(out),
            "--methods", *methods)  # fmt: skip
    with np.load(OLD / "attributions.npz") as then, np.load(out / "attributions.npz") as now:
        assert list(now) == list(then)
        assert now["id"].tolist() == then["id"].tolist()
        for name in set(then) - {"id"}:
            np.testing.assert_allclose(now[name], then[name], rtol=1e-4, atol=1e-6, err_msg=name)
    for table in ("predictions.csv", "scores.csv"):
        before, after = (list(csv.reader((folder / table).read_text().splitlines())) for folder in (OLD, out))
        assert [len(row) for row in after] == [len(row) for row in before]
        for old, new in zip(before, after, strict=True):
            for was, is_now in zip(old, new, strict=True):
                try:
                    assert float(is_now) == pytest.approx(float(was), abs=2e-4), (table, old, new)
                except ValueError:
                    assert is_now == was


def test_training_goes_on_from_its_checkpoint_to_the_same_end(old_run):
    shutil.rmtree(old_run / "checkpoints" / "8")  # as if it had been stopped after the first epoch
    (old_run / "summary.json").unlink()
    (old_run / "test_predictions.npz").unlink()
    said = command("train.py", str(old_run / "config.json"), "--workdir", str(old_run))
    assert "resuming at step 4 of 8" in said
    with np.load(OLD / "test_predictions.npz") as then, np.load(old_run / "test_predictions.npz") as now:
        assert list(now) == list(then)
        assert now["id"].tolist() == then["id"].tolist()
        np.testing.assert_allclose(now["logits"], then["logits"], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(now["position"], then["position"], rtol=1e-3, atol=1e-4)
