"""Strain: a file is read as it says, a bad one gets its line, a known signal is found where it was put."""

from __future__ import annotations

import io
import shutil
import sys
import urllib.error
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.config import AttentionConfig, Config, Data, EventData, LensData, ModelConfig
from lensjax.data import open_strain, triggers
from lensjax.data.open_strain import fetch, file_span
from lensjax.data.strain import Strain, cut, flags_missed, gaps, read_strain, whole_stretches
from lensjax.data.strain_scan import around, block_at, event_at, whitened
from lensjax.data.triggers import candidate_lines, candidates, write_candidates
from lensjax.events import CLASSES
from lensjax.models import build
from lensjax.restore import Trained
from lensjax.strain_events import items_from_strain

START = 1_000_000_000
RATE = 4096.0
SIZE = (70, 85)
NAMES = (b"DATA", b"CBC_CAT1"), (b"NO_CBC_HW_INJ", b"NO_CW_HW_INJ")


def noise(seconds: float = 32.0, seed: int = 0, rate: float = RATE) -> np.ndarray:
    return 1e-21 * np.random.default_rng(seed).normal(size=round(seconds * rate))


def with_burst(values: np.ndarray, at: float, frequency: float, snr: float, rate: float = RATE) -> np.ndarray:
    """A sine-Gaussian of Q 8 of an optimal signal-to-noise in white noise."""
    near = slice(max(round((at - 1) * rate), 0), round((at + 1) * rate))
    time = np.arange(len(values))[near] / rate - at
    burst = np.exp(-((time * np.pi * frequency / 4) ** 2)) * np.cos(2 * np.pi * frequency * time)
    values = values.copy()
    values[near] += snr * 1e-21 * burst / np.sqrt(np.sum(burst**2))
    return values


def write(path: Path, values: np.ndarray, **attributes: object) -> Path:
    seconds = int(np.ceil(len(values) / RATE))
    with h5py.File(path, "w") as file:
        data = file.create_dataset("strain/Strain", data=values)
        data.attrs.update({"Xstart": START, "Xspacing": 1 / RATE, "Npoints": len(values)} | attributes)
        file["meta/Detector"], file["meta/GPSstart"] = "H1", START
        for folder, mask, short, names in (
            ("simple", "DQmask", "DQShortnames", NAMES[0]),
            ("injections", "Injmask", "InjShortnames", NAMES[1]),
        ):
            file[f"quality/{folder}/{mask}"] = np.full(seconds, 3, np.uint32)
            file[f"quality/{folder}/{mask}"].attrs["Xstart"] = START
            file[f"quality/{folder}/{short}"] = np.array(names)
    return path


def strain_of(values: np.ndarray, rate: float = RATE) -> Strain:
    return Strain(values, rate, float(START), "H1")


# ---- reading -----------------------------------------------------------------------------------------------


def test_reads_values_axis_detector_and_flags(tmp_path):
    values = noise()
    path = write(tmp_path / "H-H1_X-1000000000-32.hdf5", values)
    with h5py.File(path, "r+") as file:
        file["quality/simple/DQmask"][7] = 1  # CBC_CAT1 not passed
        file["quality/injections/Injmask"][7] = 0
    strain = read_strain(path)
    np.testing.assert_array_equal(strain.values, values)
    assert (strain.sample_rate, strain.gps_start, strain.gps_end) == (RATE, START, START + 32)
    assert strain.detector == "H1" and strain.quality.shape == (32, 4)
    assert flags_missed(strain, START + 6.9) == ()
    assert flags_missed(strain, START + 7.1) == ("CBC_CAT1", "NO_CBC_HW_INJ")  # continuous ones never end

    part = read_strain(path, (START + 4.5, START + 9.25))
    np.testing.assert_array_equal(part.values, values[round(4.5 * RATE) : round(9.25 * RATE)])
    assert part.gps_start == START + 4.5 and flags_missed(part, START + 7.1)
    again = cut(strain, round(4.5 * RATE), round(9.25 * RATE))
    assert again.gps_start == part.gps_start and flags_missed(again, START + 7.9)


