"""The Gravity Spy set: three layouts alike, every fault named."""

import io
import tarfile

import h5py
import numpy as np
import pytest
from PIL import Image
from spectrogram_files import figure, png, write

from lensjax.data.gravity_spy.event_index import index
from lensjax.data.gravity_spy.training_set import describe, examples, fingerprint, report, run
from lensjax.event_axes import CLASSES, WINDOWS
from lensjax.spectrogram.colour_map import VIRIDIS

SPLITS = ("train", "validation", "test")


@pytest.fixture
def tree(tmp_path):
    """Three events in the Kaggle layout, with what macOS leaves behind."""
    folder = tmp_path / "set"
    write(folder, "train/train/Blip/H1_aaaaaaaaaa")
    write(folder, "validation/validation/Whistle/L1_bbbbbbbbbb")
    write(folder, "test/Chirp/V1_cccccccccc")
    (folder / "train/train/.DS_Store").write_bytes(b"x")
    (folder / "train/train/Blip/._H1_aaaaaaaaaa_spectrogram_0.5.png").write_bytes(b"x")
    return folder


def only(archive):
    """The single problem of an archive."""
    assert len(archive.problems) == 1, report(archive.problems)
    return archive.problems[0]


def all_examples(archive, **options):
    return {e["id"]: e for split in SPLITS for e in examples(archive, split, (20, 30), **options)}


# Colours


# Layouts


def test_folder_gives_events_with_their_windows_in_order(tree):
    archive = index(tree)
    assert archive.problems == []
    assert report(archive.problems) == "no problems"
    assert {s: [e.key for e in archive.events[s]] for s in SPLITS} == {
        "train": ["H1_aaaaaaaaaa"],
        "validation": ["L1_bbbbbbbbbb"],
        "test": ["V1_cccccccccc"],
    }
    found = all_examples(archive, on_problem="refuse")
    for key, example in found.items():
        assert example["image"].shape == (4, 20, 30, 1)
        assert example["image"].dtype == np.uint8
        levels = example["image"].mean((1, 2, 3)) / 255
        assert np.allclose(levels, np.array(WINDOWS) / 5, atol=0.005)
        assert not example["mask"].any()
        assert np.isnan(example["position"]).all()
        assert np.isnan(example["truth"]["snr"])
        assert example["truth"]["detector"] == ["H1", "L1", "V1"].index(key[:2])
    assert [CLASSES[example["label"]] for example in found.values()] == ["Blip", "Whistle", "Chirp"]
    assert next(examples(archive, "train", (20, 30), "rgb"))["image"].shape == (4, 20, 30, 3)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_tar_archive_equals_the_folder_whatever_its_order(tree, tmp_path, mode):
    path = tmp_path / "set.tar"
    with tarfile.open(path, mode) as file:
        names = sorted(p.relative_to(tree) for p in tree.rglob("*") if p.is_file())
        for i in np.random.default_rng(0).permutation(len(names)):
            file.add(tree / names[i], f"./{names[i]}")
    before = set(tmp_path.iterdir())
    folder, archive = index(tree), index(path)
    assert archive.layout == "tar"
    assert archive.problems == []
    expected, found = all_examples(folder), all_examples(archive)
    assert found.keys() == expected.keys()
    for key, example in found.items():
        assert (example["image"] == expected[key]["image"]).all()
        assert example["label"] == expected[key]["label"]
    assert fingerprint(folder) == fingerprint(archive)
    assert set(tmp_path.iterdir()) == before


METADATA = """event_time,ifo,snr,peak_frequency,duration,gravityspy_id,label,sample_type
1.5,H1,12.5,150.0,0.25,aaaaaaaaaa,Blip,train
2.5,L1,9.0,,0.5,bbbbbbbbbb,Whistle,validation
"""


def test_hdf5_equals_the_folder(tree, tmp_path):
    path = tmp_path / "trainingsetv1d1.h5"
    (tmp_path / "trainingset_v1d1_metadata.csv").write_text(METADATA)
    with h5py.File(path, "w") as file:
        for place in ("Blip/train/aaaaaaaaaa", "Whistle/validation/bbbbbbbbbb", "Chirp/test/cccccccccc"):
            for window in WINDOWS:
                grey = VIRIDIS[int(window / 5 * 256)] @ [0.2125, 0.7154, 0.0721] / 255
                file[f"{place}/{window}.png"] = np.full((1, 140, 170), grey)
    expected = all_examples(index(tree))
    archive = index(path)
    assert archive.problems == []
    found = all_examples(archive)
    # Nothing tells the detector of the third.
    assert list(found) == ["H1_aaaaaaaaaa", "L1_bbbbbbbbbb", "cccccccccc"]
    for example, other in zip(found.values(), expected.values(), strict=True):
        assert np.abs(example["image"].astype(int) - other["image"]).max() <= 1
        assert example["label"] == other["label"]
    truth = found["H1_aaaaaaaaaa"]["truth"]
    assert truth == {"snr": 12.5, "peak_frequency": 150.0, "duration": 0.25, "detector": 0.0}
    assert np.isnan(found["cccccccccc"]["truth"]["detector"])
    with h5py.File(path, "a") as file:
        file["Blip/train/aaaaaaaaaa/readme"] = np.zeros(3)
        del file["Chirp/test/cccccccccc/4.0.png"]
        file["Chirp/test/cccccccccc/4.0.png"] = np.zeros((3, 3))
    archive = index(path)
    assert "Blip/train/aaaaaaaaaa/readme is no name of a window" in str(only(archive))
    assert list(all_examples(archive)) == ["H1_aaaaaaaaaa", "L1_bbbbbbbbbb"]
    assert "holds 3×3 float64; the set has 140×170" in str(archive.problems[1])


