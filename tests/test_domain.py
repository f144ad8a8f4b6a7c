"""The domain answers what differs between lenses, events and published networks; a kind is one object."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax import domain
from lensjax.config import EventData, GravitySpyData, LensData
from lensjax.data.store import datasets
from lensjax.domain import Domain, LensDomain, PublishedDomain, domain_of
from lensjax.inspection.examples import READERS
from lensjax.models import published

KINDS = [
    LensData(),
    LensData(instrument="hst_f814w", size=96, light=True),
    EventData(),
    EventData(encoding="log", plane="all"),
    EventData(encoding="rgb", inputs=("equal_stretch(seconds=1)",)),
    GravitySpyData(),
]


@pytest.mark.parametrize("data", KINDS, ids=str)
def test_every_kind_answers_everything(data):
    of = domain_of(data)
    shape = of.image_shape
    assert shape == (*of.space, len(of.bands)) and of.reader in READERS
    position, sigma = np.array([0.25, 0.5]), np.array([0.1, 0.2])
    assert len(of.position_values(position, sigma, shape)) == len(of.position_columns)
    assert of.position_text(position, shape)
    assert of.default_methods(True, True)[0] == "attention" and "grad_cam" not in of.default_methods(
        True, False
    )
    low, high = of.dream_limits["bounds"]
    assert low < high and (of.grid is None) != (of.pixel_scale is None)
    heat = jnp.zeros(of.space).at[..., :2, :].set(1.0)
    found = of.distances(of.space)(heat, jnp.asarray(position))
    assert found and all(np.isfinite(value) for value in found.values())


@pytest.mark.parametrize("data", [kind for kind in KINDS if not isinstance(kind, GravitySpyData)], ids=str)
def test_shape_and_type_are_those_of_the_stored_data_set(data):
    of = domain_of(data)
    assert of.image_shape == datasets.image_shape(data)


def test_kinds_differ_where_they_should():
    lenses, events = domain_of(LensData(shuffle_labels=True, negatives="folder")), domain_of(EventData())
    assert lenses.own_examples == ("shuffle_labels", "negatives") and events.own_examples == ()
    assert lenses.default_target(("non-lens", "lens")) == "lens"
    assert lenses.default_target(("spiral", "ring")) == events.default_target(("Blip", "lens")) == "predicted"
    assert lenses.occlusion_window is None and events.occlusion_window == (1, 28, 34)
    assert lenses.stored_type is np.float16 and events.stored_type is np.uint8
    assert domain_of(EventData(encoding="log")).stored_type is np.float16
    assert domain_of(GravitySpyData()).plane == "loudest"
    network = published.NETWORKS["OU-66"]
    euclid = PublishedDomain(LensData(size=198), network)
    assert euclid.image_shape == (66, 66, 4) and euclid.pixel_scale == 0.3 and euclid.units == "min_max"
    assert euclid.default_methods(False, True)[0] == "occlusion(window=1,stride=1)"
    assert not euclid.can_benchmark and lenses.can_benchmark


def test_a_fourth_kind_is_one_object(monkeypatch):
    @dataclass(frozen=True)
    class CutoutData(LensData):
        """A labelled folder of images in one band."""

    class CutoutDomain(LensDomain):
        preferred_target: ClassVar[str] = "ring"
        bands = ("r",)
        pixel_scale = 0.2

    monkeypatch.setitem(domain.DOMAINS, CutoutData, CutoutDomain)
    of = domain_of(CutoutData(size=20))
    assert isinstance(of, Domain) and of.image_shape == (20, 20, 1)
    assert of.default_target(("ring", "spiral")) == "ring"
    found = of.distances((20, 20))(jnp.ones((20, 20)), jnp.array([0.5, 0.75]))
    np.testing.assert_allclose(found["centre_distance_arcsec"], 5 * 0.2, rtol=1e-5)


def test_events_measure_in_their_own_axes():
    of = domain_of(EventData(size=(8, 10)))
    heat = jnp.zeros((4, 8, 10)).at[0, :, 4:6].set(1.0)
    found = jax.jit(of.distances((4, 8, 10)))(heat, jnp.array([0.5, 0.5]))
    assert float(found["centre_distance_s"]) == pytest.approx(0, abs=1e-6)
    assert domain_of(replace(of.data, inputs=("equal_stretch(seconds=1)",))).grid.windows == (1.0,) * 4
