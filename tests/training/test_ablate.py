"""Seeds trained together are runs of their own; variants of them in one table; an ensemble of them."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lensjax.config import AttentionConfig, Config, EventData, LensData, LossConfig, ModelConfig, OptimConfig
from lensjax.config_io import load_config
from lensjax.data.batches import pipeline
from lensjax.data.store import datasets
from lensjax.inspection import ensemble, restore
from lensjax.inspection import maps as explained
from lensjax.models import build
from lensjax.runtime import logs, parallel
from lensjax.specs import MethodSpec
from lensjax.studies import variants_table
from lensjax.studies.maps import compare_variants as maps
from lensjax.training import checkpoint, loop, seed_stack, variants
from lensjax.training.optim import make_optimiser
from lensjax.training.restore_run import blank_state
from lensjax.training.state import init_state, make_train_step
from tests.training.test_train import final_state, records

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = ROOT / "configs" / "variants.py"
NET = ModelConfig(
    features=(3,), hidden=0, dropout=0.2, head="class", attention=AttentionConfig(at=("stage1",))
)
OPTIM = OptimConfig(batch_size=8, epochs=2)


def source(n=24, size=16):
    rng = np.random.default_rng(n)
    return datasets.Source(
        image=rng.standard_normal((n, size, size, 4)).astype(np.float16),
        mask=np.zeros((n, size, size), bool),
        label=rng.integers(0, 2, n).astype(np.int32),
        position=rng.random((n, 2)).astype(np.float32),
        id=np.arange(n).astype(str),
    )


def test_stacked_batches_are_those_of_each_seed():
    data, seeds = source(), (3, 0)
    both = pipeline.stacked_iterator(data, 8, seeds, ("dihedral",))
    alone = [pipeline.train_iterator(data, 8, seed, ("dihedral",)) for seed in seeds]
    for _ in range(4):  # into the second epoch
        batch, ones = next(both), [next(one) for one in alone]
        for name, values in batch.items():
            np.testing.assert_array_equal(values, np.stack([one[name] for one in ones]))


@pytest.mark.parametrize("together", [True, False])
def test_a_step_of_all_is_the_step_of_each_and_stopped_seeds_stay(together):
    config = Config(model=NET, optim=OPTIM, loss=LossConfig({"cross_entropy": 1.0}))
    model, optimiser = build(NET), make_optimiser(OPTIM, 6)
    step, seeds = make_train_step(config, model, optimiser), jnp.array([3, 0, 7], jnp.uint32)
    everywhere = parallel.replicated(parallel.data_mesh())

    def init(seed):
        return init_state(config, model, optimiser, jnp.zeros((1, 16, 16, 4)), seed)

    one, initial = jax.jit(step), jax.jit(init)
    states = [initial(seed) for seed in seeds]
    now = seed_stack.stack(states, everywhere).now
    data = pipeline.stacked_iterator(source(), 8, (3, 0, 7), ("dihedral",))
    advance = seed_stack.make_step(step, (3, 0, 7), everywhere, together)
    for active in ([True, True, True], [True, False, True], [False, False, True]):
        batch = next(data)
        now, values = advance(now, parallel.shard(batch, parallel.data_mesh(), 1), np.array(active))
        for k in np.flatnonzero(active):
            states[k], alone = one(states[k], seed_stack.take_member(batch, k), seeds[k])
            assert values["loss"][k] == pytest.approx(float(alone["loss"]), rel=1e-5)
    for k, state in enumerate(states):
        assert int(now.step[k]) == int(state.step) == (2, 1, 3)[k]
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6),
            seed_stack.take_member(now, k),
            state,
        )


def test_each_seed_keeps_its_best_and_stops_by_itself():
    state = blank_state(Config(model=NET, optim=OPTIM))
    stack = seed_stack.stack([state, state], parallel.replicated(parallel.data_mesh()))
    for step, scores in enumerate([(0.5, 0.5), (0.4, 0.5), (0.3, 0.7), (0.9, 0.8)], 1):
        active = stack.active(patience=2)
        stack = replace(stack, now=replace(stack.now, step=jnp.where(active, step, stack.now.step)))
        stack = stack.record_scores(scores, active)
    assert stack.best.step.tolist() == [1, 4] and stack.now.step.tolist() == [3, 4] and stack.step == 4
    assert stack.active(patience=2).tolist() == [False, True]
    assert stack.active(patience=0).tolist() == [True, True]
    np.testing.assert_allclose(stack.best.best, [0.5, 0.8])


TINY = Config(
    data=LensData(size=16, augment=("dihedral",)),
    model=NET,
    loss=LossConfig({"cross_entropy": 1.0}),
    optim=replace(OPTIM, epochs=3),
)


@pytest.fixture(scope="module")
def made_up() -> Iterator[None]:
    """Noise instead of simulations."""
    splits = {"train": source(32), "validation": source(16), "test": source(24)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets, "prepare", lambda config: Path())
        patch.setattr(datasets, "load", lambda folder, split: splits[split])
        yield


@contextlib.contextmanager
def collect_messages() -> Iterator[list[str]]:
    """What lensjax logs."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logs.logger.addHandler(handler)
    before, _ = logs.logger.level, logs.logger.setLevel(logging.INFO)
    try:
        yield said
    finally:
        logs.logger.removeHandler(handler)
        logs.logger.setLevel(before)


