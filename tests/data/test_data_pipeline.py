"""Batches: complete, disjoint over processes, and the same again after a resume."""

from dataclasses import dataclass, replace
from itertools import islice

import jax
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from lensjax.data.batches import batch_augment, pipeline
from lensjax.data.batches.augment import AUGMENTATIONS, KEEP_TYPE
from lensjax.data.store.datasets import stack
from lensjax.losses.objective import widen_images
from lensjax.ops.stored_images import to_float32

ALL = ("dihedral", "shift", "noise", "band_dropout")


def source(count=10, shape=(8, 8, 3)):
    rng = np.random.default_rng(0)
    return stack(
        {
            "image": rng.normal(size=shape).astype(np.float16),
            "label": i % 2,
            "position": np.full(2, (i + 0.5) / count, np.float32),
            "mask": rng.random(shape[:-1]) < 0.3,
            "id": str(i),
            "truth": {"number": i},
        }
        for i in range(count)
    )


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def test_batches_hold_the_rows_they_name():
    data = source()
    for batch in islice(pipeline.train_iterator(data, 4, seed=0), 5):
        rows = batch["index"]
        np.testing.assert_array_equal(batch["image"], data.image[rows])
        np.testing.assert_array_equal(batch["mask"], data.mask[rows])
        np.testing.assert_array_equal(batch["label"], data.label[rows])
        np.testing.assert_array_equal(batch["position"], data.position[rows])
        assert batch["valid"].all()
        types = {key: str(value.dtype) for key, value in batch.items()}
        assert types == {
            "image": "float16", "label": "int32", "position": "float32", "mask": "bool", "valid": "bool",
            "index": "int32",
        }  # fmt: skip


