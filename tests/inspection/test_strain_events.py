"""Events of strain: a known signal is found where it was put, whatever is around it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strain_files import RATE, START, noise, strain_of, with_burst, write

from lensjax.config import AttentionConfig, Config, Data, EventData, LensData, ModelConfig
from lensjax.data.strain import triggers
from lensjax.data.strain.strain_files import read_strain
from lensjax.data.strain.strain_scan import around, block_at, event_at, whitened
from lensjax.data.strain.triggers import candidate_lines, candidates, write_candidates
from lensjax.event_axes import CLASSES
from lensjax.inspection import examples, strain_events
from lensjax.inspection.options import ExplainOptions
from lensjax.inspection.restore import Trained
from lensjax.inspection.strain_events import items_from_strain
from lensjax.models import build

SIZE = (70, 85)


def test_burst_is_where_it_was_put():
    strain = strain_of(with_burst(noise(), at=16.1, frequency=180.0, snr=20.0))
    image, scan, notes = event_at(strain, START + 16.0, size=SIZE)
    assert image.shape == (4, *SIZE, 1) and image.dtype == np.float32
    assert image.min() >= 0 and 0.9 < image.max() <= 1
    assert abs(float(scan.peak_time) - 0.1) < 0.01
    assert abs(np.log2(float(scan.peak_frequency) / 180)) < 0.25
    assert 150 < float(scan.peak_energy) < 450  # (20²/2 + 1) / ln 2 = 290, less the mismatch
    # The sampling rate carries no row above 1291 Hz on the lowest plane, and says so.
    assert any("carries the Q 5.7 plane up to 1291 Hz" in note for note in notes)
    assert not image[:, 0].any()
    # Seen from the burst's own time it is in the middle; the strain before it moved, not the burst.
    energy = np.asarray(scan.energy[0])
    row, column = np.argwhere(energy > 0.9 * energy.max()).mean(0)  # several pixels are at the clip
    assert abs((column + 0.5) / SIZE[1] - (0.5 + 0.1 / 0.5)) < 0.04
    assert abs(row + 0.5 - SIZE[0] * np.log(2048 / 180) / np.log(2048 / 10)) < 1.5


def test_encodings_are_what_the_network_sees():
    strain = strain_of(with_burst(noise(), 16.0, 180.0, 20.0))
    clipped, scan, _ = event_at(strain, START + 16.0, size=SIZE)
    energy = np.asarray(scan.energy)
    np.testing.assert_allclose(clipped[..., 0], np.minimum(energy, 25.5) / 25.5, atol=0.002)
    log, whole, _ = event_at(strain, START + 16.0, size=SIZE, encoding="log")
    assert np.asarray(whole.energy).max() > 40 > energy.max()
    np.testing.assert_allclose(log[..., 0], np.log1p(np.asarray(whole.energy)), rtol=1e-3, atol=1e-6)
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
        return Trained(Path("run"), Config(data=data, model=model), made, params, {}, [])

    return untrained


def test_items_from_files_and_a_line_for_each_that_is_none(tmp_path, network):
    folder = tmp_path / "strain"
    folder.mkdir()
    write(folder / "a.hdf5", with_burst(noise(), 16.0, 180.0, 20.0))
    (folder / "b.h5").write_text("not strain")
    missing = tmp_path / "gone.hdf5"
    trained = network(EventData(size=SIZE))
    times = (START + 16.0, START + 1.0, START + 99.0)
    found, problems = items_from_strain(trained, [folder, missing], gps=times)
    assert [item.id for item in found] == ["H1 1000000016.000"]
    assert found[0].image.shape == (4, *SIZE, 1) and found[0].source == str(folder / "a.hdf5")
    assert found[0].notes[0].startswith("loudest tile: energy ")
    told = [str(problem) for problem in problems]
    assert len(told) == 4 and sum("no such file" in line for line in told) == 1
    assert any("within 3 s of the end" in line for line in told)
    assert any(line.startswith("GPS 1000000099.000: outside the strain given: H1 GPS") for line in told)
    (tmp_path / "empty").mkdir()
    _, problems = items_from_strain(trained, [tmp_path / "empty"], gps=times[:1])
    assert ".hdf5 and .h5 are looked for" in str(problems[0])
    _, problems = items_from_strain(trained, [folder / "a.hdf5"], gps=times[:1], detector="L1")
    assert "is strain of H1, --detector says L1" in str(problems[0])


def test_items_from_a_scan_and_from_open_data(tmp_path, monkeypatch, capsys, network):
    path = write(tmp_path / "a.hdf5", with_burst(noise(), 16.0, 180.0, 20.0))
    quiet = write(tmp_path / "quiet.hdf5", noise(seed=5))
    trained = network(EventData(size=SIZE, plane="2"))
    table = tmp_path / "out" / "candidates.csv"
    found, problems = items_from_strain(trained, [path, quiet], candidates=table)
    assert [item.id[:12] for item in found] == ["H1 100000001"]
    assert "no tile in it is loud enough" in str(problems[0])
    assert "Hz" in capsys.readouterr().out and len(table.read_text().splitlines()) == 2
    monkeypatch.setattr(strain_events, "fetch", lambda detector, gps: strain_of(noise()))
    found, problems = items_from_strain(trained, [], gps=(START + 10.0, START + 10.5), detector="H1")
    assert [item.id for item in found] == ["H1 1000000010.000", "H1 1000000010.500"] and not problems


def test_strains_that_overlap_give_an_event_once(tmp_path, network):
    values = with_burst(noise(), 10.0, 180.0, 20.0)
    whole = write(tmp_path / "whole.hdf5", values)
    part = tmp_path / "part.hdf5"
    write(part, values[: round(14 * RATE)])
    trained = network(EventData(size=SIZE, plane="2"))
    found, problems = items_from_strain(trained, [part, whole], gps=(START + 10.0, START + 10.0))
    assert [item.source for item in found] == [str(whole)] and not problems
    table = tmp_path / "candidates.csv"
    found, _ = items_from_strain(trained, [part, whole], candidates=table)
    assert len(found) == 1 and len(table.read_text().splitlines()) == 2
    _, problems = items_from_strain(trained, [whole], candidates=table, min_energy=1000.0)
    assert "no tile in it is loud enough" in str(problems[0])


def test_a_candidate_is_kept_in_each_detector():
    loud = [
        triggers.Trigger(gps, energy, 100.0, 8.0, detector)
        for gps, energy, detector in ((5.1, 30.0, "H1"), (5.0, 90.0, "H1"), (5.1, 40.0, "L1"))
    ]
    assert triggers.separate(loud) == loud[1:]


def test_a_command_for_strain_is_refused_by_a_network_of_the_sky(network, tmp_path):
    for asked in ({"gps": (1.0,)}, {"scan": True}, {"detector": "H1"}):
        options = ExplainOptions(tmp_path, **asked)
        with pytest.raises(ValueError, match="trained on images of the sky"):
            examples.read(network(LensData()), options, tmp_path)


def test_pictures_tell_a_network_of_unclipped_energy_that_they_saturate(network, monkeypatch, tmp_path):
    from lensjax.data.gravity_spy import event_files

    event = event_files.PicturedEvent("H1_a", "here", np.zeros((4, *SIZE, 1), np.float16), None)
    monkeypatch.setattr(event_files, "read_events", lambda *_: ([event], []))
    for encoding, count in (("log", 1), ("clipped", 0)):
        found, _ = examples.read_spectrograms(
            network(EventData(size=SIZE, encoding=encoding)), ExplainOptions(tmp_path)
        )
        assert len(found[0].notes) == count and all("saturate at energy 25.5" in n for n in found[0].notes)


def test_items_refuse_what_cannot_be_meant(network):
    trained = network(EventData(size=SIZE))
    with pytest.raises(ValueError, match="give --gps T, or --scan"):
        items_from_strain(trained, [Path("a.hdf5")])
    with pytest.raises(ValueError, match="give GWOSC files by --inputs, or --detector"):
        items_from_strain(trained, [], gps=(1.0,))
    with pytest.raises(ValueError, match=r"--min-energy \(=nan\) must be above 0"):
        items_from_strain(trained, [Path("a.hdf5")], gps=(1.0,), min_energy=float("nan"))
    with pytest.raises(ValueError, match="trained on images of the sky"):
        items_from_strain(network(LensData()), [Path("a.hdf5")], gps=(1.0,))


def test_gw150914_is_seen_in_both_detectors(real_data):
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
