"""Strain: a file is read as it says, a bad one gets its line, open data come once and whole."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from strain_files import RATE, START, noise, strain_of, write

from lensjax.data.strain.open_strain import fetch, file_span
from lensjax.data.strain.strain_files import cut, flags_missed, gaps, read_strain, whole_stretches


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


# ---- open data ---------------------------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """Serve two files of one time, and note what is asked; `promised` bytes are announced."""
    values = noise()
    small = write(tmp_path / "H-H1_GWOSC_4KHZ_R1-1000000000-32.hdf5", values)
    asked: list[object] = []

    def get_urls(detector: str, start: int, end: int, sample_rate: int) -> list[str]:
        asked.append((detector, start, end, sample_rate))
        if sample_rate == 16384:
            raise ValueError("Cannot find a GWOSC dataset")
        return urls

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(found.promised or small.stat().st_size))
            self.end_headers()
            self.wfile.write(b"abc" if found.promised else small.read_bytes())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"http://127.0.0.1:{server.server_port}"
    urls = [f"{host}/H-H1_GWOSC_O1_16KHZ_R1-{START - 2048}-4096.hdf5", f"{host}/{small.name}"]
    locate = SimpleNamespace(get_urls=get_urls)
    monkeypatch.setitem(sys.modules, "gwosc", SimpleNamespace(locate=locate))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = SimpleNamespace(
        values=values, asked=asked, locate=locate, cache=tmp_path / "cache", server=server, promised=0
    )
    yield found
    server.shutdown()
    server.server_close()


def test_fetch_takes_the_shortest_file_once(archive):
    strain = fetch("H1", START + 10.0, 16.0)
    np.testing.assert_array_equal(strain.values, archive.values[round(2 * RATE) : round(18 * RATE)])
    assert archive.asked[:2] == [("H1", START + 2, START + 18, rate) for rate in (16384, 4096)]
    assert archive.asked[2] == "/H-H1_GWOSC_4KHZ_R1-1000000000-32.hdf5"
    fetch("H1", START + 10.0, 16.0)
    assert sum(isinstance(one, str) for one in archive.asked) == 1  # the second time from the cache
    file, hashed = sorted((archive.cache / "lensjax" / "gwosc").iterdir())
    assert (file.suffix, hashed.suffix) == (".hdf5", ".sha256")
    content = file.read_bytes()
    file.write_bytes(content[:1000])  # damaged since: downloaded anew
    fetch("H1", START + 10.0, 16.0)
    assert file.read_bytes() == content


def test_fetch_takes_what_there_is_near_the_edge_of_the_data(archive):
    whole = archive.locate.get_urls

    def covered(detector: str, start: int, end: int, sample_rate: int) -> list[str]:
        urls = whole(detector, start, end, sample_rate)
        if start < START:
            raise ValueError("Cannot find a GWOSC dataset")
        return urls

    archive.locate.get_urls = covered
    assert fetch("H1", START + 10.0).range == "GPS 1000000000.000 to 1000000032.000"
    assert ("H1", START - 22, START + 42, 4096) in archive.asked  # 64 s, as the noise of a picture wants


def test_fetch_tells_what_is_missing_in_one_line(archive, monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise ConnectionError("Connection refused\nby the peer")

    def wordy(*_: object, **__: object) -> None:
        raise ConnectionError("HTTPSConnectionPool(host='gwosc.org', port=443): Max retries exceeded " * 2)

    def nothing(*_: object, **__: object) -> None:
        raise ValueError("Cannot find a GWOSC dataset")

    cases = [
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
    archive.promised = 10
    with pytest.raises(ValueError, match="cannot be reached"):  # 3 of 10 bytes came
        fetch("H1", START + 10.0)
    archive.server.shutdown()
    archive.server.server_close()
    with pytest.raises(ValueError, match="cannot be reached") as caught:
        fetch("H1", START + 10.0)
    assert "\n" not in str(caught.value) and not list(archive.cache.rglob("*.*"))
    with pytest.raises(ValueError, match="detector 'H3' is unknown; choose from H1, L1"):
        fetch("H3", 1e9)
    monkeypatch.setitem(sys.modules, "gwosc", None)
    with pytest.raises(ValueError, match=r'pip install "lensjax\[gw\]"'):
        fetch("H1", 1e9)


def test_file_names_tell_their_span():
    assert file_span("https://x/archive/L-L1_LOSC_4_V1-968646656-4096.hdf5") == (968646656, 968650752)
    assert file_span("strain.hdf5") == (0, 0)