def empty(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["other"] = 1


def truncate(path: Path) -> None:
    write(path, noise())
    path.write_bytes(path.read_bytes()[:500_000])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.write_text("not strain"), "no HDF5 file"),
        (truncate, "truncated or damaged"),
        (empty, "no data set strain/Strain (top level: other)"),
        (lambda path: write(path, noise(), Xspacing=[0.1, 0.2]), "one number each for Xstart and Xspacing"),
        (lambda path: write(path, noise(), Xspacing=-1.0), "no time axis"),
        (lambda path: write(path, noise(), Npoints=7), "Npoints says 7, its data say 131072"),
        (lambda path: write(path, noise(), Xstart=START + 1), "meta/GPSstart says 1000000000"),
        (lambda path: write(path, np.full(4096, np.nan)), "all 4096 samples are NaN"),
        (lambda path: write(path, np.zeros((2, 4096))), "must be a row of floats"),
        (lambda path: write(path, np.zeros(4096, int)), "must be a row of floats"),
    ],
)
def test_every_bad_file_gets_one_line(tmp_path, make, words):
    path = tmp_path / "strain.hdf5"
    make(path)
    with pytest.raises(ValueError) as caught:
        read_strain(path)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_gaps_are_found_and_cut_out():
    values = noise()
    values[0] = values[round(7 * RATE) : round(8.5 * RATE)] = np.nan
    values[-1] = np.inf
    strain = strain_of(values)
    assert gaps(strain) == [(0, 1), (28672, 34816), (131071, 131072)]
    assert [(s.gps_start - START, s.gps_end - START) for s in whole_stretches(strain)] == [
        (1 / RATE, 7.0),
        (8.5, 32 - 1 / RATE),
    ]


# ---- events ------------------------------------------------------------------------------------------------


def test_burst_is_where_it_was_put():
    strain = strain_of(with_burst(noise(), at=16.1, frequency=180.0, snr=20.0))
    image, scan, notes = event_at(strain, START + 16.0, size=SIZE)
    assert image.shape == (4, *SIZE, 1) and image.dtype == np.float32
    assert image.min() >= 0 and image.max() == 1
    assert abs(float(scan.peak_time) - 0.1) < 0.01
    assert abs(np.log2(float(scan.peak_frequency) / 180)) < 0.25
    assert 150 < float(scan.peak_energy) < 450  # (20²/2 + 1) / ln 2 = 290, less the mismatch
    # The sampling rate carries no row above 1291 Hz on the lowest plane, and says so.
    assert any("carries the Q 5.7 plane up to 1291 Hz" in note for note in notes)
    assert not image[:, 0].any()
    # Seen from the burst's own time it is in the middle; the strain before it moved, not the burst.
    row, column = np.unravel_index(np.asarray(scan.energy[0]).argmax(), SIZE)
    assert abs((column + 0.5) / SIZE[1] - (0.5 + 0.1 / 0.5)) < 0.04
    assert abs(row + 0.5 - SIZE[0] * np.log(2048 / 180) / np.log(2048 / 10)) < 1.5


def test_encodings_are_what_the_network_sees():
    strain = strain_of(with_burst(noise(), 16.0, 180.0, 20.0))
    clipped, scan, _ = event_at(strain, START + 16.0, size=SIZE)
    energy = np.asarray(scan.energy)
    np.testing.assert_allclose(clipped[..., 0], np.minimum(energy, 25.5) / 25.5, atol=0.002)
    log, _, _ = event_at(strain, START + 16.0, size=SIZE, encoding="log")
    np.testing.assert_allclose(log[..., 0], np.log1p(energy), rtol=1e-3, atol=1e-6)
    rgb, _, _ = event_at(strain, START + 16.0, size=SIZE, encoding="rgb")
    assert rgb.shape == (4, *SIZE, 3) and rgb.dtype == np.float32 and rgb.max() <= 1
    _, fixed, _ = event_at(strain, START + 16.0, size=SIZE, plane="2")
    assert int(fixed.plane) == 2 and int(scan.plane) != 2


def test_times_near_the_edges_are_told():
    values = with_burst(noise(), 4.3, 180.0, 20.0)
    values[round(31.5 * RATE) :] = np.nan
    _, scan, notes = event_at(strain_of(values), START + 4.2, size=SIZE)
    assert abs(float(scan.peak_time) - 0.1) < 0.01 and float(scan.peak_energy) > 150
    told = "; ".join(notes)
    assert "the time is -4.80 s from the middle of the block" in told  # which is 1 to 17 s
    assert "2048 samples are NaN: from GPS 1000000031.500 (0.5 s)" in told


