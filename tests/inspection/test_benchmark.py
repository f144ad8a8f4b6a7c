"""The benchmark of explanations: end to end on a tiny network, its costs, tables and what it refuses."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.data.store.datasets import shuffle_labels, stack
from lensjax.domain import pixel_coordinates
from lensjax.event_axes import EventGrid
from lensjax.explain import METHODS
from lensjax.explain.engine.jaxprs import count_multiplications as multiplications
from lensjax.explain.engine.jaxprs import count_passes as passes
from lensjax.inspection.benchmark import table
from lensjax.inspection.default_methods import default_methods
from lensjax.inspection.restore import restore
from lensjax.models import published
from lensjax.report import benchmark as report
from lensjax.report.score_table import find_winner
from lensjax.studies.maps import benchmark_over_seeds as study

ROOT = Path(__file__).resolve().parents[2]
TRUTH = {"energy_inside", "pointing", "rank_accuracy", "average_precision", "pointing_near", "iou"}
ASKED = {"deletion", "insertion", "road_most", "road_least", "infidelity", "mu_fidelity", "sparseness"}
AGAIN = {"max_sensitivity", "randomised"}


@pytest.fixture(scope="module")
def benchmark(tiny_run) -> Path:
    out = tiny_run.parent / "benchmark"
    options = ["--benchmark-examples", "3", "--methods", "gradient", "grad_cam", "--out", str(out)]
    command = [sys.executable, "explain.py", str(tiny_run), "--benchmark", *options]
    quick = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "true"}  # most of the time goes into compiling
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, env=quick)
    assert process.returncode == 0, process.stderr
    assert "| gradient |" in process.stdout and str(out / "index.html") in process.stdout
    return out


def test_every_method_has_every_score_and_its_cost(benchmark):
    found = json.loads((benchmark / "benchmark.json").read_text())
    rows = {row["method"]: row for row in found["rows"]}
    assert set(rows) == {"gradient", "grad_cam", "random", "centre", "abs_input", "sobel"}
    assert len(found["examples"]) == 3
    for name, row in rows.items():
        for score in TRUTH | ASKED | AGAIN | {"centre_distance_arcsec"}:
            mean, low, high = row[score]
            assert low - 1e-6 <= mean <= high + 1e-6, (name, score)
        assert row.get("baseline", False) == (name not in ("gradient", "grad_cam"))
        assert row["cost"]["seconds"] > 0 and row["cost"]["megabytes"] > 0
    assert rows["gradient"]["cost"]["passes"] == pytest.approx(2, abs=0.3)
    assert rows["grad_cam"]["cost"]["passes"] == pytest.approx(1, abs=0.2)
    assert rows["random"]["cost"]["passes"] == 0
    for name in ("random", "centre", "abs_input", "sobel"):  # they know nothing of the network
        assert rows[name]["randomised"][0] == 1
    assert rows["gradient"]["randomised"][0] < 0.9
    assert found["cascades"]["groups"] == ["stage1", "stage2", "head"]
    for order in ("top_down", "bottom_up"):
        assert set(found["cascades"][order]) == {"gradient", "grad_cam"}
        assert all(len(curve) == 4 and curve[0] == 1 for curve in found["cascades"][order].values())


def test_it_is_written_as_table_figure_and_page(benchmark):
    with (benchmark / "benchmark.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["trivial"] for row in rows] == ["0", "0", "1", "1", "1", "1"]
    assert {"iou", "iou_low", "deletion_high", "passes"} <= set(rows[0])
    assert (benchmark / "benchmark.md").read_text().count("| sobel (trivial) |") == 2
    for name in ("benchmark.png", "benchmark.pdf", "cascade.png", "cascade.pdf"):
        assert (benchmark / name).stat().st_size > 5000
    page = (benchmark / "index.html").read_text()
    assert "Every method, every score" in page and "data:image/png" in page and "https://" not in page


def test_seeds_are_put_together(benchmark, tiny_run, tmp_path):
    for seed, shift in ((0, 0.0), (1, 0.2)):
        found = json.loads((benchmark / "benchmark.json").read_text())
        for row in found["rows"]:
            row["iou"][0] = 0.5 + shift + 0.1 * (row["method"] == "gradient")
        (tmp_path / f"seed{seed}").mkdir()
        (tmp_path / f"seed{seed}" / "benchmark.json").write_text(json.dumps(found))
    study.main(study.BenchmarkStudyOptions((Path("runs/seed0"), Path("runs/seed1")), tmp_path))
    rows = json.loads((tmp_path / "benchmark.json").read_text())["rows"]
    assert rows[0]["iou"] == pytest.approx([0.7, 0.6, 0.8])
    assert rows[0]["spread"]["iou"] == pytest.approx(0.2 / np.sqrt(2))
    text = (tmp_path / "benchmark.md").read_text()
    assert "**0.70 ± 0.14**" in text and "- IoU: gradient" in text
    assert (tmp_path / "benchmark.png").exists()


def test_seeds_of_other_methods_or_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match="its own name"):
        study.main(study.BenchmarkStudyOptions((Path("a/seed0"), Path("b/seed0")), tmp_path))
    with pytest.raises(ValueError, match="hold other methods"):
        study.average_tables([[{"method": "gradient"}], [{"method": "lime"}]])


def test_all_methods_are_compared_that_a_network_allows(tiny_run):
    trained = restore(tiny_run)
    assert {name for _, name, _ in default_methods(trained, every=True)} == set(METHODS)
    model = replace(trained.config.model, activation="gelu", view="mosaic")
    other = replace(trained, config=replace(trained.config, model=model))
    names = {name for _, name, _ in default_methods(other, every=True)}
    assert not names & {"attention", "grad_cam", "guided_backprop", "guided_grad_cam"} and "lime" in names
    with pytest.raises(ValueError, match="wants a run of train.py"):
        table.check_run(replace(trained, published=published.NETWORKS["OU-66"]))
    with pytest.raises(ValueError, match="--data.shuffle-labels"):
        table.check_twin(trained, trained)
    with pytest.raises(ValueError, match="another network"):
        table.check_twin(trained, other)


def test_passes_are_counted_in_loops_and_backward():
    kernel = jnp.ones((3, 3, 1, 2))

    def score(x):
        y = jax.lax.conv_general_dilated(
            x[None], kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jnp.tanh(y).sum()

    image, key = jnp.ones((8, 6, 1)), jax.random.key(0)
    assert multiplications(score, image) == 8 * 6 * 9 * 2

    def cost(name, **options):
        return passes(partial(METHODS[name], score, key=key, **options), score, image)

    assert cost("gradient") == 2
    assert cost("smooth_grad", samples=6, chunk=3) == 12
    assert cost("occlusion", window=4, stride=4, chunk=2) == 1 + 2 * 2
    assert multiplications(lambda x: x[..., 0] @ jnp.ones((6, 5)), image) == 8 * 6 * 5


def test_pixels_of_an_event_have_times_and_frequencies():
    grid = EventGrid((4, 5))
    places = pixel_coordinates(grid, (4, 4, 5))
    assert places.shape == (4, 4, 5, 2)
    np.testing.assert_allclose(places[:, 0, 2, 0], 0, atol=1e-9)  # the trigger
    np.testing.assert_allclose(places[3, :, 4, 0], 0.4 * 4.0)
    np.testing.assert_allclose(places[1, 0, :, 1] - places[1, 3, :, 1], 0.75 * grid.octaves)


def test_labels_and_positions_are_shuffled_together_and_images_stay():
    data = stack(
        {
            "image": np.full((2, 2, 1), i, np.float32),
            "mask": np.zeros((2, 2), bool),
            "label": i,
            "position": np.full(2, i, np.float32),
            "id": str(i),
        }
        for i in range(20)
    )
    other = shuffle_labels(data, 0)
    np.testing.assert_array_equal(other.position[:, 0], other.label)
    assert sorted(other.label) == list(range(20)) and (other.label != data.label).sum() > 10
    np.testing.assert_array_equal(other.image, data.image)
    np.testing.assert_array_equal(shuffle_labels(data, 0).label, other.label)
    assert (shuffle_labels(data, 1).label != other.label).any()


def test_the_best_method_is_bold_and_trivial_maps_are_last():
    rows = [
        {"method": "sobel", "n": 2, "baseline": True, "deletion": (0.1, 0.0, 0.2), "iou": (0.9, 0.8, 1.0)},
        {"method": "lime", "n": 2, "deletion": (0.3, 0.2, 0.4), "iou": (0.5, 0.4, 0.6)},
        {"method": "rise", "n": 2, "deletion": (0.2, 0.1, 0.3), "iou": (np.nan,) * 3},
    ]
    assert find_winner(rows, "deletion") == 2 and find_winner(rows, "iou") == 1
    lines = report.markdown(rows)
    assert lines[-1].startswith("| sobel (trivial)") and "**0.20 (0.10 to 0.30)**" in lines[-2]
