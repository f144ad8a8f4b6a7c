"""PNG files by the standard library: grey, colour, or a palette with transparency (W3C PNG).

Written here and not by Pillow because page.js recolours a map by writing a new palette at a fixed byte.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np


def encode(pixels: np.ndarray, palette: np.ndarray | None = None) -> bytes:
    """Return a PNG of uint8 [h w] (grey, or indices into `palette` uint8 [n 4]) or [h w 3] (colour).

    PLTE always starts at byte 33, where page.js replaces it to change the scale of a map.
    """
    colour_type = 3 if palette is not None else {2: 0, 3: 2}[pixels.ndim]
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels, np.uint8).reshape(height, -1)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0))]
    if palette is not None:
        chunks += [(b"PLTE", palette[:, :3].tobytes()), (b"tRNS", palette[:, 3].tobytes())]
    chunks += [(b"IDAT", zlib.compress(filtered.tobytes(), 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def data_uri(png: bytes) -> str:
    """Return a PNG as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
