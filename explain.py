"""Explain a trained network: restore, read images, predict, explain, score, report.

    python explain.py runs/demo                                      simulations, scored against the truth
    python explain.py runs/demo --inputs cutout.fits --out runs/demo/real   your own images
    python explain.py runs/demo --benchmark                          every method × every score
    python explain.py runs/ablations/lens_demo/attention_kind/sigmoid   seeds 0, 1 … as an ensemble
    python explain.py published:OU-66 --weights OU_66_Weights.pt --inputs cutout.fits

Writes predictions.csv, attributions.npz (one array a method), scores.csv (where the truth is known),
dreams.npz (of --dreams), figures/ and index.html, a page that needs no network. Of lens finders,
predictions.csv has a `flag` (with --target lens, the default): how far evidence, attention and position
disagree, 0 if not at all, 1 if by a galaxy (rule: lensjax/evaluation/disagreement_flag.py). Of an ensemble,
probabilities and maps
are means over its networks, `disagreement` (nats) is theirs, and each map's spread is shown beside it.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from lensjax.runtime import jax_setup
from lensjax.runtime.errors import UserError


@dataclass(frozen=True)
class Command:
    run: Annotated[Path, tyro.conf.Positional]
    """Workdir of train.py, a folder of several (seed0, seed1 …), or published:OU-66 (OU-200, OU-VIS, OU-J,
    OU-Y, OU-H, OU-JYH)."""
    weights: Path | None = None
    """Of a published network: its .pt (needs PyTorch), or an .npz made from it."""
    inputs: tuple[Path, ...] = ()
    """Files or folders of your own (FITS, HDF5, NumPy); the run's held-out split where none is given."""
    out: Path | None = None
    """Folder to write; RUN/explain, or runs/published/NAME/explain, where not given."""
    methods: tuple[str, ...] = ()
    """Names in lensjax.explain.METHODS, with options if you like: "occlusion(window=8,stride=4)". Where none
    is given, all that the network allows."""
    dreams: tuple[str, ...] = ()
    """Images from the network, and film strips of the way there: deep_dream, from the first images;
    "class_image(steps=128)"; "activation_image(layer=stage3,channel=5)"."""
    target: str | None = None
    """What to explain: the log odds of a class, or of "predicted", each example's own; "logit(lens)",
    "log_probability(lens)", "probability(lens)"; "difference(lens, non-lens)" of two logits; "row" or
    "column" of the position, for events "frequency" or "time". Where not given, "lens" for lens finders, else
    "predicted"."""
    baseline: str | None = None
    """What perturbation and path methods compare with, unless a method says otherwise: a number, or zero,
    mean, median, blur, noise (drawn from the sky)."""
    count: int = 256
    """Held-out examples to explain and score."""
    page: int = 48
    """Examples shown on the page."""
    figures: int = 6
    """Examples drawn as figures for a paper or a talk, each as PDF and PNG; the page links to them."""
    pixel_scale: float | None = None
    """Arcseconds a pixel of the inputs, over what their headers say."""
    hdus: tuple[str, ...] = ()
    """Names or numbers of the HDUs (or HDF5 data sets) of the inputs, one a band in the model's order."""
    centre: tuple[float, float] | None = None
    """Row and column to cut out around, in pixels of the files, the first 0; their middle where not given."""
    gps: tuple[float, ...] = ()
    """Events: GPS times in the strain of the inputs (GWOSC HDF5)."""
    detector: str | None = None
    """Events: without --inputs, fetch open data of this detector (H1, L1, V1) around the GPS times."""
    scan: bool = False
    """Events: look for triggers in all of the strain, list them in candidates.csv, explain the loudest."""
    min_energy: float = 25.5
    """--scan: least energy of a trigger; 42 is the official threshold."""
    catalogue: Path | None = None
    """CSV with file or id, and optionally label, x, y (pixels of the file, the first 0)."""
    chunk: int = 8
    """Examples explained at once: less takes less memory."""
    memory: str | None = None
    """Instead: bytes that the samples of a method may take, such as 512MB."""
    seed: int = 0
    """Of the methods that draw random numbers."""
    benchmark: bool = False
    """Instead: one table of all methods (or --methods) and all scores, faithfulness, sanity and cost too."""
    benchmark_examples: int = 24
    """--benchmark: held-out examples with a true mask."""
    shuffled: Path | None = None
    """--benchmark: the same network trained with --data.shuffle-labels, whose maps should be others."""


