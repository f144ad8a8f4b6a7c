"""The noise-free image of a scene by lenstronomy, float64, for tests and benchmarks.

Only galaxies that lenstronomy has: Sérsic rows and the lensed source, so kinds without arms and rings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.simulate.lenses import light, optics
from lensjax.simulate.lenses.instruments import Instrument
from lensjax.simulate.lenses.population import ellipticity
from lensjax.simulate.lenses.render import band_flux


def _sersic(pitch: float, profile: Sequence[float], flux: Any) -> dict[str, float]:
    """lenstronomy's arguments of a Sérsic galaxy (radius, n, q, φ, x, y) of a total flux."""
    from lenstronomy.LightModel.Profiles.sersic import SersicElliptic

    radius, n, q, phi, x, y = map(float, profile)
    e1, e2 = map(float, ellipticity(jnp.asarray(q), jnp.asarray(phi)))
    unit = SersicElliptic(smoothing=light.core(pitch)).total_flux(1.0, radius, n)
    names = ("amp", "R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y")
    return dict(zip(names, (flux / unit, radius, n, e1, e2, x, y), strict=True))


def _band_flux(magnitude: Any, old: Any, redshift: Any, instrument: Instrument) -> np.ndarray:
    galaxy = jnp.asarray(magnitude), jnp.asarray(old), jnp.asarray(redshift)
    return np.asarray(band_flux(galaxy[0], galaxy[1], galaxy[2], instrument))


def scene_arguments(s: dict[str, Any], instrument: Instrument, supersampling: int, lensed: bool) -> dict:
    """Per band, what lenstronomy needs of `Scene.parameters`: lens, source and lens-light arguments."""
    pitch = instrument.pixel_scale / supersampling
    s = jax.device_get(s)
    x, y = float(s["x"]), float(s["y"])
    e1, e2 = map(float, ellipticity(jnp.minimum(s["q_mass"], 0.98), jnp.asarray(s["phi_mass"])))
    lens = [
        {"theta_E": float(s["theta_e"]), "e1": e1, "e2": e2, "center_x": x, "center_y": y},
        {"gamma1": float(s["gamma1"]), "gamma2": float(s["gamma2"]), "ra_0": x, "dec_0": y},
    ]
    rows = [row for row in s["rows"] if np.isfinite(row[0])]
    row_flux = [_band_flux(row[0], row[1], row[2], instrument) for row in rows]
    return {
        "lens": lens,
        "kernels": np.asarray(optics.kernels(jnp.asarray(s["fwhm"]), instrument, supersampling), float),
        "source": _source_arguments(s, instrument, pitch, float(lensed)),
        "galaxies": [
            [_sersic(pitch, row[3:].tolist(), f[band]) for row, f in zip(rows, row_flux, strict=True)]
            for band in range(len(instrument.bands))
        ],
    }


def _source_arguments(
    s: dict[str, Any], instrument: Instrument, pitch: float, share: float = 1.0
) -> list[list[dict[str, float]]]:
    """Per band, the host and the knot of a source."""
    flux = share * _band_flux(s["mag_source"], s["old_source"], s["z_s"], instrument) / s["magnification"]
    at = np.array([s["x"], s["y"]], float)
    at += s["beta"] * np.array([np.cos(s["beta_angle"]), np.sin(s["beta_angle"])])
    knot_at = at + s["knot_distance"] * np.array([np.cos(s["knot_angle"]), np.sin(s["knot_angle"])])
    host = [*(float(s[f"{name}_source"]) for name in ("r", "n", "q", "phi")), *at]
    knot = [0.3 * float(s["r_source"]) + 0.01, 1.0, 0.9, 0.0, *knot_at]
    shares = 1 - s["knot_share"], s["knot_share"]
    return [[_sersic(pitch, g, f * k) for g, k in zip((host, knot), shares, strict=True)] for f in flux]


