"""Transform every input, in training and after it (`data.inputs`); augmentations apply in training alone.

    --data.inputs "equal_stretch" "crop(top=0.1)"

One after another, on each example of all splits (`datasets.prepare` keeps the changed set beside the one it
is made from) and on a user's own images. They draw nothing but what the example's id decides. An image keeps
its shape: what is cut away becomes background, so that positions and axes hold; `equal_stretch` alone moves
pixels, and says how (`windows_after`). To add one: a function and a line in `INPUTS`.
"""

from __future__ import annotations

import hashlib
import inspect
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.data.batches import region_fills
from lensjax.data.batches.augment import with_light
from lensjax.data.images.normalise_band import min_max as to_unit
from lensjax.data.images.normalise_band import span
from lensjax.data.images.resample import area_weights
from lensjax.event_axes import WINDOWS
from lensjax.ops.stored_images import to_float32
from lensjax.runtime.errors import UserError
from lensjax.specs import parse_spec, suggest_name
from lensjax.types import Example, Float

Generator = np.random.Generator
Step = tuple[str, dict[str, Any]]


def crop(
    example: Example,
    rng: Generator,
    rows: float = 0.0,
    columns: float = 0.0,
    top: float = 0.0,
    bottom: float = 0.0,
    fill: str = "background",
) -> Example:
    """Remove a share of the rows (columns) on each side, of the rows on top (high frequencies) or below."""
    height, width = example["mask"].shape[-2:]
    for name, share in {"rows": 2 * rows, "columns": 2 * columns, "top and bottom": top + bottom}.items():
        _share(name, share)
    row, column = _centres(height)[:, None], _centres(width)
    cut = (row < max(rows, top)) | (row > 1 - max(rows, bottom)) | (np.abs(column - 0.5) > 0.5 - columns)
    return region_fills.without(example, np.broadcast_to(cut, example["mask"].shape), fill, rng)


def remove_border(
    example: Example, rng: Generator, share: float = 0.125, fill: str = "background"
) -> Example:
    """Remove the outer `share` of each side: of an image on all four, of an event's windows at both ends."""
    _share("share", 2 * share)
    return region_fills.without(example, _away(example["mask"].shape) > 0.5 - share, fill, rng)


def remove_centre(example: Example, rng: Generator, share: float = 0.5, fill: str = "background") -> Example:
    """Remove the middle `share` of the sides of an image, of the time of an event's windows."""
    _share("share", share)
    return region_fills.without(example, _away(example["mask"].shape) <= share / 2, fill, rng)


def blur(example: Example, rng: Generator, sigma: float = 2.0) -> Example:
    """Blur by a Gaussian `sigma` pixels wide, along rows and columns; light too, the mask stays."""
    if not sigma > 0:
        raise UserError(f"sigma (={sigma}) must be positive; it is in pixels.")

    def change(image: np.ndarray) -> np.ndarray:
        return region_fills.blurred(image.astype(np.float32), np.ones(image.shape[:-1], bool), rng, sigma)

    return {**with_light(example, change), "image": change(example["image"])}


def min_max(example: Example, rng: Generator, of: str = "values") -> Example:
    """Scale each channel of an image from its minimum to its maximum, light without the offset.

    Of the image's values or, as the networks of Wilde et al. (2022) take it, of the `flux` whose arcsinh they
    are.
    """
    if of not in ("values", "flux"):
        raise UserError(f"of (='{of}') must be 'values' or 'flux'.")
    unit = np.sinh if of == "flux" else np.asarray
    image = unit(example["image"].astype(np.float64))
    spans = [span(image[..., c]) for c in range(image.shape[-1])]
    lit = with_light(example, lambda light: (unit(light.astype(np.float64)) / spans).astype(np.float32))
    scaled = [to_unit(image[..., c]) for c in range(image.shape[-1])]
    return {**lit, "image": np.stack(scaled, axis=-1).astype(np.float32)}


def equal_stretch(example: Example, rng: Generator, seconds: float = 0.5) -> Example:
    """Put every window of an event on one time axis, the middle `seconds` over the whole width.

    Of a longer window that is its central part, stretched by linear interpolation; a shorter one is shrunk by
    the area average, and there is nothing where it has no data. All then have the same seconds a pixel, so a
    chirp looks alike in all four; at 0.5 s they differ in resolution alone, and what is further than 0.25 s
    from the trigger is lost. A pixel is evidence where at least half the smaller of the two pixels was.
    """
    image, mask = example["image"], example["mask"]
    if image.ndim != 4 or len(image) != len(WINDOWS):
        raise UserError(f"'equal_stretch' is for events [{len(WINDOWS)} h w c], not an image {image.shape}.")
    if not WINDOWS[0] <= seconds <= WINDOWS[-1]:
        raise UserError(f"seconds (={seconds}) must lie in [{WINDOWS[0]}, {WINDOWS[-1]}], as windows do.")
    width = mask.shape[-1]
    nothing = region_fills.background(image, mask, rng)
    windows, inside = [], []
    for t, length in enumerate(WINDOWS):
        factor = seconds / length  # input pixels along one output pixel
        start = (width - 1) / 2 - factor * (width - 1) / 2
        area = area_weights(width, start, factor, width)
        values = area if factor >= 1 else _linear_weights(width, start, factor)
        moved = np.einsum("pw,hwc->hpc", values.astype(np.float32), image[t] - nothing[t])
        windows.append(moved + nothing[t])
        inside.append(np.einsum("pw,hw->hp", area, mask[t]) * max(factor, 1) >= 0.5 - 1e-9)
    place = example["position"].astype(np.float32).copy()
    place[1] = 0.5 + (place[1] - 0.5) * WINDOWS[0] / seconds
    return {**example, "image": np.stack(windows), "mask": np.stack(inside), "position": place}


