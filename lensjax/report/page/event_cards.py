"""Cards for events show time–frequency windows instead of an RGB image."""

from __future__ import annotations

from typing import Any

import numpy as np

from lensjax.event_axes import CLIP, EventGrid
from lensjax.report import event_windows, pixels
from lensjax.report.entry import Entry, finite_pair
from lensjax.report.page import png
from lensjax.report.page.filters import fraction, number


def view_picture(entry: Entry, grid: EventGrid, log: bool) -> dict[str, Any]:
    """Return windows side by side on one colour scale, with their axes, and what each of them says."""
    missing = pixels.count_missing(entry.image)
    notes = " Bars: weight of a window." if entry.window_weights is not None else ""
    notes += " Below: its own answer." if entry.window_probabilities is not None else ""
    notes += f" {number(missing)} missing values are shown as 0." if missing else ""
    return {
        "uri": png.data_uri(encode_energy(entry, log)),
        "words": describe(entry, grid),
        "frequencies": event_windows.frequency_ticks(grid),
        "windows": [
            {"name": f"{length:g} s", "times": event_windows.time_ticks(grid, i)}
            for i, length in enumerate(grid.windows)
        ],
        "clip": f"{CLIP:g}",
        "notes": notes,
    }


def encode_energy(entry: Entry, log: bool) -> bytes:
    """Return a PNG of the energy in viridis; an image that is coloured already stays as it is."""
    layout = pixels.layouts(entry.image.shape[:-1])[0]
    if event_windows.is_colour(entry.image):
        small = pixels.shrink(entry.image.astype(np.float32), layout.factor, (1, 2))
        return png.encode(pixels.join_windows(event_windows.colours(small), 3, 255, layout.gap))
    small = pixels.shrink(event_windows.energy(entry.image, log), layout.factor, (1, 2))
    return _encode(small / CLIP, layout.gap, "viridis")


def encode_grey(entry: Entry, log: bool) -> bytes:
    """Return a grey PNG on the pixels of the maps, to lie under them."""
    layout = pixels.layouts(entry.image.shape[:-1])[1]
    return _encode(
        pixels.shrink(event_windows.grey(entry.image, log), layout.factor, (1, 2)), layout.gap, "gray"
    )


def _encode(shares: np.ndarray, gap: int, colour_map: str) -> bytes:
    joined = pixels.join_windows(event_windows.indices(shares), 3, event_windows.BETWEEN, gap)
    return png.encode(joined, event_windows.palette(colour_map))


def view_position(entry: Entry, grid: EventGrid) -> list[tuple[str, str, bool]]:
    """Return time and frequency of the peak as predicted, its stated spread, the truth, and the error."""
    if (said := event_windows.peak(entry.position, grid)) is None:
        return []
    lines = [("Predicted peak", _peak(*said), False)]
    if (true := event_windows.peak(entry.true_position, grid)) is not None:
        lines.append(("True peak", _peak(*true), False))
    if (spread := event_windows.sigmas(entry, grid)) is not None:
        lines.append(("Stated 1σ", _spread(*spread), False))
    if (error := event_windows.errors(entry, grid)) is not None:
        lines.append(("Error", _spread(*map(abs, error)), True))
    return lines


def describe(entry: Entry, grid: EventGrid) -> str:
    """Return the event in words: windows, evidence, where the peak is and where the network puts it."""
    parts = [f"Energy of {entry.id} in windows of {event_windows.describe_lengths(grid)}"]
    if entry.mask is not None and entry.mask.any():
        parts.append(f"true evidence covers {fraction(float(entry.mask.mean()))} of it, outlined")
    for name, pair in (("true peak", entry.true_position), ("predicted peak", entry.position)):
        if finite_pair(pair) is not None and (at := event_windows.peak(pair, grid)) is not None:
            parts.append(f"{name} at {_peak(*at)}")
    return "; ".join(parts)


def _peak(time: float, frequency: float) -> str:
    return f"{1e3 * time:+.1f} ms, {frequency:.{0 if frequency >= 100 else 1}f} Hz".replace("-", "−")


def _spread(time: float, octaves: float) -> str:
    return f"{time:.1f} ms, {octaves:.2f} octaves"
