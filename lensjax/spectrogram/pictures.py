"""Turn scans into network inputs: draw them at the resolution of the official pictures, and encode them."""

from __future__ import annotations

from typing import Any, get_args

import jax.numpy as jnp
import numpy as np

from lensjax.event_axes import CLIP, Encoding
from lensjax.runtime.errors import UserError
from lensjax.spectrogram.colour_map import colour
from lensjax.spectrogram.q_planes import ScanConfig
from lensjax.spectrogram.qtransform import Scan, q_scan, q_scan_all_planes
from lensjax.types import Array, Float


def get_picture_options(size: tuple[int, int], encoding: str) -> dict[str, Any]:
    """Return fields of a ScanConfig for pictures like the official ones: drawn finely, clipped, averaged.

    420 rows are near the official 479, whose columns of the 4 s window are 7 ms wide, as short as a blip.
    """
    clip = float("inf") if encoding == "log" else CLIP
    return {"shape": size, "oversample": max(1, round(420 / size[0])), "clip": clip}


def scan_pictures(
    whitened: Float[Array, "n"], config: ScanConfig, plane: str, centre: Array | float = 0.0
) -> tuple[Scan, Float[Array, "t h w planes"]]:
    """Scan a block; return the scan and the energy shown of it: of one plane, or of `all`."""
    scan = q_scan(whitened, config, centre, None if plane in ("loudest", "all") else int(plane))
    if plane != "all":
        return scan, scan.energy[..., None]
    return scan, jnp.moveaxis(q_scan_all_planes(whitened, config, centre), 0, -1)


def encode(energy: Float[np.ndarray, "*s planes"], encoding: str) -> np.ndarray:
    """Encode normalised energy as it is stored, [*s c]: uint8 of `clipped` or `rgb`, float16 of `log`.

    Raises:
      UserError: unknown encoding.
    """
    if encoding == "log":
        return np.log1p(energy).astype(np.float16)
    fraction = np.clip(energy, 0, CLIP) / CLIP
    if encoding == "clipped":
        return np.round(255 * fraction).astype(np.uint8)
    if encoding == "rgb":
        return colour(fraction[..., 0])
    raise UserError(f"encoding '{encoding}' is unknown; choose {', '.join(get_args(Encoding))}.")
