"""Multi-Q scan of whitened strain: normalised energy in four nested windows around a trigger.

Chatterji et al. 2004, CQG 21 S1809 (gr-qc/0412119). Each row of tiles is an inverse FFT of a few bins of the
block's spectrum under a window; its energy is divided by the row's median. The plane shown is that of the
loudest tile near the centre, as in the official pictures, or a given one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.runtime.errors import UserError
from lensjax.spectrogram.q_energy import Medians, compute_rows
from lensjax.spectrogram.q_planes import RowLayout, ScanConfig, lay_out_rows, plan
from lensjax.types import Array, Float, Int, Num


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Scan:
    """Energy of an event and its loudest tile. The median of noise is 1, its mean 1/ln 2.

    A pytree: `vmap` puts a leading axis on everything.
    """

    energy: Any  # float32 [windows h w], not clipped, the highest frequency in row 0; 0 where there is none
    plane: Any  # int32 []
    q: Any  # float32 []
    peak_energy: Any  # float32 []
    peak_time: Any  # float32 [], seconds from the centre
    peak_frequency: Any  # float32 [], Hz
    plane_peaks: Any  # float32 [planes], 0 for planes not looked at


def _draw_picture(
    columns: Float[Array, "rows columns"], config: ScanConfig, rows: RowLayout, plane: Int[Array, ""]
) -> Float[Array, "windows h w"]:
    """Draw one plane, linear in log frequency between rows, pixels are made of their samples."""
    share = jnp.asarray(rows.share)[plane][:, None]
    below, above = jnp.asarray(rows.below)[plane], jnp.asarray(rows.above)[plane]
    image = columns[below] * (1 - share) + columns[above] * share
    image = jnp.where(jnp.asarray(rows.covered)[plane][:, None], image, 0.0)
    (height, width), n = config.shape, config.oversample
    samples = jnp.minimum(image, config.clip).reshape(height, n, len(config.windows), width, n)
    pixels = samples.max((1, 4)) if config.reduce == "max" else samples.mean((1, 4))
    return pixels.swapaxes(0, 1)


def _spectrum(whitened: Float[Array | np.ndarray, " n"], config: ScanConfig) -> Num[Array, " f"]:
    """Return the spectrum of a block, refusing one of the wrong length or with NaN."""
    if len(whitened) != config.samples:
        raise UserError(
            f"the whitened block holds {len(whitened)} samples, the scan wants {config.samples} "
            f"({config.duration:g} s at {config.sample_rate:g} Hz); cut it or change ScanConfig."
        )
    if not isinstance(whitened, jax.core.Tracer) and not np.isfinite(whitened).all():
        raise UserError("the whitened block holds values that are no numbers; choose one without a gap.")
    # A window shorter than the widest of its batch may be cut beyond the last bin.
    spare = max(batch.bins for batch in _lay_out_all(config).batches)
    return jnp.pad(jnp.fft.rfft(jnp.asarray(whitened, jnp.float32)), (0, spare))


def _lay_out_all(config: ScanConfig) -> RowLayout:
    return lay_out_rows(config, tuple(range(len(plan(config).planes))))


def _scan(
    spectrum: Num[Array, " f"],
    config: ScanConfig,
    rows: RowLayout,
    centre: Float[Array, ""],
    medians: Medians,
) -> Scan:
    """Scan the planes of a layout; the plane is counted within the layout."""
    kept = compute_rows(spectrum, config, rows, centre, medians)
    own = np.arange(len(rows.below))[:, None] == rows.plane
    table = jnp.where(own, kept.peak_energy, -1.0)
    peaks = jnp.max(table, -1)
    plane = jnp.argmax(peaks)
    row = jnp.argmax(table, -1)[plane]
    return Scan(
        _draw_picture(kept.columns, config, rows, plane),
        plane.astype(jnp.int32),
        jnp.asarray(rows.q)[plane],
        peaks[plane],
        kept.peak_time[row],
        jnp.asarray(rows.frequency)[row],
        peaks,
    )


def _check_options(config: ScanConfig, plane: int | Array | None, medians: str) -> None:
    if medians not in ("measured", "white"):
        raise UserError(f"medians '{medians}' unknown; choose measured or white.")
    number = len(plan(config).planes)
    if isinstance(plane, int | np.integer) and not 0 <= plane < number:
        raise UserError(f"plane {plane} does not exist; choose 0 to {number - 1}.")


def q_scan(
    whitened: Float[Array | np.ndarray, " n"],
    config: ScanConfig,
    centre: float | Float[Array, ""] | None = None,
    plane: int | Int[Array, ""] | None = None,
    medians: Medians = "measured",
) -> Scan:
    """Scan around `centre`, seconds from the middle of the block, on the loudest plane or a given one.

    `whitened` has unit variance a sample. May be jitted (config static) and vmapped; with a given plane its
    rows alone are computed. Over several events `jax.lax.map` is faster than `vmap` on a CPU.

    Raises:
      UserError: the block has another length than the config says or holds no numbers, a name or a plane is
        unknown, or the config asks for an impossible scan (`plan`).
    """
    _check_options(config, plane, medians)
    spectrum = _spectrum(whitened, config)
    middle = jnp.asarray(0.0 if centre is None else centre, jnp.float32)
    if plane is None:
        return _scan(spectrum, config, _lay_out_all(config), middle, medians)

    planes = range(len(plan(config).planes))
    alone = [lambda p=p: _scan(spectrum, config, lay_out_rows(config, (p,)), middle, medians) for p in planes]
    scan = alone[int(plane)]() if isinstance(plane, int | np.integer) else jax.lax.switch(plane, alone)
    peaks = jnp.zeros(len(planes)).at[plane].set(scan.peak_energy)
    return replace(scan, plane=jnp.asarray(plane, jnp.int32), plane_peaks=peaks)


def q_scan_all_planes(
    whitened: Float[Array | np.ndarray, " n"],
    config: ScanConfig,
    centre: float | Float[Array, ""] | None = None,
    medians: Medians = "measured",
) -> Float[Array, "planes windows h w"]:
    """Return the energy around `centre` on every plane; the official pictures show one.

    Raises:
      UserError: as `q_scan`.
    """
    _check_options(config, None, medians)
    middle = jnp.asarray(0.0 if centre is None else centre, jnp.float32)
    rows = _lay_out_all(config)
    kept = compute_rows(_spectrum(whitened, config), config, rows, middle, medians)
    return jnp.stack(
        [_draw_picture(kept.columns, config, rows, jnp.int32(p)) for p in range(len(rows.below))]
    )
