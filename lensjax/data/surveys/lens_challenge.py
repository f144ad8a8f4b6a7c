"""Read images and catalogues of the Lens Finding Challenges, in each of their published layouts.

    python -m lensjax.data.surveys.lens_challenge FOLDER [--track TRACK] [--catalogue FILE]

prints what is there and what is wrong with it. To train on one: configs/lens_challenge.py.

Images are `imageEUC_<band>-<ID>.fits` or `imageSDSS_<band>-<ID>.fits` anywhere below a folder; a label comes
from a catalogue, or from a folder `lens` or `nolens` above the image. Metcalf et al. 2019, A&A 625, A119.
"""

from __future__ import annotations

import csv
import hashlib
import math
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import tyro

from lensjax.data.images.band_layout import BadInput
from lensjax.data.images.fits import read_fits
from lensjax.data.images.normalise_band import network_channel
from lensjax.data.images.resample import model_grid
from lensjax.data.store.dataset_specs import SPLITS
from lensjax.runtime.command_line import run_command
from lensjax.types import Example

FILE = re.compile(r"image(EUC_(?:VIS|Y|J|H)|SDSS_[UGRI])-(\d+)\.fits(?:\.gz)?$")
FOLDERS = {"lens": 1, "nolens": 0}
MASKED = 100.0  # of ground-based images: no data


@dataclass(frozen=True)
class Track:
    """One kind of image: bands in channel order, arcseconds a pixel of the first, pixels on a side."""

    bands: tuple[str, ...]
    pixel_scale: float
    size: int
    scales: Mapping[str, float] = field(default_factory=dict)
    """Of bands on another grid, which their headers may not tell."""


NISP = dict.fromkeys(("EUC_Y", "EUC_J", "EUC_H"), 0.3)
TRACKS = {
    "space": Track(("EUC_VIS",), 0.1, 101),
    "ground": Track(("SDSS_U", "SDSS_G", "SDSS_R", "SDSS_I"), 0.2, 101),
    "space2": Track(("EUC_VIS", "EUC_Y", "EUC_J", "EUC_H"), 0.1, 200, NISP),
}
"""Challenge 1.0 from space and from the ground, Challenge 2.0."""

CatalogueEntry = tuple[int | None, dict[str, float]]
"""Label and true numbers of an ID."""
TABLE_COLUMNS = {
    "challenge1": ("is_lens", "Einstein_area", "numb_pix_lensed_image", "flux_lensed_image_in_sigma"),
    "challenge2": (
        "x_crit", "y_crit", "z_source", "z_lens", "mag_source", "ein_area", "n_pix_source", "n_source_im",
        "mag_eff", "sb_contrast", "color_diff",
    ),
}  # fmt: skip
"""Columns of each catalogue that an example keeps unchanged."""
LABEL_COLUMNS = {"challenge1": ("is_lens",), "challenge2": ("n_source_im", "mag_eff", "n_pix_source")}
"""Columns that the label needs."""
LABEL_RULES = {
    "challenge1": "is_lens = 1",
    "challenge2": "n_source_im > 0 and mag_eff > 1.6 and n_pix_source > 20",
}


@dataclass(frozen=True)
class ChallengeObject:
    """One object: its files by band, and its entry in the catalogue."""

    id: int
    files: Mapping[str, Path]
    label: int
    truth: Mapping[str, float]

    @property
    def split(self) -> str:
        """By the ID, 75 % for training, 5 % for validation, 20 % for the test: the challenges give none."""
        share = zlib.crc32(str(self.id).encode()) % 20
        return "validation" if share == 0 else "test" if share < 5 else "train"


@dataclass(frozen=True)
class ChallengeFolder:
    """The objects of one track in a folder."""

    path: Path
    track: str
    labels: str
    """Source of the labels: a catalogue's name, or the folders."""
    truth: tuple[str, ...]
    """Columns of the catalogue that an example keeps."""
    entries: tuple[ChallengeObject, ...]
    problems: tuple[str, ...]


def index(path: str | Path, track: str = "", catalogue: str | Path = "") -> ChallengeFolder:
    """List the objects of a folder; images are found but not read.

    Args:
      track: a key of TRACKS; by default that of the only one there.
      catalogue: a CSV; by default the only table below the folder that has a column ID.

    Raises:
      BadInput: no such folder, no image of the challenges, several tracks, or no label; a catalogue that
        cannot be read or lacks a column, which is named.
    """
    folder = Path(path)
    if not str(path).strip():
        raise BadInput("data.path is empty: give --data.path FOLDER.")
    if not folder.is_dir():
        raise BadInput(f"'{folder}' is no folder; give one with images such as imageEUC_VIS-100002.fits.")
    found: defaultdict[str, defaultdict[int, dict[str, Path]]] = defaultdict(lambda: defaultdict(dict))
    for file in sorted(folder.rglob("*.fits*")):
        if match := FILE.search(file.name):
            survey = "ground" if match[1].startswith("SDSS") else "space"
            found[survey][int(match[2])][match[1]] = file
    if any(len(files) > 1 for files in found["space"].values()):
        found["space2"] = found.pop("space")
    found = defaultdict(found.default_factory, {name: files for name, files in found.items() if files})
    if not found:
        example = "imageEUC_VIS-100002.fits or imageSDSS_R-100002.fits"
        raise BadInput(f"'{folder}' has an unknown layout: no file below it is named like {example}.")
    if track and track not in TRACKS:
        raise BadInput(f"unknown track '{track}': choose from {', '.join(TRACKS)}.")
    if (track and track not in found) or (not track and len(found) > 1):
        raise BadInput(f"'{folder}' holds the track(s) {', '.join(found)}; name one of them.")
    track = track or next(iter(found))
    return _join_labels(folder, track, found[track], _catalogue(folder, catalogue))


