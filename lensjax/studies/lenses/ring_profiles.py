"""Test whether a map's energy lies at the Einstein radius: radial profiles, and permutation tests.

A profile is the mean of a map's positive part in rings of equal width, over its mean in the whole disc: 1
everywhere for a uniform map. Every test permutes values that would be exchangeable if the map did not depend
on the lens's own Einstein radius.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lensjax.types import Bool, Float

WIDTH = 0.2  # arcsec, of a ring
OUTER = 2.3  # arcsec, of the disc: what a field of 4.8″ holds whole
RING_EDGES = np.arange(0, OUTER + 1e-9, WIDTH)  # arcsec
NUMBERS = ("own", "others", "swapped", "p_rings", "p_swapped")
Profiles = Float[np.ndarray, "n r"]


def measure_profiles(
    maps: Float[np.ndarray, "n h w"], centre: Float[np.ndarray, "n 2"], pixel_scale: float, edges: np.ndarray
) -> Profiles:
    """Return the mean positive part in each ring about `centre` (fractions), over that of the disc.

    A map without a positive part has 0 everywhere.
    """
    positive = np.maximum(np.asarray(maps, float), 0)
    shape = np.array(positive.shape[1:])
    rows, columns = np.indices(positive.shape[1:])
    found = np.zeros((len(positive), len(edges) - 1))
    for i, (one, at) in enumerate(zip(positive, centre * shape - 0.5, strict=True)):
        radius = np.hypot(rows - at[0], columns - at[1]) * pixel_scale
        ring = np.digitize(radius.ravel(), edges) - 1
        inside = ring < len(edges) - 1
        count = np.bincount(ring[inside], minlength=len(edges) - 1)
        total = np.bincount(ring[inside], one.ravel()[inside], minlength=len(edges) - 1)
        mean = total.sum() / count.sum()
        found[i] = total / np.maximum(count, 1) / mean if mean > 0 else 0.0
    return found


def compare_radii(
    profile: Profiles,
    theta_e: Float[np.ndarray, " n"],
    edges: np.ndarray,
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare the energy in the ring of each lens's own Einstein radius, with what else it could be.

    Returns: `own`, the mean over lenses of the profile there; `others`, of all other rings; `swapped`, with
    the radii exchanged between the lenses, which keeps the average profile: what any map that is brighter in
    the middle gets for nothing. `p_rings` is the share of random rings, one a lens, that do as well;
    `p_swapped` that of random exchanges (one-sided, Phipson & Smyth 2010: never 0).
    """
    ring = np.digitize(theta_e, edges) - 1
    keep = np.isfinite(theta_e) & (ring >= 0) & (ring < len(edges) - 1)
    profile, ring = profile[keep], ring[keep]
    n, rings = profile.shape
    if n < 2:
        return {"n": int(n)} | dict.fromkeys(NUMBERS, float("nan"))
    rows, rng = np.arange(n), np.random.default_rng(seed)
    own = profile[rows, ring]
    drawn = profile[rows, rng.integers(0, rings, (draws, n))].mean(1)
    swapped = profile[rows, rng.permuted(np.tile(ring, (draws, 1)), axis=1)].mean(1)
    return {
        "n": int(n),
        "own": float(own.mean()),
        "others": float((profile.sum(1) - own).sum() / (n * (rings - 1))),
        "swapped": float(swapped.mean()),
        "p_rings": float((1 + (drawn >= own.mean() - 1e-12).sum()) / (draws + 1)),
        "p_swapped": float((1 + (swapped >= own.mean() - 1e-12).sum()) / (draws + 1)),
    }


def measure_scaled_profiles(
    maps: Float[np.ndarray, "n h w"],
    centre: Float[np.ndarray, "n 2"],
    theta_e: Float[np.ndarray, " n"],
    pixel_scale: float,
    edges: Float[np.ndarray, " e"],
) -> Float[np.ndarray, "k r"]:
    """Return profiles against radius over Einstein radius, where there is one; NaN beyond the field."""
    keep: Bool[np.ndarray, " n"] = np.isfinite(theta_e)
    found = np.full((int(keep.sum()), len(edges) - 1), np.nan)
    for row, (one, at, radius) in enumerate(zip(maps[keep], centre[keep], theta_e[keep], strict=True)):
        inside = edges[1:] * radius <= OUTER
        if inside.any():
            some = np.append(edges[0], edges[1:][inside]) * radius
            found[row, inside] = measure_profiles(one[None], at[None], pixel_scale, some)[0]
    return found
