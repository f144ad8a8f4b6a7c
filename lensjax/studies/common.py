"""Share code between studies: train over seeds, predict and explain, write one table, find the real data.

In the order of a study: `make_command`; `load_lens_config`, `load_edits`, `plan_runs`, `train_runs`;
`held_out_simulations`, `predict_source`, `predict_images`, `read_methods`, `make_maps`; `format_spread`,
`format_change`, `markdown_table`, `save_study`. Apart: `real_data_folder`.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro

from lensjax.config import Config, LensData, LossConfig
from lensjax.config_io import load_config_file
from lensjax.data.batches import input_transforms, pipeline
from lensjax.data.store import datasets
from lensjax.evaluation import predict
from lensjax.explain import options_of
from lensjax.inspection import maps
from lensjax.inspection.restore import Trained
from lensjax.report.score_table import markdown_table as markdown_table
from lensjax.runtime import logs, parallel
from lensjax.runtime.command_line import run_command
from lensjax.runtime.errors import UserError
from lensjax.specs import MethodSpec, check_names, load_definition, parse_spec
from lensjax.training.subprocesses import train_all

# ---- options that several commands have ----

Help = tyro.conf.arg
ConfigFile = Annotated[Path, tyro.conf.Positional, Help(help="Configuration file.")]
Runs = Annotated[
    tuple[Path, ...], tyro.conf.Positional, Help(help="Folders of train.py, seeds of one experiment say.")
]
Run = Annotated[Path, tyro.conf.Positional, Help(help="Folder of train.py.")]
Out = Annotated[Path, Help(help="Folder of the tables, the figures, and the runs that are trained.")]
Jobs = Annotated[int, Help(help="Trainings at once, each on its share of the cores.")]
SimulatorSeed = Annotated[int, Help(help="Of the simulator; no training set has it.")]
Train = Annotated[
    int | None, Help(help="Training images, fewer for a quick look; the configuration's by default.")
]
Epochs = Annotated[int | None, Help(help="Passes over them; the configuration's if none.")]

Edit = Callable[[Config], Config]
NamedSeed = tuple[str, int]
"""Name of a variant, and seed."""
REAL_DATA = "LENSJAX_REAL_DATA"


def make_command(
    name: str, main: Callable[[Any], None], options: type, description: str | None
) -> Callable[..., None]:
    """Return `run(arguments=None)`, the command `lensjax study NAME` of a study's module."""

    def run(arguments: Sequence[str] | None = None) -> None:
        run_command(
            main,
            options,
            prog=f"lensjax study {name}",
            description=description,
            arguments=arguments,
            interrupted="interrupted; the same command goes on from what is saved.",
        )

    return run


# ---- configurations and runs ----


def load_lens_config(path: Path) -> tuple[Config, LensData]:
    """Return the configuration of a lens finder, and its data.

    Raises:
      UserError: the configuration is of other data.
    """
    config = load_config_file(path)
    if not isinstance(config.data, LensData):
        raise UserError(f"'{path}' has data '{config.data.name}'; this study needs simulated_lenses.")
    return config, config.data


def load_edits(path: Path, table: str, what: str, only: Sequence[str] = ()) -> dict[str, Edit]:
    """Return the edits of a Python file's `table`: those named in `only`, in that order, or all.

    Raises:
      UserError: no such file, no such table in it, or an unknown name; `what` is what the names are of.
    """
    edits = load_definition(path, table, f"`{table}: dict[str, Callable[[Config], Config]]`")
    check_names(what, only, edits)
    return {name: edits[name] for name in only or edits}


def plan_runs(base: Config, edits: Mapping[str, Edit], seeds: int) -> dict[NamedSeed, Config]:
    """Return a configuration for each variant and seed, seed by seed: a stopped study has some of each."""
    return {
        (name, seed): replace(edit(base), seed=seed) for seed in range(seeds) for name, edit in edits.items()
    }


def train_runs(
    out: Path, configs: Mapping[NamedSeed, Config], jobs: int, desc: str = "training"
) -> dict[NamedSeed, Path]:
    """Train what is missing into `out/NAME/seedK`, `jobs` runs at once; return the folder of each run."""
    places = [out / name.replace(" ", "_") / f"seed{seed}" for name, seed in configs]
    done = train_all(dict(zip(places, configs.values(), strict=True)), jobs, desc)
    return dict(zip(configs, done, strict=True))


# ---- networks on simulations ----


