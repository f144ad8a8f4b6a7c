"""Explain a trained network: restore, read images, predict, explain, score, report.

    lensjax explain runs/demo                                      simulations, with scores against the truth
    lensjax explain runs/demo --inputs cutout.fits --out runs/demo/real   explain your own images
    lensjax explain runs/demo --benchmark                          every method × every score
    lensjax explain runs/ablations/lens_demo/attention_kind/sigmoid   seeds 0, 1 … as an ensemble
    lensjax explain published:OU-66 --weights OU_66_Weights.pt --inputs cutout.fits

`python explain.py` is the same command in a checkout. Writes predictions.csv, attributions.npz (one array per
method), scores.csv (if the truth is known), dreams.npz (with --dreams), figures/ and index.html, a page that
needs no network connection. For lens finders with --target lens (the default), predictions.csv has a `flag`:
how far evidence, attention and position are apart. 0: all agree; 1: 2 arcsec apart, or all evidence farther
than 2 arcsec from the position (lensjax/evaluation/disagreement_flag.py). For an ensemble, probabilities and
maps are means over its networks, `disagreement` (nats) is theirs, and the page shows each map's spread.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lensjax.inspection.options import ExplainOptions
from lensjax.runtime import jax_setup
from lensjax.runtime.command_line import run_command
from lensjax.runtime.errors import UserError
from lensjax.specs import parse_spec

if TYPE_CHECKING:
    from lensjax.inspection.restore import Trained
    from lensjax.report.entry import Entry


def main(options: ExplainOptions) -> None:
    """Write the folder of explanations that the options ask for."""
    jax_setup.prepare(gradients=True)  # before anything imports jax
    from lensjax.evaluation import disagreement_flag
    from lensjax.explain import dream_options, options_of
    from lensjax.explain.engine.targets import check_target
    from lensjax.inspection import default_methods, dreams, ensemble, examples, maps, result_files
    from lensjax.inspection.benchmark import write
    from lensjax.runtime.logs import progress

    # ---- what is asked for, checked before anything costs time -------------------------------------------
    options.check_counts()
    methods = [parse_spec(text, options_of) for text in options.methods]
    dreams_asked = [parse_spec(text, dream_options) for text in options.dreams]
    members = ensemble.restore_all(options.run, options.weights)
    if len(members) > 1 and (dreams_asked or options.benchmark):
        raise UserError("--dreams and --benchmark take one run: give one of its seeds' folders.")
    trained = ensemble.describe_members(members, options.run)
    methods = default_methods.complete_methods(
        methods or default_methods.default_methods(trained, every=options.benchmark),
        trained,
        baseline=options.baseline,
        memory=options.memory,
    )
    target = options.target or trained.domain.default_target(trained.classes)
    check_target(target, trained.classes, trained.has_position)
    out = options.out or trained.workdir / ("benchmark" if options.benchmark else "explain")
    if options.benchmark:
        return write.main(trained, options, methods, target, out)

    # ---- images ------------------------------------------------------------------------------------------
    if options.has_inputs:
        images, problems = examples.read(trained, options, out)
        for problem in problems:
            print(f"skipped {problem}", file=sys.stderr)
    else:
        images = examples.held_out(trained, options.count)
    if not images:
        raise UserError("none of the inputs could be read; the lines above say why.")

    # ---- predictions, dreams, maps -----------------------------------------------------------------------
    out.mkdir(parents=True, exist_ok=True)
    predicted, disagreement = ensemble.predict(members, images, options.chunk)
    images = ensemble.note_disagreement(images, disagreement)
    if options.has_inputs:
        print("\n".join(result_files.prediction_lines(trained, images, predicted)))
    strips: list[Any] = []
    if dreams_asked:
        made = dreams.dream(
            trained,
            images,
            predicted,
            dreams_asked,
            target=options.target,
            seed=options.seed,
            progress=progress,
        )
        strips = dreams.write(out, trained, made)
        print(dreams.lines(out, made))
    means, spread = ensemble.explain(
        members,
        images,
        predicted,
        methods,
        target=target,
        chunk=options.memory or options.chunk,
        seed=options.seed,
        progress=progress,
        background=examples.load_background(trained, methods),
    )

    # ---- files -------------------------------------------------------------------------------------------
    columns = {} if disagreement is None else {"disagreement": disagreement}
    if target == "lens" and (
        flagged := disagreement_flag.flags_of(means, predicted.position, trained.pixel_scale)
    ):
        columns["flag"] = flagged[0]
    result_files.write_predictions(out / "predictions.csv", trained, images, predicted, columns)
    result_files.write_maps(out / "attributions.npz", images, means | spread)
    if not spread:  # completeness is of one network
        for line in maps.completeness_lines(trained, images, predicted, methods, means, target, options.seed):
            print(line)
    scores = maps.score(images, means)
    table = result_files.score_table(scores, options.seed)
    if table:
        result_files.write_scores(out / "scores.csv", images, scores)
        print(result_files.table_lines(table))
    else:
        (out / "scores.csv").unlink(missing_ok=True)  # of an earlier command

    # ---- report ------------------------------------------------------------------------------------------
    entries = result_files.entries(images, predicted, means | spread, scores, trained.classes)
    page = write_report(out, trained, entries[: options.page], table, strips, options.figures)
    print(f"predictions: {out / 'predictions.csv'}\npage:        {page}")


def write_report(
    out: Path,
    trained: Trained,
    entries: Sequence[Entry],
    table: Sequence[dict[str, Any]],
    strips: Sequence[Any],
    figures: int,
) -> Path:
    """Write figures of the first `figures` entries, and the page of all of them; return the page's path."""
    from lensjax.inspection import result_files
    from lensjax.report import pixels
    from lensjax.report.figures.save_figures import save_figures
    from lensjax.report.page.page import write_page

    about: dict[str, Any] = {
        "bands": trained.bands,
        "pixel_scale": trained.pixel_scale,
        "score_table": table,
        "events": trained.events,
        "curves": result_files.curves(trained),
    }
    files = save_figures(
        out / "figures",
        entries[:figures],
        summary=trained.summary.get("test", {}),
        scales=pixels.shared_scales([entry.maps for entry in entries]),
        **about,
    )
    return write_page(
        out,
        entries,
        title=f"{trained.workdir.name}: what, where and why",
        summary=trained.summary,
        command=shlex.join(["python", *sys.argv]),
        figures=files,
        dreams=strips,
        **about,
    )


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command with the words after its name; those of the process where None."""
    prog = "explain.py" if arguments is None else "lensjax explain"
    run_command(main, ExplainOptions, prog=prog, description=__doc__, arguments=arguments)
