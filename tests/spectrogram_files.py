"""Made-up pictures of events, as files in the Kaggle layout."""

import functools
import io
from pathlib import Path

import numpy as np
from PIL import Image

from lensjax.event_axes import WINDOWS
from lensjax.spectrogram.colour_map import colour


@functools.cache
def figure(fraction: float) -> bytes:
    """A white 800×600 figure whose axes hold one energy."""
    pixels = np.full((600, 800, 4), 255, np.uint8)
    pixels[62:539, 102:673, :3] = colour(np.array(fraction))
    return png(pixels)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def write(folder: Path, place: str, windows=WINDOWS, data: bytes | None = None) -> None:
    """An event at split/split/Label/IFO_id, the energy of a window telling which it is."""
    for window in windows:
        path = folder / f"{place}_spectrogram_{window}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data or figure(window / 5))
