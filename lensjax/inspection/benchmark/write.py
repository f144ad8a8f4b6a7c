"""Write the files and the page of the benchmark of a trained network."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from lensjax.inspection import examples, maps, result_files
from lensjax.inspection.benchmark import table
from lensjax.inspection.options import ExplainOptions
from lensjax.inspection.restore import Trained, restore
from lensjax.report import benchmark as report
from lensjax.report.page import page as html
from lensjax.runtime import logs
from lensjax.specs import MethodSpec


def main(
    trained: Trained, options: ExplainOptions, methods: Sequence[MethodSpec], target: str, out: Path
) -> None:
    """Write benchmark.json, .csv, .md, .png, .pdf and index.html.

    Raises:
      UserError: no held-out example has a true mask, or the options contradict each other.
    """
    table.check_run(trained)
    shuffled = None if options.shuffled is None else restore(options.shuffled)
    images = examples.examples_with_evidence(trained, options.benchmark_examples)
    out.mkdir(parents=True, exist_ok=True)
    predicted = maps.predict(trained, images, options.chunk)
    found = table.run(
        trained,
        images,
        predicted,
        methods,
        target=target,
        chunk=options.chunk,
        seed=options.seed,
        progress=logs.progress,
        shuffled=shuffled,
        background=examples.load_background(trained, methods),
    )
    result = {
        "command": shlex.join(sys.argv),
        "environment": logs.environment(),
        "target": target,
        "examples": [item.id for item in images],
        "rows": found.rows,
        "cascades": found.cascades,
    }
    logs.write_json(out / "benchmark.json", result)
    report.write(out, found.rows, found.cascades)
    shown = result_files.entries(images, predicted, found.maps, found.scores, trained.classes)[: options.page]
    page = html.write_page(
        out,
        shown,
        title=f"{trained.workdir.name}: which map to trust for what",
        pixel_scale=trained.pixel_scale,
        bands=trained.bands,
        score_table=found.rows,
        command=shlex.join(["python", *sys.argv]),
        events=trained.events,
        benchmark=out,
    )
    print("\n".join(report.markdown(found.rows)))
    print(f"table: {out / 'benchmark.md'}\npage:  {page}")
