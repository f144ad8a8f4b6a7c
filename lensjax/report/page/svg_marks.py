"""Truth and prediction drawn over an image, as SVG in pixel coordinates."""

from __future__ import annotations

import numpy as np

from lensjax.event_axes import EventGrid
from lensjax.report.entry import Entry, finite_pair
from lensjax.report.event_windows import in_window, zoom
from lensjax.report.pixels import Layout, layouts, shrink, side_by_side

Pair = tuple[float, float]


def symbol(entry: Entry, name: str, pixel_scale: float | None, events: EventGrid | None = None) -> str:
    """An SVG `<symbol>` with the evidence's outline, the true place, the prediction and a scale bar."""
    layout = layouts(entry.image.shape[:-1])[0]
    height, width = layout.height, layout.width
    parts, sigma = [_mask(entry, layout)], finite_pair(entry.position_sigma)
    for window in range(layout.windows):
        shift = window * (width + layout.gap)
        if (at := in_window(entry.position, events, window)) is not None:
            spread = None if sigma is None else (sigma[0], sigma[1] / zoom(events, window))
            parts.append(_prediction(at, spread, height, width, shift))
        if (at := in_window(entry.true_position, events, window)) is not None:
            parts.append(_truth(at, height, width, shift))
    if pixel_scale and layout.windows == 1:
        parts.append(_bar(height, width, pixel_scale * layout.factor))
    body = "".join(parts)
    return f'<symbol id="{name}" viewBox="0 0 {layout.total} {height}">{body}</symbol>'


def use(index: int) -> str:
    """The symbol of an entry, laid over a picture or a map."""
    return f'<svg class="marks" aria-hidden="true"><use href="#s{index}"/></svg>'


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


def _mask(entry: Entry, layout: Layout) -> str:
    if entry.mask is None or not np.any(entry.mask):
        return ""
    spatial = entry.mask.ndim
    small = shrink(entry.mask.astype(np.float32), layout.factor, (spatial - 2, spatial - 1)) > 0
    path = outline(side_by_side(small, spatial, False, layout.gap))
    return f'<path class="mk edge" d="{path}"/><path class="mk arc" d="{path}"/>'


def _truth(pair: Pair, height: int, width: int, shift: int) -> str:
    y, x, arm = pair[0] * height, shift + pair[1] * width, 0.035 * height
    path = f"M{x - arm:.2f} {y:.2f}H{x + arm:.2f}M{x:.2f} {y - arm:.2f}V{y + arm:.2f}"
    return f'<path class="mk case" d="{path}"/><path class="mk true" d="{path}"/>'


def _prediction(pair: Pair, sigma: Pair | None, height: int, width: int, shift: int) -> str:
    y, x = pair[0] * height, shift + pair[1] * width
    centre = f'<circle class="mk dot" cx="{x:.2f}" cy="{y:.2f}" r="{0.012 * height:.2f}"/>'
    if sigma is None:
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
