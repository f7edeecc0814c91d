"""Sets as Python and PyTorch take them: by subscript, one after another, and in batches."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from pc_crvae.data.clouds import CloudSet, normalize
from pc_crvae.data.images import ImageSet
from pc_crvae.data.items import ItemSet

COUNT = 11
NAMED = {"name": "made", "split": "train", "ids": tuple(f"item-{row}" for row in range(COUNT))}
LABELLED = NAMED | {"labels": np.arange(COUNT) % 3, "classes": ("a", "b", "c")}
RNG = np.random.default_rng(0)
CLOUDS = CloudSet(points=normalize(RNG.normal(size=(COUNT, 20, 3))), **LABELLED)
WITH_NORMALS = replace(CLOUDS, normals=CLOUDS.points[:, ::-1])
IMAGES = ImageSet(images=RNG.integers(0, 256, (COUNT, 3, 5, 4), np.uint8), **LABELLED)
SETS = {"clouds": CLOUDS, "clouds with normals": WITH_NORMALS, "images": IMAGES}
ARRAYS = {
    "clouds": {"points": CLOUDS.points},
    "clouds with normals": {"points": CLOUDS.points, "normals": WITH_NORMALS.normals},
    "images": {"image": (IMAGES.images / 255).astype(np.float32)},
}


@pytest.mark.parametrize("kind", SETS)
def test_an_item_is_its_arrays_its_name_and_its_label(kind: str):
    items = SETS[kind]
    for row in (0, 3, -1, np.int64(4)):
        item = items[row]
        assert set(item) == {*ARRAYS[kind], "id", "label"}
        assert (item["id"], item["label"]) == (items.ids[row], items.labels[row])
        for name, expected in ARRAYS[kind].items():
            assert item[name].dtype == np.float32
            np.testing.assert_allclose(item[name], expected[row], atol=1e-7)
            item[name][:] = 9  # its own, not the set's
            np.testing.assert_allclose(items[row][name], expected[row], atol=1e-7)
    for row in (COUNT, -COUNT - 1):
        with pytest.raises(IndexError):
            items[row]


@pytest.mark.parametrize("kind", SETS)
def test_iteration_gives_each_item_once_in_order(kind: str):
    assert [item["id"] for item in SETS[kind]] == list(NAMED["ids"])


def test_an_unlabelled_item_has_no_label():
    assert set(replace(CLOUDS, labels=None)[2]) == {"points", "id"}


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize(
    "index",
    [slice(2, 9, 3), slice(None, None, -1), [4, 0, -1], [], np.array([5, 1]), np.arange(COUNT) > 6],
    ids=str,
)
def test_a_slice_or_an_array_gives_a_set(kind: str, index: slice | list[int] | np.ndarray):
    items = SETS[kind]
    rows = np.arange(COUNT)[index].tolist()
    part = items[index]
    assert type(part) is type(items)
    assert part.ids == tuple(items.ids[row] for row in rows)
    assert part.labels.tolist() == [row % 3 for row in rows]
    assert len(part) == len(rows)
    for place, row in enumerate(rows):
        assert part[place]["id"] == items[row]["id"]
        np.testing.assert_array_equal(part.array[place], items.array[row])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", SETS)
@pytest.mark.filterwarnings("error:The given NumPy array is not writable")
def test_a_data_loader_takes_a_set_as_it_is(kind: str, workers: int):
    items = SETS[kind].subset(range(1, COUNT))
    torch.manual_seed(0)
    batches = list(DataLoader(items, batch_size=4, shuffle=True, num_workers=workers))
    names = [name for batch in batches for name in batch["id"]]
    assert sorted(names) == sorted(items.ids)
    assert names != list(items.ids)
    rows = [NAMED["ids"].index(name) for name in names]
    assert torch.cat([batch["label"] for batch in batches]).tolist() == [row % 3 for row in rows]
    for name, expected in ARRAYS[kind].items():
        found = torch.cat([batch[name] for batch in batches])
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found, np.asarray(expected)[rows], atol=1e-7)


@pytest.mark.parametrize(
    "index",
    [np.s_[:, :5], np.s_[1:3, ::2, 0], np.s_[2, 4], np.s_[..., 0], np.s_[[0, 2], :3], np.s_[:]],
)
def test_the_points_of_a_part_are_indexed_as_an_array_is(index):
    part = CLOUDS[[7, 2, 5, 5 + 1]]
    np.testing.assert_array_equal(part.points[index], np.asarray(part.points)[index])


def test_iterating_over_a_mapped_set_copies_an_item_at_a_time(tmp_path: Path):
    shape = (400, 3, 64, 64)
    np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, shape).flush()
    ids = tuple(map(str, range(shape[0])))
    images = ImageSet(
        name="mapped",
        split="train",
        images=np.load(tmp_path / "a.npy", mmap_mode="r"),
        labels=None,
        classes=(),
        ids=ids,
    )[1:]
    tracemalloc.start()
    try:
        assert sum(1 for _ in images) == len(images) == 399
        assert tracemalloc.get_traced_memory()[1] < 3 * 64 * 64 * 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("items", "text"),
    [
        (CLOUDS, "<CloudSet made, train: 11 x (20, 3) float32, 3 classes>"),
        (WITH_NORMALS[:2], "<CloudSet made, train: 2 x (20, 3) float32, with normals, 3 classes>"),
        (IMAGES, "<ImageSet made, train: 11 x (3, 5, 4) uint8, 3 classes>"),
        (replace(IMAGES, labels=None), "<ImageSet made, train: 11 x (3, 5, 4) uint8, unlabelled>"),
    ],
    ids=["clouds", "normals", "images", "unlabelled"],
)
def test_a_set_is_told_in_one_line(items: ItemSet, text: str):
    assert repr(items) == text
