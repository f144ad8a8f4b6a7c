"""Data sets on disk: made once, whole or refused."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from lensjax.config import LensData
from lensjax.data.batches import pipeline
from lensjax.data.store import datasets, records, writer
from lensjax.data.store.checksums import verify, write_checksums
from lensjax.data.store.dataset_specs import SPLITS, DatasetSpec, lens_spec
from lensjax.data.store.writer import make

SMALL = {"instrument": "euclid", "size": 16, "train": 12, "validation": 4, "test": 5, "seed": 1}


def fake(count, seed):
    """Examples that carry their seed and number."""
    for i in range(count):
        rng = np.random.default_rng((seed, i))
        yield {
            "image": rng.normal(size=(16, 16, 4)).astype(np.float32),
            "label": i % 2,
            "position": np.array([0.25, i / count] if i % 2 else [np.nan, np.nan], np.float32),
            "mask": rng.random((16, 16)) < 0.2,
            "id": f"s{seed}-{i}",
            "truth": {"theta_e": np.float32(i), "snr": np.float32(np.nan)},
        }


def spec(generate=fake, **changes):
    values = SMALL | {"lens_fraction": 0.5, "supersampling": 1} | changes
    return lens_spec(**values, generate=generate, truth=("theta_e", "snr"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(spec(), tmp_path_factory.mktemp("data"))


@pytest.fixture
def copy(made, tmp_path):
    """A copy of the data set, to be damaged."""
    import shutil

    return Path(shutil.copytree(made, tmp_path / "copy"))


def test_round_trip(made):
    source = datasets.load(made, "validation")
    expected = list(fake(4, seed=3 * 1 + 1))
    assert len(source) == 4 and source.classes == ("non-lens", "lens")
    np.testing.assert_array_equal(source.image, np.stack([e["image"] for e in expected]).astype(np.float16))
    np.testing.assert_array_equal(source.mask, np.stack([e["mask"] for e in expected]))
    np.testing.assert_array_equal(source.position, np.stack([e["position"] for e in expected]))
    assert source.label.tolist() == [0, 1, 0, 1] and source.id.tolist() == [e["id"] for e in expected]
    assert source.truth["theta_e"].tolist() == [0, 1, 2, 3] and np.isnan(source.truth["snr"]).all()


def test_tfds_reads_the_same(made):
    """Our fast parser agrees with TFDS's own."""
    source = datasets.load(made, "train")
    for row, entry in enumerate(tfds.builder_from_directory(made).as_data_source("train")):
        np.testing.assert_array_equal(entry["image"], source.image[row])
        np.testing.assert_array_equal(entry["mask"], source.mask[row])
        np.testing.assert_array_equal(entry["position"], source.position[row])
        assert (entry["label"], entry["id"].decode()) == (source.label[row], source.id[row])
        assert entry["truth"]["theta_e"] == source.truth["theta_e"][row]


