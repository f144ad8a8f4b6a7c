"""The published networks: their sizes, the import of their weights, and, where those are at hand, parity."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial
from numpy.lib.stride_tricks import sliding_window_view

from lensjax.config_io import load_config_file
from lensjax.data.images.normalise_band import from_simulation, min_max, picture
from lensjax.data.images.readers import read_cutouts
from lensjax.explain import METHODS
from lensjax.inspection.restore import restore
from lensjax.models import Apply, build, count_parameters, published
from lensjax.models.cnn import grids

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = {
    "OU-J": 201_842,
    "OU-Y": 201_842,
    "OU-H": 201_842,
    "OU-JYH": 202_742,
    "OU-66": 203_192,
    "OU-VIS": 327_882,
    "OU-200": 331_632,
}


def drawn_state(name: str) -> dict[str, np.ndarray]:
    """A state dict of the right shapes; kernels keep the variance, so that no layer is dead."""
    rng = np.random.default_rng(3)
    scale = {name: np.sqrt(2 / np.prod(shape[1:])) for name, shape in SHAPES[name].items()}
    return {key: rng.normal(0, scale[key], shape).astype(np.float32) for key, shape in SHAPES[name].items()}


SHAPES = {name: published.state_shapes(network) for name, network in published.NETWORKS.items()}


def as_pytorch(state: dict[str, np.ndarray], prefix: str, pools: dict[int, int], x: np.ndarray) -> np.ndarray:
    """The published forward pass in NumPy, channels first: logits [b 2] of images [b c h w]."""
    layers = sorted(int(key.split(".")[1]) for key in state if key.startswith(f"{prefix}.") and "bias" in key)
    for layer in layers:
        weight, bias = state[f"{prefix}.{layer}.weight"], state[f"{prefix}.{layer}.bias"]
        windows = sliding_window_view(x, weight.shape[2:], axis=(2, 3))
        x = np.maximum(np.einsum("bchwij,ocij->bohw", windows, weight, optimize=True), -bias[:, None, None])
        x = x + bias[:, None, None]  # = relu(z + bias)
        if pools.get(layer, 1) == 2:
            n = x.shape[-1] // 2
            x = x[..., : 2 * n, : 2 * n].reshape(*x.shape[:2], n, 2, n, 2).max((3, 5))
    h = np.maximum(x.reshape(len(x), -1) @ state["fc_layer.0.weight"].T + state["fc_layer.0.bias"], 0)
    return h @ state["fc_layer.2.weight"].T + state["fc_layer.2.bias"]


@pytest.mark.parametrize("name", published.NETWORKS)
def test_parameters_are_those_of_the_published_networks(name):
    network = published.network_named(name)
    x = jax.ShapeDtypeStruct((1, network.size, network.size, len(network.bands)), jnp.float32)
    shapes = jax.eval_shape(build(network.model).init, jax.random.key(0), x)
    assert count_parameters(shapes) == PARAMETERS[name]
    assert sum(int(np.prod(shape)) for shape in SHAPES[name].values()) == PARAMETERS[name]


@pytest.mark.parametrize(
    "name, pools",
    [("OU-H", {0: 2, 13: 2, 26: 2}), ("OU-VIS", {0: 2, 4: 2, 8: 2, 12: 2})],
)
def test_an_imported_network_is_the_published_one(name, pools, tmp_path):
    """Kernels, biases and above all the order in which features are flattened."""
    network, state = published.network_named(name), drawn_state(name)
    np.savez(tmp_path / "weights.npz", **state)
    model, variables = published.load(name, tmp_path / "weights.npz")
    x = np.random.default_rng(1).uniform(size=(2, network.size, network.size, len(network.bands)))
    x = x.astype(np.float32)
    expected = as_pytorch(state, network.prefix, pools, x.transpose(0, 3, 1, 2))
    found = np.asarray(jax.jit(model.apply)(variables, x).logits)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert np.abs(expected[0] - expected[1]).max() > 1e-3  # not dead
    x_shape = jax.ShapeDtypeStruct(x.shape, jnp.float32)
    wanted = jax.eval_shape(model.init, jax.random.key(0), x_shape)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, wanted)


@pytest.mark.parametrize(
    "name, last, first, step, cells", [("OU-200", 6, 57.5, 16, 6), ("OU-66", 9, 26.5, 4, 4)]
)
def test_cells_of_the_last_convolution_lie_in_the_middle(name, last, first, step, cells):
    """The published maps are stretched over the whole image, up to 5″ off."""
    network = published.network_named(name)
    origin, width = grids(network.model, (network.size,) * 2)[f"stage{last}"]
    centres = (np.array(origin)[0] + np.arange(cells) * width[0]) * network.size - 0.5
    np.testing.assert_allclose(centres, first + step * np.arange(cells))


@pytest.mark.parametrize(
    "edit, message",
    [
        (lambda s: s | {"layer.4.weight": s["layer.4.weight"][:7]}, r"layer.4.weight has shape \(7, 50"),
        (lambda s: {k: v for k, v in s.items() if k != "fc_layer.2.bias"}, "lacks fc_layer.2.bias"),
        (lambda s: s | {"layer.5.bias": np.zeros(3)}, "has the unknown layer.5.bias"),
        (lambda s: s | {"layer.0.bias": np.full(50, np.nan)}, "not finite"),
        (lambda s: s | {"layer.0.bias": np.zeros(50, int)}, "layer.0.bias is no array of reals"),
        (lambda s: drawn_state("OU-66"), "of the shape of OU-66's"),
        (lambda s: drawn_state("OU-VIS"), "of the shape of OU-VIS's"),
    ],
)
def test_wrong_weights_are_named(edit, message, tmp_path):
    np.savez(tmp_path / "weights.npz", **edit(drawn_state("OU-H")))
    with pytest.raises(ValueError, match=message):
        published.load("OU-H", tmp_path / "weights.npz")


def test_files_that_are_no_weights_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="do not exist"):
        published.load("OU-66", tmp_path / "none.pt")
    with pytest.raises(ValueError, match="choose from OU-66, OU-200"):
        published.load("OU-67", tmp_path / "none.pt")
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "objects.npz", a=np.array([{}], object))
    for name in ("text.npz", "objects.npz"):
        with pytest.raises(ValueError, match="damaged, or no .npz of plain arrays"):
            published.load("OU-66", tmp_path / name)
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(ValueError, match=r"pip install 'lensjax\[torch\]', or convert"):
        published.load("OU-66", tmp_path / "text.pt")


def test_runs_take_no_weights_and_published_networks_need_them(tmp_path):
    with pytest.raises(ValueError, match="belongs to a published network"):
        restore(tmp_path, tmp_path / "weights.npz")
    with pytest.raises(ValueError, match="needs --weights"):
        restore(Path("published:OU-66"))


def test_a_band_goes_from_its_minimum_to_its_maximum_and_a_constant_one_to_zero(tmp_path):
    rng = np.random.default_rng(0)
    cube = rng.normal(5, 2, (20, 20, 3)).astype(np.float32)
    cube[..., 1] = 7
    np.savez(tmp_path / "cube.npz", image=cube, pixel_scale=0.3)
    options = {"bands": ("J", "Y", "H"), "pixel_scale": 0.3, "units": "min_max"}
    (same,), problems = read_cutouts(tmp_path, size=20, **options)
    assert not problems and any(note.startswith("Y: constant") for note in same.notes)
    np.testing.assert_allclose(same.image[..., 0], min_max(cube[..., 0]), atol=1e-6)
    assert not same.image[..., 1].any()
    # A stamp of half the field is not stretched: it keeps its scale, and sky is laid around it.
    (padded,), _ = read_cutouts(tmp_path, size=40, **options)
    assert "J: 20 of 40 pixels on a side padded with sky" in padded.notes
    np.testing.assert_allclose(padded.image[10:30, 10:30], same.image, atol=1e-6)
    assert len(np.unique(padded.image[:10, :, 0])) == 1 and 0.3 < padded.image[0, 0, 0] < 0.7
    assert picture(padded.image)[..., 0].std() > 0.2  # the noise is that of the stamp


def test_arrays_of_the_right_form_stay_as_they_are(tmp_path):
    x = np.random.default_rng(0).uniform(0.2, 0.9, (2, 16, 16, 4)).astype(np.float32)
    np.savez(tmp_path / "reference.npz", x=x, logits=np.zeros((2, 2)), saliency=x)
    options = {"bands": ("J", "Y", "H", "VIS"), "pixel_scale": 0.3, "size": 16}
    found, problems = read_cutouts(tmp_path, units="min_max", **options)
    assert not problems and [c.id for c in found] == ["reference[0]", "reference[1]"]
    np.testing.assert_array_equal([c.image for c in found], x)
    assert read_cutouts(tmp_path, **options)[0] == []  # of our own networks: no pixel scale


def test_a_simulation_is_averaged_in_flux_and_its_bands_put_in_order():
    flux = np.random.default_rng(0).uniform(0, 9, (6, 6, 4))
    mask = np.zeros((6, 6), bool)
    mask[1, 4] = True
    example = {"image": np.arcsinh(flux), "mask": mask, "label": 1, "position": np.ones(2), "id": "a"}
    found = from_simulation(example, [2, 1], 3)
    blocks = flux.reshape(2, 3, 2, 3, 4).mean((1, 3))
    np.testing.assert_allclose(found["image"][..., 0], min_max(blocks[..., 2]), atol=1e-6)
    np.testing.assert_array_equal(found["mask"], [[False, True], [False, False]])


@pytest.mark.parametrize("name, size", [("ou66", 66), ("ou200", 200)])
def test_the_configurations_train_the_published_networks(name, size):
    config = load_config_file(ROOT / "configs" / f"{name}_euclid.py")
    assert config.data.size == size and config.model == published.network_named(f"OU-{size}").model


# ---- with the published weights ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(real_data) -> Path:
    pytest.importorskip("torch", reason="the published .pt needs PyTorch: pip install 'lensjax[torch]'")
    folder = real_data / "wilde2022_weights"
    if not folder.is_dir():
        pytest.skip(f"no published weights at {folder}")
    return folder


def reference(weights: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(weights / f"OU_{name}_reference.npz", allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays}


def probe(size: int, bands: int) -> np.ndarray:
    """A galaxy with an arc, off centre and of other colours, by formula."""
    i, j, k = np.meshgrid(np.arange(size), np.arange(size), np.arange(bands), indexing="ij")
    y, x = 30 * (i - size / 2 - 2) / size, 30 * (j - size / 2 + 1) / size
    galaxy = np.exp(-0.5 * (np.hypot(x, y) / (1 + 0.3 * k)) ** 2)
    ring = np.exp(-0.5 * ((np.hypot(x, 1.3 * y) - 4) / 0.6) ** 2)
    flux = galaxy + (0.9 - 0.2 * k) * ring * (0.5 + 0.5 * np.cos(np.arctan2(y, x) - 0.7))
    return np.stack([min_max(flux[..., b]) for b in range(bands)], axis=-1).astype(np.float32)


@pytest.mark.parametrize("name, logits", [("66", (-0.52941, 0.53821)), ("200", (0.19922, -0.22780))])
def test_logits_are_those_of_pytorch(name, logits, weights):
    model, variables = published.load(f"OU-{name}", weights / f"OU_{name}_Weights.pt")
    known, apply = reference(weights, name), jax.jit(model.apply)
    x = np.concatenate([known["x"], probe(int(name), 4)[None]])
    found = np.asarray(apply(variables, x).logits)
    np.testing.assert_allclose(found[:2], known["logits"], atol=1e-5)
    np.testing.assert_allclose(found[2], logits, atol=1e-5)


ATTRIBUTIONS = {
    "saliency_abs": ("gradient", {}, jnp.abs),
    "input_x_gradient": ("input_x_gradient", {}, None),
    "integrated_gradients_zero_baseline_gauss_legendre_50": ("integrated_gradients", {"steps": 50}, None),
    "grad_cam_last_relu": ("grad_cam", {}, lambda cam: jnp.maximum(cam, 0)[..., None]),
    "occlusion_window8_stride4_zero": ("occlusion", {"window": 8, "stride": 4}, None),
    "guided_backprop": ("guided_backprop", {}, None),
}


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_attributions_are_those_of_captum(name, weights):
    """To 1e-4 of the largest value.

    Of the second image, integrated gradients in the reference are 1.8e-4 from the same sum in double
    precision, PyTorch's own included: at one of the 50 nodes a unit lies within rounding of its kink.
    """
    model, variables = published.load("OU-66", weights / "OU_66_Weights.pt")
    network, known = Partial(Apply(model), variables["params"]), reference(weights, "66")
    method, options, step = ATTRIBUTIONS[name]

    def forward(image, taps=None):
        outputs = network(image, taps)
        return outputs.logits[1], outputs.ends

    function = forward if method == "grad_cam" else lambda image: forward(image)[0]
    for row, image in enumerate(known["x"]):
        found, expected = METHODS[method](function, jnp.asarray(image), **options), known[name][row]
        found = found if step is None else step(found)
        at_kink = method == "integrated_gradients" and row == 1
        allowed = (2e-4 if at_kink else 1e-4) * np.abs(expected).max()
        np.testing.assert_allclose(np.broadcast_to(found, expected.shape), expected, rtol=0, atol=allowed)


def test_a_converted_file_is_the_published_one(weights, tmp_path):
    source = weights / "OU_66_Weights.pt"
    command = [sys.executable, "-m", "lensjax.models.published", str(source), str(tmp_path / "w.npz")]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0 and "weights of OU-66" in process.stdout, process.stderr
    found, expected = published.read_state(tmp_path / "w.npz"), published.read_state(source)
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array)


# ---- the command line -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_published_network_is_explained_from_the_command_line(tmp_path):
    np.savez(tmp_path / "weights.npz", **drawn_state("OU-H"))
    np.save(tmp_path / "cutout.npy", np.random.default_rng(0).uniform(size=(66, 66, 1)).astype(np.float32))
    command = [sys.executable, "explain.py", "published:OU-H", "--weights", str(tmp_path / "weights.npz")]
    command += ["--inputs", str(tmp_path / "cutout.npy"), "--out", str(tmp_path / "out")]
    command += ["--methods", "guided_grad_cam"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr
    assert "in [0, 1]: taken as it is" in process.stdout
    with (tmp_path / "out" / "predictions.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert set(row) == {"id", "source", "class", "p_non-lens", "p_lens"}
    with np.load(tmp_path / "out" / "attributions.npz", allow_pickle=False) as maps:
        assert maps["guided_grad_cam"].shape == (1, 66, 66)
    assert (tmp_path / "out" / "index.html").exists()
