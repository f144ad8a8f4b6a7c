"""The options of `lensjax explain` and explain.py. A string under a field is its help text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from lensjax.runtime.errors import UserError


@dataclass(frozen=True)
class ExplainOptions:
    """Hold the options of `lensjax explain`."""

    run: Annotated[Path, tyro.conf.Positional]
    """Workdir of train.py, a folder of several (seed0, seed1 …), or published:OU-66 (OU-200, OU-VIS, OU-J,
    OU-Y, OU-H, OU-JYH)."""
    weights: Path | None = None
    """Weights of a published network: its .pt (needs PyTorch), or an .npz made from it."""
    inputs: tuple[Path, ...] = ()
    """Your own files or folders (FITS, HDF5, NumPy). By default: the run's held-out split."""
    out: Path | None = None
    """Output folder. By default: RUN/explain, or runs/published/NAME/explain."""
    methods: tuple[str, ...] = ()
    """Names in lensjax.explain.METHODS, optionally with options: "occlusion(window=8,stride=4)". By default:
    a small set that suits the network."""
    dreams: tuple[str, ...] = ()
    """Images made by gradient ascent on the network, and film strips of their steps: deep_dream, from the
    first images; "class_image(steps=128)"; "activation_image(layer=stage3,channel=5)"."""
    target: str | None = None
    """What to explain: the log odds of a named class, or of the "predicted" class of each example;
    "logit(lens)", "log_probability(lens)", "probability(lens)"; "difference(lens, non-lens)" of two logits;
    "row" or "column" of the position, for events "frequency" or "time". By default: "lens" for lens finders,
    else "predicted"."""
    baseline: str | None = None
    """Image with which perturbation and path methods compare, unless a method has its own: a number, or zero,
    mean, median, blur, noise (drawn from the sky)."""
    count: int = 256
    """Held-out examples to explain and score."""
    page: int = 48
    """Examples shown on the page."""
    figures: int = 6
    """Examples drawn as figures for a paper or a talk, each as PDF and PNG; the page links to them."""
    pixel_scale: float | None = None
    """Arcseconds per pixel of the inputs; overrides their headers."""
    hdus: tuple[str, ...] = ()
    """Names or numbers of the HDUs (or HDF5 data sets) of the inputs, one per band in the network's order."""
    centre: tuple[float, float] | None = None
    """Row and column of the cutout's centre, in pixels of the files, counted from 0. By default: their
    middle."""
    gps: tuple[float, ...] = ()
    """Events: GPS times in the strain of the inputs (GWOSC HDF5)."""
    detector: str | None = None
    """Events: without --inputs, fetch open data of this detector (H1, L1, V1) around the GPS times."""
    scan: bool = False
    """Events: find the triggers in all of the strain, list them in candidates.csv, and explain the
    loudest."""
    min_energy: float = 25.5
    """--scan: minimum energy of a trigger; 42 is the official threshold."""
    catalogue: Path | None = None
    """CSV with file or id, and optionally label, x, y (pixels of the file, counted from 0)."""
    chunk: int = 8
    """Examples explained at once; a smaller number needs less memory."""
    memory: str | None = None
    """Instead of --chunk: memory that the samples of a method may use, such as 512MB."""
    seed: int = 0
    """Seed of the methods that draw random numbers."""
    benchmark: bool = False
    """Instead of maps: one table of all methods (or --methods), all scores, and the cost of each method."""
    benchmark_examples: int = 24
    """--benchmark: held-out examples with a true mask."""
    shuffled: Path | None = None
    """--benchmark: the same network trained with --data.shuffle-labels, whose maps should differ."""

    def check_counts(self) -> None:
        """Refuse numbers of examples that are too small.

        Raises:
          UserError: with the option and its value.
        """
        for name, value, least in (
            ("--chunk", self.chunk, 1),
            ("--count", self.count, 1),
            ("--page", self.page, 0),
            ("--figures", self.figures, 0),
            ("--benchmark-examples", self.benchmark_examples, 1),
        ):
            if value < least:
                raise UserError(f"{name} (={value}) must be {least} or more.")

    @property
    def has_inputs(self) -> bool:
        """Return whether the images are the user's own."""
        return bool(self.inputs or self.detector or self.gps or self.scan)
