"""The study of events: its table from runs that are made up, and what it refuses."""

import dataclasses
import json

import numpy as np
import pytest

from lensjax.data.store.datasets import Source
from lensjax.event_axes import CLASSES
from lensjax.report.figures import studies as pictures
from lensjax.studies import common
from lensjax.studies.events import talk_table

CHIRP, BLIP, SCRATCHY = (CLASSES.index(name) for name in ("Chirp", "Blip", "Scratchy"))


def logits_of(said):
    return 9.0 * np.eye(len(CLASSES), dtype=np.float32)[np.asarray(said)]


def test_windows_are_counted_one_by_one_and_vote():
    label = np.array([CHIRP, CHIRP, BLIP])
    said = [[CHIRP, CHIRP, CHIRP, BLIP], [CHIRP, CHIRP, BLIP, SCRATCHY], [BLIP, BLIP, BLIP, BLIP]]
    found = talk_table.count_by_window(logits_of(said), label)
    assert found["chirp_errors"] == [0, 0, 1, 2]
    assert found["chirp_taken_for"][3] == ["1 Blip", "1 Scratchy"]
    assert found["accuracy"] == pytest.approx([1, 1, 2 / 3, 1 / 3])
    assert found["votes_accuracy"] == 1.0
    assert found["image_accuracy"] == pytest.approx(9 / 12)


def test_a_tied_vote_goes_to_the_surer_windows():
    logits = logits_of([[CHIRP, CHIRP, BLIP, BLIP]])
    logits[0, 0] *= 0.1
    assert talk_table.count_by_window(logits, np.array([BLIP]))["votes_accuracy"] == 1.0


def source(labels, planes):
    n = len(labels)
    return Source(
        image=np.zeros((n, 4, 2, 2, 1), np.uint8),
        mask=np.zeros((n, 4, 2, 2), bool),
        label=np.array(labels, np.int32),
        position=np.full((n, 2), np.nan, np.float32),
        id=np.arange(n).astype(str),
        truth={"q_plane": np.array(planes, np.float32)},
    )


def test_the_plane_alone_names_its_commonest_class():
    train = source([BLIP, BLIP, CHIRP, SCRATCHY, SCRATCHY], [0, 0, 0, 3, 3])
    found = talk_table.guess_from_plane(train, source([BLIP, CHIRP, SCRATCHY, SCRATCHY], [0, 0, 3, 3]))
    assert found["accuracy"] == 0.75
    assert "0.750 (" in talk_table.describe_plane(found, 4)


def rows():
    row = {"parameters": 1234, "seconds_per_epoch": 2.0, "epochs": 8}
    row |= {"accuracy": 0.9, "macro_f1": 0.88, "chirp_n": 40, "chirp_errors": 2}
    row |= {"chirp_taken_for": ["2 Blip"], "peak_time_error_median_ms": None}
    other = row | {"accuracy": 0.8, "chirp_errors": 4, "chirp_taken_for": ["1 Blip", "3 Tomte"]}
    return {"event_3d": [row, other]}


def test_the_table_has_spread_and_interval():
    head, _, line = talk_table.tabulate_ablations(rows())
    assert head.startswith("| network | parameters | s/epoch |")
    assert "0.850 ± 0.071" in line and "3.0 ± 1.4 of 40 (3–20 %)" in line and "Blip 3, Tomte 3" in line


def test_the_picture_is_drawn(tmp_path):
    panels = {"accuracy": "accuracy", "chirp_errors": "chirps missed"}
    controls = {"Q plane alone": 0.3}
    path = pictures.draw_dots(tmp_path / "table.png", rows(), panels, controls=controls)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_mistakes_are_told(tmp_path):
    with pytest.raises(ValueError, match="no Python file"):
        common.load_edits(tmp_path / "none.py", "ABLATIONS", "ablation", ())
    (tmp_path / "a.py").write_text("ABLATIONS = {'one': lambda config: config}")
    with pytest.raises(ValueError, match="unknown ablation two: choose from one"):
        common.load_edits(tmp_path / "a.py", "ABLATIONS", "ablation", ("two",))
    (tmp_path / "b.py").write_text("")
    with pytest.raises(ValueError, match="defines no ABLATIONS"):
        common.load_edits(tmp_path / "b.py", "ABLATIONS", "ablation", ())


def test_a_run_of_a_configuration_file_in_json(tmp_path):
    from dataclasses import asdict

    from lensjax.config import Config, EventData
    from lensjax.config_io import load_config_file
    from lensjax.runtime.logs import write_json

    config = Config(data=EventData(size=(35, 42)))
    write_json(tmp_path / "config.json", asdict(config))
    assert load_config_file(tmp_path / "config.json") == config
    (tmp_path / "broken.json").write_text(json.dumps({"data": 3}))
    with pytest.raises(ValueError, match="choose from simulated_lenses"):
        load_config_file(tmp_path / "broken.json")


def test_a_border_control_is_told_apart_by_what_the_border_holds():
    test = source([BLIP, BLIP, CHIRP], [0, 0, 0])
    mask = np.zeros((3, 4, 2, 8), bool)
    mask[0, 3, 0, 0] = mask[1, 0, 0, 4] = True
    test = dataclasses.replace(test, mask=mask)
    row = {"view": "border", "right": [True, False, False]}
    other = {"view": "event", "right": [True, True, True]}
    found = talk_table.measure_border({"border": [row], "event": [other]}, test)
    assert found == {"border": {"evidence": [1.0], "none": [0.0], "n": [1, 2]}}
    assert "0.000 on the 2 events without" in talk_table.describe_border(found)[0]


def test_places_are_told_beside_the_middle():
    row = {"peak_time_error_median_ms": 5.0, "peak_frequency_error_median_octaves": 0.2}
    row |= {"centre_time_error_median_ms": 15.0, "centre_frequency_error_median_octaves": 1.5}
    assert talk_table.describe_places({"joint": [row, row]}) == [
        "joint: median error of the peak 5.0 ± 0.0 ms and 0.20 ± 0.00 octaves; of a constant prediction "
        "at the image centre 15.0 ms and 1.50."
    ]
