"""Pure functions on one `Example`: units, and augmentations that positions, masks and light follow.

An augmentation takes an example and a NumPy generator and returns a new example; it draws the same numbers
whatever the image holds. Rows and columns are the last two axes of space, so events work as images do.
Images may be float16 (as stored) or float32; what only moves pixels keeps the type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lensjax.runtime.errors import UserError
from lensjax.spectrogram.colour_map import colour
from lensjax.types import Example, Float, Int, Num, Shaped

Augmentation = Callable[[Example, np.random.Generator], Example]


def asinh_units(
    flux: Num[np.ndarray, "*s c"], sigma: float | Num[np.ndarray, "c"]
) -> Float[np.ndarray, "*s c"]:
    """Convert flux to the project's units, asinh(flux / σ); σ is a band's background noise in flux units.

    The inverse hyperbolic sine magnitude of Lupton, Gunn & Szalay 1999, softened at the noise.
    """
    sigma = np.asarray(sigma, np.float32)
    if not (np.isfinite(sigma) & (sigma > 0)).all():
        raise UserError(f"sigma (={sigma}) must be finite and > 0 in every band: give the background noise.")
    return np.arcsinh(np.asarray(flux, np.float32) / sigma)


def as_pixels(image: Shaped[np.ndarray, "*s c"]) -> np.ndarray:
    """View the bands of a pixel as one opaque item: numpy then copies flipped views 5 times faster."""
    bands = image.shape[-1]
    return image.view(np.dtype((np.void, bands * image.itemsize)))[..., 0] if bands > 1 else image[..., 0]


# Of (row, column) when neither, columns, rows, or both are reversed: p to 1 - p.
_OFFSET = np.array([(0, 0), (0, 1), (1, 0), (1, 1)], np.float32)
_FLIP = 1 - 2 * _OFFSET


def with_light(example: Example, change: Callable[[np.ndarray], np.ndarray]) -> Example:
    """Change the noise-free light in the same way, where an example has it."""
    return {**example, "light": change(example["light"])} if "light" in example else example


def orient(example: Example, element: int) -> Example:
    """Apply symmetry 0 … 7 of the square: transpose if `element & 4`, then flip rows (2) and columns (1)."""

    def turn(image: np.ndarray) -> np.ndarray:
        return np.moveaxis(orient_plane(np.moveaxis(image, -1, 0), element), 0, -1)

    return {
        **with_light(example, turn),
        "image": turn(example["image"]),
        "mask": orient_plane(example["mask"], element),
        "position": orient_position(example["position"], np.asarray(element)),
    }


def orient_plane(plane: Shaped[np.ndarray, "*n h w"], element: int) -> Shaped[np.ndarray, "*n h w"]:
    """Apply `orient` to the last two axes of an array; a view."""
    plane = plane.swapaxes(-2, -1) if element & 4 else plane
    return plane[..., :: -1 if element & 2 else 1, :: -1 if element & 1 else 1]


def orient_position(
    position: Float[np.ndarray, "*b 2"], element: Int[np.ndarray, "*b"]
) -> Float[np.ndarray, "*b 2"]:
    """Apply `orient` to positions."""
    position = np.where((element & 4 > 0)[..., None], position[..., ::-1], position)
    return _FLIP[element & 3] * position + _OFFSET[element & 3]


def dihedral(example: Example, rng: np.random.Generator) -> Example:
    """Apply one of the eight rotations and reflections of a square image."""
    height, width = example["image"].shape[-3:-1]
    if example["image"].ndim != 3:
        raise UserError("'dihedral' is for images [h w c]: it would swap time and frequency of an event.")
    if height != width:
        raise UserError(f"'dihedral' needs square images, not {height}×{width}: use 'flips'.")
    return orient(example, ORIENTATIONS[dihedral](rng))


def flips(example: Example, rng: np.random.Generator) -> Example:
    """Reverse rows, columns, both or neither."""
    return orient(example, ORIENTATIONS[flips](rng))


def flip_rows(example: Example, rng: np.random.Generator) -> Example:
    return orient(example, ORIENTATIONS[flip_rows](rng))


def flip_columns(example: Example, rng: np.random.Generator) -> Example:
    return orient(example, ORIENTATIONS[flip_columns](rng))


ORIENTATIONS: dict[Augmentation, Callable[[np.random.Generator], int]] = {
    dihedral: lambda rng: int(rng.integers(8)),
    flips: lambda rng: int(rng.integers(4)),
    flip_rows: lambda rng: 2 * int(rng.integers(2)),
    flip_columns: lambda rng: int(rng.integers(2)),
}
"""The element of `orient` that each of these draws."""


def translate(example: Example, rows: int, columns: int) -> Example:
    """Move the content down and right by whole pixels; what comes in is sky (0) and no evidence."""
    image, mask = example["image"], example["mask"]
    height, width = mask.shape[-2:]
    (to_row, from_row), (to_column, from_column) = overlap(rows, height), overlap(columns, width)
    moved_mask = np.zeros(mask.shape, bool)

    def move(image: np.ndarray) -> np.ndarray:
        moved = np.zeros(image.shape, image.dtype)
        as_pixels(moved)[..., to_row, to_column] = as_pixels(image)[..., from_row, from_column]
        return moved

    moved_mask[..., to_row, to_column] = mask[..., from_row, from_column]
    moved_position = example["position"] + np.array([rows / height, columns / width], np.float32)
    followed = with_light(example, move)
    return {**followed, "image": move(image), "mask": moved_mask, "position": moved_position}


def overlap(step: int, size: int) -> tuple[slice, slice]:
    """Return where a line of `size` pixels lands when it is moved by `step`, and which of it."""
    return slice(max(step, 0), size + min(step, 0)), slice(max(-step, 0), size - max(step, 0))


def shift(example: Example, rng: np.random.Generator, share: float = 1 / 16) -> Example:
    """Translate by up to `share` of the image along each axis; a position stays inside the image.

    Raises:
      UserError: an event, whose windows are moved by different times.
    """
    if example["mask"].ndim != 2:
        raise UserError("'shift' is for images [h w c]: the windows of an event must stay nested.")
    steps = shift_steps(rng.random(2), example["position"], example["mask"].shape, share)
    return translate(example, *steps.tolist())


def shift_steps(
    draws: Float[np.ndarray, "*b 2"],
    position: Float[np.ndarray, "*b 2"],
    shape: tuple[int, ...],
    share: float = 1 / 16,
) -> Int[np.ndarray, "*b 2"]:
    """Return the pixels down and right of `shift` for uniform numbers from 0 to 1."""
    size = np.array(shape)
    reach = (size * share).astype(int)
    steps = (draws * (2 * reach + 1)).astype(int) - reach
    inside = (position >= 0) & (position < 1)  # never for NaN
    pixel = (np.where(inside, position, 0).astype(np.float64) * size).astype(int)
    return np.where(inside, np.clip(steps, -pixel, size - 1 - pixel), steps)


def noise(example: Example, rng: np.random.Generator, largest: float = 1.0) -> Example:
    """Simulate a shallower exposure: up to `largest` σ of white noise added, in units of the new noise."""
    amount = np.float32(rng.uniform(0, largest))
    image = np.asarray(example["image"], np.float32)
    flux = _sinh(image) + amount * rng.standard_normal(image.shape, np.float32)
    unit = np.sqrt(1 + amount**2)
    dimmed = with_light(example, lambda light: _arcsinh(_sinh(light.astype(np.float32)) / unit))
    return {**dimmed, "image": _arcsinh(flux / unit)}


def _sinh(x: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """`np.sinh` to 1e-6 in absolute value near 0; `exp` and `log` are vectorised and it is not."""
    grown = np.exp(x)
    return (grown - 1 / grown) / 2


def _arcsinh(x: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    size = np.abs(x)
    return np.copysign(np.log(size + np.sqrt(size * size + 1)), x)


def brightness(example: Example, rng: np.random.Generator, largest: float = 0.1) -> Example:
    """Simulate an uncertain calibration: the flux of each band times exp(U(-largest, largest))."""
    image = np.asarray(example["image"], np.float32)
    gain = np.exp(rng.uniform(-largest, largest, image.shape[-1:])).astype(np.float32)
    followed = with_light(example, lambda light: _arcsinh(_sinh(light.astype(np.float32)) * gain))
    return {**followed, "image": _arcsinh(_sinh(image) * gain)}


def band_dropout(example: Example, rng: np.random.Generator, probability: float = 0.25) -> Example:
    """Set one band to 0 with this probability; a lone band is kept."""
    bands = example["image"].shape[-1]
    missing, band = rng.random() < probability, int(rng.integers(bands))
    if not missing or bands == 1:
        return example
    kept = np.arange(bands) != band
    followed = with_light(example, lambda light: light * kept.astype(light.dtype))
    return {**followed, "image": example["image"] * kept.astype(example["image"].dtype)}


def band_limit(example: Example, rng: np.random.Generator, probability: float = 0.5) -> Example:
    """Remove all above 1.2–2 kHz from an event with this probability, as in slowly sampled strain.

    Strain at 4096 Hz carries the Q planes up to 1.3–1.9 kHz (`spectrogram.q_planes.describe_reach`).
    """
    limited, draw = rng.random() < probability, rng.random()
    image = example["image"]
    if image.ndim != 4:
        raise UserError(f"'band_limit' is for events [t h w c]; the image has shape {image.shape}.")
    rows = round(draw * image.shape[1] * np.log(2048 / 1200) / np.log(2048 / 10))
    mask = example["mask"].copy()
    mask[:, :rows] = False
    # What would lose its evidence or its peak stays: noise must not be taught as a class.
    lost = (example["mask"].any() and not mask.any()) or example["position"][0] * image.shape[1] < rows
    if not limited or rows == 0 or lost:
        return example
    cut, nothing = image.copy(), 0 if image.shape[-1] == 1 else colour(np.zeros((), np.float32))
    cut[:, :rows] = nothing if image.dtype == np.uint8 else nothing / 255
    return {**example, "image": cut, "mask": mask}


AUGMENTATIONS: dict[str, Augmentation] = {
    "dihedral": dihedral,
    "flips": flips,
    "flip_rows": flip_rows,
    "flip_columns": flip_columns,
    "shift": shift,
    "noise": noise,
    "brightness": brightness,
    "band_dropout": band_dropout,
    "band_limit": band_limit,
}
KEEP_TYPE = (dihedral, flips, flip_rows, flip_columns, shift, band_dropout, band_limit)
"""Those augmentations that leave an image in its stored type."""


def augmentations(names: Sequence[str | Augmentation]) -> tuple[Augmentation, ...]:
    """Return functions for names of `AUGMENTATIONS`; functions of your own pass through.

    Raises:
      UserError: unknown name, with the choices.
    """
    unknown = [name for name in names if isinstance(name, str) and name not in AUGMENTATIONS]
    if unknown:
        raise UserError(f"unknown augmentation '{unknown[0]}': choose from {', '.join(AUGMENTATIONS)}.")
    return tuple(AUGMENTATIONS[name] if isinstance(name, str) else name for name in names)


def augment(example: Example, rng: np.random.Generator, steps: Sequence[Augmentation]) -> Example:
    """Apply the augmentations one after another, all drawing from one generator."""
    for step in steps:
        example = step(example, rng)
    return example
