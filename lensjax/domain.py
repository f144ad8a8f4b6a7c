"""Hold what differs between kinds of data: one object each for lenses, events and published networks.

    domain_of(config.data).bands

Code asks the domain; it does not test the kind of data. To add a kind: a configuration in `config.DATA`,
how its data set is made (`data.store.datasets`), and a class here, named in `DOMAINS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from lensjax.config import Data, EventData, GravitySpyData, LensChallengeData, LensData
from lensjax.data.batches.input_transforms import windows_after
from lensjax.data.surveys.lens_challenge import TRACKS
from lensjax.event_axes import EventGrid, channels
from lensjax.explain import centre_distance, centroid
from lensjax.models.published import Published
from lensjax.simulate.lenses.instruments import get_instrument

Distances = Callable[[jax.Array, jax.Array], dict[str, jax.Array]]  # (map [*s], position [2]) -> distances


class Domain:
    """The properties of a configuration's images. A position is a pair of fractions (row, column)."""

    data: Any
    """The configuration of the data."""
    reader: ClassVar[str]
    """How a user's files are read: a name in `inspection.examples.READERS`."""
    position_columns: ClassVar[tuple[str, ...]]
    """Columns of a position in predictions.csv."""
    preferred_target: ClassVar[str] = "predicted"
    """Default target: "predicted", or a class if the network has one of that name."""
    can_benchmark: ClassVar[bool] = True
    """Whether there are held-out examples like those of the training, with their truth."""
    grid: EventGrid | None = None
    """Frequencies and times of an event's pixels; None for images of the sky."""
    pixel_scale: float | None = None
    """Arcseconds a pixel; None for events."""
    is_log: bool = False
    """Whether pixels are log(1 + energy), which pictures show as energy."""
    stores_light: bool = False
    """Whether each image comes with the light of the lensed source."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the channels."""
        raise NotImplementedError

    @property
    def space(self) -> tuple[int, ...]:
        """Shape [*s] of an image."""
        raise NotImplementedError

    @property
    def stored_type(self) -> type:
        """NumPy type in which images are stored."""
        raise NotImplementedError

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape [*s c] of an image."""
        return (*self.space, len(self.bands))

    @property
    def own_examples(self) -> tuple[str, ...]:
        """Fields of the configuration that give each seed different examples."""
        return tuple(name for name in ("shuffle_labels", "negatives") if getattr(self.data, name, False))

    @property
    def occlusion_window(self) -> tuple[int, ...] | None:
        """Default window of occlusion; None for the method's own."""
        return None

    @property
    def dream_limits(self) -> dict[str, Any]:
        """Bounds and step size of images made from a network."""
        raise NotImplementedError

    def default_target(self, classes: Sequence[str]) -> str:
        """Return what is explained where the user names no target."""
        return self.preferred_target if self.preferred_target in classes else "predicted"

    def default_methods(self, attention: bool, on_grid: bool) -> list[str]:
        """Return the methods that are used where the user names none, as they are written.

        `attention`: the network has gates; `on_grid`: its layers have places on the image.
        """
        names = ["attention"] if attention and on_grid else []
        names += ["grad_cam"] if on_grid else []
        return [*names, "gradient", "input_x_gradient", "smooth_grad", "integrated_gradients", "occlusion"]

    def position_values(self, position: np.ndarray, sigma: np.ndarray, shape: Sequence[int]) -> list[str]:
        """Write a position and its sigma in `position_columns`; `shape` is the image's [*s c]."""
        raise NotImplementedError

    def position_text(self, position: np.ndarray, shape: Sequence[int]) -> str:
        """Say in words where a position is."""
        raise NotImplementedError

    def distances(self, space: tuple[int, ...]) -> Distances:
        """Return the function that measures from a map's centroid to the true position, in physical units."""
        raise NotImplementedError


