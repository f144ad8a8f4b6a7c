"""Simulated events: loudness, shape, truth, and what a seed promises."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.event_axes import CLASSES, CLIP, EventGrid
from lensjax.simulate.events import chirps, glitches
from lensjax.simulate.events.detector import DURATION, FREQUENCIES, SAMPLE_RATE, SAMPLES, design_asd, times
from lensjax.simulate.events.glitch_classes import RECIPES, SHARES, draw_labels
from lensjax.simulate.events.glitches import MASK_ENERGY, TRUTH, examples, simulate
from lensjax.simulate.events.signals import BLIPS, DOTS, EventParts, draw, line, table, to_float32
from lensjax.spectrogram.pictures import encode

# Limits of (loudest Hz, SNR, seconds that hold 5 to 95 % of the energy) of whole signals.
RANGES = {
    "1080Lines": ((1050, 1110), (25, 80), (0.3, 4.5)),
    "1400Ripples": ((1300, 1680), (8, 15), (0.01, 0.3)),
    "Air_Compressor": ((44, 55), (7, 15), (0.05, 0.5)),
    "Blip": ((30, 400), (9, 46), (0.0, 0.15)),
    "Chirp": ((25, 450), (8, 31), (0.01, 5.0)),
    "Extremely_Loud": ((12, 800), (700, 12000), (0.0, 7.0)),
    "Helix": ((50, 400), (8, 60), (0.01, 4.1)),
    "Koi_Fish": ((15, 250), (45, 900), (0.0, 0.6)),
    "Light_Modulation": ((9, 400), (30, 500), (0.0, 3.0)),
    "Low_Frequency_Burst": ((9, 45), (13, 900), (0.05, 5.0)),
    "Low_Frequency_Lines": ((10, 25), (11, 29), (1.0, 5.0)),
    "None_of_the_Above": ((9, 2048), (8, 1000), (0.0, 9.0)),
    "Paired_Doves": ((20, 90), (9, 110), (0.03, 3.0)),
    "Power_Line": ((58, 63), (8, 17), (0.05, 1.0)),
    "Repeating_Blips": ((30, 400), (10, 90), (0.0, 2.6)),
    "Scattered_Light": ((10, 120), (13, 100), (1.0, 5.5)),
    "Scratchy": ((70, 400), (20, 90), (1.0, 5.0)),
    "Tomte": ((15, 70), (9, 41), (0.01, 0.3)),
    "Violin_Mode": ((480, 1600), (6, 80), (0.01, 2.0)),
    "Wandering_Line": ((400, 2000), (55, 160), (2.0, 9.5)),
    "Whistle": ((150, 3600), (25, 56), (0.05, 1.0)),
}
DRAWS = 6


def snr(signal) -> float:
    return float(np.sqrt((np.asarray(signal, np.float64) ** 2).sum()))


@functools.cache
def signals() -> np.ndarray:
    """[class draw n] without noise, all by one compiled function."""
    keys = jax.random.split(jax.random.key(11), len(CLASSES) * DRAWS).reshape(len(CLASSES), DRAWS)
    chirps.load_phenom_d()
    return np.stack([[simulate(key, number)[0] for key in row] for number, row in enumerate(keys)])


@functools.cache
def events() -> list:
    """One of each class twice, half-size pictures."""
    return list(examples(44, 5, size=(70, 85), encoding="log"))


def test_components_have_the_snr_they_are_given():
    made = jax.jit(draw)
    none, key = to_float32(EventParts()), jax.random.key(0)
    times, two = jnp.array([-1.0, 1.0]), jnp.array([100.0, 1000.0])
    dots = table(times, two, 8.0, 0.3, jnp.array([3.0, 4.0]), 0, rows=DOTS)
    assert snr(made(none._replace(dots=dots), key)) == pytest.approx(5, rel=1e-3)
    blips = table(times, two, 0.8, 0.1, jnp.array([6.0, 8.0]), rows=BLIPS)
    assert snr(made(none._replace(blips=blips), key)) == pytest.approx(10, rel=1e-3)
    burst = table(0, 20, 200, 0.1, 0.3, 1, 50.0, rows=2)
    assert snr(made(none._replace(bursts=burst), key)) == pytest.approx(50, rel=1e-3)
    tone = table(0, 60, 80, 0, 7.0, 0, rows=1)
    assert snr(made(none._replace(tone=tone), key)) == pytest.approx(7, rel=1e-3)
    assert not made(none, key).any()


def test_a_line_keeps_its_phase_in_float32():
    # 16 s at 1500 Hz are 24 000 turns; the tone against its closed form, from the first sample's phase on.
    made = np.asarray(line(jnp.full(SAMPLES, 1500.0), jnp.ones(SAMPLES), jnp.array(0.0), jnp.array(1.0)))
    number = np.arange(1, SAMPLES + 1)
    exact = np.cos(2 * np.pi * 1500.0 * number / SAMPLE_RATE)
    assert np.corrcoef(made, exact)[0, 1] > 0.9999


def test_design_asd_is_that_of_the_noise_curve(real_data):
    frequency, asd = np.loadtxt(real_data / "ligo_noise_curves" / "aligo_O4high.txt").T
    # Steeper than O4 at both ends: 9 times lower at 10 Hz, 4 times higher at 2000 Hz.
    band = (frequency > 20) & (frequency < 500)
    ratio = design_asd(frequency[band].astype(np.float32)) / asd[band]
    low, high = np.percentile(ratio, [5, 95])  # apart from the spectral lines of the curve
    assert 0.5 < low < high < 2


@pytest.mark.parametrize("name", RANGES)
def test_each_class_lies_in_its_ranges(name):
    (low, high), loudness, lasting = RANGES[name]
    for signal in signals()[CLASSES.index(name)]:
        assert np.isfinite(signal).all()
        assert loudness[0] <= snr(signal) <= loudness[1]
        power = np.abs(np.fft.rfft(signal)) ** 2
        smooth = np.convolve(power, np.ones(16), "same")
        assert low <= FREQUENCIES[smooth.argmax()] <= high
        share = np.cumsum(signal.astype(np.float64) ** 2) / (signal.astype(np.float64) ** 2).sum()
        first, last = np.searchsorted(share, [0.05, 0.95]) / SAMPLE_RATE - DURATION / 2
        assert lasting[0] <= last - first <= lasting[1]
        assert -5.5 < first <= last < 6.5


def test_no_glitch_is_silence_and_noise_is_white():
    assert not signals()[CLASSES.index("No_Glitch")].any()
    noise = np.asarray(simulate(jax.random.key(3), 0)[1])
    assert abs(noise.std() - 1) < 0.01
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 0.01


def test_the_draws_of_a_class_differ():
    assert tuple(RECIPES) == CLASSES
    for number in set(range(len(CLASSES))) - {CLASSES.index("No_Glitch")}:
        assert len({round(snr(s), 3) for s in signals()[number]}) == DRAWS


def test_chirps_rise():
    t = np.asarray(times())
    for wave in signals()[CLASSES.index("Chirp")]:
        end = t[np.abs(wave).argmax()]
        assert abs(end) < 0.15
        crossings = t[1:][(wave[1:] > 0) & (wave[:-1] <= 0)]
        late = crossings[(crossings > end - 0.25) & (crossings < end)]
        pitch = 1 / np.diff(late)
        assert pitch[-2:].mean() > 1.2 * pitch[:2].mean()


def test_a_chirp_compiled_by_itself_is_finite():
    """XLA may take the powers of the taper at low frequencies apart, and they are beyond float32."""
    chirps.load_phenom_d()
    wave = jax.jit(chirps.imr)
    for u in np.random.default_rng(0).uniform(size=(6, 8)).astype(np.float32):
        assert float(jnp.sqrt((wave(u) ** 2).sum())) == pytest.approx(1, rel=1e-4)


def test_the_newtonian_frequency_is_the_published_one():
    # 30 Msun, 0.1 s before coalescence: f = (1/π) (5/(256 τ))^(3/8) (G M/c³)^(-5/8).
    expected = (5 / 25.6) ** 0.375 * (30 * 4.925491e-6) ** -0.625 / np.pi
    assert float(chirps.inspiral_frequency(jnp.asarray(0.1), jnp.asarray(30.0))) == pytest.approx(
        expected, rel=1e-5
    )
    assert expected == pytest.approx(42.8, abs=0.5)


def test_ripplegw_leaves_precision_alone_and_its_absence_is_said(monkeypatch):
    chirps.load_phenom_d()
    assert not jax.config.read("jax_enable_x64")
    chirps.load_phenom_d.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "ripplegw", None)
    with pytest.raises(ImportError, match=r'pip install "lensjax\[gw\]"'):
        examples(1, 0)
    chirps.load_phenom_d.cache_clear()
    assert not jax.config.read("jax_enable_x64")


@pytest.mark.slow
def test_single_precision_waveforms_are_good_enough():
    f = np.arange(20, 1024, 0.25)
    values = {"M_c": 20.0, "eta": 0.24, "s1_z": 0.2, "s2_z": -0.1, "d_L": 400.0, "phase_c": 1.0, "iota": 0.0}
    single = np.asarray(chirps.load_phenom_d()(jnp.asarray(f, jnp.float32), values)["p"]) * 1e21
    with jax.enable_x64(True):
        double = np.asarray(chirps.load_phenom_d()(jnp.asarray(f), values)["p"]) * 1e21
    assert double.dtype == np.complex128
    overlap = np.abs(np.vdot(single, double)) / np.linalg.norm(single) / np.linalg.norm(double)
    assert overlap > 1 - 1e-5


@pytest.mark.slow
def test_events_have_the_promised_form():
    for number, event in enumerate(events()):
        assert event["image"].shape == (4, 70, 85, 1)
        assert event["image"].dtype == np.float16
        assert np.isfinite(event["image"]).all()
        assert event["mask"].shape == (4, 70, 85)
        assert event["mask"].dtype == bool
        assert event["id"] == f"simulated-5-{number}"
        assert set(event["truth"]) == set(TRUTH)
    assert sorted(e["label"] for e in events()) == sorted([*range(22), *range(22)])


@pytest.mark.slow
def test_truth_agrees_with_itself():
    grid = EventGrid((70, 85))
    for event in events():
        truth, name = event["truth"], CLASSES[event["label"]]
        if name == "No_Glitch":
            assert truth["snr"] == truth["peak_energy"] == 0
            assert np.isnan([truth["peak_time"], truth["peak_frequency"], *event["position"]]).all()
            assert not event["mask"].any()
            continue
        if name == "None_of_the_Above":  # two signals may cancel or miss the trigger
            continue
        assert event["mask"].any()
        assert abs(truth["peak_time"]) <= 0.25
        assert truth["q"] == pytest.approx(5.657 * 2 ** truth["q_plane"], rel=1e-3)
        # The loudest tile holds at most the whole signal: E = snr² / (2 ln 2).
        assert truth["peak_energy"] < 1.1 * truth["snr"] ** 2 / (2 * np.log(2))
        row, column = event["position"]
        assert float(grid.frequency(float(row))) == pytest.approx(truth["peak_frequency"], rel=1e-4)
        assert float(grid.time(float(column))) == pytest.approx(truth["peak_time"], abs=1e-4)
        # On this coarse grid a narrow line may fall between rows: look two pixels around.
        if truth["peak_energy"] > 4 * MASK_ENERGY:
            r, c = int(row * 70), int(column * 85)
            assert event["mask"][0, max(r - 2, 0) : r + 3, max(c - 2, 0) : c + 3].any()


@pytest.mark.slow
def test_masks_keep_the_shape_of_loud_events():
    for event in events():
        if CLASSES[event["label"]] != "Extremely_Loud":
            assert event["mask"].mean() < 0.5
        else:
            assert 0.02 < event["mask"].mean() < 0.9


@pytest.mark.slow
def test_planes_are_those_of_the_published_recipes():
    plane = {name: [] for name in CLASSES}
    for event in events():
        plane[CLASSES[event["label"]]].append(int(event["truth"]["q_plane"]))
    assert all(p == 0 for name in ("Blip", "Tomte", "Koi_Fish", "Repeating_Blips") for p in plane[name])
    for name in ("1080Lines", "Low_Frequency_Lines", "Scattered_Light", "Wandering_Line", "Whistle"):
        assert all(p >= 2 for p in plane[name]), name
    for name in ("Chirp", "Paired_Doves", "Low_Frequency_Burst"):
        assert all(p <= 2 for p in plane[name]), name


@pytest.mark.slow
def test_examples_depend_on_seed_and_row_alone():
    few = list(examples(7, 5, size=(70, 85), encoding="log"))
    for one, other in zip(few, events(), strict=False):
        assert one["id"] == other["id"]
        np.testing.assert_array_equal(one["image"], other["image"])
        np.testing.assert_array_equal(one["mask"], other["mask"])
    other_seed = next(iter(examples(1, 6, size=(70, 85), encoding="log")))
    assert not np.array_equal(other_seed["image"], few[0]["image"])
    assert list(examples(0, 5)) == []


@pytest.mark.slow
def test_neither_the_chunk_nor_the_plane_shown_changes_an_event():
    fixed = list(examples(5, 5, size=(70, 85), plane="2", chunk=3))
    assert [e["truth"]["q_plane"] for e in fixed] == [2] * 5
    assert fixed[0]["image"].dtype == np.uint8
    for one, other in zip(fixed, events(), strict=False):
        assert one["truth"]["snr"] == other["truth"]["snr"]
        if other["truth"]["q_plane"] == 2:
            np.testing.assert_array_equal(one["mask"], other["mask"])


def test_labels_by_balance():
    uniform = draw_labels(66, 1, "uniform")
    assert (np.bincount(uniform) == 3).all()
    np.testing.assert_array_equal(draw_labels(30, 1, "uniform"), uniform[:30])
    assert not np.array_equal(uniform[:22], uniform[22:44])
    real = draw_labels(20_000, 1, "real")
    assert tuple(SHARES) == CLASSES
    assert sum(SHARES.values()) == 7966
    expected = np.array(list(SHARES.values())) / 7966
    np.testing.assert_allclose(np.bincount(real, minlength=22) / 20_000, expected, atol=0.01)
    np.testing.assert_array_equal(draw_labels(50, 1, "real"), real[:50])


@pytest.mark.slow  # compiles another scan
def test_all_planes_are_channels_and_hold_the_one_displayed():
    every = list(examples(3, 5, size=(70, 85), encoding="log", plane="all", chunk=3))
    for event, shown in zip(every, examples(3, 5, size=(70, 85), encoding="log", chunk=3), strict=True):
        assert event["image"].shape == (4, 70, 85, 4)
        assert event["truth"] == pytest.approx(shown["truth"], nan_ok=True)
        plane = int(shown["truth"]["q_plane"])
        np.testing.assert_allclose(event["image"][..., plane], shown["image"][..., 0], rtol=2e-3, atol=1e-3)
        assert not np.any(shown["mask"] & ~event["mask"])  # evidence on the plane shown is evidence


def test_encodings():
    energy = np.array([0.0, 1.0, CLIP / 2, CLIP, 1e6], np.float32)[:, None]
    clipped = encode(energy, "clipped")
    assert clipped.dtype == np.uint8
    assert clipped[:, 0].tolist() == [0, 10, 128, 255, 255]
    logged = encode(energy, "log")
    assert logged.dtype == np.float16
    np.testing.assert_allclose(np.expm1(logged.astype(np.float64)), energy, rtol=0.02)
    rgb = encode(energy, "rgb")
    assert rgb.shape == (5, 3)
    assert rgb[0].tolist() == [68, 1, 84]
    assert rgb[4].tolist() == [253, 231, 36] or rgb[4].tolist() == [253, 231, 37]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoding": "png"}, "encoding 'png' is unknown; choose clipped, log, rgb"),
        ({"balance": "fair"}, "balance 'fair' is unknown; choose uniform or real"),
        ({"plane": "4"}, "plane '4' is unknown; choose loudest, 0, 1, 2, 3, all"),
        ({"plane": "all", "encoding": "rgb"}, "which encoding rgb cannot show"),
        ({"size": (8, 170)}, "size .8, 170."),
        ({"count": -1}, "count -1"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_made(settings, message):
    arguments = {"count": 1, "seed": 0} | settings
    with pytest.raises(ValueError, match=message):
        examples(arguments.pop("count"), arguments.pop("seed"), **arguments)
    assert glitches.CHUNK >= 1