def test_short_strain_gives_a_short_block():
    values = with_burst(noise(9.25), 3.2, 180.0, 20.0)
    white = whitened(around(strain_of(values), START + 3.2))
    assert (white.gps_start, white.gps_end) == (START + 1, START + 8.25)
    assert abs(white.values.std() - 1) < 0.05
    block, config, centre = block_at(white, START + 3.2)
    assert config.duration == 7 and len(block) == 7 * RATE and abs(centre + 1.3) < 1e-6
    assert abs((np.abs(block).argmax() / RATE - 3.5) - centre) < 0.01


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (-1.0, "outside the H1 strain, GPS 1000000000.000 to 1000000032.000"),
        (32.5, "outside the H1 strain"),
        (2.5, "within 3 s of a gap"),
        (13.5, "in a gap of the H1 strain: 4096 samples are NaN: from GPS 1000000013.000 (1 s)"),
        (11.0, "choose 1000000003.000 to 1000000010.000"),
        (16.9, "within 3 s"),
    ],
)
def test_times_without_an_event_are_refused(at, words):
    values = noise()
    values[round(13 * RATE) : round(14 * RATE)] = np.nan
    with pytest.raises(ValueError) as caught:
        event_at(strain_of(values), START + at, size=SIZE)
    assert words in str(caught.value)


def test_constant_strain_is_no_data():
    with pytest.raises(ValueError, match="constant"):
        event_at(strain_of(np.zeros(131072)), START + 16.0, size=SIZE)


# ---- scan --------------------------------------------------------------------------------------------------


def says(label: int):
    """A classifier that is sure of one class."""
    return lambda images: np.eye(len(CLASSES))[np.full(len(images), label)]


def test_scan_finds_the_bursts_and_nothing_else(tmp_path):
    values = noise(seed=3)
    bursts = ((4.3, 45.0, 10.0), (15.6, 110.0, 9.0), (16.4, 110.0, 12.0), (28.0, 60.0, 30.0))
    for at, frequency, snr in bursts:
        values = with_burst(values, at, frequency, snr)
    values = with_burst(values, 16.7, 70.0, 8.0)  # in the shadow of a louder one
    found = candidates(strain_of(values), says(4), CLASSES, size=SIZE)
    assert len(found) == len(bursts)
    for one, (at, frequency, snr) in zip(found, bursts, strict=True):
        assert abs(one.gps - START - at) < 0.03
        assert abs(np.log2(one.frequency / frequency)) < 0.3
        assert 0.4 < one.energy / ((snr**2 / 2 + 1) / np.log(2)) < 1.8
        assert (one.label, one.probability, one.detector) == ("Chirp", 1.0, "H1")
    write_candidates(tmp_path / "candidates.csv", found)
    lines = (tmp_path / "candidates.csv").read_text().splitlines()
    assert lines[0] == "gps,label,probability,energy,frequency,q,detector"
    assert lines[1].startswith("100000000") and len(lines) == 5
    assert len(candidate_lines(found)) == 5


@pytest.mark.parametrize("seconds", [6.5, 7.0, 63.9, 64.0, 64.1, 121.3, 122.0, 400.0])
def test_pieces_leave_no_hole(seconds):
    rate, step = 64.0, 0.5
    pieces = list(triggers._pieces(strain_of(noise(seconds, rate=rate), rate), step))
    assert len(pieces) == max(1, np.ceil((seconds - 6.5) / 57.5))
    assert pieces[0].gps_start == START and abs(pieces[-1].gps_end - START - seconds) < 2 / rate
    for one, following in pairwise(pieces):
        assert one.gps_end - one.gps_start == 64.0
        assert following.gps_start + 3 <= one.gps_end - 3 - step / 2


@pytest.mark.slow
def test_long_strain_is_scanned_without_holes():
    # Bursts everywhere, on the seams of the blocks too; a gap in between.
    values, places = noise(110.0, seed=1), np.arange(3.5, 107.0, 1.25)
    for at in places:
        values = with_burst(values, at, 110.0, 25.0)
    values[round(70 * RATE) : round(72 * RATE)] = np.nan
    expected = [at for at in places if at < 66.9 or at > 75.1]
    found = [one.gps - START for one in triggers.triggers(strain_of(values), min_energy=60.0)]
    assert len(found) == len(expected)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_scan_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="without a gap"):
        triggers.triggers(strain_of(noise(6.2)))
    with pytest.raises(ValueError, match="step 0.0 s"):
        triggers.triggers(strain_of(noise()), step=0.0)
    loud = strain_of(with_burst(noise(), 16.0, 180.0, 20.0))
    with pytest.raises(ValueError, match="classify gave"):
        candidates(loud, lambda images: np.ones((1, 3)), CLASSES, size=SIZE)