@pytest.fixture(scope="module")
def together(made_up, tmp_path_factory) -> Path:
    """Two variants, two seeds each, trained in this process of eight devices."""
    folder = tmp_path_factory.mktemp("ablation")
    (folder / "groups.py").write_text(
        "from dataclasses import replace\n"
        "GROUPS = {'gates': {'with': lambda c: c, 'the_same': lambda c: c, 'never': lambda c: None,\n"
        "  'plain': lambda c: replace(c, data=replace(c.data, augment=()))}}\n"
    )
    with collect_messages() as said:
        chosen = variants.choose_variants(TINY, "gates", folder / "groups.py")
        table = variants.train_variants(TINY, "gates", chosen, 2, folder / "runs")
        variants_table.write_table(folder / "runs", table)
    (folder / "said.txt").write_text("\n".join(said))
    return folder


@pytest.mark.slow
def test_a_seed_trained_with_others_is_the_run_of_its_own(tiny_config, tiny_run, tmp_path):
    config = load_config(tiny_config)
    assert loop.train_several(config, range(2), tmp_path)
    seed0 = tmp_path / "seed0"
    ours, theirs = final_state(seed0), final_state(tiny_run)
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-3, atol=2e-5, err_msg=name)
    for mine, alone in zip(records(seed0), records(tiny_run), strict=True):
        for name in ("train/loss", "validation/loss", "validation/auroc"):
            assert mine[name] == pytest.approx(alone[name], rel=2e-3)
    summaries = [json.loads((run / "summary.json").read_text()) for run in (seed0, tiny_run)]
    assert summaries[0]["best_step"] == summaries[1]["best_step"]
    assert summaries[0]["test"]["loss"] == pytest.approx(summaries[1]["test"]["loss"], rel=2e-3)
    best = [restore.restore(run).params for run in (seed0, tiny_run)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5), *best)
    check_by_script(tmp_path)


def check_by_script(folder: Path) -> None:
    """explain.py takes the folder of seeds."""
    out = folder / "explain"
    command = ["explain.py", str(folder), "--methods", "attention", "gradient", "--count", "4"]
    command += ["--figures", "1", "--out", str(out)]
    process = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stderr
    assert "disagreement" in (out / "predictions.csv").read_text().splitlines()[0]
    with np.load(out / "attributions.npz", allow_pickle=False) as maps:
        assert {"attention", "attention(spread)", "gradient(spread)"} <= set(maps)
    assert "networks disagree by" in (out / "index.html").read_text()


@pytest.mark.slow
def test_a_stopped_ablation_resumes_to_the_same_numbers(together, tmp_path, monkeypatch):

    @contextlib.contextmanager
    def stop_at_six():
        yield lambda step: step == 6

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "stop_requests", stop_at_six)
        with collect_messages() as said:
            assert not loop.train_several(TINY, range(2), tmp_path)
    assert "stopped and saved at step 6" in said[-1]
    with collect_messages() as said:
        assert loop.train_several(TINY, range(2), tmp_path)
    assert "resuming at step 6 of 12" in "".join(said)
    for seed in ("seed0", "seed1"):
        ours, theirs = final_state(tmp_path / seed), final_state(together / "runs" / "with" / seed)
        for name in theirs:
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_one_table_and_figure_and_what_was_left_out(together):
    runs, said = together / "runs", (together / "said.txt").read_text()
    assert "the_same is left out: it is with here" in said and "never is left out" in said
    table = json.loads((runs / "table.json").read_text())
    assert list(table["rows"]) == ["with", "plain"] and len(table["rows"]["plain"]) == 2
    mean, low, high = table["differences"]["plain"]["auroc"]
    assert low <= mean <= high
    assert "| plain |" in (runs / "table.md").read_text()
    assert (runs / "table.png").read_bytes().startswith(b"\x89PNG")
    assert not list(runs.glob("*/together_*"))


