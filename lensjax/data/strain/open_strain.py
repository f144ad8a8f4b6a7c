"""Open strain by GPS time and detector: GWOSC says where it is (package `gwosc`), it is downloaded once."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np

from lensjax.data.strain.strain import Strain, read_strain
from lensjax.data.strain.strain_scan import LOCAL
from lensjax.runtime.errors import UserError
from lensjax.runtime.logs import progress

DETECTORS = ("H1", "L1", "V1", "K1", "G1")
SAMPLE_RATES = (16384, 4096)
"""Hz of the files GWOSC offers; 4096 Hz do not carry all rows of a scan."""


def cache_folder() -> Path:
    """Where downloaded strain is kept: $XDG_CACHE_HOME or ~/.cache, then lensjax/gwosc."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lensjax" / "gwosc"


def fetch(detector: str, gps: float, duration: float = LOCAL, sample_rate: int | None = None) -> Strain:
    """Open strain of `duration` seconds centred on a GPS time, as much of it as one file has.

    The whole file is downloaded once and kept in `cache_folder()`. 16384 Hz where GWOSC has them, else 4096.

    Raises:
      UserError: the detector is unknown, the package `gwosc` is missing, there is no network, or GWOSC has
        no data of this time.
    """
    if detector not in DETECTORS:
        raise UserError(f"detector '{detector}' is unknown; choose from {', '.join(DETECTORS)}.")
    half = duration / 2
    rates = SAMPLE_RATES if sample_rate is None else (sample_rate,)
    url = _locate(detector, gps, half, rates)
    path = cache_folder() / url.rsplit("/", 1)[1]
    if not path.exists():
        _download(url, path)
    return read_strain(path, (gps - half, gps + half))


def _locate(detector: str, gps: float, half: float, rates: tuple[int, ...]) -> str:
    """Address of the shortest file that holds the span, or else most of it."""
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
    """GPS start and end from a file name, H-H1_…-START-DURATION.hdf5; (0, 0) where it has none."""
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


def _download(url: str, path: Path) -> None:
    """Into the cache, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with urllib.request.urlopen(url, timeout=30) as answer, part.open("wb") as file:
            size = int(answer.headers.get("Content-Length") or 0)
            with progress(desc=path.name, total=size or None, unit="B") as bar:
                while block := answer.read(1 << 20):
                    bar.update(file.write(block))
        if size and part.stat().st_size != size:
            raise UserError(f"{url}: {part.stat().st_size} of {size} bytes came; try again.")
        part.replace(path)
    except (urllib.error.URLError, OSError) as error:
        raise UserError(_unreachable(error)) from None
    finally:
        part.unlink(missing_ok=True)
