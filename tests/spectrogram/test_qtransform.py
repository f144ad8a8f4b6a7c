"""The Q scan against what theory says of it, and against gwpy on real strain."""

import warnings
from dataclasses import replace
from functools import cache, partial

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.spectrogram.q_energy import row_median, row_unit, tile_energy
from lensjax.spectrogram.q_planes import ScanConfig, describe_reach, lay_out_rows, plan
from lensjax.spectrogram.qtransform import q_scan, q_scan_all_planes
from lensjax.spectrogram.whitening import measure_asd, whiten

SMALL = ScanConfig(sample_rate=2048.0, duration=8.0, frequency_range=(30.0, 400.0), shape=(48, 40))
TINY = ScanConfig(
    sample_rate=1024.0, duration=4.0, q_range=(4.0, 16.0), frequency_range=(60.0, 240.0), shape=(30, 20)
)
measured = jax.jit(measure_asd, static_argnames="sample_rate")
whitened = jax.jit(whiten, static_argnames="sample_rate")
every = jax.jit(q_scan_all_planes, static_argnames=("config", "medians"))


jitted = jax.jit(q_scan, static_argnames=("config", "plane", "medians"))


def scan(block, config, centre=0.0, medians="measured"):
    """Compiled once for every centre."""
    return jitted(block, config, centre, None, medians)


def noise(seed: int, config: ScanConfig = SMALL) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(config.samples).astype(np.float32)


def sine_gaussian(
    snr: float, time: float, frequency: float, q: float, config: ScanConfig = SMALL
) -> np.ndarray:
    """`q` as a tile counts it: frequency over the rms width of the energy spectrum, √2 times the usual Q."""
    t = np.arange(config.samples) / config.sample_rate - config.duration / 2 - time
    wave = np.exp(-((2 * np.pi * frequency / q) ** 2) * t**2) * np.cos(2 * np.pi * frequency * t + 0.3)
    return (snr * wave / np.sqrt(np.sum(wave**2))).astype(np.float32)


def test_rows_of_the_official_planes():
    planes = plan(ScanConfig()).planes
    assert [len(p.frequency) for p in planes] == [31, 59, 117, 234]
    np.testing.assert_allclose([p.q for p in planes], [5.657, 11.314, 22.627, 45.255], rtol=1e-4)
    assert describe_reach(ScanConfig()) == "8192 Hz carries every plane up to 2048 Hz."


def test_says_what_the_sampling_rate_carries_and_holds_zero_above():
    config = ScanConfig(sample_rate=4096.0, duration=4.0, shape=(140, 20))
    assert describe_reach(config).startswith("4096 Hz carries the Q 5.7 plane up to 1291 Hz, the Q 11.3")
    energy = np.asarray(every(noise(0, config), config, medians="white"))
    for plane, image in zip(plan(config).planes, energy, strict=True):
        top = plan(config).pixel_frequency <= plane.frequency[-1]
        assert (image[:, top] > 0).all()
        assert not image[:, plan(config).pixel_frequency > 1.1 * plane.frequency[-1]].any()


def test_energy_of_white_noise_is_exponential():
    group = lay_out_rows(SMALL, (0, 1, 2, 3)).batches[-2]
    spectrum = np.pad(np.fft.rfft(noise(0)), (0, 4096)).astype(np.complex64)
    tiles = tile_energy(jnp.asarray(spectrum), group)
    for medians, spread in (("measured", 1e-3), ("white", 0.05)):
        energy = np.asarray(tiles / row_unit(tiles, group, medians))
        assert np.mean(energy) == pytest.approx(1 / np.log(2), rel=0.03)
        assert np.mean(energy > 1) == pytest.approx(0.5, rel=spread)
        for level in (0.1, 2, 4):
            assert np.mean(energy > level) == pytest.approx(0.5**level, rel=0.12)


def test_white_medians_are_those_of_noise():
    for plane in plan(SMALL).planes:
        blocks = [noise(i) + sine_gaussian(25, 0, 160.0, plane.q) for i in range(6)]
        white = [scan(block, SMALL, medians="white") for block in blocks]
        assert {float(w.q) for w in white} == {np.float32(plane.q)}
        ratio = [w.energy / scan(b, SMALL).energy for w, b in zip(white, blocks, strict=True)]
        rows = np.mean(np.asarray(ratio), (0, 1, 3))  # highest frequency first
        np.testing.assert_allclose(rows[:20], 1, atol=0.12)
        np.testing.assert_allclose(rows, 1, atol=0.5)


