"""Find the files that the user names, group the bands of each image, and give each image an id."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lensjax.data.images.band_layout import is_auxiliary, names_band

FITS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz", ".fz")
HDF5 = (".h5", ".hdf5", ".hdf")
NUMPY = (".npy", ".npz")
KNOWN = (*FITS, *HDF5, *NUMPY)


@dataclass(frozen=True)
class ImageFiles:
    """One file, or one file a band (then `bands` says which)."""

    id: str
    paths: tuple[Path, ...]
    bands: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the image in messages."""
        return " + ".join(map(str, self.paths))


def find_sources(
    inputs: Sequence[str | Path], bands: Sequence[str]
) -> tuple[list[ImageFiles], list[tuple[str, str]]]:
    """Return the images in the order of the inputs (folders sorted), and (input, what is wrong).

    In a folder, files named as a PSF, noise map, mask or catalogue are skipped. Files whose names (or whose
    folders' names) differ only by a band belong to one image, where the model has several bands.
    """
    found: list[ImageFiles] = []
    faults: list[tuple[str, str]] = []
    for entry in map(Path, inputs):
        if entry.is_dir():
            files, notes = _in_folder(entry)
            found += [ImageFiles(stem(file), (file,), notes=notes) for file in files]
            if not files:
                faults.append((str(entry), f"the folder holds no image ({', '.join(KNOWN)})."))
        elif not entry.exists():
            faults.append((str(entry), "does not exist; check the path."))
        elif ending(entry) is None:
            kind = "".join(entry.suffixes[-2:]) or "no ending"
            faults.append((str(entry), f"is not of a known kind ({kind}); give one of {', '.join(KNOWN)}."))
        else:
            found.append(ImageFiles(stem(entry), (entry,)))
    unique = {source.paths[0].resolve(): source for source in reversed(found)}
    found = list(reversed(unique.values()))
    return _named_apart(_grouped(found, bands) if len(bands) > 1 else found), faults


def ending(path: Path) -> str | None:
    """Return the known ending of a file's name, the longest that fits."""
    return next((e for e in sorted(KNOWN, key=len, reverse=True) if path.name.lower().endswith(e)), None)


def stem(path: Path) -> str:
    """Return the file name without its ending."""
    return path.name[: -len(ending(path) or "")] or path.name


def _in_folder(folder: Path) -> tuple[list[Path], tuple[str, ...]]:
    files: list[Path] = []
    skipped: list[Path] = []
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(where, name) for name in sorted(names) if not name.startswith(".")):
            if ending(path) is not None:
                (skipped if is_auxiliary(stem(path)) else files).append(path)
    names = sorted({path.name for path in skipped})
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return files, (f"skipped in the folder, not images: {listed}",) if names else ()


def _grouped(found: Sequence[ImageFiles], bands: Sequence[str]) -> list[ImageFiles]:
    """Join the files of one image, one a band, into one source; the others stay as they are."""
    groups: dict[tuple[str, ...], dict[str, ImageFiles]] = defaultdict(dict)
    keys = {}
    for source in found:
        path = source.paths[0]
        named = [band for band in bands if names_band(stem(path), band)]
        if len(named) == 1:
            keys[source] = (
                str(path.parent.parent),
                _without(path.parent.name, named[0]),
                _without(stem(path), named[0]),
            )
            groups[keys[source]].setdefault(named[0], source)
    result: list[ImageFiles] = []
    for source in found:
        group = groups.get(keys.get(source, ()), {})
        if len(group) < 2:
            result.append(source)
        elif source is next(iter(group.values())):
            ordered = {band: group[band] for band in bands if band in group}
            name = keys[source][2].strip("_-. *").replace("*", "_") or source.paths[0].parent.name
            paths = tuple(s.paths[0] for s in ordered.values())
            result.append(ImageFiles(name, paths, tuple(ordered), source.notes))
    return result


def _without(name: str, band: str) -> str:
    """Take the words of `band` out of a name; what the words of the band were joined with goes too."""
    at = name.upper().find(band.upper())
    while at >= 0:
        before, after = name[at - 1 : at], name[at + len(band) : at + len(band) + 1]
        if not (before.isalnum() or after.isalnum()):
            return name[:at].rstrip("_-. ") + "*" + name[at + len(band) :].lstrip("_-. ")
        at = name.upper().find(band.upper(), at + 1)
    return name


def _named_apart(sources: Sequence[ImageFiles]) -> list[ImageFiles]:
    """Make ids unique: the folder's name before it, then a number after it."""
    for attempt in ("folder", "number"):
        count = Counter(source.id for source in sources)
        seen: Counter[str] = Counter()
        renamed = []
        for source in sources:
            seen[source.id] += 1
            other = (
                f"{source.paths[0].parent.name}/{source.id}"
                if attempt == "folder"
                else f"{source.id}#{seen[source.id]}"
            )
            renamed.append(replace(source, id=other) if count[source.id] > 1 else source)
        sources = renamed
    return list(sources)