def test_maps_of_all_its_networks_are_scored(together, tmp_path, monkeypatch):
    test = source(24)
    test.mask[:, 4:9, 4:9] = True
    monkeypatch.setattr(datasets, "load", lambda folder, split: test)
    methods = ("attention", "gradient")
    maps.main(maps.CompareVariantsOptions(together / "runs", tmp_path, methods, examples=4, chunk=4))
    table = json.loads((tmp_path / "table.json").read_text())
    assert list(table["rows"]) == ["with", "plain"]
    for rows in table["rows"].values():
        assert len(rows) == 2
        assert all(0 <= row[f"{name}: energy_inside"] <= 1 for row in rows for name in methods)
    assert {"random: energy_inside", "sobel: average_precision"} <= set(table["controls"])
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")


def test_seeds_are_an_ensemble(together):
    members = ensemble.restore_all(together / "runs" / "with")
    assert len(members) == 2
    images = source(24).image[:3].astype(np.float32)
    shown = [explained.Item(id=str(i), source="noise", image=image) for i, image in enumerate(images)]
    predicted, disagreement = ensemble.predict(members, shown, 4)
    pure = ensemble.predictor(members)(jnp.asarray(images))
    np.testing.assert_allclose(predicted.probabilities, pure["probabilities"], atol=1e-5)
    np.testing.assert_allclose(disagreement, pure["disagreement"], atol=1e-5)
    methods = [MethodSpec(name, name, {}) for name in ("gradient", "centre")]
    options = {"target": "lens", "chunk": 4, "seed": 0, "progress": logs.progress}
    maps, spread = ensemble.explain(members, shown, predicted, methods, **options)
    each = [explained.explain(one, shown, predicted, methods[:1], **options)["gradient"] for one in members]
    np.testing.assert_allclose(maps["gradient"], np.mean(each, 0), atol=1e-6)
    np.testing.assert_allclose(spread["gradient(spread)"], np.std(each, 0, ddof=1), atol=1e-6)
    assert list(spread) == ["gradient(spread)"]
    with pytest.raises(ValueError, match=r"data.augment: .* → \[\]"):
        ensemble.load_ensemble([together / "runs" / name / "seed0" for name in ("with", "plain")])


def test_networks_that_are_unsure_alike_do_not_disagree():
    unsure, apart = np.full((2, 1, 2), 0.5), np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    np.testing.assert_allclose(ensemble.mutual_information(jnp.asarray(unsure)), [0], atol=1e-6)
    np.testing.assert_allclose(ensemble.mutual_information(jnp.asarray(apart)), [np.log(2)], rtol=1e-6)


LENSES = Config(data=LensData(size=32), model=ModelConfig(features=(4, 6, 8)))
EVENTS = Config(
    data=EventData(size=(35, 42)),
    model=ModelConfig(features=(4, 6, 8), head="class", attention=AttentionConfig(at=())),
)


@pytest.mark.parametrize(
    "config, absent",
    [(LENSES, {"dimensions", "windows", "events_talk"}), (EVENTS, {"lens_places", "lens_real"})],
)
def test_every_group_has_something_to_compare_or_says_why(config, absent):
    from lensjax.specs import load_definition

    groups = load_definition(VARIANTS, "GROUPS", "")
    for group in groups:
        if group in absent:
            with pytest.raises(ValueError, match="nothing to compare: .*means nothing for this"):
                variants.choose_variants(config, group, VARIANTS)
        else:
            for variant in variants.choose_variants(config, group, VARIANTS).values():
                build(variant.model)


def test_an_unknown_group_lists_the_choices():
    with pytest.raises(ValueError, match="unknown group of variants atention: choose from attention_kind"):
        variants.choose_variants(LENSES, "atention", VARIANTS)


def test_only_some_variants_and_the_first():
    some = variants.choose_variants(LENSES, "explanation_losses", VARIANTS, ("gain",))
    assert list(some) == ["as_configured", "gain"]
    with pytest.raises(ValueError, match="unknown variant gian of explanation_losses: choose from as_conf"):
        variants.choose_variants(LENSES, "explanation_losses", VARIANTS, ("gian",))
    with pytest.raises(ValueError, match="nothing to compare: --only names as_configured alone"):
        variants.choose_variants(LENSES, "explanation_losses", VARIANTS, ("as_configured",))
