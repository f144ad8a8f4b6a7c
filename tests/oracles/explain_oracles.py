"""Small networks whose explanations are known exactly (from Captum's own tests), and one to try things on."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def convolve(image, kernel, padding="VALID"):
    letters = "DHW"[-(image.ndim - 1) :]
    numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    ones = (1,) * (image.ndim - 1)
    return lax.conv_general_dilated(image[None], kernel, ones, padding, dimension_numbers=numbers)[0]


def one_conv(image, taps=None, final_relu=True):
    """M1 for [4 4 1] and its 3D twin M3 for [4 4 4 1]: convolution of ones, ReLU, dense, ReLU."""
    dims = image.ndim - 1
    bias = jnp.array([-50.0, -75.0] if dims == 2 else [-600.0, -900.0], image.dtype)
    dense = [1] * 5 + [-1] * 3 if dims == 2 else [1] * 10 + [-1] * 6  # channels first
    weights = jnp.moveaxis(jnp.array(dense, image.dtype).reshape(2, *(2,) * dims), 0, -1)
    taps = taps or {}
    conv = convolve(image, jnp.ones((3,) * dims + (1, 2), image.dtype)) + bias + taps.get("conv", 0)
    relu = jax.nn.relu(conv) + taps.get("relu", 0)
    score = (weights * relu).sum()
    return jax.nn.relu(score) if final_relu else score, {"conv": conv, "relu": relu}


def m1(image):
    """M1 (2D) or M3 (3D) as a score."""
    return one_conv(image)[0]


def m1_forward(image, taps):
    """M1 or M3 without its last ReLU, with taps."""
    return one_conv(image, taps, final_relu=False)


def m1_image(dims=2):
    return jnp.arange(4.0**dims).reshape(*(4,) * dims, 1)


def m2_forward(image, taps):
    """M2: three numbers [3 1], or already features [3], through an identity layer and two dense ones."""
    v = image.reshape(3) + (taps or {}).get("linear0", 0)
    hidden = jax.nn.relu(jnp.full(4, v.sum()) + jnp.array([-10.0, 1, 1, 1]))
    return hidden.sum() - 1, {"linear0": v}


def m2(image):
    return m2_forward(image, None)[0]


def column(*numbers):
    """Numbers as an "image" with one spatial axis and one channel."""
    return jnp.array(numbers, jnp.float32)[:, None]


def network(dims=2, channels=2, dtype=jnp.float32, seed=0, activation=jax.nn.softplus):
    """A gated two-stage network for [*s channels]; its kernels have depth 1, so one window in 3D is 2D."""
    random = np.random.default_rng(seed)

    def weights(*shape):
        kernel = jnp.asarray(random.normal(size=shape) * 0.4, dtype)
        return kernel if dims == 2 else kernel[None]

    first, second, gate = weights(3, 3, channels, 5), weights(3, 3, 5, 6), weights(1, 1, channels, 1)
    head = jnp.asarray(random.normal(size=6), dtype)

    def forward(image, taps=None):
        taps, ends = taps or {}, {}
        x = image.astype(dtype)
        ends["attention:input"] = jax.nn.sigmoid(convolve(x, gate))[..., 0]
        x = x * ends["attention:input"][..., None]
        for name, kernel in (("stage1", first), ("stage2", second)):
            x = activation(convolve(x, kernel, "SAME")) + taps.get(name, 0)
            ends[name] = x
            pooled = [part for n in x.shape[-3:-1] for part in (n // 2, 2)]
            x = x.reshape(*x.shape[:-3], *pooled, x.shape[-1]).max((-4, -2))
        return x.mean(tuple(range(x.ndim - 1))) @ head, ends

    return forward


def score_of(forward):
    def score(image):
        return forward(image)[0]

    return score