@dataclass(frozen=True)
class LensDomain(Domain):
    """Images of the sky around a galaxy."""

    data: LensData
    reader: ClassVar[str] = "cutouts"
    position_columns: ClassVar[tuple[str, ...]] = (
        "row", "column", "row_arcsec", "column_arcsec", "sigma_arcsec",
    )  # fmt: skip
    preferred_target: ClassVar[str] = "lens"
    units: ClassVar[str] = "sigma"
    """Units of the images: of the noise, or `min_max`."""
    stored_type: ClassVar[type] = np.float16  # type: ignore[assignment]
    dream_limits: ClassVar[dict[str, Any]] = {  # type: ignore[assignment]
        "bounds": (-3.0, 12.0),  # asinh(flux / σ): sky to a saturated core
        "step_size": 0.1,
    }

    @property
    def bands(self) -> tuple[str, ...]:
        return tuple(band.name for band in get_instrument(self.data.instrument).bands)

    @property
    def pixel_scale(self) -> float:  # type: ignore[override]
        return get_instrument(self.data.instrument).pixel_scale

    @property
    def size(self) -> int:
        """Pixels on a side."""
        return self.data.size

    @property
    def space(self) -> tuple[int, ...]:
        return self.size, self.size

    @property
    def stores_light(self) -> bool:  # type: ignore[override]
        return self.data.light

    def position_values(self, position: np.ndarray, sigma: np.ndarray, shape: Sequence[int]) -> list[str]:
        """Write row and column in pixels, and in arcsec from the middle, and the width in arcsec."""
        size, scale = np.asarray(shape[-3:-1]), self.pixel_scale
        width = np.sqrt(np.mean((sigma * size) ** 2)) * scale
        values = (*(position * size - 0.5), *((position - 0.5) * size * scale), width)
        return [f"{value:.4f}" for value in values]

    def position_text(self, position: np.ndarray, shape: Sequence[int]) -> str:
        down, right = (position - 0.5) * np.asarray(shape[-3:-1]) * self.pixel_scale
        return f'{right:+.2f}" in columns and {down:+.2f}" in rows from the middle'

    def distances(self, space: tuple[int, ...]) -> Distances:
        """Return the distance in arcseconds."""
        scale = self.pixel_scale
        return lambda heat, position: {"centre_distance_arcsec": scale * centre_distance(heat, position)}


@dataclass(frozen=True)
class LensChallengeDomain(LensDomain):
    """Images of the Lens Finding Challenges, in the bands of their track."""

    data: LensChallengeData  # type: ignore[assignment]
    stores_light = False  # type: ignore[assignment]

    @property
    def bands(self) -> tuple[str, ...]:
        return TRACKS[self.data.track].bands

    @property
    def pixel_scale(self) -> float:  # type: ignore[override]
        return TRACKS[self.data.track].pixel_scale


@dataclass(frozen=True)
class PublishedDomain(LensDomain):
    """Images as a published network wants them; its data are simulations that show its field of view."""

    network: Published
    can_benchmark: ClassVar[bool] = False
    units: ClassVar[str] = "min_max"

    @property
    def bands(self) -> tuple[str, ...]:
        return self.network.bands

    @property
    def pixel_scale(self) -> float:  # type: ignore[override]
        return self.network.pixel_scale

    @property
    def size(self) -> int:
        return self.network.size

    def default_methods(self, attention: bool, on_grid: bool) -> list[str]:
        """Return the methods that the network was published with, occlusion by the same patches."""
        patch = self.network.patch
        return [
            f"occlusion(window={patch},stride={patch})",
            "grad_cam",
            "guided_grad_cam",
            "guided_backprop",
            "gradient",
        ]


