"""The explanation script end to end: held-out simulations, a user's files, mistakes on the command line."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

ROOT = Path(__file__).resolve().parents[2]
DREAMS = (
    "class_image(steps=6,keep=3,octaves=1)",
    "deep_dream(steps=6,keep=3,octaves=1,layer=stage1)",
)
DAMAGES = {
    "checkpoint": "cannot be read",
    "no checkpoints": "holds no checkpoints",
    "config": "is damaged",
    "field": "unknown field colour of config",
}
METHODS = ("attention", "grad_cam(layer=stage1)", "integrated_gradients(steps=8)", "occlusion(window=8)")


def explain(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "explain.py", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def held_out(tiny_run) -> Path:
    out = tiny_run.parent / "explained"
    shown = ("--count", 12, "--figures", 1)
    process = explain(tiny_run, "--out", out, *shown, "--dreams", *DREAMS, "--methods", *METHODS)
    assert process.returncode == 0, process.stderr
    assert (
        "completeness error" in process.stdout
        and "maps against the true masks" in process.stdout
        and str(out / "index.html") in process.stdout
    )
    done, total = re.findall(r"100%.* (\d+)/(\d+) \[.*passes/s\]", process.stderr)[-1]
    assert done == total  # of the work, not of the methods
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_predictions_have_a_class_probabilities_and_a_position(held_out):
    found = rows(held_out / "predictions.csv")
    assert len(found) == 12
    for row in found:
        assert row["class"] in ("lens", "non-lens")
        assert float(row["p_lens"]) + float(row["p_non-lens"]) == pytest.approx(1, abs=1e-5)
        assert float(row["row_arcsec"]) == pytest.approx((float(row["row"]) - 15.5) * 0.1, abs=1e-3)


def test_maps_are_on_the_image_grid_under_their_names(held_out):
    with np.load(held_out / "attributions.npz", allow_pickle=False) as maps:
        assert set(maps) == {"id", *METHODS, "random", "centre", "abs_input", "sobel"}
        for name in set(maps) - {"id"}:
            assert maps[name].shape == (12, 32, 32) and np.isfinite(maps[name]).all()


def test_figures_are_pdf_and_png_and_linked_from_the_page(held_out):
    page = (held_out / "index.html").read_text()
    (pdf,), (png,) = ((held_out / "figures").glob(f"example_*.{kind}") for kind in ("pdf", "png"))
    assert all(f'href="figures/{path.name}"' in page for path in (pdf, png))


def test_scores_are_of_lenses_and_the_page_has_every_method(held_out):
    scored = rows(held_out / "scores.csv")
    assert {row["method"] for row in scored} == {*METHODS, "random", "centre", "abs_input", "sobel"}
    assert all(0 <= float(row["energy_inside"]) <= 1.000001 for row in scored)
    page = (held_out / "index.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    assert len(page) < 8_000_000
    assert list((held_out / "figures").glob("*.png"))


def test_dreams_rise_within_their_limits_and_are_on_the_page(held_out):
    with np.load(held_out / "dreams.npz", allow_pickle=False) as dreams:
        wanted, layer = DREAMS
        assert dreams[f"{wanted}/subject"].tolist() == ["non-lens", "lens"]  # every class, without --target
        assert (
            dreams[f"{layer}/subject"].tolist()
            == [row["id"] for row in rows(held_out / "predictions.csv")][:3]
        )
        assert dreams[f"{wanted}/frames"].shape == (2, 3, 32, 32, 4)
        for spec in DREAMS:
            scores, frames = dreams[f"{spec}/scores"], dreams[f"{spec}/frames"]
            assert (scores[:, -1] > scores[:, 0]).all() and frames.min() >= -3 and frames.max() <= 12
            norms = np.linalg.norm(frames.reshape(*frames.shape[:2], -1), axis=-1)
            assert spec == wanted or (norms <= norms[:, :1] * 1.00001).all()  # of the image it starts from
    assert len(list((held_out / "figures").glob("dream_*.png"))) == 5
    assert len(list((held_out / "figures").glob("dream_*.pdf"))) == 5
    page = (held_out / "index.html").read_text()
    assert page.count('<figure class="film">') == 5 and "What does the network dream of?" in page


def test_a_users_files_are_explained_and_a_bad_one_costs_a_line(tiny_run, tmp_path):
    rng = np.random.default_rng(0)
    hdus = [fits.PrimaryHDU()]
    for band in ("VIS", "Y", "J", "H"):
        hdu = fits.ImageHDU(rng.normal(size=(40, 40)).astype(np.float32), name=band)
        hdu.header["PIXSCALE"] = 0.1
        hdus.append(hdu)
    fits.HDUList(hdus).writeto(tmp_path / "good.fits")
    (tmp_path / "bad.fits").write_bytes(b"SIMPLE  = nothing")
    out = tmp_path / "out"
    process = explain(
        tiny_run, "--inputs", tmp_path, "--out", out, "--methods", "gradient", "--target", "row"
    )
    assert process.returncode == 0, process.stderr
    assert "skipped" in process.stderr and "bad.fits" in process.stderr and "Traceback" not in process.stderr
    assert [row["id"] for row in rows(out / "predictions.csv")] == ["good"]
    assert not (out / "scores.csv").exists() and (out / "index.html").exists()


MISTAKES = [
    (("nowhere",), "'nowhere' is not a run"),
    (("RUN", "--methods", "grad_cm"), "did you mean 'grad_cam'"),
    (("RUN", "--methods", "occlusion(windw=3)"), "has no option 'windw'"),
    (("RUN", "--methods", "grad_cam(layer=stage9)"), "stage9"),
    (("RUN", "--dreams", "class_image(channel=3)"), "class_image has no option 'channel'"),
    (("RUN", "--dreams", "deep_dream(layer=stage9)"), "there are input, stage1, stage2"),
    (("RUN", "--target", "galaxy"), "Choose a class (predicted, non-lens, lens)"),
    (("RUN", "--inputs", "nothing.fits"), "does not exist"),
    (("RUN", "--count", "many"), "invalid"),
    (("RUN", "--count", "0"), "--count (=0) must be 1 or more"),
    (("RUN", "--chunk", "-1"), "--chunk (=-1) must be 1 or more"),
    (("RUN", "--methods", "smooth_grad(sigma=big)"), "smooth_grad(sigma=big)"),
    (("RUN", "--methods", "occlusion(window=big)"), "window (='big') must be a whole number"),
    (("RUN", "--methods", "integrated_gradients(rule=[1])"), "rule (=[1]) must be a word"),
    (("RUN", "--dreams", "class_image(steps=big)"), "steps (='big') must be a whole number"),
    *(((f"DAMAGED/{how}",), message) for how, message in DAMAGES.items()),
]
ONE_AFTER_THE_OTHER = """
import contextlib, io, json, runpy, sys