def test_what_tfds_builds_itself_is_read(made, tmp_path):
    """And so the folders of before this writer, whose files are named by how many there are."""
    some = spec()

    class SimulatedLenses(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        url_infos = None

        def _info(self):
            features = writer.tfds_features(some)
            return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in SPLITS}

        def _generate_examples(self, split):
            for number, example in enumerate(some.generate(split, some.counts[split])):
                yield number, writer.encode(example, some)

    builder = SimulatedLenses(data_dir=tmp_path, file_format="array_record")
    builder.download_and_prepare()
    folder = Path(builder.data_dir)
    assert (folder / "simulated_lenses-train.array_record-00000-of-00001").is_file()
    write_checksums(folder, {})
    for split in SPLITS:
        one, other = datasets.load(folder, split), datasets.load(made, split)
        assert one.classes == other.classes and one.id.tolist() == other.id.tolist()
        for name in ("image", "mask", "position", "label"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        np.testing.assert_equal(one.truth, other.truth)


def test_a_record_is_parsed_as_tfds_does(made):
    record = records.open_split(made, "train")[3]
    ours, theirs = records.parse_record(record), tf_example_pb2.Example.FromString(record).features.feature
    assert {name: str(value) for name, value in ours.items()} == {
        name: str(value) for name, value in theirs.items()
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.full((16, 16, 4), np.nan)}, "not finite"),
        ({"image": np.full((16, 16, 4), 1e6)}, "beyond 65504"),
        ({"image": np.zeros((16, 17, 4))}, r"shape \(16, 17, 4\), not \(16, 16, 4\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_what_cannot_be_stored_is_refused(change, message):
    with pytest.raises(RuntimeError, match=message):
        writer.encode({**next(fake(1, 0)), **change}, spec())


def test_a_split_of_several_files_is_the_same(made, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "SHARD_BYTES", 10_000)
    several = make(spec(), tmp_path)
    names = sorted(file.name for file in several.glob("*-train.array_record*"))
    assert names == [f"simulated_lenses-train.array_record-0000{i}" for i in range(3)]
    source = datasets.load(several, "train")
    assert source.id.tolist() == [example["id"] for example in fake(12, seed=3)]
    np.testing.assert_array_equal(source.image, datasets.load(made, "train").image)
    entries = tfds.builder_from_directory(several).as_data_source("train")
    assert [entry["id"].decode() for entry in entries] == source.id.tolist()


def test_a_split_is_never_held_in_memory(tmp_path, monkeypatch):
    """Examples are written as they come: 300 MB, of which a few images are in memory."""
    monkeypatch.setattr(writer, "SHARD_BYTES", 2**27)
    image, mask = np.zeros((2048, 2048, 3), np.uint8), np.zeros((2048, 2048), bool)

    def zeros(split, count):
        for number in range(count):
            nowhere = np.full(2, np.nan, np.float32)
            yield {"image": image, "mask": mask, "position": nowhere, "label": 0, "id": str(number)}

    counts = {"train": 24, "validation": 1, "test": 1}
    large = DatasetSpec(
        dataset="zeros", name="large", counts=counts, shape=image.shape, classes=("a", "b"), truth=(),
        generate=zeros, dtype=np.uint8,
    )  # fmt: skip
    tracemalloc.start()
    folder = make(large, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(list(folder.glob("zeros-train.array_record-*"))) == 3
    assert peak < 6 * 16 * 2**20
    assert len(datasets.load(folder, "train", memory=0)) == 24


def test_beyond_the_memory_budget_the_pixels_stay_on_disk(made):
    memory, disk = datasets.load(made, "train"), datasets.load(made, "train", memory=1000)
    assert isinstance(disk.image, datasets.Stored) and disk.image.shape == memory.image.shape
    np.testing.assert_array_equal(disk.label, memory.label)
    for row in (0, 7, -1):
        np.testing.assert_array_equal(disk[row]["image"], memory[row]["image"])
        np.testing.assert_array_equal(disk[row]["mask"], memory[row]["mask"])
    for steps in ((), ("dihedral", "shift"), ("noise",)):
        one, other = (next(pipeline.train_iterator(source, 4, 0, steps)) for source in (disk, memory))
        assert one["image"].dtype == other["image"].dtype
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def lit(count, seed):
    """`fake` with light."""
    return ({**one, "light": np.maximum(one["image"], 0)} for one in fake(count, seed))


def test_light_is_stored_beside_the_image(made, tmp_path):
    folder = make(spec(lit, light=True), tmp_path)
    memory, disk = datasets.load(folder, "train"), datasets.load(folder, "train", memory=1000)
    np.testing.assert_array_equal(memory.light, np.maximum(memory.image, 0))
    np.testing.assert_array_equal(disk[7]["light"], memory[7]["light"])
    for source in (memory, disk):
        batch = pipeline.eval_batches(source, 8).batch(1)
        np.testing.assert_array_equal(batch["light"], np.maximum(batch["image"], 0))
        batch = next(pipeline.train_iterator(source, 4, 0, ("dihedral", "shift")))
        np.testing.assert_array_equal(batch["light"], np.maximum(batch["image"], 0))
    without = datasets.load(made, "train")
    assert without.light is None and "light" not in without[0]
    np.testing.assert_array_equal(without.image, memory.image)


def test_reading_needs_neither_tfds_nor_tensorflow(made):
    code = f"""
        import sys
        from lensjax.data.batches import pipeline
        from lensjax.data.store import datasets
        source = datasets.load({str(made)!r}, "train")
        next(pipeline.train_iterator(source, 4, 0, ("dihedral",)))
        print([name for name in ("tensorflow_datasets", "tensorflow") if name in sys.modules])
    """
    assert run(code).stdout.strip() == "[]"


def test_writing_needs_no_tensorflow(tmp_path):
    code = f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import test_store as t
        t.make(t.spec(), t.Path({str(tmp_path)!r}))
        print("tensorflow" in sys.modules)
    """
    assert run(code).stdout.strip() == "False"


def test_splits_and_seeds_share_no_scene(tmp_path, made):
    other = make(spec(seed=2), tmp_path)
    ids = [i for path in (made, other) for s in SPLITS for i in datasets.load(path, s).id]
    assert len(ids) == len(set(ids)) == 2 * 21


def test_every_setting_has_its_own_folder(made):
    changes = {
        "instrument": "hsc_gri", "size": 32, "train": 13, "validation": 5, "test": 6, "seed": 2,
        "lens_fraction": 0.25, "supersampling": 2, "light": True, "artefacts": ("star",),
    }  # fmt: skip
    names = {spec().name} | {spec(**{name: value}).name for name, value in changes.items()}
    assert len(names) == 1 + len(changes) and spec().name == made.parent.name


def test_made_once(made):
    before = sorted((p.name, p.stat().st_mtime_ns) for p in made.iterdir())

    def never(count, seed):
        raise RuntimeError("made twice")

    assert make(spec(never), made.parents[2]) == made
    assert before == sorted((p.name, p.stat().st_mtime_ns) for p in made.iterdir())


def test_one_progress_bar_and_no_other_words(tmp_path, capfd):
    make(spec(), tmp_path)
    out, err = capfd.readouterr()
    assert out == "" and "simulating euclid_16" in err and "21/21" in err
    assert "Generating" not in err and "WARNING" not in err


def shard(folder, split="train"):
    return next(folder.glob(f"*-{split}.array_record*"))


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "file", "message"),
    [
        (flip, shard, "is damaged, its checksum differs"),
        (truncate, shard, "bytes instead of"),
        (Path.unlink, shard, "is missing"),
        (flip, lambda folder: folder / "features.json", "is damaged"),
        (Path.unlink, lambda folder: folder / "checksums.json", "is missing, so the data set is not whole"),
        (truncate, lambda folder: folder / "checksums.json", "cannot be read"),
    ],
)
def test_damage_is_named_with_the_fix(copy, damage, file, message):
    path = file(copy)
    damage(path)
    with pytest.raises(ValueError, match=message) as error:
        datasets.load(copy, "train")
    assert path.name in str(error.value) and f"delete the folder '{copy}' and run again" in str(error.value)
    assert "\n" not in str(error.value)


def test_damage_to_another_split_does_not_stop_this_one(copy):
    flip(shard(copy, "test"))
    assert len(datasets.load(copy, "train")) == 12
    with pytest.raises(ValueError, match="is damaged"):
        verify(copy)


def run(code):
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, check=True, capture_output=True, text=True)


SLOWLY = """
    import sys, time
    sys.path.insert(0, {tests!r})
    import test_store as t

    def slow(count, seed):
        for example in t.fake(count, seed):
            time.sleep({pause})
            yield example

    print(t.make(t.spec(slow), t.Path({folder!r})))
"""


def start(folder, pause):
    code = textwrap.dedent(SLOWLY.format(tests=str(Path(__file__).parent), folder=str(folder), pause=pause))
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition, seconds=30):
    for _ in range(seconds * 20):
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError


def test_killed_half_way_starts_anew_and_says_so(tmp_path, capsys):
    process = start(tmp_path, pause=0.5)
    wait_for(lambda: list(tmp_path.glob("*/*/.making-*/**/*-train.array_record*")))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert list(tmp_path.glob("*/*/.making-*")) and not list(tmp_path.glob("*/*/1.0.0"))
    folder = make(spec(), tmp_path)
    said = capsys.readouterr().out
    assert "unfinished data set" in said and said.count("\n") == 1
    assert len(datasets.load(folder, "train")) == 12
    assert not list(tmp_path.glob("*/*/.making-*"))


def test_several_processes_at_once_make_it_once(tmp_path):
    processes = [start(tmp_path, pause=0.05) for _ in range(3)]
    said = [p.communicate(timeout=60) for p in processes]
    assert [p.returncode for p in processes] == [0, 0, 0]
    folder = next(tmp_path.glob("*/*/1.0.0"))
    verify(folder)
    assert all(out.strip().endswith(str(folder)) for out, _ in said)
    assert sum("simulating" in err for _, err in said) == 1
    assert not list(tmp_path.glob("*/*/.making-*"))


def test_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    def full(count, seed):
        yield next(fake(1, seed))
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"the disk of .* is full: euclid_16.* needs about 0 MB") as error:
        make(spec(full), tmp_path)
    assert error.value.errno == errno.ENOSPC
    assert [p.name for p in tmp_path.rglob("*") if p.is_file() and p.name != ".lock"] == []


def test_a_set_larger_than_the_disk_is_refused_at_once(tmp_path):
    with pytest.raises(OSError, match="is full"):
        make(spec(train=10**13), tmp_path)


def broken(**changes):
    def generate(count, seed):
        for example in fake(count, seed):
            yield example | changes

    return generate


def few(count, seed):
    yield from fake(count - 1, seed)


@pytest.mark.parametrize(
    ("generate", "message"),
    [
        (broken(image=np.full((16, 16, 4), np.nan, np.float32)), "is not finite"),
        (broken(image=np.zeros((16, 8, 4), np.float32)), r"\(16, 8, 4\)"),
        (few, "gave 11 examples for 'train' instead of 12"),
    ],
)
def test_a_broken_simulator_leaves_nothing(tmp_path, generate, message):
    with pytest.raises(RuntimeError, match=message):
        make(spec(generate), tmp_path)
    assert not list(tmp_path.rglob("*array_record*"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instrument": "hubble"}, "unknown instrument 'hubble': choose from euclid"),
        ({"train": 0}, r"data.train \(=0\) must be at least 1"),
        ({"seed": -1}, r"data.seed \(=-1\) must be"),
        ({"seed": 2**31}, r"data.seed \(=2147483648\) must be at most"),
        ({"size": 4}, r"data.size \(=4\) must be at least 16"),
        ({"lens_fraction": 1.5}, r"data.lens_fraction \(=1.5\) must lie in \[0, 1\]"),
        ({"supersampling": 0}, r"data.supersampling \(=0\) must be at least 1"),
        ({"min_theta_e": 4.0}, r"data.min_theta_e \(=4.0\) must lie in \[0, 1.5\]"),
        ({"min_snr": -1.0}, r"data.min_snr \(=-1.0\) in \[0, 200\]"),
    ],
)
def test_bad_configuration(changes, message):
    with pytest.raises(ValueError, match=message):
        datasets.prepare(LensData(**changes))


def test_a_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written"):
        make(spec(), tmp_path / "file")


def test_no_such_split_or_folder(made):
    with pytest.raises(ValueError, match="unknown split 'valid': choose from train, validation, test"):
        datasets.load(made, "valid")
    with pytest.raises(ValueError, match="does not exist"):
        datasets.load(made / "nothing", "train")