def test_medians_are_exact_where_all_bits_are_counted():
    energy = (
        np.random.default_rng(0).exponential(size=(5, 64)).astype(np.float32)
        * 10.0 ** np.arange(-20, 5, 5)[:, None]
    )
    ties = np.repeat([[0, 0, 3, 1], [1, 1, 1, 1], [1, 5, 5, 9]], 16, axis=1)
    energy = np.concatenate([energy, ties]).astype(np.float32)
    np.testing.assert_allclose(row_median(jnp.asarray(energy), 31), np.median(energy, 1), rtol=1e-6)
    np.testing.assert_allclose(row_median(jnp.asarray(energy)), np.median(energy, 1), rtol=3e-4)
    odd = energy[:5, :33]
    np.testing.assert_allclose(row_median(jnp.asarray(odd), 31), np.median(odd, 1), rtol=1e-6)


@pytest.mark.parametrize("plane", range(4))
def test_signal_peaks_at_its_time_frequency_and_q(plane):
    q, snr = plan(SMALL).planes[plane].q, 12.0
    found = scan(sine_gaussian(snr, 0.11, 160.0, q), SMALL, 0.0, medians="white")
    assert int(found.plane) == plane and float(found.q) == pytest.approx(q)
    assert float(found.peak_time) == pytest.approx(0.11, abs=0.1 * q / 160)
    assert float(found.peak_frequency) == pytest.approx(160, rel=0.6 / q + 0.005)
    # A tile off the signal loses a fifth at most; bisquare and Gaussian match to a percent or so.
    assert 0.76 < float(found.peak_energy) / (snr**2 / 2 / np.log(2)) < 1.01
    image = np.asarray(found.energy[0])
    row, column = np.unravel_index(image.argmax(), image.shape)
    assert plan(SMALL).pixel_frequency[row] == pytest.approx(160, rel=0.6 / q + 0.06)
    assert plan(SMALL).pixel_time[0, column] == pytest.approx(0.11, abs=0.1 * q / 160 + 0.0125)


def test_energy_of_a_signal_in_noise():
    snr, q = 10.0, plan(SMALL).planes[0].q
    time, frequency = float(scan(sine_gaussian(snr, 0, 160.0, q), SMALL, medians="white").peak_time), 160.0
    peaks = [
        float(scan(noise(i) + sine_gaussian(snr, time, frequency, q), SMALL).plane_peaks[0])
        for i in range(24)
    ]
    assert np.mean(peaks) == pytest.approx((snr**2 / 2 + 1) / np.log(2), rel=0.15)


def test_a_shift_in_time_shifts_the_map():
    block = noise(1) + sine_gaussian(15, 0.1, 160.0, 8)
    still, moved = scan(block, SMALL), scan(np.roll(block, 2048), SMALL, 1.0)
    np.testing.assert_allclose(moved.energy, still.energy, rtol=2e-3, atol=2e-3)
    assert float(moved.peak_time) == pytest.approx(float(still.peak_time), abs=1e-5)
    beyond = scan(block, SMALL, 3.0).energy[3]  # 2 s around a centre 1 s from the end
    assert (beyond[:, :29] > 0).any() and not beyond[:, 30:].any()


def test_only_tiles_near_the_centre_choose_the_plane():
    block = noise(2) + sine_gaussian(60, 1.5, 160.0, 45) + sine_gaussian(15, 0.0, 160.0, 5)
    near, far = scan(block, SMALL), scan(block, SMALL, 1.5)
    assert (int(near.plane), int(far.plane)) == (0, 3)
    assert abs(float(near.peak_time)) < 0.25 and float(far.peak_energy) > 10 * float(near.peak_energy)


def test_vmap_is_a_loop():
    signals = [sine_gaussian(20, 0, 120.0, q, TINY) for q in (5, 6, 11)]
    blocks = np.stack([noise(i, TINY) + signal for i, signal in enumerate(signals)])
    together = jax.jit(jax.vmap(lambda x: q_scan(x, TINY)))(blocks)
    looped = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[scan(block, TINY) for block in blocks])
    assert len(set(looped.plane.tolist())) > 1
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4), together, looped)


