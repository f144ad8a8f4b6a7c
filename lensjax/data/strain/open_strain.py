"""Fetch open strain by GPS time and detector: `gwosc` finds the file, pooch downloads and caches it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pooch

from lensjax.data.strain.strain_files import Strain, read_strain
from lensjax.data.strain.strain_scan import LOCAL
from lensjax.runtime.errors import UserError
from lensjax.runtime.jax_setup import cache_directory
from lensjax.runtime.logs import progress

DETECTORS = ("H1", "L1", "V1", "K1", "G1")
SAMPLE_RATES = (16384, 4096)
"""Hz of the files GWOSC offers; 4096 Hz do not carry all rows of a scan."""


def fetch(detector: str, gps: float, duration: float = LOCAL, sample_rate: int | None = None) -> Strain:
    """Fetch `duration` seconds of open strain centred on a GPS time, as many of them as one file has.

    The whole file is downloaded once and kept in `cache_directory()/gwosc`. It has 16384 Hz where GWOSC
    offers them, else 4096.

    Raises:
      UserError: the detector is unknown, the package `gwosc` is missing, there is no network, or GWOSC has
        no data of this time.
    """
    if detector not in DETECTORS:
        raise UserError(f"detector '{detector}' is unknown; choose from {', '.join(DETECTORS)}.")
    half = duration / 2
    rates = SAMPLE_RATES if sample_rate is None else (sample_rate,)
    url = _locate(detector, gps, half, rates)
    return read_strain(_download(url), (gps - half, gps + half))


def _locate(detector: str, gps: float, half: float, rates: tuple[int, ...]) -> str:
    """Find the address of the shortest file that holds the span, or else most of it."""
    try:
        from gwosc import locate
    except ImportError:
        raise UserError(
            'open data needs the package gwosc: pip install "lensjax[gw]", or give files by --inputs.'
        ) from None
    # GWOSC refuses a span that its data do not cover; that of a picture is enough.
    for rate, reach in ((rate, reach) for rate in rates for reach in dict.fromkeys((half, min(half, 9.0)))):
        try:
            urls = locate.get_urls(
                detector, int(np.floor(gps - reach)), int(np.ceil(gps + reach)), sample_rate=rate
            )
        except ValueError:  # GWOSC has no such data
            continue
        except OSError as error:  # requests' exceptions are such
            raise UserError(_unreachable(error)) from None
        spans = {url: file_span(url) for url in urls}
        spans = {url: span for url, span in spans.items() if span[0] <= gps < span[1]}
        if spans:
            return min(spans, key=lambda url: (-_held(spans[url], gps, half), spans[url][1] - spans[url][0]))
    raise UserError(
        f"GWOSC has no open data of {detector} for {2 * half:g} s around GPS {gps:.3f}; "
        "see https://gwosc.org/timeline for what there is."
    )


def file_span(name: str) -> tuple[int, int]:
    """Read GPS start and end from a file name, H-H1_…-START-DURATION.hdf5; (0, 0) where it has none."""
    words = name.rsplit("/", 1)[-1].split(".")[0].split("-")
    if len(words) < 4 or not (words[-2].isdigit() and words[-1].isdigit()):
        return 0, 0
    return int(words[-2]), int(words[-2]) + int(words[-1])


def _held(span: tuple[int, int], gps: float, half: float) -> float:
    """Seconds of the span needed for a picture, ±9 s, or less where less is asked for, that a file holds."""
    need = min(half, 9.0)
    return min(span[1], gps + need) - max(span[0], gps - need)


def _unreachable(error: Exception) -> str:
    reason = str(getattr(error, "reason", error)).splitlines()[0]
    reason = reason if len(reason) < 80 else type(error).__name__  # requests tells of pools and retries
    return f"GWOSC cannot be reached ({reason}); connect to the network, or give files by --inputs."


def _download(url: str) -> Path:
    """Return the file in the cache, downloaded whole or not at all, and anew where its hash differs."""
    path = cache_directory() / "gwosc" / url.rsplit("/", 1)[1]
    hashed = path.with_name(f"{path.name}.sha256")
    known = hashed.read_text() if hashed.is_file() else None
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(url, known, fname=path.name, path=path.parent, downloader=_save_url)
    except OSError as error:  # requests' exceptions are such
        raise UserError(_unreachable(error)) from None
    hashed.write_text(pooch.file_hash(str(path)))
    return path


def _save_url(url: str, output: str, owner: object) -> None:
    with progress(desc=url.rsplit("/", 1)[1], total=1, unit="B") as bar:
        pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 20)(url, output, owner)
