"""What a card of an event has in place of a photograph: its windows with axes, and who decided what."""

from __future__ import annotations

import numpy as np

from lensjax.event_axes import CLIP, EventGrid
from lensjax.report import event_windows, pixels
from lensjax.report.entry import Entry, finite_pair
from lensjax.report.page import png, svg_marks
from lensjax.report.page.filters import esc, fraction, number


def image_tile(entry: Entry, index: int, grid: EventGrid, log: bool) -> str:
    """Windows side by side on one colour scale, with their axes, and what each of them says."""
    plot = _plot(png.data_uri(picture(entry, log)), alt(entry, grid), index, grid)
    missing = int(np.sum(~np.isfinite(entry.image)))
    gone = f" {number(missing)} missing values are shown as 0." if missing else ""
    return (
        f'<figure class="tile image"><button class="zoom" aria-label="Enlarge the event {esc(entry.id)}">'
        f"{plot}</button>{decisions(entry)}"
        f'<figcaption>Normalised energy <i class="ramp e"></i> 0 to {CLIP:g}; Hz, and seconds from '
        f"the trigger.{_decided(entry)}{gone}</figcaption></figure>"
    )


def picture(entry: Entry, log: bool) -> bytes:
    """A PNG of the energy in viridis; colours as they are."""
    layout = pixels.layouts(entry.image.shape[:-1])[0]
    if event_windows.is_colour(entry.image):
        small = pixels.shrink(entry.image.astype(np.float32), layout.factor, (1, 2))
        return png.encode(pixels.side_by_side(event_windows.colours(small), 3, 255, layout.gap))
    small = pixels.shrink(event_windows.energy(entry.image, log), layout.factor, (1, 2))
    joined = pixels.side_by_side(event_windows.indices(small / CLIP), 3, event_windows.BETWEEN, layout.gap)
    return png.encode(joined, event_windows.palette("viridis"))


def under(entry: Entry, log: bool) -> bytes:
    """A grey PNG on the pixels of the maps."""
    layout = pixels.layouts(entry.image.shape[:-1])[1]
    small = pixels.shrink(event_windows.grey(entry.image, log), layout.factor, (1, 2))
    joined = pixels.side_by_side(event_windows.indices(small), 3, event_windows.BETWEEN, layout.gap)
    return png.encode(joined, event_windows.palette("gray"))


def _plot(uri: str, words: str, index: int, grid: EventGrid) -> str:
    """Axes around the windows; page.js takes them for an enlarged map too."""
    heads = "".join(f"<b>{length:g} s</b>" for length in grid.windows)
    rows = "".join(
        f'<i style="top:{100 * at:.1f}%">{text}</i>' for at, text in event_windows.frequency_ticks(grid)
    )
    columns = "".join(
        "<b>"
        + "".join(
            f'<i style="left:{100 * at:.0f}%">{text}</i>' for at, text in event_windows.time_ticks(grid, i)
        )
        + "</b>"
        for i in range(len(grid.windows))
    )
    return (
        f'<span class="plot" style="--windows:{len(grid.windows)}"><span class="heads">{heads}</span>'
        f'<span class="freq">{rows}</span><span class="stack"><img class="photo" src="{uri}" alt="{words}"/>'
        f'{svg_marks.use(index)}</span><span class="time">{columns}</span></span>'
    )


def decisions(entry: Entry) -> str:
    """Under each window its weight in the pooling, and its own class, where the network has either."""
    weights, each = entry.window_weights, entry.window_probabilities
    if weights is None and each is None:
        return ""
    cells = []
    for i in range(entry.image.shape[0]):
        bar = line = ""
        if weights is not None:
            share = float(weights[i])
            top = " most" if i == int(np.argmax(weights)) else ""
            track = f'<span class="track"><i style="width:{100 * share:.1f}%"></i></span>'
            bar = f'<span class="weight{top}">{track}<b>{esc(fraction(share))}</b></span>'
        if each is not None:
            k = int(np.argmax(each[i]))
            agrees = ' class="agrees"' if k == entry.predicted else ""
            name = esc(entry.classes[k]).replace("_", "_<wbr>")
            line = f"<span{agrees}>{name} {esc(fraction(float(each[i][k])))}</span>"
        cells.append(f"<div>{bar}{line}</div>")
    return f'<div class="decisions" style="--windows:{entry.image.shape[0]}">{"".join(cells)}</div>'


def _decided(entry: Entry) -> str:
    """What stands under the windows, in words."""
    bars = " Bars: weight of a window." if entry.window_weights is not None else ""
    return bars + (" Below: its own answer." if entry.window_probabilities is not None else "")


def position(entry: Entry, grid: EventGrid) -> str:
    """Time and frequency of the peak as predicted, its stated spread, the truth, and the error."""
    if (said := event_windows.peak(entry.position, grid)) is None:
        return ""
    lines = [("Predicted peak", _peak(*said))]
    if (true := event_windows.peak(entry.true_position, grid)) is not None:
        lines.append(("True peak", _peak(*true)))
    if (spread := event_windows.sigmas(entry, grid)) is not None:
        lines.append(("Stated 1σ", _spread(*spread)))
    if (error := event_windows.errors(entry, grid)) is not None:
        lines.append(("Error", f"<b>{_spread(*map(abs, error))}</b>"))
    rows = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in lines)
    return f'<dl class="where">{rows}</dl>'


def alt(entry: Entry, grid: EventGrid) -> str:
    """The event in words: windows, evidence, where the peak is and where it is said to be."""
    parts = [f"Energy of {entry.id} in windows of {event_windows.lengths(grid)}"]
    if entry.mask is not None and entry.mask.any():
        parts.append(f"true evidence covers {fraction(float(entry.mask.mean()))} of it, outlined")
    for name, pair in (("true peak", entry.true_position), ("predicted peak", entry.position)):
        if finite_pair(pair) is not None and (at := event_windows.peak(pair, grid)) is not None:
            parts.append(f"{name} at {_peak(*at)}")
    return esc("; ".join(parts))


def _peak(time: float, frequency: float) -> str:
    return f"{1e3 * time:+.1f} ms, {frequency:.{0 if frequency >= 100 else 1}f} Hz".replace("-", "−")


def _spread(time: float, octaves: float) -> str:
    return f"{time:.1f} ms, {octaves:.2f} octaves"