def test_a_given_plane_is_that_of_all_planes():
    block = noise(3, TINY) + sine_gaussian(12, 0, 120.0, 11, TINY)
    loudest, planes = scan(block, TINY), every(block, TINY)
    np.testing.assert_allclose(loudest.energy, planes[loudest.plane], rtol=1e-4, atol=1e-5)
    given = jax.jit(lambda plane: q_scan(block, TINY, plane=plane))
    for i, plane in enumerate(plan(TINY).planes):
        found = given(i)
        assert int(found.plane) == i and float(found.q) == pytest.approx(plane.q)
        np.testing.assert_allclose(found.energy, planes[i], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.plane_peaks, loudest.plane_peaks * (np.arange(2) == i), rtol=1e-4)
    fixed = jax.jit(lambda: q_scan(block, TINY, plane=1))()
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), fixed, given(1))


def test_silence_is_zero():
    for medians in ("measured", "white"):
        silent = scan(np.zeros(SMALL.samples, np.float32), SMALL, medians=medians)
        assert not silent.energy.any() and float(silent.peak_energy) == 0


def coloured(seed: int, seconds: int = 32, rate: float = 2048.0) -> np.ndarray:
    """Noise of 1e-23 (1 + (100 Hz / f)²) a √Hz, with a line at 300 Hz."""
    n = int(seconds * rate)
    f = np.maximum(np.fft.rfftfreq(n, 1 / rate), 5)
    white = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    line = 1e-21 * np.sin(2 * np.pi * 300 * np.arange(n) / rate)
    return np.fft.irfft(white * 1e-23 * (1 + (100 / f) ** 2) * np.sqrt(rate / 2), n) + line


def test_spectral_density_is_that_of_the_noise():
    frequency, density = measured(coloured(0), 2048.0)
    inside = (frequency > 20) & (frequency < 900) & (abs(frequency - 300) > 2)
    ratio = np.asarray(density / (1e-23 * (1 + (100 / jnp.maximum(frequency, 5)) ** 2)))[inside]
    assert np.mean(ratio) == pytest.approx(1, abs=0.02) and np.std(ratio) < 0.2