# ---- open data ---------------------------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """GWOSC with two files of one time, and a note of what was asked of it."""
    values = noise()
    small = write(tmp_path / "H-H1_GWOSC_4KHZ_R1-1000000000-32.hdf5", values)
    urls = [
        f"https://gwosc.example/H-H1_GWOSC_O1_16KHZ_R1-{START - 2048}-4096.hdf5",
        f"https://x/{small.name}",
    ]
    asked: list[object] = []

    def get_urls(detector: str, start: int, end: int, sample_rate: int) -> list[str]:
        asked.append((detector, start, end, sample_rate))
        if sample_rate == 16384:
            raise ValueError("Cannot find a GWOSC dataset")
        return urls

    def urlopen(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        answer = io.BytesIO(small.read_bytes())
        answer.headers = {"Content-Length": str(small.stat().st_size)}  # type: ignore[attr-defined]
        return answer

    locate = SimpleNamespace(get_urls=get_urls)
    monkeypatch.setitem(sys.modules, "gwosc", SimpleNamespace(locate=locate))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(open_strain.urllib.request, "urlopen", urlopen)
    return SimpleNamespace(values=values, asked=asked, locate=locate, cache=tmp_path / "cache")


def test_fetch_takes_the_shortest_file_once(archive):
    strain = fetch("H1", START + 10.0, 16.0)
    np.testing.assert_array_equal(strain.values, archive.values[round(2 * RATE) : round(18 * RATE)])
    assert archive.asked[:2] == [("H1", START + 2, START + 18, rate) for rate in (16384, 4096)]
    assert archive.asked[2] == "https://x/H-H1_GWOSC_4KHZ_R1-1000000000-32.hdf5"
    fetch("H1", START + 10.0, 16.0)
    assert sum(isinstance(one, str) for one in archive.asked) == 1  # the second time from the cache
    assert [p.suffix for p in (archive.cache / "lensjax" / "gwosc").iterdir()] == [".hdf5"]


def test_fetch_tells_what_is_missing_in_one_line(archive, monkeypatch):
    def offline(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    def short(url: str, timeout: float) -> io.BytesIO:
        answer = io.BytesIO(b"abc")
        answer.headers = {"Content-Length": "10"}  # type: ignore[attr-defined]
        return answer

    def refused(*_: object, **__: object) -> None:
        raise ConnectionError("Connection refused\nby the peer")

    def wordy(*_: object, **__: object) -> None:
        raise ConnectionError("HTTPSConnectionPool(host='gwosc.org', port=443): Max retries exceeded " * 2)

    def nothing(*_: object, **__: object) -> None:
        raise ValueError("Cannot find a GWOSC dataset")

    cases = [
        (open_strain.urllib.request, "urlopen", offline, "cannot be reached (Name or service not known)"),
        (open_strain.urllib.request, "urlopen", short, "3 of 10 bytes came"),
        (archive.locate, "get_urls", refused, "cannot be reached (Connection refused)"),
        (archive.locate, "get_urls", wordy, "cannot be reached (ConnectionError)"),
        (archive.locate, "get_urls", nothing, "GWOSC has no open data of H1"),
    ]
    for owner, name, instead, words in cases:
        with monkeypatch.context() as patch, pytest.raises(ValueError) as caught:
            patch.setattr(owner, name, instead)
            fetch("H1", START + 10.0)
        assert words in str(caught.value) and "\n" not in str(caught.value)
        assert not list(archive.cache.rglob("*.*"))  # no half of a file stays
    with pytest.raises(ValueError, match="detector 'H3' is unknown; choose from H1, L1"):
        fetch("H3", 1e9)
    monkeypatch.setitem(sys.modules, "gwosc", None)
    with pytest.raises(ValueError, match=r'pip install "lensjax\[gw\]"'):
        fetch("H1", 1e9)


def test_file_names_tell_their_span():
    assert file_span("https://x/archive/L-L1_LOSC_4_V1-968646656-4096.hdf5") == (968646656, 968650752)
    assert file_span("strain.hdf5") == (0, 0)


# ---- items -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    model = ModelConfig(
        features=(2,), pool=(4,), attention=AttentionConfig(at=()), head="class", classes=CLASSES
    )
    made = build(model)
    params = jax.jit(made.init)(jax.random.key(0), jnp.zeros((1, 4, *SIZE, 1)))["params"]

    def untrained(data: Data) -> Trained:
        """A run whose network was never trained."""
        return Trained(
            Path("run"), Config(data=data, model=model), made, params, ("energy",), None, None, {}, []
        )

    return untrained


def test_items_from_files_and_a_line_for_each_that_is_none(tmp_path, network):
    folder = tmp_path / "strain"
    folder.mkdir()
    write(folder / "a.hdf5", with_burst(noise(), 16.0, 180.0, 20.0))
    empty(folder / "b.h5")
    missing = tmp_path / "gone.hdf5"
    trained = network(EventData(size=SIZE))
    times = (START + 16.0, START + 1.0, START + 99.0)
    items, problems = items_from_strain(trained, [folder, missing], gps=times)
    assert [item.id for item in items] == ["H1 1000000016.000"]
    assert items[0].image.shape == (4, *SIZE, 1) and items[0].source == str(folder / "a.hdf5")
    assert items[0].notes[0].startswith("loudest tile: energy ")
    told = [str(problem) for problem in problems]
    assert len(told) == 4 and sum("no such file" in line for line in told) == 1
    assert any("within 3 s of the end" in line for line in told)
    assert any(line.startswith("GPS 1000000099.000: outside the strain given: H1 GPS") for line in told)
    _, problems = items_from_strain(trained, [folder / "a.hdf5"], gps=times[:1], detector="L1")
    assert "is strain of H1, --detector says L1" in str(problems[0])


def test_items_from_a_scan_and_from_open_data(tmp_path, archive, capsys, network):
    path = write(tmp_path / "a.hdf5", with_burst(noise(), 16.0, 180.0, 20.0))
    quiet = write(tmp_path / "quiet.hdf5", noise(seed=5))
    trained = network(EventData(size=SIZE, plane="2"))
    found = tmp_path / "out" / "candidates.csv"
    items, problems = items_from_strain(trained, [path, quiet], candidates=found)
    assert [item.id[:12] for item in items] == ["H1 100000001"]
    assert "no tile in it is loud enough" in str(problems[0])
    assert "Hz" in capsys.readouterr().out and len(found.read_text().splitlines()) == 2
    items, problems = items_from_strain(trained, [], gps=(START + 10.0, START + 10.5), detector="H1")
    assert [item.id for item in items] == ["H1 1000000010.000", "H1 1000000010.500"] and not problems


def test_items_refuse_what_cannot_be_meant(network):
    trained = network(EventData(size=SIZE))
    with pytest.raises(ValueError, match="give --gps T, or --scan"):
        items_from_strain(trained, [Path("a.hdf5")])
    with pytest.raises(ValueError, match="give GWOSC files by --inputs, or --detector"):
        items_from_strain(trained, [], gps=(1.0,))
    with pytest.raises(ValueError, match="trained on images of the sky"):
        items_from_strain(network(LensData()), [Path("a.hdf5")], gps=(1.0,))


# ---- real data ---------------------------------------------------------------------------------------------


def test_gw150914_is_seen_in_both_detectors(real_data, tmp_path):
    peaks = {}
    for detector, energy in (("H1", 127), ("L1", 68)):
        name = f"{detector[0]}-{detector}_LOSC_4_V2-1126259446-32.hdf5"
        strain = read_strain(real_data / "ligo_strain" / name)
        assert strain.detector == detector and strain.quality[:, :7].all()
        image, scan, notes = event_at(strain, 1126259462.4, size=SIZE)
        assert int(scan.plane) == 0 and abs(float(scan.peak_energy) / energy - 1) < 0.15
        assert 0.005 < float(scan.peak_time) < 0.03 and 100 < float(scan.peak_frequency) < 250
        assert any("1291 Hz" in note for note in notes)
        # The track rises: energy-weighted, it is later at high frequencies than at low ones.
        bright = np.where(image[0, ..., 0] > 0.5, image[0, ..., 0], 0)
        times = [(half.sum(0) * np.arange(SIZE[1])).sum() / half.sum() for half in (bright[:42], bright[42:])]
        assert times[0] > times[1] + 3
        peaks[detector] = scan
    damaged = tmp_path / "cut.hdf5"
    shutil.copy(real_data / "ligo_strain" / "H-H1_LOSC_4_V2-1126259446-32.hdf5", damaged)
    damaged.write_bytes(damaged.read_bytes()[:500_000])
    with pytest.raises(ValueError, match="truncated or damaged"):
        read_strain(damaged)