def test_every_epoch_is_a_new_permutation():
    seen = np.concatenate([b["index"] for b in islice(pipeline.train_iterator(source(), 4, seed=0), 15)])
    epochs = seen.reshape(6, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6
    other = next(pipeline.train_iterator(source(), 4, seed=1))["index"]
    assert list(other) != list(seen[:4])
    plain = np.concatenate(
        [b["index"] for b in islice(pipeline.train_iterator(source(), 4, 0, shuffle=False), 5)]
    )
    assert list(plain) == 2 * list(range(10))


@pytest.mark.parametrize("world", [1, 2, 4])
def test_any_number_of_processes_sees_the_same_global_batches(world):
    """Shards are disjoint and complete, augmentation included."""
    whole = pipeline.train_iterator(source(), 4, 0, ALL)
    parts = [pipeline.train_iterator(source(), 4, 0, ALL, process=(rank, world)) for rank in range(world)]
    for _ in range(4):
        expected, shards = next(whole), [next(part) for part in parts]
        for rank, shard in enumerate(shards):
            assert_equal(shard, {key: np.array_split(value, world)[rank] for key, value in expected.items()})


def test_augmentation_differs_between_rows_and_epochs():
    data = source(4)
    data.image[:] = data.image[0]
    batches = list(islice(pipeline.train_iterator(data, 4, 0, ("noise",)), 3))
    images = np.concatenate([b["image"] for b in batches])
    assert len({image.tobytes() for image in images}) == 12


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_resume_is_exact(steps):
    iterator = pipeline.train_iterator(source(), 4, 3, ALL)
    for _ in range(steps):
        next(iterator)
    state = iterator.get_state()
    expected = [next(iterator) for _ in range(5)]
    fresh = pipeline.train_iterator(source(), 4, 3, ALL)
    next(fresh)
    fresh.set_state(state)
    for batch in expected:
        assert_equal(next(fresh), batch)


def test_orbax_saves_and_restores_the_iterator(tmp_path):
    iterator = pipeline.train_iterator(source(), 4, 3, ALL)
    state = {"w": np.arange(3.0)}
    with ocp.training.Checkpointer(tmp_path / "checkpoints") as checkpointer:
        for _ in range(3):
            next(iterator)
        checkpointer.save_checkpointables_async(3, {"state": state, "data": iterator})
        expected = [next(iterator) for _ in range(3)]
    fresh = pipeline.train_iterator(source(), 4, 3, ALL)
    with ocp.training.Checkpointer(tmp_path / "checkpoints") as checkpointer:
        checkpointer.load_checkpointables(None, {"state": state, "data": fresh})
    for batch in expected:
        assert_equal(next(fresh), batch)


@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize("count", [3, 8, 9, 10])
def test_evaluation_covers_everything_once_with_padding(count, world):
    data = source(count)
    shards = [list(pipeline.eval_batches(data, 4, process=(rank, world))) for rank in range(world)]
    assert len({len(shard) for shard in shards}) == 1
    assert len(shards[0]) == len(pipeline.eval_batches(data, 4)) == -(-count // 4)
    batches = [batch for shard in shards for batch in shard]
    assert {len(batch["index"]) for batch in batches} == {4 // world}
    index = np.concatenate([batch["index"] for batch in batches])
    valid = np.concatenate([batch["valid"] for batch in batches])
    assert sorted(index[valid]) == list(range(count)) and (index[~valid] == -1).all()
    for batch in batches:
        rows, kept = batch["index"][batch["valid"]], batch["valid"]
        np.testing.assert_array_equal(batch["image"][kept], data.image[rows].astype(np.float32))
        np.testing.assert_array_equal(batch["mask"][kept], data.mask[rows])
        assert not batch["image"][~kept].any() and not batch["mask"][~kept].any()
        assert np.isnan(batch["position"][~kept]).all() and not batch["label"][~kept].any()


def test_evaluation_keeps_the_order():
    index = np.concatenate([b["index"] for b in pipeline.eval_batches(source(10), 4)])
    assert list(index) == [*range(10), -1, -1]


def test_events_go_through():
    data = source(6, (2, 4, 6, 1))
    batch = next(pipeline.train_iterator(data, 3, 0, ("flip_columns", "band_limit", "noise")))
    assert batch["image"].shape == (3, 2, 4, 6, 1) and batch["mask"].shape == (3, 2, 4, 6)


def test_an_augmentation_of_ones_own():
    def brighter(example, rng):
        return {**example, "image": example["image"] + np.float16(1)}

    data = source()
    batch = next(pipeline.train_iterator(data, 4, 0, (brighter,)))
    expected = (data.image[batch["index"]] + np.float16(1)).astype(np.float32)
    np.testing.assert_array_equal(batch["image"], expected)


def test_an_augmentation_of_ones_own_need_not_be_hashable():
    @dataclass
    class Brighter:
        by: float

        def __call__(self, example, rng):
            return {**example, "image": example["image"] + np.float32(self.by)}

    data = source()
    batch = next(pipeline.train_iterator(data, 4, 0, (Brighter(1.0),)))
    np.testing.assert_array_equal(batch["image"], data.image[batch["index"]] + np.float32(1))


@pytest.mark.parametrize("kind", [np.float16, np.uint8, np.float32])
def test_what_only_moves_keeps_the_type_and_is_what_floats_would_be(kind):
    data = source()
    data = replace(data, image=(data.image * 40).astype(kind), light=(data.image * 20).astype(kind))
    moving = ("dihedral", "shift", "band_dropout")
    assert not any(step in KEEP_TYPE for step in (AUGMENTATIONS["noise"], AUGMENTATIONS["brightness"]))
    floats = replace(data, image=to_float32(data.image), light=to_float32(data.light))
    for steps in ((), moving[:2], moving):
        batch, expected = (next(pipeline.train_iterator(one, 8, 0, steps)) for one in (data, floats))
        assert batch["image"].dtype == batch["light"].dtype == kind
        assert_equal(jax.tree.map(np.asarray, widen_images(batch)), expected)


@pytest.mark.parametrize("shape", [(8, 8, 3), (33, 33, 1)])
@pytest.mark.parametrize(
    "steps",
    [("dihedral", "shift"), ("flips", "shift"), ("flip_rows",), ("flip_columns", "shift"), ("shift",)],
)
def test_moves_by_the_batch_are_those_one_by_one(steps, shape, monkeypatch):
    data = source(20, shape)
    data = replace(data, light=data.image[::-1].copy())
    data.position[::3], data.position[1] = np.nan, (1.2, -0.1)
    assert batch_augment.can_move(data, tuple(AUGMENTATIONS[step] for step in steps))
    together = list(islice(pipeline.train_iterator(data, 8, 5, steps), 6))
    monkeypatch.setattr(batch_augment, "can_move", lambda source, steps: False)
    for batch, expected in zip(together, pipeline.train_iterator(data, 8, 5, steps), strict=False):
        assert_equal(batch, expected)


@pytest.mark.parametrize("steps", [("shift", "dihedral"), ("noise",), ("dihedral", "shift", "noise")])
def test_other_augmentations_go_one_by_one(steps):
    assert not batch_augment.can_move(source(), tuple(AUGMENTATIONS[step] for step in steps))
    assert not batch_augment.can_move(source(shape=(8, 6, 1)), (AUGMENTATIONS["shift"],))
    assert not batch_augment.can_move(source(shape=(2, 8, 8, 1)), (AUGMENTATIONS["flip_columns"],))


def test_halves_become_floats_exactly():
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    half = every[np.isfinite(every)][:, None]
    out = np.empty(half.shape, np.float32)
    pipeline.copy_into(out, half)
    np.testing.assert_array_equal(out.view(np.int32), half.astype(np.float32).view(np.int32))
    there = np.asarray(jax.jit(to_float32)(half))
    np.testing.assert_array_equal(there.view(np.int32), out.view(np.int32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 11}, r"batch_size \(=11\) exceeds the 10 examples"),
        ({"batch_size": 0}, r"batch_size \(=0\) must be a positive multiple"),
        ({"batch_size": 5, "process": (0, 2)}, r"batch_size \(=5\) must be a positive multiple of the 2"),
        ({"augment": ("rotate",)}, f"unknown augmentation 'rotate': choose from {', '.join(AUGMENTATIONS)}"),
        ({"augment": ("dihedral",), "shape": (8, 6, 1)}, "needs square images, not 8×6"),
        ({"seed": -1}, r"seed \(=-1\) must not be negative"),
    ],
)  # fmt: skip
def test_bad_arguments(arguments, message):
    data = source(shape=arguments.pop("shape", (8, 8, 3)))
    with pytest.raises(ValueError, match=message):
        pipeline.train_iterator(data, **{"batch_size": 4, "seed": 0} | arguments)
