"""Replace removed pixels by a weighted mean of their neighbours plus a little noise: noisy linear imputation.

Of Rong et al. 2022 (ROAD, arXiv:2202.00449): a removed pixel is Σ w · neighbour / Σ w over the eight around
it, 1/6 for each direct and 1/12 for each diagonal one, those beyond the border left out. All removed pixels
together are a symmetric system, solved here by conjugate gradients. Neighbours are along rows and columns:
the windows of an event are no neighbours.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lensjax.explain.engine.loops import at_least_float32
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Bool, Float, PRNGKeyArray

DIRECT, DIAGONAL = 1 / 6, 1 / 12
NOISE = 0.01
"""Standard deviation of the noise, as a fraction of the image's range (the paper's images lie in [0, 1])."""
TOLERANCE, MOST_ITERATIONS = 1e-3, 200


@jax.jit
def impute(
    image: Float[Array, "*s c"],
    removed: Bool[Array, "*s"],
    *,
    key: PRNGKeyArray | None = None,
    noise: float | Array = NOISE,
) -> Float[Array, "*s c"]:
    """Make the `removed` pixels up from the others; those stay as they are, bit for bit.

    Solved until the residual is `TOLERANCE` of the right-hand side, in `MOST_ITERATIONS` at most: tested to
    be within 1 % of the image's range, the size of the noise, in holes of 60 × 60 pixels. A window without a
    pixel left gets the mean of what is left elsewhere. Without a key there is no noise.
    """
    image = at_least_float32(image)
    if image.ndim < 3:
        raise UserError(f"imputation needs rows, columns and channels, not an image of {image.shape}.")
    gone = removed[..., None]
    known = jnp.where(gone, 0, image)
    kept = jnp.maximum((~removed).sum(), 1)
    mean = known.sum(tuple(range(removed.ndim))) / kept
    total = neighbours(jnp.ones_like(image))

    def system(x: Array) -> Array:
        x = jnp.where(gone, x, 0)
        return jnp.where(gone, total * x - neighbours(x), 0)

    wanted, start = jnp.where(gone, neighbours(known), 0), jnp.where(gone, mean, 0)
    # A window without a pixel left is solved by any constant: its residual is zero from the start.
    found, _ = jax.scipy.sparse.linalg.cg(system, wanted, start, tol=TOLERANCE, maxiter=MOST_ITERATIONS)
    if key is not None:
        found = found + noise * jnp.ptp(image) * jax.random.normal(key, image.shape, image.dtype)
    return jnp.where(gone, found, image)


def neighbours(x: Float[Array, "*s c"]) -> Float[Array, "*s c"]:
    """Sum w · neighbour over the eight pixels around each, nothing beyond the border."""
    row, column = x.ndim - 3, x.ndim - 2
    beside = _both_sides(x, column)
    return DIRECT * beside + _both_sides(DIRECT * x + DIAGONAL * beside, row)


def _both_sides(x: Array, axis: int) -> Array:
    pads = [(1, 1) if i == axis else (0, 0) for i in range(x.ndim)]
    padded, n = jnp.pad(x, pads), x.shape[axis]
    return jax.lax.slice_in_dim(padded, 0, n, axis=axis) + jax.lax.slice_in_dim(padded, 2, n + 2, axis=axis)
