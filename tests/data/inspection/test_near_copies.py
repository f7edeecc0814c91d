"""Near-copies are those of the definition, whatever the blocks, and are found without a label."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.poison import PoisonedLabels
from helpers.solids import clouds
from pc_crvae.data import load
from pc_crvae.data.clouds import CloudSet, normalize
from pc_crvae.data.inspection import near_copies
from pc_crvae.data.inspection.near_copies import describe_clouds, find_near_copies, pairs_below
from pc_crvae.geometry import basis_points
from reference.near_copies import distances_by_loops, pairs_by_loops


def shapes(points, split="train", labels=None):
    return CloudSet(
        name="shapes",
        split=split,
        points=points.astype(np.float32),
        labels=labels,
        classes=("a", "b"),
        ids=tuple(f"{split}{row}" for row in range(len(points))),
    )


def copies(of):
    """The same shapes, their points jittered and in another order."""
    jitter = 1e-3 * np.random.default_rng(0).normal(size=of.points.shape)
    return normalize((np.asarray(of.points) + jitter)[:, ::-1])


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.tuples(st.integers(1, 7), st.integers(1, 9)),
    seed=st.integers(0, 2**20),
    offset=st.sampled_from([0.0, 1.0, 300.0]),
    threshold=st.sampled_from([0.2, 0.5, 1.0, 100.0]),
)
def test_pairs_are_those_of_the_definition_whatever_the_blocks(sizes, seed, offset, threshold):
    rng = np.random.default_rng(seed)
    # On a grid, so that many pairs are equal or exactly at the threshold.
    first, second = (
        (offset + rng.integers(-1, 2, size=(size, 4)) / 2).astype(np.float32) for size in sizes
    )
    expected = pairs_by_loops(first, second, threshold)
    for block in (1, 3, 100):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(near_copies, "_TEST_AT_ONCE", block)
            found = {
                pair
                for rows in pairs_below(first, second, threshold)
                for pair in zip(*(part.tolist() for part in rows), strict=True)
            }
        assert found == set(expected)


def test_clouds_are_described_by_their_distances_from_the_basis(monkeypatch):
    monkeypatch.setattr(near_copies, "BASIS", 16)
    items = clouds("train", per_class=2)
    found = describe_clouds(items, np.array([4, 0]), 40)
    expected = distances_by_loops(basis_points(16, seed=0), items.points[[4, 0]])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_copies_are_found_whatever_the_order_of_their_points():
    train = clouds("train")
    others = clouds("test")
    points = np.concatenate([np.asarray(others.points)[:3], copies(train)[[5, 30]]])
    found = find_near_copies(train, shapes(points, "test"))
    assert found.test_rows.tolist() == [3, 4]
    pairs = zip(found.first.tolist(), found.second.tolist(), strict=True)
    assert list(pairs) == [(3, 5), (4, 30)]
    assert found.points == 40
    assert "1,024 basis points to the nearest of 40 points" in found.measure


def test_training_is_gone_through_in_blocks(monkeypatch):
    train = clouds("train")
    test = shapes(copies(train), "test")
    whole = find_near_copies(train, test)
    for name in ("_TEST_AT_ONCE", "_TRAIN_AT_ONCE", "_DESCRIBED_AT_ONCE"):
        monkeypatch.setattr(near_copies, name, 5)
    in_blocks = find_near_copies(train, test)
    np.testing.assert_array_equal(whole.first, in_blocks.first)
    np.testing.assert_array_equal(whole.second, in_blocks.second)
    assert set(range(36)) <= set(whole.first.tolist())


def test_no_label_is_read(monkeypatch):
    monkeypatch.setattr(near_copies, "THRESHOLD", 0.1)
    train, test = clouds("train"), clouds("test")
    expected = find_near_copies(train, test)
    assert len(expected.first)
    for items in (train, test):
        object.__setattr__(items, "labels", PoisonedLabels(items.labels, lambda: False))
    found = find_near_copies(train, test)
    np.testing.assert_array_equal(found.first, expected.first)


def test_too_many_pairs_are_a_part_of_the_test_shapes_evenly_spread():
    train = clouds("train")
    test = shapes(copies(train), "test")
    found = find_near_copies(train, test, most_compared=36 * 4 + 1)
    assert found.compared.tolist() == [0, 11, 23, 35]
    assert found.test_rows.tolist() == [0, 11, 23, 35]
    assert len(find_near_copies(train, test, most_compared=1).compared) == 1


def test_a_cloud_that_is_not_finite_has_no_copy():
    train = clouds("train")
    points = copies(train)[:2]
    points[1, 3, 2] = np.nan
    assert find_near_copies(train, shapes(points, "test")).test_rows.tolist() == [0]


@pytest.mark.slow
def test_the_cut_of_modelnet10_has_about_forty():
    root = Path(os.environ.get("PC_CRVAE_DATA", "")) / "modelnet10_ply_hdf5_1024"
    if not root.is_dir():
        pytest.skip(f"{root.name} is not under $PC_CRVAE_DATA")
    train, test = (load("modelnet10", split, root=root) for split in ("train", "test"))
    if (len(train), len(test)) != (2793, 635):
        pytest.skip("the set is not the cut that was counted")
    assert len(find_near_copies(train, test).test_rows) == 40
