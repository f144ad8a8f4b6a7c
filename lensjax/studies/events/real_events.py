"""Test a network on real strain: the first detections, and parts of the same files without a signal.

    lensjax study real-events runs/events_demo [--data DATA/ligo_strain] [--csv table.csv]

Classifies GW150914 (H1, L1), LVT151012 (H1) and GW151226 (H1, L1) at their published times, two unlabelled
transients, and eight times in each file at least 3 s from the event. For GW150914 the published template,
fitted in amplitude, phase and time and whitened by the noise of the file, gives the evidence. The command
prints the share of each map's positive part inside its track, that of trivial maps, and chance.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import jax.numpy as jnp
import numpy as np

from lensjax.data.strain.strain_files import Strain, read_strain
from lensjax.data.strain.strain_scan import around, block_at, event_at, whitened
from lensjax.inspection import default_methods, maps
from lensjax.inspection.restore import Trained, restore
from lensjax.inspection.strain_events import settings
from lensjax.runtime import logs
from lensjax.simulate.events.glitches import MASK_ENERGY, MASK_FRACTION, make_evidence_config
from lensjax.specs import MethodSpec
from lensjax.spectrogram.pictures import get_picture_options
from lensjax.spectrogram.qtransform import q_scan
from lensjax.spectrogram.whitening import measure_asd, whiten
from lensjax.studies import common

EVENTS = (
    ("GW150914", "H-H1_LOSC_4_V2-1126259446-32.hdf5", 1126259462.4),
    ("GW150914", "L-L1_LOSC_4_V2-1126259446-32.hdf5", 1126259462.4),
    ("LVT151012", "H-H1_LOSC_4_V2-1128678884-32.hdf5", 1128678900.4),
    ("GW151226", "H-H1_LOSC_4_V2-1135136334-32.hdf5", 1135136350.6),
    ("GW151226", "L-L1_LOSC_4_V2-1135136334-32.hdf5", 1135136350.6),
)
TRANSIENTS = {EVENTS[2][1]: 5.69, EVENTS[3][1]: 4.80}
"""Seconds from the start of the file."""
OFF_SOURCE = (3.5, 8.0, 10.5, 13.0, 20.0, 22.5, 25.0, 28.0)
"""Seconds from the start of the file; the events are at 16.4 to 16.6."""
TEMPLATE = "GW150914_4_template.hdf5"


@dataclass(frozen=True)
class RealEventOptions:
    run: common.Run
    data: Path | None = None
    """Folder of the strain files; ligo_strain of LENSJAX_REAL_DATA where none is given."""
    csv: Path | None = None
    """File for the table."""


def read_items(trained: Trained, folder: Path) -> list[maps.Item]:
    """Read events, transients and off-source times of all files; the field `kind` distinguishes them."""
    wanted, items = settings(trained), []
    for name, file, gps in logs.progress(EVENTS, "scanning", unit="file"):
        strain = read_strain(folder / file)
        times = [(name, gps)]
        times += [("unlabelled transient", strain.gps_start + TRANSIENTS[file])] if file in TRANSIENTS else []
        times += [("off source", strain.gps_start + offset) for offset in OFF_SOURCE]
        for kind, time in times:
            image, scan, _ = event_at(strain, time, **wanted)
            note = f"energy {float(scan.peak_energy):6.1f} at {float(scan.peak_frequency):5.0f} Hz"
            item = maps.Item(f"{strain.detector} {time:.3f}", file, image, kind=kind, notes=(note,))
            if kind == "GW150914":
                item = replace(
                    item, mask=mark_track(strain, gps, folder / TEMPLATE, int(scan.plane), wanted["size"])
                )
            items.append(item)
    return items


def mark_track(strain: Strain, gps: float, template: Path, plane: int, size: tuple[int, int]) -> np.ndarray:
    """Return where the fitted template alone is loud, by the rule of the simulations: bool [t h w]."""
    local = around(strain, gps)
    white = whitened(local)
    signal = replace(white, values=fit_template(template, local, white.values, gps - white.gps_start))
    block, config, centre = block_at(signal, gps, **get_picture_options(size, "clipped"))
    scan = q_scan(
        jnp.asarray(block), make_evidence_config(config), centre=centre, plane=plane, medians="white"
    )
    return np.asarray(scan.energy > jnp.maximum(MASK_ENERGY, MASK_FRACTION * scan.peak_energy))


def fit_template(template: Path, local: Strain, data: np.ndarray, at: float) -> np.ndarray:
    """Return the whitened template at time, phase and amplitude of its loudest match within 0.1 s of `at`."""
    with h5py.File(template) as file:
        both = file["template"][()].astype(np.float64)
    n, noise = len(local.values), measure_asd(local.values, local.sample_rate)
    edge = (n - len(data)) // 2
    # Coalescence is put in the middle: whitening spoils the ends.
    middle = np.argmax(both[0] ** 2 + both[1] ** 2)
    both = np.roll(both, n // 2 - middle, axis=1)
    waves = [np.asarray(whiten(wave, local.sample_rate, asd=noise))[edge:-edge] for wave in both]
    spectra = [np.conj(np.fft.rfft(wave)) * np.fft.rfft(data) for wave in waves]
    match = [np.fft.irfft(spectrum, len(data)) / np.sum(waves[0] ** 2) for spectrum in spectra]
    lags = np.arange(len(data))
    time = ((lags + n // 2 - edge) % len(data)) / local.sample_rate
    near = np.abs(time - at) < 0.1
    lag = int(lags[near][np.hypot(*match)[near].argmax()])
    size = np.hypot(match[0][lag], match[1][lag]) * np.sqrt(np.sum(waves[0] ** 2))
    print(f"{local.detector}: template matches with signal-to-noise {size:.1f} at {time[lag] - at:+.4f} s")
    return sum(np.roll(wave, lag) * one[lag] for wave, one in zip(waves, match, strict=True)).astype(
        np.float32
    )


def print_shares(trained: Trained, items: list[maps.Item]) -> None:
    """Print the share of energy inside the track of each map, of each item with a mask."""
    known = [item for item in items if item.mask is not None]
    names = [
        name for name, *_ in default_methods.default_methods(trained) if name in ("attention", "grad_cam")
    ]
    methods = default_methods.add_trivial([MethodSpec(name, name, {}) for name in names])
    found, _ = common.make_maps(trained, known, methods, target="Chirp", chunk=2)
    scores = maps.score(known, found)
    print("\nshare of the positive part inside the template's track (score: log odds of Chirp)")
    print(f"{'':20s}" + "".join(f"{item.id:>20s}" for item in known))
    print(f"{'chance':20s}" + "".join(f"{item.mask.mean():20.3f}" for item in known if item.mask is not None))
    for name, values in scores.items():
        print(f"{name:20s}" + "".join(f"{value:20.3f}" for value in values["energy_inside"]))


def main(options: RealEventOptions) -> None:
    """Print the class of every stretch, what the off-source times are called, and the shares of the maps."""
    trained = restore(options.run)
    items = read_items(trained, common.real_data_folder("ligo_strain", given=options.data))
    predicted = maps.predict(trained, items, 8)
    chirp = trained.classes.index("Chirp")
    rows = [
        (item.kind, item.id, trained.classes[c], f"{p[c]:.3f}", f"{p[chirp]:.3f}", item.notes[0])
        for item, c, p in zip(items, predicted.classes, predicted.probabilities, strict=True)
    ]
    for row in rows:
        print("{:21s} {:18s} {:20s} p {}  p(Chirp) {}  {}".format(*row))
    off = predicted.classes[[item.kind == "off source" for item in items]]
    print(f"off source: {np.sum(off == chirp)} of {len(off)} called Chirp; by class:")
    for c, count in zip(*np.unique(off, return_counts=True), strict=True):
        print(f"  {trained.classes[c]:20s} {count}")
    if options.csv:
        with options.csv.open("w", newline="") as file:
            header = ("kind", "event", "class", "probability", "p_chirp", "loudest")
            csv.writer(file).writerows([header, *rows])
    print_shares(trained, items)


run = common.make_command("real-events", main, RealEventOptions, __doc__)

if __name__ == "__main__":
    run()
