"""Truth and prediction drawn over an image: lengths and paths in pixels, for marks.svg.j2."""

from __future__ import annotations

from typing import Any

import numpy as np

from lensjax.event_axes import EventGrid
from lensjax.report.entry import Entry, finite_pair
from lensjax.report.event_windows import locate_in_window, zoom
from lensjax.report.pixels import PictureLayout, join_windows, layouts, shrink


def view_marks(
    entry: Entry, name: str, pixel_scale: float | None, events: EventGrid | None = None
) -> dict[str, Any]:
    """Return the evidence's outline, the true place, the prediction and a scale bar, of every window."""
    layout = layouts(entry.image.shape[:-1])[0]
    height, width = layout.height, layout.width
    sigma = finite_pair(entry.position_sigma)
    predictions, truths = [], []
    for window in range(layout.windows):
        shift = window * (width + layout.gap)
        if (at := locate_in_window(entry.position, events, window)) is not None:
            rx = ry = 0.05 * height
            if sigma is not None:
                rx, ry = sigma[1] / zoom(events, window) * width, sigma[0] * height
            place = {"x": shift + at[1] * width, "y": at[0] * height, "rx": rx, "ry": ry}
            predictions.append({k: f"{v:.2f}" for k, v in place.items()} | {"has_sigma": sigma is not None})
        if (at := locate_in_window(entry.true_position, events, window)) is not None:
            y, x, arm = at[0] * height, shift + at[1] * width, 0.035 * height
            truths.append(f"M{x - arm:.2f} {y:.2f}H{x + arm:.2f}M{x:.2f} {y - arm:.2f}V{y + arm:.2f}")
    bar = None
    if pixel_scale and layout.windows == 1:
        bar = _view_bar(height, width, pixel_scale * layout.factor)
    return {
        "name": name,
        "width": layout.total,
        "height": height,
        "outline": _outline_evidence(entry, layout),
        "predictions": predictions,
        "truths": truths,
        "dot": f"{0.012 * height:.2f}",
        "bar": bar,
    }


def outline(mask: np.ndarray) -> str:
    """Return SVG path data along the pixel edges between True and False of bool [h w], runs joined."""
    padded = np.pad(mask.astype(np.int8), 1)
    across = np.diff(padded, axis=0)[:, 1:-1] != 0  # [h+1 w]: edge above row i
    down = np.diff(padded, axis=1)[1:-1] != 0  # [h w+1]: edge left of column j
    path = [f"M{start} {i}H{stop}" for i, line in enumerate(across) for start, stop in _find_runs(line)]
    path += [f"M{j} {start}V{stop}" for j, line in enumerate(down.T) for start, stop in _find_runs(line)]
    return "".join(path)


def _find_runs(line: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.pad(line.astype(np.int8), 1)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _outline_evidence(entry: Entry, layout: PictureLayout) -> str:
    if entry.mask is None or not np.any(entry.mask):
        return ""
    spatial = entry.mask.ndim
    small = shrink(entry.mask.astype(np.float32), layout.factor, (spatial - 2, spatial - 1)) > 0
    return outline(join_windows(small, spatial, False, layout.gap))


def _view_bar(height: int, width: int, pixel_scale: float) -> dict[str, str] | None:
    """Return the longest round length, in arcseconds, that fits a third of the image."""
    lengths = [b for b in (60, 30, 10, 5, 2, 1, 0.5, 0.2, 0.1) if b / pixel_scale <= 0.35 * width]
    if not lengths:
        return None
    length, y, x = lengths[0] / pixel_scale, 0.95 * height, 0.05 * width
    return {
        "path": f"M{x:.2f} {y:.2f}H{x + length:.2f}",
        "x": f"{x:.2f}",
        "y": f"{y - 0.025 * height:.2f}",
        "size": f"{0.06 * height:.2f}",
        "text": f"{lengths[0]:g}″",
    }