def run(arguments):
    sys.argv, code = ["explain.py", *arguments], 0
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        try:
            runpy.run_path("explain.py", run_name="__main__")
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else print(error.code) or 1
    return [code, out.getvalue()]

print(json.dumps([run(arguments) for arguments in json.loads(sys.argv[1])]))
"""


@pytest.fixture(scope="module")
def said(tiny_run, tmp_path_factory) -> list[tuple[int, str]]:
    """Exit code and words of the script for every mistake, in one process: starting takes longest."""
    folder = tmp_path_factory.mktemp("mistakes")
    for how in DAMAGES:
        shutil.copytree(tiny_run, folder / how)
        damage(folder / how, how)
    named = {"RUN": str(tiny_run)} | {f"DAMAGED/{how}": str(folder / how) for how in DAMAGES}
    commands = [[*(named.get(a, a) for a in arguments), "--out", str(folder)] for arguments, _ in MISTAKES]
    command = [sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps(commands)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


@pytest.mark.parametrize("i", range(len(MISTAKES)), ids=[message for _, message in MISTAKES])
def test_mistakes_say_what_to_do(i, said):
    code, words = said[i]
    assert code in (1, 2)
    assert MISTAKES[i][1] in words and "Traceback" not in words


def damage(workdir: Path, how: str) -> None:
    latest = max((workdir / "checkpoints").iterdir(), key=lambda path: int(path.name))
    if how == "checkpoint":
        for path in workdir.glob("checkpoints/*/state/**/*"):
            if path.is_file():
                path.write_bytes(b"")
    elif how == "no checkpoints":
        shutil.rmtree(latest.parent)
    elif how == "config":
        (workdir / "config.json").write_text('{"seed": ')
    elif how == "field":
        settings = json.loads((workdir / "config.json").read_text())
        (workdir / "config.json").write_text(json.dumps(settings | {"colour": 1}))