def test_metadata_tell_the_split_where_the_folders_do_not(tmp_path):
    write(tmp_path, "Blip/H1_aaaaaaaaaa")
    write(tmp_path, "Blip/H1_zzzzzzzzzz")
    (tmp_path / "metadata.csv").write_text(METADATA)
    archive = index(tmp_path)
    assert [event.key for event in archive.events["train"]] == ["H1_aaaaaaaaaa"]
    assert str(only(archive)).startswith("Blip has 4 pictures in no split: put it in train")


# Faults


def test_a_missing_window_is_named_and_the_event_left_out(tree):
    (tree / "train/train/Blip/H1_aaaaaaaaaa_spectrogram_4.0.png").unlink()
    archive = index(tree)
    assert str(only(archive)).startswith("train/Blip/H1_aaaaaaaaaa lacks the window 4.0 s")
    assert archive.events["train"] == []
    with pytest.raises(ValueError, match=r"H1_aaaaaaaaaa lacks the window 4\.0 s.*on-problem skip"):
        examples(archive, "test", on_problem="refuse")


def test_an_unknown_class_is_named_once(tree):
    write(tree, "train/train/Blap/H1_dddddddddd")
    write(tree, "train/train/Blap/H1_eeeeeeeeee")
    assert str(only(index(tree))) == "Blap is no class (8 pictures left out): did you mean Blip?"


@pytest.mark.parametrize(
    "name", ["H1_aaaaaaaaaa_0.5.png", "K9_aaaaaaaaaa_spectrogram_0.5.png", "H1_a_spectrogram_8.0.png"]
)
def test_a_wrong_name_is_told_with_the_layout(tree, name):
    (tree / "train/train/Blip" / name).write_bytes(b"x")
    problem = only(index(tree))
    assert problem.kind == "wrong file name"
    assert name in str(problem)
    assert "<split>/<Label>/<H1|L1|V1>_<id>_spectrogram_" in str(problem)


def test_a_picture_outside_the_class_folders_is_told(tree):
    (tree / "train/train/H1_dddddddddd_spectrogram_0.5.png").write_bytes(b"x")
    assert "is in no class folder" in str(only(index(tree)))


def test_an_event_in_two_splits_is_kept_once(tree):
    write(tree, "test/test/Blip/H1_aaaaaaaaaa")
    archive = index(tree)
    assert "H1_aaaaaaaaaa is in train and again in test; the copy in train" in str(only(archive))
    assert [len(archive.events[split]) for split in SPLITS] == [1, 1, 1]


def test_of_an_event_in_two_splits_the_complete_copy_is_kept(tree):
    write(tree, "test/test/Blip/H1_aaaaaaaaaa")
    (tree / "train/train/Blip/H1_aaaaaaaaaa_spectrogram_4.0.png").unlink()
    archive = index(tree)
    told = "is in test and again in train, lacking a window; the copy in test is kept."
    assert str(only(archive)) == f"H1_aaaaaaaaaa {told}"
    assert [len(archive.events[split]) for split in SPLITS] == [0, 1, 2]


def test_an_event_under_two_labels_is_left_out_unless_the_metadata_tell(tree):
    write(tree, "train/train/Scratchy/H1_aaaaaaaaaa")
    archive = index(tree)
    assert "is in train/Blip and train/Scratchy; left out" in str(only(archive))
    assert archive.events["train"] == []
    (tree / "metadata.csv").write_text(METADATA)
    archive = index(tree)
    assert "Blip is kept, as in the metadata" in str(only(archive))
    assert [event.label for event in archive.events["train"]] == ["Blip"]


def test_a_label_other_than_the_metadatas_is_told(tree):
    (tree / "metadata.csv").write_text(METADATA.replace("Blip", "Koi_Fish"))
    assert "is in Blip, Koi_Fish in the metadata" in str(only(index(tree)))


def test_a_picture_twice_is_told(tree):
    write(tree, "train/Blip/H1_aaaaaaaaaa", windows=(0.5,))
    assert "is a second copy of" in str(only(index(tree)))


