"""The Lens Finding Challenges: their layouts, catalogues and label rules, and what is wrong with them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from lensjax.config import LensChallengeData
from lensjax.config_io import load_config_file
from lensjax.data.images.band_layout import BadInput
from lensjax.data.store import datasets
from lensjax.data.surveys import lens_challenge as challenge
from lensjax.data.surveys.lens_challenge import label_of, read_table
from lensjax.evaluation import rank_metrics

ROOT = Path(__file__).resolve().parents[2]


def write_image(path, seed=0, side=101, shift=0.0):
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((side, side)) - side // 2
    image = rng.normal(0, 1e-12, (side, side)) + 4e-11 * np.exp(-(rows**2 + columns**2) / 50) + shift
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.writeto(path, image.astype(np.float32))


def samples(folder, ids=range(40)):
    for number in ids:
        name = ("lens", "nolens")[number % 2]
        write_image(folder / name / f"imageEUC_VIS-{100000 + number}.fits", number)


def test_folders_give_labels_and_splits_that_never_change(tmp_path):
    samples(tmp_path)
    archive = challenge.index(tmp_path)
    assert (archive.track, archive.labels, archive.problems) == ("space", "folders", ())
    assert [entry.label for entry in archive.entries] == [1, 0] * 20
    splits = [entry.split for entry in archive.entries]
    assert splits == [entry.split for entry in challenge.index(tmp_path).entries] and len(set(splits)) == 3
    (tmp_path / "lens" / "imageEUC_VIS-100000.fits").unlink()
    assert [entry.split for entry in challenge.index(tmp_path).entries] == splits[1:]
    assert "lens" in challenge.describe(archive)


def test_an_image_is_flux_over_noise(tmp_path):
    write_image(tmp_path / "lens" / "imageEUC_VIS-7.fits", shift=3e-12)
    entry = challenge.index(tmp_path).entries[0]
    image = challenge.read_image(entry, challenge.TRACKS["space"])
    assert image.shape == (101, 101, 1) and image.dtype == np.float32
    assert np.sinh(image[50, 50, 0]) == pytest.approx(40, rel=0.15)  # the sky of 3 noise widths is gone
    assert np.std(np.sinh(image[:15])) == pytest.approx(1, rel=0.15)


def test_ground_bands_are_joined_in_order_and_masked_pixels_filled(tmp_path):
    for number, band in enumerate("RIGU", start=1):
        write_image(tmp_path / "nolens" / f"Band{number}" / f"imageSDSS_{band}-100002.fits", number)
    path = tmp_path / "nolens" / "Band3" / "imageSDSS_G-100002.fits"
    with fits.open(path, mode="update") as hdus:
        hdus[0].data[10, 10:20] = challenge.MASKED
    entry = challenge.index(tmp_path).entries[0]
    image = challenge.read_image(entry, challenge.TRACKS["ground"])
    assert image.shape[-1] == 4 and np.abs(image[10, 10:20, 1]).max() < 3
    (tmp_path / "nolens" / "Band1" / "imageSDSS_R-100002.fits").unlink()
    with pytest.raises(BadInput, match="no image of band SDSS_R"):
        challenge.index(tmp_path)


HEADER1 = "ID,is_lens,Einstein_area,numb_pix_lensed_image,flux_lensed_image_in_sigma"
HEADER2 = "ID,x_crit,y_crit,n_pix_source,n_source_im,mag_eff"


def test_the_first_challenge_says_its_label(tmp_path):
    samples(tmp_path, range(4))
    rows = ["100000,0,0.0,0,0", "100001,1,2e-11,140,900", "100002,1,1e-11,90,500", "100009,1,1,1,1"]
    (tmp_path / "classifications.csv").write_text("\n".join([HEADER1, *rows]))
    archive = challenge.index(tmp_path)
    assert [entry.label for entry in archive.entries] == [0, 1, 1]  # over the folders' names
    assert archive.entries[1].truth["numb_pix_lensed_image"] == 140
    assert any("ID 100009: has no image" in line for line in archive.problems)
    assert any("100003" in line and "has no label" in line for line in archive.problems)


def test_the_second_challenge_has_a_rule_for_its_label(tmp_path):
    table = tmp_path / "image_catalog2.0train.csv"
    lines = ["# what the columns are", "# and how many", HEADER2]
    lines += ["200001,0.1,0.2,21,1,1.61", "200002,0.1,0.2,20,1,1.61", "200003,0,0,21,0,9", "200004,0,0,21,1,"]
    table.write_text("\n".join(lines))
    rows = read_table(table)
    assert [rows[200001 + i][0] for i in range(4)] == [1, 0, 0, None]
    assert rows[200001][1]["x_crit"] == 0.1 and np.isnan(rows[200001][1]["z_lens"])
    truth = {"n_source_im": 1.0, "mag_eff": 1.6, "n_pix_source": 21.0}
    assert label_of("challenge2", truth) == 0  # more than 1.6, not as much


def test_four_euclid_bands_come_onto_the_grid_of_the_first(tmp_path):
    for band, side in (("VIS", 200), ("Y", 66), ("J", 66), ("H", 66)):
        write_image(tmp_path / "Public" / f"EUC_{band}" / f"imageEUC_{band}-200001.fits", 1, side)
    (tmp_path / "log.csv").write_text(f"{HEADER2}\n200001,0,0,30,2,3.0")
    archive = challenge.index(tmp_path)
    assert archive.track == "space2"
    image = challenge.read_image(archive.entries[0], challenge.TRACKS["space2"])
    assert image.shape == (200, 200, 4)
    peaks = [np.unravel_index(image[..., c].argmax(), (200, 200)) for c in range(4)]
    assert np.abs(np.array(peaks) - 100).max() <= 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2", "no header with a column ID"),
        ("ID,n_source_im\n1,2", "lacks the column.*mag_eff, n_pix_source"),
        (f"{HEADER1}\n1,0", "line 2 has 2 values"),
        (f"{HEADER1}\nx,0,0,0,0", "ID 'x'"),
    ],
)
def test_a_bad_catalogue_is_named(tmp_path, content, message):
    samples(tmp_path, range(2))
    (tmp_path / "table.csv").write_text(content)
    with pytest.raises(BadInput, match=message):
        challenge.index(tmp_path, catalogue=tmp_path / "table.csv")


def test_bad_folders_are_named(tmp_path):
    with pytest.raises(BadInput, match="is no folder"):
        challenge.index(tmp_path / "nothing")
    (tmp_path / "picture.fits").write_bytes(b"")
    with pytest.raises(BadInput, match="unknown layout"):
        challenge.index(tmp_path)
    samples(tmp_path, range(2))
    write_image(tmp_path / "lens" / "Band1" / "imageSDSS_R-100000.fits")
    with pytest.raises(BadInput, match=r"track\(s\) .*name one"):
        challenge.index(tmp_path)
    with pytest.raises(BadInput, match="unknown track 'moon'"):
        challenge.index(tmp_path, "moon")
    with pytest.raises(BadInput, match="'gone.csv' cannot be read"):
        challenge.index(tmp_path, "space", "gone.csv")


def test_a_damaged_image_is_named_and_left_out_or_refused(tmp_path, capsys):
    samples(tmp_path)
    first = next(e for e in challenge.index(tmp_path).entries if e.split == "test").files["EUC_VIS"]
    first.write_bytes(first.read_bytes()[:20000])
    archive = challenge.index(tmp_path)
    count = sum(entry.split == "test" for entry in archive.entries)
    assert len(list(challenge.examples(archive, "test"))) == count - 1
    assert first.name in capsys.readouterr().out
    with pytest.raises(BadInput, match=f"{first.name} is truncated"):
        list(challenge.examples(archive, "test", "refuse"))


def test_a_data_set_is_built_and_its_ranking_is_exact(tmp_path):
    samples(tmp_path / "files")
    data = LensChallengeData(path=str(tmp_path / "files"), directory=str(tmp_path / "data"))
    spec = datasets.spec_of(data)
    test = datasets.load(datasets.prepare(data), "test")
    assert len(test) == spec.counts["test"] and test.image.shape[1:] == (101, 101, 1)
    assert test.classes == ("non-lens", "lens")
    # 100 lenses above 0, 1, …, 99 of 100 non-lenses: TPR0 and TPR10 in closed form.
    scores = np.concatenate([np.arange(100) + 0.5, np.arange(100)])
    labels = np.repeat([1, 0], 100)
    assert rank_metrics.tpr_at_false_positives(scores, labels, 0) == 0.01
    assert rank_metrics.tpr_at_false_positives(scores, labels, 10) == 0.10
    with pytest.raises(ValueError, match="no objects for"):
        samples(tmp_path / "few", range(1))
        datasets.spec_of(LensChallengeData(path=str(tmp_path / "few")))


@pytest.mark.parametrize(("track", "bands"), [("space_based", 1), ("ground_based", 4)])
def test_real_samples_are_read(real_data, track, bands):
    archive = challenge.index(real_data / "lens_challenge" / track)
    assert {entry.label for entry in archive.entries} == {0, 1} and not archive.problems
    kind = challenge.TRACKS[archive.track]
    for entry in archive.entries:
        image = challenge.read_image(entry, kind)
        assert image.shape == (101, 101, bands) and np.isfinite(image).all()
        assert 0.5 < np.sinh(image[:8]).std() < 20


def test_the_configuration_trains_on_real_samples_and_explains_one(real_data, tmp_path):
    """Eight objects under five IDs each, so that every split has some."""
    samples = real_data / "lens_challenge" / "ground_based"
    for file in samples.rglob("*.fits"):
        name, number = file.stem.rsplit("-", 1)
        folder = tmp_path / "files" / file.parent.relative_to(samples)
        folder.mkdir(parents=True, exist_ok=True)
        for copy in range(5):
            (folder / f"{name}-{int(number) + copy * 1000}.fits").symlink_to(file)
    data = ["--data.path", str(tmp_path / "files"), "--data.directory", str(tmp_path / "data")]
    small = ["--optim.epochs", "1", "--optim.batch-size", "16", "--model.features", "4", "4", "4", "4"]
    run, out = str(tmp_path / "run"), str(tmp_path / "out")
    for command in (
        ["train.py", "configs/lens_challenge.py", "--workdir", run, *data, "--data.track", "ground", *small],
        ["explain.py", run, "--out", out, "--count", "1", "--methods", "gradient", "--figures", "0"],
    ):
        done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert len((tmp_path / "out" / "predictions.csv").read_text().splitlines()) == 2


def test_a_bad_configuration_is_one_line(tmp_path):
    assert load_config_file("configs/lens_challenge.py").data == LensChallengeData()
    with pytest.raises(ValueError, match="data.path is empty: give --data.path FOLDER"):
        datasets.spec_of(LensChallengeData())
    samples(tmp_path)
    with pytest.raises(ValueError, match=r"data.size \(=102\) must be at most 101"):
        datasets.spec_of(LensChallengeData(path=str(tmp_path), size=102))
