"""Events through the scripts: pictures in the Kaggle layout, and simulated ones, trained on and explained."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lensjax.event_axes import CLASSES, WINDOWS
from lensjax.spectrogram.colour_map import colour

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
from lensjax.config import AttentionConfig, Config, {data}, LossConfig, ModelConfig, OptimConfig
from lensjax.event_axes import CLASSES

def get_config():
    return Config(
        data={data}(size=(28, 34), {options}, directory={folder!r}),
        model=ModelConfig(
            features=(4, 6), pool=(2, 3), standardise=False, pooling="gated", hidden=8, classes=CLASSES,
            attention=AttentionConfig(at=("stage1",)), head={head!r},
        ),
        loss=LossConfig({weights}),
        optim=OptimConfig(batch_size=8, epochs=1),
    )
"""


def write_config(folder, **values):
    path = folder / "config.py"
    path.write_text(CONFIG.format(folder=str(folder / "data"), **values))
    return path


def run(*command):
    arguments = [sys.executable, *map(str, command)]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def read_csv(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def picture(path, row):
    energy = np.random.default_rng(row).random((140, 170), np.float32) * 0.1
    energy[row : row + 9, 60:110] = 0.9
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(colour(energy)).save(path)


@pytest.fixture(scope="module")
def kaggle(tmp_path_factory):
    """A set like Kaggle's: two classes that differ in frequency, one event without a window."""
    root = tmp_path_factory.mktemp("kaggle")
    for split, count in (("train", 8), ("validation", 2), ("test", 3)):
        for label, row in (("Blip", 30), ("Whistle", 90)):
            for i in range(count):
                for window in WINDOWS:
                    name = f"H1_{split[:2]}{label[:3]}{i:04d}_spectrogram_{window}.png"
                    picture(root / split / split / label / name, row + i)
    next((root / "train" / "train" / "Blip").glob("*_4.0.png")).unlink()
    return root


@pytest.fixture(scope="module")
def kaggle_run(kaggle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    options = f"path={str(kaggle)!r}"
    config = write_config(
        folder, data="GravitySpyData", options=options, head="class", weights={"cross_entropy": 1.0}
    )
    done = run("train.py", config, "--workdir", folder / "run")
    return folder / "run", done


def test_a_real_set_is_trained_on_and_its_gaps_are_told(kaggle_run):
    workdir, done = kaggle_run
    assert "lacks the window 4.0 s" in done.stderr
    summary = json.loads((workdir / "summary.json").read_text())
    assert summary["test"]["n"] == 6 and np.isfinite(summary["test"]["loss"])
    saved = np.load(workdir / "test_predictions.npz", allow_pickle=False)
    assert saved["logits"].shape == (6, len(CLASSES))


def test_a_users_pictures_are_explained(kaggle_run, kaggle, tmp_path):
    workdir, _ = kaggle_run
    broken = tmp_path / "mine"
    broken.mkdir()
    for window in WINDOWS:
        name = f"L1_abcdefghij_spectrogram_{window}.png"
        picture(broken / name, 60)
    (broken / "L1_zzzzzzzzzz_spectrogram_0.5.png").write_bytes(b"cut")
    inputs = [kaggle / "test" / "test" / "Blip", broken]
    out = tmp_path / "out"
    methods = ["attention", "grad_cam", "input_x_gradient"]
    done = run("explain.py", workdir, "--inputs", *inputs, "--methods", *methods, "--out", out)
    assert "lacks the window 1.0 s, 2.0 s, 4.0 s" in done.stderr
    rows = read_csv(out / "predictions.csv")
    assert len(rows) == 4 and {row["class"] for row in rows} <= set(CLASSES)
    maps = np.load(out / "attributions.npz", allow_pickle=False)
    assert all(maps[name].shape == (4, 4, 28, 34) and np.isfinite(maps[name]).all() for name in methods)
    page = (out / "index.html").read_text()
    assert "0.5 s" in page and "Hz" in page
    assert not (out / "scores.csv").exists()  # pictures have no truth


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--data.path", "nowhere"), "does not exist"),
        (("--data.on-problem", "refuse"), "lacks the window"),
        (("--model.view", "mosaic", "--model.pooling", "gated"), "makes one image"),
        (("--data.augment", "dihedral"), "swap time and frequency"),
    ],
)
def test_mistakes_say_what_to_do(kaggle, tmp_path, options, message):
    config = write_config(
        tmp_path,
        data="GravitySpyData",
        options=f"path={str(kaggle)!r}",
        head="class",
        weights={"cross_entropy": 1.0},
    )
    arguments = [sys.executable, "train.py", str(config), "--workdir", str(tmp_path / "run"), *options]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode and message in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_simulated_events_end_in_a_scored_page(tmp_path):
    weights = {"cross_entropy": 1.0, "position": 1.0, "position_nll": 0.05}
    options = "train=24, validation=22, test=22, augment=('band_limit',)"
    config = write_config(tmp_path, data="EventData", options=options, head="heatmap", weights=weights)
    run("train.py", config, "--workdir", tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert {"chirp_errors", "peak_time_error_median_ms"} <= set(summary["test"])
    run("explain.py", tmp_path / "run", "--count", "6", "--methods", "attention", "grad_cam")
    scores = read_csv(tmp_path / "run" / "explain" / "scores.csv")
    assert {row["method"] for row in scores} >= {"attention", "grad_cam", "random", "abs_input"}
    rows = read_csv(tmp_path / "run" / "explain" / "predictions.csv")
    assert len(rows) == 6 and {"time_s", "frequency_hz"} <= set(rows[0])