def blamed(
    example: Example, rng: Generator, file: str = "", edit: str = "remove", share: float = 0.1
) -> Example:
    """Apply an edit of `region_fills.EDITS` to the `share` that a frozen map blames: `map` of an .npz file.

    One map for all examples: one for each class would need the answer. `studies.edits` makes such files.
    """
    blame = blame_map(file)
    image = region_fills.blamed(example["image"], blame, edit, share, rng)
    gone = region_fills.largest(blame, share) if edit in ("remove", "noise") else np.zeros(blame.shape, bool)
    return {**example, "image": image, "mask": example["mask"] & ~gone}


Input = Callable[..., Example]
INPUTS: dict[str, Input] = {
    "crop": crop,
    "remove_border": remove_border,
    "remove_centre": remove_centre,
    "blur": blur,
    "min_max": min_max,
    "equal_stretch": equal_stretch,
    "blamed": blamed,
}
_OPTIONS: dict[str, dict[str, Any]] = {
    name: {p.name: p.default for p in list(inspect.signature(function).parameters.values())[2:]}
    for name, function in INPUTS.items()
}


def read(specs: Sequence[str]) -> tuple[Step, ...]:
    """Read names and options of `data.inputs`, written as `--methods` are.

    Raises:
      UserError: unknown name or option, with the choices; `blamed` without its file.
    """
    parsed = (parse_spec(spec, _options_of)[1:] for spec in specs)
    steps = tuple(
        (name, {o: _like(_OPTIONS[name][o], v) for o, v in given.items()}) for name, given in parsed
    )
    for name, options in steps:
        if name == "blamed":
            blame_map(options.get("file", ""))
    return steps


def _like(default: Any, value: Any) -> Any:
    return float(value) if isinstance(default, float) else str(value)


def _options_of(name: str) -> dict[str, Any]:
    if name not in INPUTS:
        raise UserError(
            f"unknown input '{name}'{suggest_name(name, INPUTS)}; choose from {', '.join(INPUTS)}."
        )
    return _OPTIONS[name]


def transform(example: Example, specs: Sequence[str]) -> Example:
    """Apply all steps to an example, whose image is as stored before and after.

    Raises:
      UserError: a step does not suit the image, or an option is out of range.
    """
    if not specs:
        return example
    kind = example["image"].dtype
    rng = np.random.default_rng(zlib.crc32(example["id"].encode()))
    example = {**example, "image": to_float32(example["image"])}
    for name, options in read(specs):
        example = INPUTS[name](example, rng, **options)
    image = example["image"]
    return {**example, "image": np.rint(255 * image).astype(np.uint8) if kind == np.uint8 else image}


def transform_image(image: Float[np.ndarray, "*s c"], specs: Sequence[str], name: str, dtype: Any) -> Any:
    """Apply all steps to a user's image, float32 as a network sees it; `dtype` is that of the data set."""
    if not specs:
        return image
    stored = np.rint(255 * image).astype(np.uint8) if dtype == np.uint8 else np.asarray(image, np.float32)
    blank = np.zeros(image.shape[:-1], bool)
    nowhere = np.full(2, np.nan, np.float32)
    example = Example(image=stored, label=0, position=nowhere, mask=blank, id=name)
    return to_float32(transform(example, specs)["image"])


def windows_after(specs: Sequence[str]) -> tuple[float, ...]:
    """Return the seconds of an event's windows after the steps."""
    stretched = [options.get("seconds", 0.5) for name, options in read(specs) if name == "equal_stretch"]
    return (float(stretched[-1]),) * len(WINDOWS) if stretched else WINDOWS


def fingerprint(specs: Sequence[str]) -> str:
    """Return the names of the steps and eight hexadecimal digits of all they depend on, files included."""
    steps = read(specs)
    content = [repr((name, sorted((_OPTIONS[name] | options).items()))).encode() for name, options in steps]
    content += [Path(options["file"]).read_bytes() for name, options in steps if name == "blamed"]
    return "_".join(name for name, _ in steps) + "_" + hashlib.sha256(b"\0".join(content)).hexdigest()[:8]


@lru_cache(maxsize=8)
def blame_map(file: str) -> Float[np.ndarray, "*s"]:
    """Read `map` of an .npz file.

    Raises:
      UserError: there is no such file, or no such array in it.
    """
    try:
        with np.load(file, allow_pickle=False) as saved:
            return saved["map"].astype(np.float32)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"blamed(file='{file}') is no .npz with an array `map` ({str(error)[:80]}): give the file that "
            "`lensjax study edits` wrote."
        ) from None


def _share(name: str, share: float) -> None:
    if not 0 <= share < 1:
        raise UserError(f"{name}: a share of {share} would be cut in all; it must be at least 0, below 1.")


def _centres(n: int) -> Float[np.ndarray, "n"]:
    return (np.arange(n) + 0.5) / n


def _away(shape: tuple[int, ...]) -> Float[np.ndarray, "*s"]:
    """Distance from the middle as a fraction of the side: of an event that in time."""
    row, column = (np.abs(_centres(n) - 0.5) for n in shape[-2:])
    away = np.maximum(row[:, None], column) if len(shape) == 2 else column[None, :] + 0 * row[:, None]
    return np.broadcast_to(away, shape)


def _linear_weights(n: int, start: float, factor: float) -> Float[np.ndarray, "n n"]:
    """Linear interpolation at `start + factor · i`, which all lie within the n pixels."""
    at = start + factor * np.arange(n)[:, None]
    return np.maximum(1 - np.abs(at - np.arange(n)), 0)