def _catalogue(folder: Path, given: str | Path) -> Path | None:
    """Find the table to read; None where labels must come from the folders."""
    if given:
        return Path(given)
    tables = [path for ending in ("*.csv", "*.txt") for path in sorted(folder.rglob(ending))]
    named = [
        path for path in tables if re.search(r"(?m)^[^#]*\bID\b", path.read_text("utf-8", "replace")[:9999])
    ]
    if len(named) > 1:
        raise BadInput(
            f"'{folder}' holds {len(named)} catalogues ({', '.join(p.name for p in named)}): name one."
        )
    return named[0] if named else None


def _join_labels(
    folder: Path, track: str, files: Mapping[int, dict[str, Path]], catalogue: Path | None
) -> ChallengeFolder:
    """Join images with their labels; an object without a band, a label, or an image is a problem."""
    rows = None if catalogue is None else read_table(catalogue)
    problems = [f"{catalogue} ID {key}: has no image here." for key in rows or {} if key not in files]
    entries = []
    for key, by_band in sorted(files.items()):
        where = str(next(iter(by_band.values())))
        missing = [band for band in TRACKS[track].bands if band not in by_band]
        if missing:
            problems.append(f"{where}: has no image of band {', '.join(missing)} beside it.")
            continue
        if rows is None:
            above = [part for part in Path(where).parts if part in FOLDERS]
            said: CatalogueEntry = (FOLDERS[above[-1]] if above else None, {})
        else:
            said = rows.get(key, (None, {}))
        label, truth = said
        if label is None:
            lacking = "no folder lens or nolens above it" if rows is None else f"no row in {catalogue}"
            problems.append(f"{where}: has no label ({lacking}).")
        else:
            entries.append(ChallengeObject(key, by_band, label, truth))
    if not entries:
        raise BadInput(f"'{folder}' has no object with image and label: {problems[0]}")
    labels = "folders" if catalogue is None else catalogue.name
    return ChallengeFolder(folder, track, labels, tuple(entries[0].truth), tuple(entries), tuple(problems))


def read_table(path: Path) -> dict[int, CatalogueEntry]:
    """Read label and true numbers by ID; label None where a number it needs is missing.

    Comma- or blank-separated, after any lines that begin with #; the header may be such a line.

    Raises:
      BadInput: the file is missing, has no header with ID, or lacks the columns of either challenge's label.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"'{path}' cannot be read ({str(error)[:80]}).") from error
    start = next((i for i, line in enumerate(lines) if "ID" in _cells(line.lstrip("# "))), None)
    if start is None:
        raise BadInput(f"'{path}' has no header with a column ID; is it the challenge's catalogue?")
    header = [name.strip() for name in _cells(lines[start].lstrip("# "))]
    kind = next((name for name, needed in LABEL_COLUMNS.items() if set(needed) <= set(header)), None)
    if kind is None:
        needs = "; or ".join(", ".join(needed) for needed in LABEL_COLUMNS.values())
        lacking = sorted(set(LABEL_COLUMNS["challenge2"]) - set(header))
        raise BadInput(
            f"'{path}' lacks the column(s) is_lens, or {', '.join(lacking)}: the label needs {needs}."
        )
    rows: dict[int, CatalogueEntry] = {}
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if not line.strip() or line.startswith("#"):
            continue
        cells = _cells(line)
        if len(cells) != len(header):
            raise BadInput(f"'{path}' line {number} has {len(cells)} values; its header has {len(header)}.")
        values = dict(zip(header, cells, strict=True))
        truth = {name: _number(values.get(name, "")) for name in TABLE_COLUMNS[kind]}
        identity = _number(values["ID"])
        if math.isnan(identity):
            raise BadInput(f"'{path}' line {number} has the ID '{values['ID']}'; a number is needed.")
        rows[int(identity)] = (label_of(kind, truth), truth)
    return rows


def label_of(kind: str, truth: Mapping[str, float]) -> int | None:
    """Return 1 for a lens by the challenge's own rule, `LABEL_RULES`; None where a number is missing."""
    needed = [truth[name] for name in LABEL_COLUMNS[kind]]
    if any(map(math.isnan, needed)):
        return None
    if kind == "challenge1":
        return int(truth["is_lens"] == 1)
    return int(truth["n_source_im"] > 0 and truth["mag_eff"] > 1.6 and truth["n_pix_source"] > 20)