def main(command: Command) -> None:
    jax_setup.prepare(gradients=True)
    from lensjax.evaluation import disagreement_flag
    from lensjax.explain import parse
    from lensjax.inspection import default_methods, dreams, ensemble, examples, result_files
    from lensjax.inspection import maps as explained
    from lensjax.inspection.benchmark import write
    from lensjax.inspection.benchmark.methods import every_method
    from lensjax.inspection.targets import check_target
    from lensjax.report import pixels
    from lensjax.report.figures import save_figures as figures
    from lensjax.report.page import page as html
    from lensjax.runtime import logs

    # ---- what is asked for, checked before anything costs time -------------------------------------------
    result_files.check_counts(
        chunk=command.chunk, count=command.count, page=command.page, figures=command.figures
    )
    result_files.check_counts(benchmark_examples=command.benchmark_examples)
    methods = [(text, *parse(text)) for text in command.methods]
    dreaming = dreams.read(command.dreams)
    members = ensemble.restore_all(command.run, command.weights)
    if len(members) > 1 and (dreaming or command.benchmark):
        raise UserError("--dreams and --benchmark take one run: give one of its seeds' folders.")
    trained = ensemble.as_one(members, command.run)
    usual = every_method if command.benchmark else default_methods.default_methods
    methods = default_methods.with_trivial(methods or usual(trained))
    methods = default_methods.with_windows(methods, trained)
    methods = default_methods.with_common(methods, baseline=command.baseline, memory=command.memory)
    target = command.target or ("lens" if "lens" in trained.classes else "predicted")
    check_target(target, trained.classes, trained.has_position)
    out = command.out or trained.workdir / ("benchmark" if command.benchmark else "explain")
    if command.benchmark:
        return write.main(trained, command, methods, target, out)

    # ---- images --------------------------------------------------------------------------------------------
    given = bool(command.inputs or command.detector or command.gps or command.scan)
    if given:
        images, problems = examples.read(trained, command, out)
        for problem in problems:
            print(f"skipped {problem}", file=sys.stderr)
    else:
        images = examples.held_out(trained, command.count)
    if not images:
        raise UserError("none of the inputs could be read; the lines above say why.")

    # ---- predictions, maps, scores -------------------------------------------------------------------------
    out.mkdir(parents=True, exist_ok=True)
    predicted, disagreement = ensemble.predict(members, images, command.chunk)
    images = ensemble.with_disagreement(images, disagreement)
    columns = {} if disagreement is None else {"disagreement": disagreement}
    result_files.write_predictions(out / "predictions.csv", trained, images, predicted, columns)
    for line in result_files.prediction_lines(trained, images, predicted) if given else []:
        print(line)
    strips: list[Any] = []
    if dreaming:
        dreamt = dreams.dream(
            trained,
            images,
            predicted,
            dreaming,
            target=command.target,
            seed=command.seed,
            progress=logs.progress,
        )
        strips = dreams.write(out, trained, dreamt)
        print(dreams.lines(out, dreamt))
    maps, spread = ensemble.explain(
        members,
        images,
        predicted,
        methods,
        target=target,
        chunk=command.memory or command.chunk,
        seed=command.seed,
        progress=logs.progress,
    )
    result_files.write_maps(out / "attributions.npz", images, maps | spread)
    found = (
        disagreement_flag.flags_of(maps, predicted.position, trained.pixel_scale)
        if target == "lens"
        else None
    )
    if found is not None:
        result_files.write_predictions(
            out / "predictions.csv", trained, images, predicted, columns | {"flag": found[0]}
        )
    if not spread:  # completeness is of one network
        for line in explained.completeness_lines(
            trained, images, predicted, methods, maps, target, command.seed
        ):
            print(line)
    scores = explained.score(images, maps)
    table = result_files.score_table(scores, command.seed)
    if table:
        result_files.write_scores(out / "scores.csv", images, scores)
        print(result_files.table_lines(table))
    else:
        (out / "scores.csv").unlink(missing_ok=True)  # of an earlier command

    # ---- report --------------------------------------------------------------------------------------------
    shown = result_files.entries(images, predicted, maps | spread, scores, trained.classes)[: command.page]
    about: dict[str, Any] = {"bands": trained.bands, "pixel_scale": trained.pixel_scale, "score_table": table}
    about["events"] = trained.events
    about["curves"] = result_files.curves(trained)
    test = trained.summary.get("test", {})
    scales = pixels.shared_scales([entry.maps for entry in shown])
    files = figures.save_figures(
        out / "figures", shown[: command.figures], summary=test, scales=scales, **about
    )
    page = html.write_page(
        out,
        shown,
        title=f"{trained.workdir.name}: what, where and why",
        summary=trained.summary,
        command=shlex.join(["python", *sys.argv]),
        figures=files,
        dreams=strips,
        **about,
    )
    print(f"predictions: {out / 'predictions.csv'}\npage:        {page}")


if __name__ == "__main__":
    try:
        main(tyro.cli(Command, prog="explain.py", description=__doc__))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; nothing of the run was changed.")
