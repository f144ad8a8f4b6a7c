"""Small files in the layouts of real lenses, galaxies and rings."""

import h5py
import numpy as np
from astropy.io import fits

SIDE, SCALE = 56, 0.05


def blob(side, at, width, height, seed, arc=None):
    """A Gaussian galaxy in noise of width 1, with an arc (radius, angle) on one side where asked."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((side, side))
    row, column = rows - at[0], columns - at[1]
    radius = np.hypot(row, column)
    image = height * np.exp(-(radius**2) / (2 * width**2)) + rng.normal(0, 1, (side, side))
    if arc is not None:
        turned = np.arctan2(row, column) - arc[1]
        near = np.abs(np.angle(np.exp(1j * turned)))
        image += 60 * np.exp(-((radius - arc[0]) ** 2) / 2 - near**2 / 0.18)
    return image


def write_lens(folder, name, seed=0, theta_e=0.6, band="F814W", angle=0.4):
    """A lens at the coordinate origin, off the middle of the array; an arc at its Einstein radius."""
    at = (SIDE // 2 + 1.0, SIDE // 2 - 2.0)
    turn = SCALE * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    origin = -turn @ np.array(at[::-1])
    (folder / name).mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / name / f"{band}.h5", "w") as file:
        file["image_data"] = blob(SIDE, at, 4, 50, seed, (theta_e / SCALE, seed))
        file["background_rms"] = 1.0
        file["ra_at_xy_0"], file["dec_at_xy_0"] = origin
        file["transform_pix2angle"] = turn
        file["psf"] = np.ones((9, 9)) / 81
    return at


def write_radii(folder, radii):
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    lines = ["Lens_name,R_Ein", *(f"{name},{value}" for name, value in radii.items())]
    (folder / "tables" / "mass_params.csv").write_text("\n".join(lines))


def write_galaxies(folder, count=8, side=40, sky=0.0):
    """A catalogue and its stamps, 0.03 arcsec a pixel."""
    folder.mkdir(parents=True, exist_ok=True)
    images = [sky + blob(side, (side / 2, side / 2), 3, 30 + 5 * i, i) for i in range(count)]
    hdus = [fits.PrimaryHDU(images[0]), *(fits.ImageHDU(image) for image in images[1:])]
    fits.HDUList(hdus).writeto(folder / "stamps.fits", overwrite=True)
    columns = [
        fits.Column("IDENT", "K", array=np.arange(count)),
        fits.Column("RA", "D", array=150 + 0.01 * np.arange(count)),
        fits.Column("DEC", "D", array=np.full(count, 2.0)),
        fits.Column("MAG", "D", array=np.full(count, 22.0)),
        fits.Column("GAL_FILENAME", "32A", array=["stamps.fits"] * count),
        fits.Column("GAL_HDU", "K", array=np.arange(count)),
        fits.Column("NOISE_MEAN", "D", array=np.full(count, sky)),
        fits.Column("NOISE_VARIANCE", "D", array=np.ones(count)),
        fits.Column("PIXEL_SCALE", "D", array=np.full(count, 0.03)),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(folder / "catalogue.fits", overwrite=True)


def write_rings(path, count=6, side=40):
    """Pictures of galaxies, the first half with a ring."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((side, side)) - side / 2
    radius = np.hypot(rows, columns)
    ring = np.arange(count) < count // 2
    grey = [120 * np.exp(-(radius**2) / 18) + r * 80 * np.exp(-((radius - 9) ** 2) / 4) for r in ring]
    noisy = np.stack(grey)[..., None] + rng.normal(20, 3, (count, side, side, 3))
    np.savez(path, images=np.clip(noisy, 0, 255).astype(np.uint8), ring=ring.astype(int))
