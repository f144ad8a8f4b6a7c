"""`lensjax.load(run)`: a trained network that predicts and explains arrays of images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lensjax.explain import options_of
from lensjax.explain.engine.loops import Chunk
from lensjax.explain.engine.targets import check_target
from lensjax.inspection import default_methods, examples, maps
from lensjax.inspection.maps import Item, Predicted
from lensjax.inspection.restore import Trained, restore
from lensjax.runtime.errors import UserError
from lensjax.specs import parse_spec
from lensjax.types import Float


@dataclass(frozen=True)
class Prediction:
    """A network's predictions for images; for one image without the leading axis n."""

    classes: np.ndarray | np.str_
    """Names [n] of the most probable classes; a single name of one image, and so on."""
    probabilities: np.ndarray
    """float32 [n k], in the order of `LoadedNetwork.classes`."""
    position: np.ndarray | None
    """[n 2], fractions (row, column); None for a network without position."""
    position_sigma: np.ndarray | None
    """[n 2], standard deviations in the same unit."""


@dataclass(frozen=True)
class LoadedNetwork:
    """A trained network; `load_network` makes one.

    Images are as `lensjax.types` says: of lenses asinh(flux / noise) band by band, of events energy. They are
    one [*s c], or several [n *s c].
    """

    trained: Trained

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.trained.classes

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the channels."""
        return self.trained.bands

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape [*s c] of one image."""
        return self.trained.domain.image_shape

    def predict(self, images: np.ndarray, *, chunk: int = 8) -> Prediction:
        """Predict class and position, `chunk` images at a time.

        Raises:
          UserError: the images have another shape, or hold NaN or infinity.
        """
        items, single = self._read(images)
        found = maps.predict(self.trained, items, min(chunk, len(items)))
        names = np.array(self.classes)[found.classes]
        columns = (names, found.probabilities, found.position, found.position_sigma)
        return Prediction(*(None if c is None else c[0] if single else c for c in columns))  # type: ignore[arg-type]

    def explain(
        self,
        images: np.ndarray,
        method: str = "grad_cam",
        target: str | None = None,
        *,
        chunk: Chunk = 8,
        seed: int = 0,
        background: np.ndarray | None = None,
    ) -> Float[np.ndarray, "*n"]:
        """Return maps [n *s] on the image grid, raw and signed: positive supports the target.

        Args:
          images: [n *s c], or one image [*s c].
          method: a name in `lensjax.explain.METHODS`, with options as in "occlusion(window=8)".
          target: as `--target`; "lens" for lens finders, else "predicted", where None.
          chunk: images at a time, or bytes such as "512MB".
          seed: of methods that draw random numbers.
          background: images [m *s c] for expected gradients; some of the run's own where None.

        Raises:
          UserError: the images have another shape, or the method, its options or the target are unknown.
        """
        items, single = self._read(images)
        target = target or self.trained.domain.default_target(self.classes)
        check_target(target, self.classes, self.trained.has_position)
        window = self.trained.domain.occlusion_window
        common = {} if window is None else {"window": window}
        (chosen,) = default_methods.add_options([parse_spec(method, options_of)], common)
        if background is None:
            background = examples.load_background(self.trained, [chosen])
        found = maps.explain(
            self.trained,
            items,
            self._predicted(items, chunk),
            [chosen],
            target=target,
            chunk=chunk,
            seed=seed,
            progress=partial(tqdm, disable=True),
            background=background,
        )[method]
        return found[0] if single else found

    def _predicted(self, items: list[Item], chunk: Chunk) -> Predicted:
        at_once = 8 if isinstance(chunk, str) else chunk
        return maps.predict(self.trained, items, min(at_once, len(items)))

    def _read(self, images: np.ndarray) -> tuple[list[Item], bool]:
        """Return the images, transformed as the network's own were, and whether there is one alone."""
        array, shape = np.asarray(images, np.float32), self.image_shape
        single = array.ndim == len(shape)
        array = array[None] if single else array
        if array.shape[1:] != shape or len(array) == 0:
            raise UserError(
                f"images have shape {np.shape(images)}; this network wants {shape} or (n, {str(shape)[1:]}, "
                f"with the bands {', '.join(self.bands)} last."
            )
        if not np.isfinite(array).all():
            raise UserError("images hold NaN or infinity; fill or drop them first.")
        items = [Item(str(row), "array", image) for row, image in enumerate(array)]
        return [examples.transform_item(item, self.trained) for item in items], single


def load_network(run: str | Path, weights: str | Path | None = None) -> LoadedNetwork:
    """Load the best checkpoint of a run, or, for "published:NAME", a published network from its weights.

    Raises:
      UserError: the folder is no run, has no checkpoint, or is damaged; or so are the weights.
    """
    return LoadedNetwork(restore(Path(run), None if weights is None else Path(weights)))
