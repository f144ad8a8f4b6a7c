"""The studies of shortcuts and of edits, on made-up data: swaps, guesses, proposals, tables."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.config import AttentionConfig, Config, EventData, LensData, ModelConfig
from lensjax.config_io import load_config_file
from lensjax.data.store.datasets import Source
from lensjax.inspection.restore import Trained
from lensjax.models import build
from lensjax.report.figures import studies as pictures
from lensjax.studies.maps import compare_variants as maps
from lensjax.studies.maps import edits, shortcuts, swaps
from lensjax.training import subprocesses

ROOT = Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(0)


def source(count=8, size=16):
    """Background 1 or 2 by class, in the middle a square of 10 (class 0) or 20, which is the evidence."""
    label = np.arange(count, dtype=np.int32) % 2
    image = np.ones((count, size, size, 4), np.float16) * (1 + label)[:, None, None, None]
    mask = np.zeros((count, size, size), bool)
    mask[:, 6:10, 6:10] = True
    image[mask] = 10 * (1 + np.repeat(label, 16))[:, None]
    place = np.full((count, 2), 0.5, np.float32)
    truth = {"q_plane": label.astype(np.float32)}
    return Source(image, mask, label, place, np.arange(count).astype(str), truth, ("non-lens", "lens"))


def network(inputs=()):
    data = LensData(size=16, inputs=inputs)
    model = build(ModelConfig(features=(2, 3), hidden=2, attention=AttentionConfig(at=("stage2",))))
    params = model.init(jax.random.key(0), jnp.zeros((1, 16, 16, 4)))["params"]
    config = Config(data=data, model=model.config)
    return Trained(Path("runs/x"), config, model, params, {}, [])


# ---- swaps -----


def test_backgrounds_change_places():
    test = source()
    for same in (False, True):
        made = swaps.exchange_background(test, np.random.default_rng(0), same)
        for row, image in zip(made.rows, made.images, strict=True):
            label = test.label[row]
            assert (image[test.mask[row]] == 10 * (1 + label)).all()
            assert (image[~test.mask[row]] == 1 + (label if same else 1 - label)).all()
        assert ((made.background == test.label[made.rows]) == same).all()


def test_evidence_is_taken_out_or_left_alone():
    test = source()
    test.mask[0] = False  # without evidence: not asked of
    out = swaps.remove_evidence(test, np.random.default_rng(0))
    alone = swaps.keep_evidence_alone(test, np.random.default_rng(0))
    assert out.rows.tolist() == alone.rows.tolist() == list(range(1, 8))
    for row, without, only in zip(out.rows, out.images, alone.images, strict=True):
        assert (without == 1 + test.label[row]).all()
        assert not only[~test.mask[row]].any() and only[test.mask[row]].all()


def test_a_cut_says_where_no_evidence_is_left():
    test = source()
    test.mask[0, 0, 0] = True
    made = swaps.cut_inputs(swaps.CUTS["border only"])(test, RNG)
    assert made.blank is not None and made.blank.tolist() == [False] + [True] * 7
    assert all(not image[6:10, 6:10].any() and image[0].all() for image in made.images)


def test_a_number_alone_guesses_the_commonest_class():
    label = np.array([0, 0, 1, 1, 1])
    said = shortcuts.guess_from_number(np.array([1.0, 1, 2, 2, np.nan]), label, np.array([1.0, 2, 7, np.nan]))
    assert said.tolist() == [0, 1, 1, 1]
    binned = shortcuts.guess_from_number(
        np.arange(8.0), np.repeat([0, 1], 4), np.array([-5.0, 3, 4, 99]), bins=2
    )
    assert binned.tolist() == [0, 0, 1, 1]


def test_pairs_are_matched_and_told_apart():
    label = np.array([0, 1, 0, 1])
    near, drawn = shortcuts.match_pairs(np.array([1.0, 5.0, 4.9, 0.8]), label, RNG)
    assert (
        near.tolist() == [[0, 3], [1, 2], [2, 1], [3, 0]] and (label[drawn[:, 0]] != label[drawn[:, 1]]).all()
    )
    logits = np.array([[2.0, 0], [0, 1], [0, 3], [0, 2]])
    assert shortcuts.tell_apart(logits, label, near).tolist() == [True, False, False, True]


# ---- the study of shortcuts -----


@pytest.mark.slow
def test_a_network_is_tried_and_the_table_written(tmp_path):
    test = source()
    trained = network()
    guesses = shortcuts.guess_without_images(test, test, ("non-lens", "lens"))
    assert guesses["chance"]["accuracy"] == 0.5 and guesses["brightness"]["accuracy"] == 1.0
    assert guesses["Q plane"]["accuracy"] == 1.0
    swapped = {name: [row] for name, row in shortcuts.measure_swaps(trained, test, 4).items()}
    assert set(swapped) == set(swaps.PLAIN) | set(swaps.WITH_TRUTH)
    command = shortcuts.ShortcutOptions(Path("x"), tmp_path, examples=4)
    mass = shortcuts.measure_background(trained, test, command)
    assert mass["area of the background"]["background"] == pytest.approx(1 - 16 / 256)
    assert all(0 <= row["background"] <= 1 for row in mass.values()) and "attention" in mass
    control = shortcuts.measure_control(network(("remove_centre",)), test, 4)
    assert control["blank"]["n"] == 8
    found = {"alone": guesses, "swapped": swapped, "mass": {name: [row] for name, row in mass.items()}}
    found |= {"pairs": {k: [v] for k, v in shortcuts.measure_pairs(trained, test, 4).items()}}
    found |= {"trained": {"border only": [control, control]}}
    text = "\n".join(shortcuts.tabulate_shortcuts(found, test, LensData()))
    assert "| border only, trained |" in text and "names the background" in text and "detector" not in text
    events = "\n".join(shortcuts.tabulate_shortcuts(found, test, EventData()))
    assert "detector | not in simulated data" in events
    path = pictures.draw_dots(tmp_path / "a.png", shortcuts.make_figure_rows(found), {"accuracy": "accuracy"})
    assert path.read_bytes().startswith(b"\x89PNG")


def test_plans_and_mistakes(tmp_path):
    config = ROOT / "configs" / "lens_demo.py"
    base = load_config_file(config)
    command = shortcuts.ShortcutOptions(config, tmp_path, seeds=2, controls=("border only",))
    planned = shortcuts.plan_controls(command, base)
    assert list(planned) == [("whole", 0), ("border only", 0), ("whole", 1), ("border only", 1)]
    assert planned["border only", 1].data.inputs == (swaps.CUTS["border only"],)
    assert shortcuts.plan_controls(replace(command, runs=(tmp_path,)), base) == {}
    with pytest.raises(ValueError, match="unknown control nothing: choose from border only"):
        shortcuts.plan_controls(replace(command, controls=("nothing",)), base)
    with pytest.raises(ValueError, match="other images"):
        shortcuts.check_same_images(network(), EventData())


# ---- the study of edits -----


def test_changes_are_counted_and_the_best_is_proposed():
    label, of = np.array([0, 0, 1, 1]), np.array([True, True, False, False])
    counts = edits.count_changes(np.array([1, 0, 1, 0]), np.array([0, 1, 0, 1]), label, of)
    names = ("fixed", "broken", "others_fixed", "others_broken", "wrong", "right", "others_right")
    assert counts == dict.fromkeys(names, 1)
    harmless = counts | {"broken": 0, "others_broken": 0}
    assert edits.propose_edit({"a": counts, "b": harmless, "c": harmless | {"fixed": 0}}) == "b"


def test_mistakes_are_explained_frozen_and_edited(tmp_path):
    test = source()
    trained = network()
    said = edits.predict_classes(trained, test, (), 4)
    of, which = edits.choose_mistakes(trained.config, test, [said])
    assert which == "any class" and of.all()
    rows = edits.find_mistakes(said, test, of)
    assert rows.size
    maps = edits.make_blame(trained, test, rows[:3], "input_x_gradient", 2)
    path = edits.freeze_map(tmp_path, maps)
    assert path == edits.freeze_map(tmp_path, maps)
    specs = edits.list_candidates(False, path)
    for spec in specs[-4:]:
        assert edits.predict_classes(trained, test, (spec,), 4).shape == (8,)
    (small,) = edits.find_smallest_edits(trained, test, rows[:1])
    assert 0 <= small["pixels"] <= 1 and set(small) >= {"patches", "flipped", "l2"}
    changed = edits.edit_config(Config(data=EventData()), ("equal_stretch(seconds=1)",))
    assert changed.model.windows == (1.0,) * 4 and changed.data.inputs == ("equal_stretch(seconds=1)",)


def test_what_is_edited_may_be_an_ablation(tmp_path):
    command = edits.EditOptions(Path("configs/gravity_spy_study.py"), tmp_path)
    assert edits.load_base(command).model.decide == "event"
    images = edits.load_base(replace(command, ablation="image_2d"))
    assert images.model.decide == "window" and images.data == edits.load_base(command).data
    with pytest.raises(ValueError, match="unknown ablation image: choose from image_2d"):
        edits.load_base(replace(command, ablation="image"))


def test_the_table_of_edits_is_written(tmp_path):
    label, of = source().label, np.ones(8, bool)
    row = edits.compare_answers(label, 1 - label, source(), of)
    assert row["accuracy_before"] == 1 and row["accuracy_after"] == 0 and row["errors_after"] == 8
    assert edits.format_pairs([0.5, 0.7], [0.6, 0.8], 2) == "+0.10 (+0.10 to +0.10)"
    spec = "blamed(file='runs/x/blame-1234.npz',edit=remove,share=0.05)"
    assert edits.shorten(spec) == "blamed(blame-1234,edit=remove,share=0.05)"
    small = {
        "patches": 2,
        "pixels": 0.1,
        "flipped": True,
        "inside": 0.5,
        "l2": 0.01,
        "gradient_flipped": True,
    }
    found = {
        "which": "any class",
        "counted": "Chirp",
        "flips": {spec: row, "blur": row},
        "chosen": (spec,),
        "smallest": [small],
    }
    found |= {"rows": [row, row], "another_seed": [row, row]}
    text = "\n".join(edits.tabulate_edits(found, 8))
    assert "← applied" in text and "mistakes, Chirp" in text and "another seed alone" in text
    edits.draw_edits(tmp_path, found, np.linspace(-1, 1, 64, dtype=np.float32).reshape(4, 4, 4))
    assert (tmp_path / "table.png").exists() and (tmp_path / "blame.png").exists()


@pytest.mark.slow
def test_both_studies_from_end_to_end(tmp_path, tiny_config, monkeypatch):
    monkeypatch.chdir(ROOT)
    common = {"seeds": 2, "chunk": 4}
    shortcuts.main(
        shortcuts.ShortcutOptions(
            tiny_config, tmp_path / "s", controls=("border only",), examples=4, **common
        )
    )
    before = tuple(tmp_path / "s" / "whole" / f"seed{seed}" for seed in range(2))
    edits.main(edits.EditOptions(tiny_config, tmp_path / "e", before=before, most=2, **common))
    found = json.loads((tmp_path / "e" / "table.json").read_text())
    assert len(found["rows"]) == 2 and found["chosen"]


# ---- maps of an ablation, and seeds that share a process -----


def test_maps_are_compared_seed_by_seed():
    base = {"auroc": None, "accuracy": 0.9, "grad_cam: energy_inside": 0.1}
    better = {**base, "grad_cam: energy_inside": 0.3}
    rows = {"plain": [base, {**base, "grad_cam: energy_inside": 0.2}], "loss": [better, better]}
    mean, low, high = maps.difference(rows, "loss", "grad_cam: energy_inside")
    assert mean == pytest.approx(0.15) and low < 0.15 < high
    assert maps.format_difference(rows, "loss", "attention: energy_inside") == ""
    table = "\n".join(maps.tabulate_variants(rows, {"random: energy_inside": 0.05}, ("energy_inside",)))
    assert "| loss | 0.900 ± 0.000 |" in table and "+0.150 (" in table and "random 0.050" in table
    alone = {name: each[:1] for name, each in rows.items()}
    assert maps.format_difference(alone, "loss", "grad_cam: energy_inside") == "+0.200"


def test_an_unfinished_ablation_has_no_maps(tmp_path):
    with pytest.raises(ValueError, match="no finished runs VARIANT/seedK"):
        maps.find_runs(tmp_path, ())
    (tmp_path / "plain" / "seed0").mkdir(parents=True)
    (tmp_path / "plain" / "seed0" / "summary.json").write_text("{}")
    with pytest.raises(ValueError, match="unknown variant other: choose from plain"):
        maps.find_runs(tmp_path, ("other",))
    for seed in ("seed0", "seed1"):
        (tmp_path / "loss" / seed).mkdir(parents=True)
        (tmp_path / "loss" / seed / "summary.json").write_text("{}")
    with pytest.raises(ValueError, match="plain has seed0, loss seed0, seed1"):
        maps.find_runs(tmp_path, ())
    assert list(maps.find_runs(tmp_path, ("plain",))) == ["plain"]


def test_seeds_side_by_side_share_a_process():
    config = Config(data=EventData())
    seeds = {Path(f"runs/a/seed{k}"): replace(config, seed=k) for k in range(3)}
    started = {Path(f"runs/b/seed{k}"): replace(config, seed=k, init=f"runs/a/seed{k}") for k in range(2)}
    later = {Path("runs/c/seed4"): replace(config, seed=4)}
    groups = subprocesses.group_seeds({**seeds, **started, **later})
    assert [list(group) for group in groups] == [list(seeds), *([place] for place in (*started, *later))]