BROKEN = {
    "cut short": (figure(0.5)[:1500], "is damaged or cut short"),
    "empty": (b"", "is no PNG"),
    "no png": (b"GIF89a" + b"0" * 100, "is no PNG"),
    "small": (png(np.zeros((30, 20, 3), np.uint8)), "is 20×30; known are the figure, 800×600"),
    "grey": (png(np.zeros((600, 800), np.uint8)), "has no colours (mode L)"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_damaged_picture_is_named_and_the_other_events_read(tree, fault):
    data, message = BROKEN[fault]
    name = "train/train/Blip/H1_dddddddddd"
    write(tree, name)
    write(tree, name, windows=(2.0,), data=data)
    if not data:
        (tree / f"{name}_spectrogram_2.0.png").write_bytes(b"")
    archive = index(tree)
    assert len(archive.events["train"]) == 2
    for _ in range(2):  # told once, however often it is read
        assert [e["id"] for e in examples(archive, "train", (20, 30))] == ["H1_aaaaaaaaaa"]
        assert str(only(archive)).startswith(f"{name}_spectrogram_2.0.png {message}")
    assert "1 problem\n  unreadable picture: 1" in report(archive.problems)
    archive = index(tree)
    with pytest.raises(ValueError, match="H1_dddddddddd_spectrogram_2.0.png"):
        list(examples(archive, "train", (20, 30), on_problem="refuse"))


@pytest.mark.parametrize("name", ["../x.png", "/tmp/x.png", "train/../../x.png", "..\\x.png"])
def test_a_tar_archive_that_points_outside_is_refused(tmp_path, name):
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w") as file:
        member = tarfile.TarInfo(name)
        member.size = 3
        file.addfile(member, io.BytesIO(b"abc"))
    with pytest.raises(ValueError, match="points outside it"):
        index(path)
    assert list(tmp_path.iterdir()) == [path]


def test_paths_that_hold_no_set_are_refused_in_a_line(tree, tmp_path):
    whole = tmp_path / "whole.tar.gz"
    with tarfile.open(whole, "w:gz") as file:
        file.add(tree, "set")
    files = {
        "cut.tar.gz": whole.read_bytes()[:1500],
        "some.zip": b"PK\x05\x06" + bytes(18),
        "text.h5": b"no HDF5",
        "empty": b"",
    }
    says = ["damaged or cut short", "zip file; unpack it", "is no folder, tar", "is no folder, tar"]
    for (name, data), message in zip(files.items(), says, strict=True):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=message) as caught:
            index(tmp_path / name)
        assert "\n" not in str(caught.value)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="holds no picture"):
        index(tmp_path / "nothing")
    with pytest.raises(ValueError, match="does not exist"):
        index(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"data\.path is empty: give --data\.path"):
        index("")


def test_metadata_that_cannot_be_used_are_refused(tree):
    (tree / "a_metadata.csv").write_text("id,label\n1,Blip\n")
    with pytest.raises(ValueError, match=r"has no column gravityspy_id \(columns: id, label\)"):
        index(tree)
    (tree / "b_metadata.csv").write_text(METADATA.replace("12.5", "loud"))
    with pytest.raises(ValueError, match=r"has 2 metadata files \(a_metadata.csv, b_metadata.csv\)"):
        index(tree)
    with pytest.raises(ValueError, match=r"line 2: snr is 'loud'; give a number"):
        index(tree, tree / "b_metadata.csv")
    with pytest.raises(ValueError, match="no readable CSV"):
        index(tree, tree / "none.csv")


def test_wrong_options_list_the_choices(tree):
    archive = index(tree)
    with pytest.raises(ValueError, match="choose from train, validation, test"):
        examples(archive, "dev")
    with pytest.raises(ValueError, match="choose skip or refuse"):
        examples(archive, "test", on_problem="ignore")


def test_fingerprint_follows_the_content(tree):
    before = fingerprint(index(tree))
    assert fingerprint(index(tree)) == before
    (tree / "metadata.csv").write_text(METADATA)
    with_metadata = fingerprint(index(tree))
    (tree / "test/Chirp").rename(tree / "test/Tomte")
    assert len({before, with_metadata, fingerprint(index(tree))}) == 3


def test_command_prints_the_index(tree, capsys):
    run([str(tree)])
    said = capsys.readouterr().out
    assert said.strip() == describe(index(tree))
    assert "detectors: H1 1, L1 1, V1 1" in said
    with pytest.raises(SystemExit, match="^error: .*does not exist"):
        run([str(tree / "nowhere")])


# Real pictures


def test_real_folder(real_data):
    archive = index(real_data / "gravity_spy_kaggle_layout")
    assert archive.problems == []
    assert [len(archive.events[split]) for split in SPLITS] == [31, 9, 9]
    labels = [event.label for split in SPLITS for event in archive.events[split]]
    assert {name: labels.count(name) for name in set(labels)} == {"Blip": 22, "Whistle": 22, "Scratchy": 5}
    for example in examples(archive, "test"):
        if example["label"] == CLASSES.index("Blip"):
            image = example["image"]
            assert image.shape == (4, 140, 170, 1)
            for window in image[..., 0]:
                column = np.nonzero(window == window.max())[1].mean() + 0.5
                assert abs(column / 170 - 0.5) < 0.02
            # The 1 s picture's middle half is the 0.5 s picture.
            inner = np.asarray(Image.fromarray(image[1, :, 43:127, 0]).resize((168, 140)))
            assert np.corrcoef(inner.ravel(), image[0, :, 1:169, 0].ravel())[0, 1] > 0.9