def test_whitened_noise_is_white():
    strain = coloured(1)
    white = np.asarray(whitened(strain, 2048.0))
    middle = white[2048:-2048]
    assert np.std(middle) == pytest.approx(1, abs=0.03) and np.abs(white).max() < 6
    power = np.abs(np.fft.rfft(middle)) ** 2 / len(middle)
    bands = power[: len(power) // 30 * 30].reshape(30, -1).mean(1)
    np.testing.assert_allclose(bands, 1, atol=0.12)
    np.testing.assert_allclose(whitened(strain * 1e21, 2048.0), white, atol=2e-3)
    other = np.asarray(whitened(coloured(2), 2048.0, measured(strain, 2048.0)))
    assert np.std(other[2048:-2048]) == pytest.approx(1, abs=0.05)


BAD = {
    "q_range .* above 3.32": dict(q_range=(2.0, 64.0)),
    "frequency_range": dict(frequency_range=(0.0, 100.0)),
    "whole number of samples": dict(duration=1.0001),
    "fit into the 2.0 s": dict(duration=2.0),
    "mismatch": dict(mismatch=1.5),
    "search": dict(search=0.0),
    "a pixel": dict(shape=(0, 10)),
    "carries the Q 5.7 plane up to 20 Hz": dict(sample_rate=64.0, frequency_range=(25.0, 100.0)),
}


@pytest.mark.parametrize("message", BAD)
def test_impossible_scans_are_refused(message):
    with pytest.raises(ValueError, match=message):
        plan(replace(ScanConfig(), **BAD[message]))


def test_bad_blocks_and_strain_are_refused():
    gap = noise(0)
    gap[5] = np.nan
    for bad, message in (
        (lambda: q_scan(noise(0)[:-1], SMALL), "16383 samples, the scan wants 16384"),
        (lambda: q_scan(gap, SMALL), "no numbers"),
        (lambda: q_scan(noise(0), SMALL, plane=4), "choose 0 to 3"),
        (lambda: whiten(gap, 2048.0), "1 samples that are no numbers"),
        (lambda: whiten(gap[:3000], 2048.0), "too short for segments of 2 s"),
        (lambda: measure_asd(gap, 0.0), "must be positive"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            bad()
        assert "\n" not in str(error.value)


EVENTS = {
    "GW150914 H1": ("H-H1_LOSC_4_V2-1126259446-32", 16.42, 124),
    "GW150914 L1": ("L-L1_LOSC_4_V2-1126259446-32", 16.42, 70),
    "GW151226 L1": ("L-L1_LOSC_4_V2-1135136334-32", 16.63, 23),
}
REAL = ScanConfig(sample_rate=4096.0, duration=32.0, frequency_range=(10.0, 1290.0))


@cache
def gwpy_strain(path):
    with warnings.catch_warnings():  # gwpy itself is told of deprecations
        warnings.simplefilter("ignore")
        from gwpy.timeseries import TimeSeries
    with h5py.File(path) as file:
        return TimeSeries(file["strain/Strain"][:], sample_rate=4096.0, t0=0)


def whitened_by_gwpy(series) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return series.whiten(fftlength=2, overlap=1, method="median").value


@pytest.mark.parametrize("event", EVENTS)
def test_scan_is_that_of_gwpy(event, real_data):
    name, time, energy = EVENTS[event]
    series = gwpy_strain(real_data / "ligo_strain" / f"{name}.hdf5")
    from gwpy.segments import Segment
    from gwpy.signal.qtransform import q_scan as gwpy_scan  # after `gwpy_strain`

    white = whitened_by_gwpy(series).astype(np.float32)
    ours = scan(white, REAL, time - 16)
    search = Segment(time - REAL.search, time + REAL.search)
    theirs, _ = gwpy_scan(
        type(series)(white, sample_rate=4096.0, t0=0),
        qrange=REAL.q_range, frange=REAL.frequency_range, search=search,
    )  # fmt: skip
    assert float(ours.q) == pytest.approx(theirs.plane.q)
    assert float(ours.peak_energy) == pytest.approx(theirs.peak["energy"], rel=0.02)
    assert float(ours.peak_energy) == pytest.approx(energy, rel=0.03)
    assert time + float(ours.peak_time) == pytest.approx(theirs.peak["time"], abs=1e-3)
    assert float(ours.peak_frequency) == pytest.approx(theirs.peak["frequency"])
    for window, image in zip(REAL.windows, ours.energy, strict=True):
        pixel = window / REAL.shape[1]
        span = Segment(time - window / 2 + pixel / 2, time + window / 2 + pixel / 2)
        grid = theirs.interpolate(tres=pixel, fres=500, logf=True, outseg=span)
        at = np.log(plan(REAL).pixel_frequency)
        drawn = [np.interp(at, np.log(grid.frequencies.value), row) for row in grid.value[: REAL.shape[1]]]
        assert np.corrcoef(np.ravel(image), np.stack(drawn, 1).ravel())[0, 1] > 0.99


@pytest.mark.parametrize("event", EVENTS)
def test_whitening_is_that_of_gwpy(event, real_data):
    name, time, _ = EVENTS[event]
    series = gwpy_strain(real_data / "ligo_strain" / f"{name}.hdf5")
    ours, theirs = np.asarray(whitened(series.value, 4096.0)), whitened_by_gwpy(series)
    middle = slice(4096, -4096)  # below 10 Hz the filters differ, and nothing is read there
    spectra = [np.fft.rfft(white[middle])[30 * 10 :] for white in (ours, theirs)]
    assert np.linalg.norm(spectra[0] - spectra[1]) < 0.02 * np.linalg.norm(spectra[1])
    peaks = [float(scan(white.astype(np.float32), REAL, time - 16).peak_energy) for white in (ours, theirs)]
    assert peaks[0] == pytest.approx(peaks[1], rel=0.02)


@pytest.mark.slow
def test_a_pixel_is_what_its_samples_are_cut_at_the_clip():
    block = np.random.default_rng(5).normal(size=4096 * 8).astype(np.float32)
    fine = ScanConfig(sample_rate=4096.0, duration=8.0, shape=(36, 40))
    samples = np.asarray(q_scan(block, fine, plane=1).energy).reshape(4, 18, 2, 20, 2)
    coarse = replace(fine, shape=(18, 20), oversample=2)
    cut = replace(coarse, clip=2.0)
    loudest = replace(coarse, reduce="max")
    for config, expected in (
        (coarse, samples.mean((2, 4))),
        (cut, np.minimum(samples, 2.0).mean((2, 4))),
        (loudest, samples.max((2, 4))),
    ):
        np.testing.assert_allclose(q_scan(block, config, plane=1).energy, expected, rtol=1e-5, atol=1e-5)