def double_arguments(s: dict[str, Any], instrument: Instrument, supersampling: int) -> dict:
    """As `scene_arguments` for a compound lens: mass at two redshifts, light at two redshifts behind it."""
    from lensjax.simulate.lenses.compound_lenses import second_source

    arguments = scene_arguments(s, instrument, supersampling, lensed=True)
    second = jax.device_get(second_source(s) | {"magnification": s["magnification_2"]})
    s = jax.device_get(s)
    behind = _source_arguments(second, instrument, instrument.pixel_scale / supersampling)
    both = zip(arguments["source"], behind, strict=True)
    mass = ["SIE", "SHEAR", "SIE"], [float(s[name]) for name in ("z_l", "z_l", "z_s")]
    # lenstronomy's deflections are reduced to the further source.
    f = float(s["distance_ratio"])
    sie, shear = arguments["lens"]
    sie |= {"theta_E": f * sie["theta_E"]}
    shear |= {name: f * shear[name] for name in ("gamma1", "gamma2")}
    q = jnp.minimum(0.5 + 0.5 * s["q_source"], 0.98)
    e1, e2 = map(float, ellipticity(q, jnp.asarray(s["phi_source"])))
    x, y = (
        float(s[axis] + s["beta"] * turn(s["beta_angle"])) for axis, turn in (("x", np.cos), ("y", np.sin))
    )
    own = {"theta_E": float(s["theta_e_source"]), "e1": e1, "e2": e2, "center_x": x, "center_y": y}
    return arguments | {
        "lens": [sie, shear, own],
        "source": [near + far for near, far in both],
        "mass": mass,
        "source_redshifts": [float(s[name]) for name in ("z_s", "z_s", "z_s_2", "z_s_2")],
    }


def lens_model(arguments: dict) -> Any:
    """lenstronomy's lens of `scene_arguments` or `double_arguments`."""
    from astropy.cosmology import FlatLambdaCDM
    from lenstronomy.LensModel.lens_model import LensModel

    if "mass" not in arguments:
        return LensModel(["SIE", "SHEAR"])
    names, redshifts = arguments["mass"]
    return LensModel(
        names,
        z_source=arguments["source_redshifts"][-1],
        lens_redshift_list=redshifts,
        multi_plane=True,
        cosmo=FlatLambdaCDM(H0=70, Om0=0.3),
    )


def lenstronomy_image(arguments: dict, instrument: Instrument, size: int, supersampling: int) -> np.ndarray:
    """Flux [h w c] by one lenstronomy `ImageModel` a band, supersampled convolution."""
    from lenstronomy.Data.imaging_data import ImageData
    from lenstronomy.Data.psf import PSF
    from lenstronomy.ImSim.image_model import ImageModel
    from lenstronomy.LightModel.light_model import LightModel

    smooth = {"smoothing": light.core(instrument.pixel_scale / supersampling)}
    corner = -(size - 1) / 2 * instrument.pixel_scale
    grid = {
        "image_data": np.zeros((size, size)),
        "ra_at_xy_0": corner,
        "dec_at_xy_0": corner,
        "transform_pix2angle": np.eye(2) * instrument.pixel_scale,
    }
    # By default it supersamples only the middle 5 pixels of the kernel.
    numerics = {
        "supersampling_factor": supersampling,
        "supersampling_convolution": True,
        "supersampling_kernel_size": None,
    }
    planes = []
    for kernel, source, galaxies in zip(
        arguments["kernels"], arguments["source"], arguments["galaxies"], strict=True
    ):
        psf = PSF("PIXEL", kernel_point_source=kernel, point_source_supersampling_factor=supersampling)
        model = ImageModel(
            ImageData(**grid),
            psf,
            lens_model(arguments),
            LightModel(
                ["SERSIC_ELLIPSE"] * len(source),
                source_redshift_list=arguments.get("source_redshifts"),
                profile_kwargs_list=[smooth] * len(source),
            ),
            LightModel(["SERSIC_ELLIPSE"] * len(galaxies), profile_kwargs_list=[smooth] * len(galaxies)),
            kwargs_numerics=numerics,
        )
        planes.append(model.image(arguments["lens"], source, galaxies))
    return np.stack(planes, -1)
