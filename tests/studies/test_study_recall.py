"""Recall studies: thresholds and recall by closed form, scenes made again, both commands on a tiny run."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.evaluation.intervals import wilson
from lensjax.simulate.lenses import edit_scene
from lensjax.simulate.lenses.examples import simulate
from lensjax.simulate.lenses.instruments import EUCLID, HST_F814W
from lensjax.studies.lenses import isolated_galaxies as isolated
from lensjax.studies.lenses import rare_lenses as rare
from lensjax.studies.lenses import recall
from lensjax.studies.lenses import selection_function as selection

SIZE, RAYS = 32, 1
PLAIN = np.ones(2, np.float32)


@pytest.fixture(scope="module")
def lens():
    """A key and its scene; one compiled function makes it again."""
    key = jax.random.key(11)
    return key, simulate(key, "arc", EUCLID, SIZE, RAYS)


@pytest.fixture(scope="module")
def again():
    return jax.jit(lambda key, s, sources: edit_scene.remake_image(key, s, sources, EUCLID, SIZE, RAYS))


def test_thresholds_are_exact_ranks():
    negatives = np.stack([np.arange(1000.0), np.arange(1000.0)[::-1] - 3])
    np.testing.assert_array_equal(recall.find_thresholds(negatives, 1e-2), [989, 986])
    np.testing.assert_array_equal(recall.find_thresholds(negatives, 1e-3), [998, 995])
    assert np.isnan(recall.find_thresholds(negatives, 1e-4)).all()
    assert ((negatives > recall.find_thresholds(negatives, 1e-2)[:, None]).sum(1) == 10).all()
    assert recall.describe_resolution(1000, 1e-2) == "10 of 1,000 non-lenses pass"
    assert recall.describe_resolution(1000, 1e-3).startswith("1 of 1,000 non-lenses pass: too few")
    assert (
        recall.describe_resolution(1000, 1e-4)
        == "undefined: 1,000 non-lenses cannot resolve 0.0001, 10,000 are needed"
    )


def test_recall_counts_what_is_strictly_above():
    scores = np.array([[0.0, 1.0, 2.0, 3.0, 9.0], [0.0, 0.0, 0.0, 3.0, -9.0]])
    keep = np.array([True, True, True, True, False])
    found = recall.measure_recall(scores, np.array([1.0, 0.0]), keep)
    assert found["each"] == [0.5, 0.25] and found["recall"] == 0.375 and found["n"] == 4
    assert (found["low"], found["high"]) == wilson(1.5, 4)
    assert found["sd"] == pytest.approx(0.25 / np.sqrt(2))
    nothing = recall.measure_recall(scores, np.array([1.0, np.nan]), keep)
    assert np.isnan(nothing["recall"]) and recall.format_recall(nothing) == "–"
    assert np.isnan(recall.measure_recall(scores, np.zeros(2), np.zeros(5, bool))["recall"])


def test_a_paired_change_is_the_mean_over_the_same_lenses():
    change = np.array([[1.0, 0.0, -1.0, 1.0], [1.0, 0.0, 0.0, 0.0]])
    found = recall.summarise_change(change)
    assert found["mean"] == 0.25 and found["each"] == [0.25, 0.25] and found["low"] <= 0.25 <= found["high"]
    constant = recall.summarise_change(np.full((2, 9), 0.5))
    assert constant["low"] == constant["mean"] == constant["high"] == 0.5


def test_a_curve_has_as_many_lenses_a_bin():
    x = np.arange(12.0)[::-1]
    scores = np.where(x > 5, 1.0, -1.0)[None]
    points = selection.measure_curve(x, scores, np.zeros(1), x < 8, 4)
    assert [point["n"] for point in points] == [2, 2, 2, 2]
    assert [point["recall"] for point in points] == [0, 0, 0, 1]
    assert points[-1]["x"] == 6.5 and (points[0]["from"], points[0]["to"]) == (0, 1)


def test_an_unchanged_scene_is_itself(lens, again):
    key, scene = lens
    np.testing.assert_allclose(again(key, scene.parameters, PLAIN), scene.image, atol=2e-4)


def test_a_removed_source_leaves_the_galaxy_and_the_noise(lens, again):
    key, scene = lens
    gone = jnp.sinh(again(key, scene.parameters, 0 * PLAIN)) * scene.sigma
    shown = jnp.sinh(scene.image) * scene.sigma
    inside = scene.mask & ~scene.artefact_mask
    lost = np.asarray((shown - gone)[inside].sum(0))
    expected = np.asarray(scene.source_flux[inside].sum(0))
    # What is lost beside the source is its photon noise.
    np.testing.assert_allclose(lost, expected, rtol=0.1)


def test_a_moved_lens_keeps_its_shape(lens):
    _, scene = lens
    s = scene.parameters
    moved = edit_scene.move_lens(s, 1.5)
    assert float(jnp.hypot(moved["x"], moved["y"])) == pytest.approx(1.5, rel=1e-5)
    assert float(moved["x"] * s["y"] - moved["y"] * s["x"]) == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(moved["rows"][:2, -2], moved["x"], atol=1e-6)
    np.testing.assert_array_equal(moved["rows"][5:], s["rows"][5:])
    same = edit_scene.move_lens(s, float(jnp.hypot(s["x"], s["y"])))
    np.testing.assert_allclose(same["rows"], s["rows"], atol=1e-6)


def test_a_red_source_keeps_its_vis_magnitude(lens):
    _, scene = lens
    colours = {}
    for old in (edit_scene.BLUE, edit_scene.RED):
        s = edit_scene.set_source_colour(scene.parameters, old)
        colours[old] = float(edit_scene.measure_colour(s, "source", EUCLID))
        assert s["mag_source"] == scene.parameters["mag_source"]
    assert colours[edit_scene.RED] > colours[edit_scene.BLUE] + 0.5
    assert float(edit_scene.measure_colour(scene.parameters, "lens", HST_F814W)) == 0
    assert float(edit_scene.scale_psf(scene.parameters, 1.3)["fwhm"][0] / scene.fwhm[0]) == pytest.approx(1.3)


def test_an_absent_galaxy_leaves_its_arcs(lens, again):
    key, scene = lens
    without = jnp.sinh(again(key, edit_scene.remove_galaxy(scene.parameters), PLAIN)) * scene.sigma
    row, column = np.round(np.asarray(scene.position) * SIZE - 0.5).astype(int)
    shown = jnp.sinh(scene.image) * scene.sigma
    assert float(shown[row, column, 0]) > float(without[row, column, 0])


def test_without_companions_all_else_stays(lens):
    _, scene = lens
    s = scene.parameters | {"rows": jnp.ones_like(scene.parameters["rows"])}
    rows = edit_scene.remove_companions(s)["rows"]
    assert np.isinf(rows[2:5, 0]).all() and int(jnp.isinf(rows).sum()) == 3


def test_the_table_of_kinds_says_what_the_removal_did():
    each = np.array([[-1.0, 1.0, 3.0], [-2.0, 2.0, 3.0]])
    row = recall.summarise_change(each) | {"lens": recall.summarise_recall(each > 0)}
    lines = isolated.tabulate_kinds(
        {"companions": row, isolated.REMOVED: row}, recall.summarise_change(each - 1), 2
    )
    assert "| companions | +1.00 (" in lines[-4] and "0.667" in lines[-4]
    assert lines[-3].startswith("| companions, companions removed |")
    assert "network by network +0.00, +0.00" in lines[-1]


@pytest.mark.slow
def test_isolated_end_to_end(tiny_run, tmp_path):
    isolated.main(isolated.IsolatedGalaxyOptions((tiny_run,), tmp_path, scenes=4))
    table = json.loads((tmp_path / "table.json").read_text())
    assert len(table["rows"]) == 8 and table["change"]["n"] == 4 and table["change"]["mean"] != 0


@pytest.mark.slow
def test_rare_lenses_end_to_end(tiny_run, tmp_path, capsys):
    options = rare.RareLensOptions((tiny_run, tiny_run), tmp_path, lenses=8, non_lenses=40, rates=(0.1, 1e-3))
    rare.main(options)
    table = json.loads((tmp_path / "table.json").read_text())
    kinds = {row["kind"]: row for row in table["kinds"]}
    assert {"single", "ring, blue", "ring, red", "compound_arcs", "double_ring"} <= set(kinds)
    assert kinds["ring, blue"]["n"] + kinds["ring, red"]["n"] == 8
    for row in kinds.values():
        assert row["rates"]["0.001"]["recall"] is None and len(row["rates"]["0.1"]["each"]) == 2
    arcs = kinds["compound_arcs"], kinds["compound_arcs, further source removed"]
    assert arcs[0]["n"] == arcs[1]["n"] == 8 and arcs[0]["snr"] > arcs[1]["snr"]
    # Twice the same network: no spread.
    assert kinds["single"]["rates"]["0.1"]["sd"] == 0
    text = (tmp_path / "table.md").read_text()
    assert "76 %, no rate" in text.replace("76%", "76 %") and "cannot be" in text and "never" not in text
    assert "40 non-lenses cannot resolve 0.001, 1,000 are needed" in text
    assert "None of the networks saw a compound lens" in capsys.readouterr().out
    assert (tmp_path / "recall.png").stat().st_size > 5000


@pytest.mark.slow
def test_selection_end_to_end(tiny_run, tmp_path):
    options = selection.SelectionOptions((tiny_run,), tmp_path, lenses=24, non_lenses=40, fpr=0.2, bins=3)
    selection.main(options)
    table = json.loads((tmp_path / "table.json").read_text())
    assert set(table["curves"]) == {*selection.QUANTITIES, "psf", "offset"}
    assert sum(point["n"] for point in table["curves"]["theta_e"]) == 24
    own = next(point for point in table["curves"]["psf"] if point["x"] == 1)
    assert own["recall"] == table["as_trained"]["recall"]
    assert set(table["colour_swap"]) == {"all lenses", "rings"}
    swap = table["colour_swap"]["all lenses"]
    assert swap["recall"]["mean"] == pytest.approx(swap["after"]["recall"] - swap["before"]["recall"])
    assert table["changes"]["source removed"]["logit"]["mean"] != 0
    assert (tmp_path / "selection.png").stat().st_size > 5000
    assert "colour swap" in (tmp_path / "table.md").read_text()


@pytest.mark.slow
def test_what_cannot_be_is_refused(tiny_run, tmp_path):
    with pytest.raises(ValueError, match="no run was given"):
        recall.restore_lens_finders(())
    few = selection.SelectionOptions((tiny_run,), tmp_path, lenses=8, non_lenses=40, fpr=1e-3)
    with pytest.raises(ValueError, match="40 non-lenses cannot resolve"):
        selection.main(few)
    with pytest.raises(ValueError, match="--bins 0"):
        selection.main(dataclasses.replace(few, bins=0))