@dataclass(frozen=True)
class EventDomain(Domain):
    """Events: windows of time and frequency around a trigger."""

    data: EventData | GravitySpyData
    reader: ClassVar[str] = "spectrograms"
    position_columns: ClassVar[tuple[str, ...]] = ("time_s", "frequency_hz", "sigma_time_s", "sigma_octaves")

    @property
    def encoding(self) -> str:
        """How energy is written into pixels, `event_axes.Encoding`."""
        return self.data.encoding

    @property
    def is_log(self) -> bool:  # type: ignore[override]
        return self.encoding == "log"

    @property
    def plane(self) -> str:
        """The Q plane that is shown."""
        return self.data.plane  # type: ignore[union-attr]

    @property
    def bands(self) -> tuple[str, ...]:
        return channels(self.data.encoding, self.plane)

    @property
    def grid(self) -> EventGrid:  # type: ignore[override]
        return EventGrid(self.data.size, windows=windows_after(self.data.inputs))

    @property
    def space(self) -> tuple[int, ...]:
        return len(self.grid.windows), *self.data.size

    @property
    def stored_type(self) -> type:
        return np.float16 if self.is_log else np.uint8

    @property
    def occlusion_window(self) -> tuple[int, ...]:
        """A patch in one window: the same pixel of the next window is another time."""
        return (1, *(max(2, n // 5) for n in self.data.size))

    @property
    def dream_limits(self) -> dict[str, Any]:
        if self.is_log:
            return {"bounds": (0.0, 10.0), "step_size": 0.05}  # log(1 + energy), up to the loudest events
        return {"bounds": (0.0, 1.0), "step_size": 0.01}

    def default_methods(self, attention: bool, on_grid: bool) -> list[str]:
        names = super().default_methods(attention, on_grid)
        if on_grid:
            names.insert(names.index("grad_cam") + 1, "hires_cam")  # exact for a linear head
        return [*names[:-1], f"occlusion(window={self.occlusion_window})"]

    def position_values(self, position: np.ndarray, sigma: np.ndarray, shape: Sequence[int]) -> list[str]:
        """Write time from the trigger in seconds, frequency in hertz, and their widths."""
        grid, (row, column) = self.grid, map(float, position)
        widths = sigma[1] * grid.windows[0], sigma[0] * grid.octaves
        return [f"{value:.5f}" for value in (grid.time(column), grid.frequency(row), *widths)]

    def position_text(self, position: np.ndarray, shape: Sequence[int]) -> str:
        row, column = map(float, position)
        time, frequency = self.grid.time(column), self.grid.frequency(row)
        return f"peak at {time:+.3f} s from the trigger and {frequency:.0f} Hz"

    def distances(self, space: tuple[int, ...]) -> Distances:
        """Return distances in seconds, octaves and hertz."""
        grid: Any = self.grid
        pixels = jnp.asarray(pixel_coordinates(grid, space), jnp.float32)

        def measure(heat: jax.Array, position: jax.Array) -> dict[str, jax.Array]:
            seconds, octave = centroid(heat, pixels)
            frequency = grid.frequency(position[0])
            return {
                "centre_distance_s": jnp.abs(seconds - grid.time(position[1])),
                "centre_distance_octaves": jnp.abs(octave - jnp.log2(frequency)),
                "centre_distance_hz": jnp.abs(2**octave - frequency),
            }

        return measure


class GravitySpyDomain(EventDomain):
    """The real Gravity Spy set, whose pictures show the plane of the loudest tile."""

    plane = "loudest"  # type: ignore[assignment]


DOMAINS: dict[type, type[Domain]] = {
    LensData: LensDomain,
    LensChallengeData: LensChallengeDomain,
    EventData: EventDomain,
    GravitySpyData: GravitySpyDomain,
}


def domain_of(data: Data) -> Any:
    """Return the domain of a configuration of data."""
    return DOMAINS[type(data)](data)  # type: ignore[call-arg]


def pixel_coordinates(grid: EventGrid, space: tuple[int, ...]) -> np.ndarray:
    """Return seconds from the trigger and log₂ of the frequency in hertz of every pixel, [t h w 2]."""
    windows, height, width = space
    octaves = np.log2(grid.frequency((np.arange(height) + 0.5) / height))
    seconds = np.stack([grid.time((np.arange(width) + 0.5) / width, i) for i in range(windows)])
    return np.stack(np.broadcast_arrays(seconds[:, None, :], octaves[:, None]), axis=-1)