def _cells(line: str) -> list[str]:
    return next(csv.reader([line]), []) if "," in line else line.split()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def read_image(entry: ChallengeObject, track: Track, size: int = 0, max_missing: float = 0.05) -> np.ndarray:
    """Read float32 [size size c], asinh(flux / σ) of every band on the grid of the first.

    Args:
      size: pixels on a side, about the middle; 0 for those of the track.

    Raises:
      BadInput: a file is damaged, truncated or empty; names it.
    """
    channels = []
    for band in track.bands:
        path = entry.files[band]
        try:
            plane = read_fits(path, [band.split("_")[1]], ())[0].planes[0]
            pixels = np.where(plane.image == MASKED, np.nan, plane.image.astype(np.float64))
            scale = track.scales.get(band, track.pixel_scale)
            plane = replace(plane, image=pixels, pixel_scale=scale)
            grid = model_grid(pixels.shape, scale, track.pixel_scale, size or track.size)
            channels.append(network_channel(plane, grid, band, max_missing)[0])
        except BadInput as error:
            raise BadInput(f"{path} {error}") from None
        except Exception as error:  # a damaged file makes astropy raise nearly anything
            raise BadInput(f"{path} cannot be read ({str(error)[:80]}); copy it again.") from error
    return np.stack(channels, -1).astype(np.float32)


def examples(
    archive: ChallengeFolder, split: str, on_problem: str = "skip", size: int = 0
) -> Iterator[Example]:
    """Yield the examples of a split; neither mask nor position is known: the catalogues give no pixels.

    Args:
      on_problem: skip prints what cannot be read and leaves it out; refuse stops.

    Raises:
      BadInput: unknown split or option; with refuse, any problem.
    """
    if split not in SPLITS or on_problem not in ("skip", "refuse"):
        raise BadInput(
            f"split '{split}', on_problem '{on_problem}': choose {', '.join(SPLITS)}; skip or refuse."
        )
    if on_problem == "refuse" and archive.problems:
        raise BadInput(f"{len(archive.problems)} problem(s), the first: {archive.problems[0]}")
    track = TRACKS[archive.track]
    for entry in archive.entries:
        if entry.split != split:
            continue
        try:
            image = read_image(entry, track, size)
        except BadInput as error:
            if on_problem == "refuse":
                raise
            print(f"left out: {error}", flush=True)
            continue
        yield {
            "image": image,
            "label": entry.label,
            "position": np.full(2, np.nan, np.float32),
            "mask": np.zeros(image.shape[:-1], bool),
            "id": f"{archive.track}-{entry.id}",
            "truth": dict(entry.truth),
        }


def fingerprint(archive: ChallengeFolder) -> str:
    """Return twelve hexadecimal digits of the objects, their labels, numbers, and files' sizes in bytes."""
    lines = (
        f"{e.id} {e.label} {dict(e.truth)} {[file.stat().st_size for file in e.files.values()]}"
        for e in archive.entries
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def describe(archive: ChallengeFolder) -> str:
    """Describe objects by class and split, where the labels come from, and what is wrong."""
    counts = Counter((entry.label, entry.split) for entry in archive.entries)
    rule = next(
        (text for name, text in LABEL_RULES.items() if set(LABEL_COLUMNS[name]) <= set(archive.truth)), ""
    )
    lines = [
        f"{archive.path}: track {archive.track}, {len(archive.entries)} objects, labels of {archive.labels}"
    ]
    lines += [f"lens: {rule}"] if rule else []
    lines += [f"{'':10s}" + "".join(f"{split:>12s}" for split in SPLITS)]
    for label, name in ((1, "lens"), (0, "non-lens")):
        lines.append(f"{name:10s}" + "".join(f"{counts[label, split]:12d}" for split in SPLITS))
    return "\n".join([*lines, f"{len(archive.problems)} problem(s)", *archive.problems[:5]])


@dataclass(frozen=True)
class ChallengeOptions:
    """Options of the command that lists a folder."""

    path: tyro.conf.Positional[Path]
    """Folder with the images."""
    track: str = ""
    """One of space, ground, space2, where several are there."""
    catalogue: str = ""
    """CSV; by default the one below the folder."""


def main(options: ChallengeOptions) -> None:
    """Print the objects in a folder of a Lens Finding Challenge, and what is wrong with it."""
    print(describe(index(options.path, options.track, options.catalogue)))


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    prog = "python -m lensjax.data.surveys.lens_challenge"
    run_command(main, ChallengeOptions, prog=prog, description=__doc__, arguments=arguments)


if __name__ == "__main__":
    run()
