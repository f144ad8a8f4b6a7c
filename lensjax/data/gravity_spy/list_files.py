"""List the pictures of events in a folder, a tar archive or an HDF5 file, and read them in place.

Nothing is ever unpacked to disk, so no name inside an archive can choose where something is written.
"""

from __future__ import annotations

import contextlib
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import h5py
import numpy as np

from lensjax.data.gravity_spy.spectrograms import MAX_BYTES
from lensjax.data.images.band_layout import BadInput
from lensjax.event_axes import WINDOWS
from lensjax.runtime.errors import UserError

SPLITS = ("train", "validation", "test")
Fetch = Callable[["WindowFile"], bytes | np.ndarray]
WINDOW_NAME = re.compile(r"([HLV]1)_([0-9A-Za-z]+)_spectrogram_(0\.5|1\.0|2\.0|4\.0)\.png")


@dataclass(frozen=True)
class PictureProblem:
    """Something wrong with the data, in one line."""

    kind: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where} {self.what}"


@dataclass(frozen=True)
class WindowFile:
    """One window of one event: a file, a member, a data set."""

    name: str
    size: int
    """Bytes."""
    offset: int = 0
    """Offset of a member in the decompressed archive."""


@dataclass(frozen=True)
class ListedWindow:
    """Properties of a picture that its path gives; empty for the others."""

    source: WindowFile
    split: str
    label: str
    ifo: str
    id: str
    window: int


def list_sources(path: Path) -> tuple[str, list[ListedWindow], list[PictureProblem]]:
    """Return layout (folder, tar, hdf5), pictures, and pictures whose names say nothing.

    Raises:
      UserError: the path is none of the three, is damaged, or has members that point outside it.
    """
    if path.is_dir():
        files = (file for file in sorted(path.rglob("*")) if file.is_file())
        names = (WindowFile(file.relative_to(path).as_posix(), file.stat().st_size) for file in files)
        return "folder", *_by_name(names)
    if not path.is_file():
        raise UserError(f"'{path}' does not exist; give the folder, tar archive or HDF5 file of the set.")
    try:
        if h5py.is_hdf5(path):
            return "hdf5", *_hdf5(path)
        if tarfile.is_tarfile(path):
            return "tar", *_by_name(_members(path))
    except BadInput:
        raise
    except Exception as error:  # damaged archives make tarfile and its decompressors raise nearly anything
        reason = str(error).split("\n")[0][:80] or type(error).__name__
        raise UserError(f"'{path}' is damaged or cut short ({reason}); download it again.") from None
    if zipfile.is_zipfile(path):
        raise UserError(f"'{path}' is a zip file; unpack it and give the folder.")
    raise UserError(f"'{path}' is no folder, tar archive or HDF5 file, or its beginning is damaged.")


def _members(path: Path) -> Iterator[WindowFile]:
    with tarfile.open(path) as archive:
        for member in archive:
            name = PurePosixPath(member.name.replace("\\", "/"))
            if name.is_absolute() or ".." in name.parts:
                raise BadInput(
                    f"'{path}' has the member '{member.name}', which points outside it: get a clean copy."
                )
            if member.isreg():
                yield WindowFile(name.as_posix(), member.size, member.offset_data)


def _by_name(sources: Iterator[WindowFile]) -> tuple[list[ListedWindow], list[PictureProblem]]:
    """[split/[split/]]label/IFO_id_spectrogram_w.png → entries; whatever is no PNG is ignored."""
    entries, problems = [], []
    for source in sources:
        *folders, name = source.name.split("/")
        # macOS leaves .WINDOW_NAME.png and __MACOSX beside the files it packs.
        hidden = name.startswith(".") or any(f.startswith(".") or f == "__MACOSX" for f in folders)
        if hidden or not name.lower().endswith(".png"):
            continue
        match = WINDOW_NAME.fullmatch(name)
        if not match or not folders or folders[-1].lower() in SPLITS:
            wrong = "is in no class folder" if match else "is no name of a window"
            rule = "the layout is <split>/<Label>/<H1|L1|V1>_<id>_spectrogram_<0.5|1.0|2.0|4.0>.png"
            problems.append(PictureProblem("wrong file name", source.name, f"{wrong}; {rule}."))
            continue
        splits = [folder.lower() for folder in folders[:-1] if folder.lower() in SPLITS]
        ifo, key, window = match.groups()
        place = splits[-1] if splits else ""
        entries.append(ListedWindow(source, place, folders[-1], ifo, key, WINDOWS.index(float(window))))
    return entries, problems


def _hdf5(path: Path) -> tuple[list[ListedWindow], list[PictureProblem]]:
    """label/split/id/'0.5.png' → entries."""
    entries, problems = [], []
    windows = {f"{window}.png": number for number, window in enumerate(WINDOWS)}
    with h5py.File(path, "r") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        for name in names:
            parts = name.split("/")
            source = WindowFile(name, file[name].nbytes)
            if len(parts) == 4 and parts[1].lower() in SPLITS and parts[3] in windows:
                label, split, key, window = parts
                entries.append(ListedWindow(source, split.lower(), label, "", key, windows[window]))
            else:
                rule = "the layout is label/split/id/ 0.5.png, 1.0.png, 2.0.png, 4.0.png"
                problems.append(PictureProblem("wrong file name", name, f"is no name of a window; {rule}."))
    return entries, problems


@contextlib.contextmanager
def open_archive(path: Path, layout: str) -> Iterator[Fetch]:
    """Open a function that gives the bytes of a source, or its array [140 170] in HDF5.

    It raises BadInput for a source that is too large or not there any more.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(h5py.File(path, "r")) if layout == "hdf5" else None
        archive = stack.enter_context(tarfile.open(path)) if layout == "tar" else None

        def fetch(source: WindowFile) -> bytes | np.ndarray:
            if source.size > MAX_BYTES:
                raise BadInput(f"has {source.size} bytes; at most {MAX_BYTES} are read: no official picture.")
            try:
                if file is not None:
                    return np.asarray(file[source.name][()])
                if archive is not None:
                    stream = archive.fileobj
                    assert stream is not None
                    stream.seek(source.offset)
                    return stream.read(source.size)
                return (path / source.name).read_bytes()
            except (OSError, KeyError, EOFError) as error:
                reason = str(error).split("\n")[0][:80] or type(error).__name__
                raise BadInput(f"cannot be read ({reason}); copy it again.") from None

        yield fetch
