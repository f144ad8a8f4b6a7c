"""Truth and prediction drawn over an image, as SVG in pixel coordinates."""

from __future__ import annotations

import numpy as np

from lensjax.report.entry import Entry, finite_pair
from lensjax.report.render import GAP, shrink, shrink_factor, side_by_side


def size(entry: Entry) -> tuple[int, int]:
    """(height, width) of the example as it is shown: windows side by side, averaged down."""
    *windows, height, width = entry.image.shape[:-1]
    factor = shrink_factor((height, width))
    height, width, count = -(-height // factor), -(-width // factor), (windows or [1])[0]
    return height, count * width + (count - 1) * GAP


def symbol(entry: Entry, name: str, pixel_scale: float | None) -> str:
    """An SVG `<symbol>` with the arc's outline, the true centre, the prediction and a scale bar."""
    height, width = size(entry)
    count = entry.image.shape[0] if entry.image.ndim == 4 else 1
    window = (width - (count - 1) * GAP) // count
    parts = [_mask(entry)]
    for shift in range(0, width, window + GAP):
        parts += [_prediction(entry, height, window, shift), _truth(entry, height, window, shift)]
    if pixel_scale and count == 1:
        parts.append(_bar(height, window, pixel_scale * shrink_factor(entry.image.shape[-3:-1])))
    body = "".join(parts)
    return f'<symbol id="{name}" viewBox="0 0 {width} {height}">{body}</symbol>'


def outline(mask: np.ndarray) -> str:
    """SVG path data along the pixel edges between True and False of bool [h w], runs joined."""
    padded = np.pad(mask.astype(np.int8), 1)
    across = np.diff(padded, axis=0)[:, 1:-1] != 0  # [h+1 w]: edge above row i
    down = np.diff(padded, axis=1)[1:-1] != 0  # [h w+1]: edge left of column j
    path = [f"M{start} {i}H{stop}" for i, line in enumerate(across) for start, stop in _runs(line)]
    path += [f"M{j} {start}V{stop}" for j, line in enumerate(down.T) for start, stop in _runs(line)]
    return "".join(path)


def _runs(line: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.pad(line.astype(np.int8), 1)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _mask(entry: Entry) -> str:
    if entry.mask is None or not np.any(entry.mask):
        return ""
    spatial, factor = entry.mask.ndim, shrink_factor(entry.mask.shape[-2:])
    small = shrink(entry.mask.astype(np.float32), factor, (spatial - 2, spatial - 1)) > 0
    path = outline(side_by_side(small, spatial, False))
    return f'<path class="mk edge" d="{path}"/><path class="mk arc" d="{path}"/>'


def _truth(entry: Entry, height: int, width: int, shift: int) -> str:
    if (pair := finite_pair(entry.true_position)) is None:
        return ""
    y, x, arm = pair[0] * height, shift + pair[1] * width, 0.035 * height
    path = f"M{x - arm:.2f} {y:.2f}H{x + arm:.2f}M{x:.2f} {y - arm:.2f}V{y + arm:.2f}"
    return f'<path class="mk case" d="{path}"/><path class="mk true" d="{path}"/>'


def _prediction(entry: Entry, height: int, width: int, shift: int) -> str:
    if (pair := finite_pair(entry.position)) is None:
        return ""
    y, x = pair[0] * height, shift + pair[1] * width
    centre = f'<circle class="mk dot" cx="{x:.2f}" cy="{y:.2f}" r="{0.012 * height:.2f}"/>'
    if (sigma := finite_pair(entry.position_sigma)) is None:
        shape = f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{0.05 * height:.2f}" class="mk {{}} dash"/>'
    else:
        ry, rx = sigma[0] * height, sigma[1] * width
        shape = f'<ellipse cx="{x:.2f}" cy="{y:.2f}" rx="{rx:.2f}" ry="{ry:.2f}" class="mk {{}}"/>'
    return shape.format("case") + shape.format("pred") + centre


def _bar(height: int, width: int, pixel_scale: float) -> str:
    lengths = [b for b in (60, 30, 10, 5, 2, 1, 0.5, 0.2, 0.1) if b / pixel_scale <= 0.35 * width]
    if not lengths:
        return ""
    length, y, x = lengths[0] / pixel_scale, 0.95 * height, 0.05 * width
    path = f"M{x:.2f} {y:.2f}H{x + length:.2f}"
    text = f'<text x="{x:.2f}" y="{y - 0.025 * height:.2f}" font-size="{0.06 * height:.2f}">'
    label = f"{text}{lengths[0]:g}″</text>"
    return f'<g class="bar"><path class="mk case" d="{path}"/><path class="mk rule" d="{path}"/>{label}</g>'