def held_out_simulations(data: LensData, count: int, seed: int, **changes: Any) -> datasets.Source:
    """Return `count` simulations like those of `data`, of a simulator's seed that no training has."""
    sizes = {"train": 1, "validation": 1, "test": count, "seed": seed, "light": False}
    return datasets.load(datasets.prepare(replace(data, **(sizes | changes))), "test")


def predict_source(
    trained: Trained, source: datasets.Source, loss: LossConfig | None = None
) -> predict.Predictions:
    """Return a network's predictions for every example; `loss` stands in for the run's own."""
    config = replace(trained.config, loss=loss or trained.config.loss)
    step = jax.jit(predict.make_prediction_step(config, trained.model))
    batches = logs.progress(pipeline.eval_batches(source, 64), f"test {trained.workdir}")
    return predict.predict(step, trained.params, batches, parallel.data_mesh())


def predict_images(
    trained: Trained,
    images: Sequence[np.ndarray],
    chunk: int,
    *,
    ids: Sequence[Any] | np.ndarray | None = None,
    specs: Sequence[str] = (),
) -> maps.Predicted:
    """Return a network's predictions for stored images: its own inputs' transformation, then `specs`, apply.

    `ids` tell the images apart where a transformation draws noise; their numbers by default.
    """
    names = range(len(images)) if ids is None else ids
    specs, kind = (*trained.config.data.inputs, *specs), trained.domain.stored_type
    ready = [
        input_transforms.transform_image(image, specs, str(name), kind)
        for name, image in zip(names, images, strict=True)
    ]
    return maps.predict_images(trained, ready, chunk)


def read_methods(texts: Sequence[str], trained: Trained | None = None) -> list[MethodSpec]:
    """Parse methods as written; without attention where the network `trained` has no gate."""
    methods = [parse_spec(text, options_of) for text in texts]
    has_gate = trained is None or bool(trained.config.model.attention.at)
    return [method for method in methods if has_gate or method[1] != "attention"]


def make_maps(
    trained: Trained,
    items: Sequence[maps.Item],
    methods: Sequence[MethodSpec],
    *,
    target: str,
    chunk: int,
) -> tuple[dict[str, np.ndarray], maps.Predicted]:
    """Return the maps [n *s] of every method, by its name as written, and the predictions."""
    predicted = maps.predict(trained, items, chunk)
    found = maps.explain(
        trained, items, predicted, methods, target=target, chunk=chunk, seed=0, progress=logs.progress
    )
    return found, predicted


# ---- tables ----


def format_spread(values: Iterable[float | int | None], digits: int) -> str:
    """Format mean ± standard deviation of the values that are known; empty where none is."""
    known = np.array([value for value in values if value is not None], float)
    known = known[np.isfinite(known)]
    if not known.size:
        return ""
    spread = f" ± {known.std(ddof=1):.{digits}f}" if known.size > 1 else ""
    return f"{known.mean():.{digits}f}{spread}"


def format_change(mean: float, low: float, high: float, digits: int) -> str:
    """Format `+0.12 (-0.03 to +0.27)`; without an interval where there is none, such as of one seed."""
    interval = f" ({low:+.{digits}f} to {high:+.{digits}f})" if np.isfinite(low) else ""
    return f"{mean:+.{digits}f}{interval}"


def save_study(
    out: Path,
    lines: Sequence[str],
    result: Mapping[str, Any],
    figures: Sequence[Path] = (),
    name: str = "table",
) -> None:
    """Write the lines as NAME.md and the numbers as NAME.json; print the lines, and where everything is."""
    out.mkdir(parents=True, exist_ok=True)
    about = {"command": shlex.join(sys.argv), "environment": logs.environment()}
    logs.write_json(out / f"{name}.json", about | dict(result))
    text = "\n".join(lines)
    (out / f"{name}.md").write_text(text + "\n")
    print(f"{text}\n\ntable:  {out / f'{name}.md'}")
    for figure in figures:
        print(f"figure: {figure}")


# ---- real data ----


def real_data_folder(*parts: str, given: Path | None = None) -> Path:
    """Return the place that an option gives, or one in the folder of real data that the environment names.

    Raises:
      UserError: neither is there.
    """
    if given:
        return given
    folder = os.environ.get(REAL_DATA)
    if not folder:
        raise UserError(f"{REAL_DATA} is not set: set it to the folder of real data, or use the options.")
    return Path(folder, *parts)
