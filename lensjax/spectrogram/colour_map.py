"""The colour map viridis both ways: the official images of events are drawn with it.

Designed by Nathaniel Smith and Stéfan van der Walt, released under CC0. The 256 entries are those that
matplotlib draws in 8 bits, read once from there: most commands load no matplotlib.
"""

from __future__ import annotations

import base64
import functools

import numpy as np
from scipy.spatial import cKDTree

from lensjax.types import Float, UInt8

# 256 entries × (red, green, blue), one byte each.
_TABLE = (
    "RAFURAJVRANXRQVYRQZaRQhbRglcRgteRgxfRg5hRw9iRxFjRxJlRxRmRxVnRxZpRxhqSBlrSBpsSBxuSB1vSB5wSCBxSCFySCJz"
    "SCN0RyV1RyZ2Ryd3Ryh4Ryp5Ryt6Ryx7Ri18Ri98RjB9RjF+RTJ/RTR/RTWARTaBRDeBRDmCQzqDQzuDQzyEQj2EQj6FQkCFQUGG"
    "QUKGQEOHQESHP0WHP0eIPkiIPkmJPUqJPUuJPUyJPE2KPE6KO1CKO1GKOlKLOlOLOVSLOVWLOFaLOFeMN1iMN1mMNlqMNluMNVyM"
    "NV2MNF6NNF+NM2CNM2GNMmKNMmONMWSNMWWNMWaNMGeNMGiNL2mNL2qNLmuOLmyOLm2OLW6OLW+OLHCOLHGOLHKOK3OOK3SOKnWO"
    "KnaOKneOKXiOKXmOKHqOKHqOKHuOJ3yOJ32OJ36OJn+OJoCOJoGOJYKOJYONJISNJIWNJIaNI4eNI4iNI4mNIomNIoqNIouNIYyN"
    "IY2MIY6MII+MIJCMIJGMH5KMH5OLH5SLH5WLH5aLHpeKHpiKHpmKHpmKHpqJHpuJHpyJHp2IHp6IHp+IHqCHH6GHH6KGH6OGIKSF"
    "IKWFIaaFIaeEIqeEI6iDI6mCJKqCJauBJqyBJ62AKK5/Ka9/KrB+K7F9LLF9LrJ8L7N7MLR6MrV6M7Z5Nbd4Nrh3OLl2Obl2O7p1"
    "Pbt0PrxzQL1yQr5xRL5wRb9vR8BuScFtS8JsTcJrT8NpUcRoU8VnVcZmV8ZlWcdkW8hiXslhYMlgYspfZMtdZ8xcacxba81Zbc5Y"
    "cM5Wcs9VdNBUd9BSedFRfNJPftJOgdNMg9NLhtRJiNVHi9VGjdZEkNZDktdBldc/l9g+mtg8ndk6n9k4oto3pdo1p9szqtsyrdww"
    "r9wust0std0rt90put4nvd4mv98kwt8ixd8hx+AfyuAezeAdz+Ec0uEb1OEa1+IZ2uIY3OIY3+MY4eMY5OMY5+QZ6eQZ7OQa7uUb"
    "8eUc8+Ue9uYf+OYh+uYi/eck"
)

VIRIDIS = np.frombuffer(base64.b64decode(_TABLE), np.uint8).reshape(256, 3)
"""uint8 [256 3], from 0 (dark violet) to 1 (yellow)."""
_TREE = cKDTree(VIRIDIS)


def colour(fraction: Float[np.ndarray, "*s"]) -> UInt8[np.ndarray, "*s 3"]:
    """Colours of finite fractions by matplotlib's rule: 256 equal bins, those at the ends unbounded."""
    return VIRIDIS[np.clip(np.floor(fraction * 256), 0, 255).astype(np.uint8)]


def invert(rgb: UInt8[np.ndarray, "*s 3"]) -> Float[np.ndarray, "*s"]:
    """Fractions in [0, 1], multiples of 1/255, of the nearest of the 256 entries to each colour.

    The ends are exactly 0 and 1, so a saturated core is 1, and `colour(invert(c))` is `c` for every entry.
    """
    red, green, blue = np.moveaxis(rgb.astype(np.int32), -1, 0)
    codes = (red << 16) | (green << 8) | blue
    nearest = _nearest()
    new = np.unique(codes[nearest[codes] < 0])
    if new.size:
        nearest[new] = _TREE.query(np.stack([new >> 16, new >> 8 & 255, new & 255], axis=-1))[1]
    return nearest[codes].astype(np.float32) / np.float32(255)


@functools.cache
def _nearest() -> np.ndarray:
    """Entry of every colour met so far, −1 for the others: 32 MB, and four times faster than a search."""
    return np.full(2**24, -1, np.int16)
