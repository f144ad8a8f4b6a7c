"""Name the files of a run's folder, and format the lines that a run prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from lensjax.config import Config
from lensjax.config_io import changes
from lensjax.data.store.datasets import Source
from lensjax.evaluation.predict import Predictions
from lensjax.losses.custom import resolve_loss_config
from lensjax.runtime import logs
from lensjax.runtime.errors import UserError
from lensjax.training.restore_run import config_of

# Shown after an epoch and at the end, where they exist; everything is in metrics.jsonl and summary.json.
HEADLINES = (
    "auroc",
    "tpr0",
    "accuracy",
    "macro_f1",
    "position_error_median_arcsec",
    "peak_time_error_median_ms",
    "peak_frequency_error_median_octaves",
    "chirp_error_rate",
)


def check_workdir(workdir: Path, config: Config) -> None:
    """Refuse to go on in a workdir whose checkpoints another configuration made.

    Raises:
      UserError: the workdir holds a run of another configuration; says which fields differ.
    """
    if not has_checkpoints(workdir):
        return
    differing = changes(comparable_dict(config_of(workdir)), comparable_dict(config))
    if differing:
        raise UserError(
            f"'{workdir}' holds a run of another configuration ({'; '.join(differing[:5])}): "
            "choose another --workdir, or delete that folder."
        )


def comparable_dict(config: Config) -> dict[str, Any]:
    """Return a configuration as JSON, to compare: a loss of weight 0 is none, and has no options."""
    values = logs.plain(asdict(replace(config, loss=resolve_loss_config(config.loss))))
    weights = {name: w for name, w in values["loss"]["weights"].items() if w}
    options = {name: given for name, given in values["loss"]["options"].items() if name in weights}
    values["loss"] |= {"weights": weights, "options": options}
    return values


def start_workdir(workdir: Path, config: Config) -> None:
    """Write config.json, and environment.json unless a resumed run has told where it began."""
    if not logs.is_first_process():
        return
    workdir.mkdir(parents=True, exist_ok=True)
    logs.write_json(workdir / "config.json", asdict(replace(config, loss=resolve_loss_config(config.loss))))
    if not has_checkpoints(workdir):
        logs.write_json(workdir / "environment.json", logs.environment())


def has_checkpoints(workdir: Path) -> bool:
    """Tell whether anything was trained and saved there."""
    return any(path.name.isdigit() for path in (workdir / "checkpoints").glob("*"))


def mean_values(history: Sequence[dict[str, Any]], k: int = 0) -> dict[str, float]:
    """Return the mean of each logged value over the steps of an epoch; of the k-th seed, if several train."""
    return {name: float(np.mean([np.atleast_1d(row[name])[k] for row in history])) for name in history[0]}


def epoch_line(epoch: int, train: dict[str, float], summary: dict[str, Any], seconds: float) -> str:
    """Return the line that a person reads while waiting."""
    shown = " · ".join(f"{name} {summary[name]:.3f}" for name in HEADLINES if summary.get(name) is not None)
    loss = train.get("loss", float("nan"))
    return f"epoch {epoch:3d} · loss {loss:.4f} → {summary['loss']:.4f} · {shown} · {seconds:.1f} s"


def write_summary(
    workdir: Path, test: dict[str, Any], *, steps_per_epoch: int, batch_size: int, **facts: Any
) -> None:
    """Write summary.json: facts of the run, seconds an epoch from its log, every metric of the test split."""
    epochs = [record for record in logs.read(workdir / "metrics.jsonl") if "seconds" in record]
    # By step: an epoch that was stopped and resumed is logged with the steps since. The first one compiles;
    # it speaks for the speed only when it is alone.
    steps = [record["seconds"] / record["steps"] for record in epochs]
    typical = float(np.median(steps[1:] or steps)) if steps else float("nan")
    summary = {
        **facts,
        "epochs": len(epochs),
        "seconds_per_epoch": typical * steps_per_epoch,
        "images_per_second": batch_size / typical,
        "test": test,
    }
    logs.write_json(workdir / "summary.json", summary)


def summary_lines(test: dict[str, Any]) -> str:
    """Format the headline numbers of the test split with their 95 % intervals."""
    lines = []
    for name in HEADLINES:
        if test.get(name) is None:
            continue
        interval = ""
        if test.get(f"{name}_low") is not None:
            interval = f"  ({test[f'{name}_low']:.4f} – {test[f'{name}_high']:.4f})"
        lines.append(f"  {name:30s} {test[name]:.4f}{interval}")
    return "\n".join(lines)


def write_test_predictions(workdir: Path, predictions: Predictions, source: Source) -> None:
    """Write test_predictions.npz: logits, positions and truth, row by row, for figures and studies."""
    truth: dict[str, Any] = {f"truth_{name}": values for name, values in source.truth.items()}
    if predictions.window_logits is not None:
        truth["window_logits"] = predictions.window_logits
    unfinished = workdir / ".test_predictions.npz"
    np.savez_compressed(
        unfinished,
        id=source.id,
        label=source.label,
        logits=predictions.logits,
        position=predictions.position,
        position_sigma=predictions.position_sigma,
        true_position=source.position,
        **truth,
    )
    unfinished.replace(workdir / "test_predictions.npz")
